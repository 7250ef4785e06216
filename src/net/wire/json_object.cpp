#include "net/wire/json_object.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace confab::net::wire {

namespace {

/// A publish has so many at most.
constexpr std::size_t members_usual = 8;

bool space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/// Walks JSON text that is known to be valid.
class walker {
public:
  explicit walker(std::string_view text) : text_{text} { skip_space(); }

  [[nodiscard]] char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip() noexcept {
    ++at_;
    skip_space();
  }

  std::string_view value() {
    auto begin = at_;
    int depth = 0;
    do {
      char c = peek();
      if (c == '"') {
        skip_string();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at_;
      } else if (depth > 0) {
        ++at_;
      } else {
        while (at_ < text_.size() && !space(text_[at_]) && text_[at_] != ',' && text_[at_] != '}' &&
               text_[at_] != ']')
          ++at_;
      }
    } while (depth > 0);
    auto result = text_.substr(begin, at_ - begin);
    skip_space();
    return result;
  }

private:
  void skip_space() noexcept {
    while (at_ < text_.size() && space(text_[at_]))
      ++at_;
  }
  void skip_string() noexcept {
    for (++at_; text_[at_] != '"'; ++at_)
      if (text_[at_] == '\\')
        ++at_;
    ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string unquoted(std::string_view json) {
  if (json.find('\\') == std::string_view::npos)
    return std::string{json.substr(1, json.size() - 2)};
  return nlohmann::json::parse(json).get<std::string>();
}

model::error wrong_kind(std::string_view key, std::string_view needed, std::string_view json) {
  return {model::code::bad_request, std::string{key} + ": must be " + std::string{needed} +
                                        ", is " + std::string{kind_of(json)}};
}

} // namespace

std::string_view kind_of(std::string_view json) noexcept {
  switch (json.empty() ? '\0' : json.front()) {
  case '"':
    return "a string";
  case '{':
    return "an object";
  case '[':
    return "an array";
  case 't':
  case 'f':
    return "a boolean";
  case 'n':
    return "null";
  case '\0':
    return "nothing";
  default:
    return "a number";
  }
}

model::result<json_object> json_object::parse(std::string_view text, std::string_view what) {
  if (!valid_json(text))
    return model::error{model::code::bad_request,
                        std::string{what} + ": is not valid JSON in UTF-8"};
  walker w{text};
  if (w.peek() != '{')
    return model::error{model::code::bad_request, std::string{what} +
                                                      ": must be a JSON object, is " +
                                                      std::string{kind_of(w.value())}};
  json_object result;
  result.members_.reserve(members_usual);
  w.skip();
  while (w.peek() != '}') {
    auto key = w.value();
    w.skip(); // the colon
    result.members_.emplace_back(unquoted(key), w.value());
    if (w.peek() == ',')
      w.skip();
  }
  return result;
}

std::optional<std::string_view> json_object::raw(std::string_view key) const {
  auto i = std::find_if(members_.rbegin(), members_.rend(),
                        [&](const auto& x) { return x.first == key; });
  if (i == members_.rend())
    return std::nullopt;
  return i->second;
}

model::result<std::optional<std::string>> json_object::text(std::string_view key,
                                                            std::size_t bytes_max) const {
  auto json = raw(key);
  if (!json || *json == "null")
    return std::optional<std::string>{};
  if (json->front() != '"')
    return wrong_kind(key, "a string", *json);
  auto result = unquoted(*json);
  if (result.size() > bytes_max)
    return model::error{model::code::bad_request,
                        std::string{key} + ": has " + std::to_string(result.size()) +
                            " bytes; at most " + std::to_string(bytes_max) + " are allowed"};
  return std::optional{std::move(result)};
}

model::result<std::optional<std::uint64_t>> json_object::number(std::string_view key,
                                                                std::uint64_t max) const {
  auto json = raw(key);
  if (!json || *json == "null")
    return std::optional<std::uint64_t>{};
  auto needed = "a whole number from 0 to " + std::to_string(max);
  std::uint64_t value = 0;
  auto [end, failure] = std::from_chars(json->data(), json->data() + json->size(), value);
  if (failure != std::errc{} || end != json->data() + json->size() || value > max) {
    if (kind_of(*json) == "a number")
      return model::error{model::code::bad_request, std::string{key} + ": must be " + needed};
    return wrong_kind(key, needed, *json);
  }
  return std::optional{value};
}

model::result<std::optional<bool>> json_object::truth(std::string_view key) const {
  auto json = raw(key);
  if (!json || *json == "null")
    return std::optional<bool>{};
  if (*json != "true" && *json != "false")
    return wrong_kind(key, "true or false", *json);
  return std::optional{*json == "true"};
}

std::optional<std::vector<std::string_view>> elements(std::string_view text) {
  walker w{text};
  if (w.peek() != '[')
    return std::nullopt;
  std::vector<std::string_view> result;
  w.skip();
  while (w.peek() != ']') {
    result.push_back(w.value());
    if (w.peek() == ',')
      w.skip();
  }
  return result;
}

void add_string(std::string& out, std::string_view text) {
  auto plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
  });
  if (plain)
    out.append(1, '"').append(text).append(1, '"');
  else
    out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace confab::net::wire
