#include "store/redis_reply.hpp"

#include <algorithm>

namespace confab::store {

namespace {

/// Longer texts say nothing more to a person.
constexpr std::size_t detail_bytes_max = 200;

std::string_view kind_name(redis_reply::kind x) {
  switch (x) {
  case redis_reply::kind::nil:
    return "nil";
  case redis_reply::kind::integer:
    return "an integer";
  case redis_reply::kind::text:
    return "a string";
  case redis_reply::kind::error:
    return "an error";
  case redis_reply::kind::array:
    return "an array";
  }
  return "nothing known";
}

/// An error reply's text without what it repeats of the command's arguments.
std::string shown(std::string_view text) {
  std::string result{text.substr(0, std::min(text.find(", with args"), detail_bytes_max))};
  std::replace_if(
      result.begin(), result.end(),
      [](char c) {
        return static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) > '~';
      },
      '?');
  return result;
}

} // namespace

bool redis_reply::refuses(std::string_view word) const noexcept {
  return is(kind::error) && text.starts_with(word) &&
         (text.size() == word.size() || text[word.size()] == ' ');
}

model::error unexpected(const redis_reply& x, std::string_view command) {
  std::string detail{"Redis: "};
  detail += command;
  if (x.is(redis_reply::kind::error))
    detail += ": " + shown(x.text);
  else
    detail.append(": answered ").append(kind_name(x.what)).append(", which it never should");
  return {model::code::store_failed, std::move(detail)};
}

model::result<std::int64_t> integer_of(const redis_reply& x, std::string_view command) {
  if (!x.is(redis_reply::kind::integer))
    return unexpected(x, command);
  return x.number;
}

model::result<const std::string*> text_of(const redis_reply& x, std::string_view command) {
  if (!x.is(redis_reply::kind::text))
    return unexpected(x, command);
  return &x.text;
}

model::result<const std::vector<redis_reply>*> elements_of(const redis_reply& x,
                                                           std::string_view command) {
  if (!x.is(redis_reply::kind::array))
    return unexpected(x, command);
  return &x.elements;
}

redis_command& redis_command::add(std::string_view argument) {
  arguments_.append("$").append(std::to_string(argument.size())).append("\r\n");
  arguments_.append(argument).append("\r\n");
  ++count_;
  return *this;
}

void redis_command::append_to(std::string& wire) const {
  wire.append("*").append(std::to_string(count_)).append("\r\n").append(arguments_);
}

} // namespace confab::store
