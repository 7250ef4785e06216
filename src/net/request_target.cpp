#include "net/request_target.hpp"

namespace confab::net {

namespace {

int hex(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size())
        return std::nullopt;
      auto high = hex(text[i + 1]);
      auto low = hex(text[i + 2]);
      if (high < 0 || low < 0)
        return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

} // namespace

std::optional<std::string_view> request_target::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name)
      return value;
  return std::nullopt;
}

std::optional<request_target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/')
    return std::nullopt;
  request_target result;
  auto question = text.find('?');
  auto path = text.substr(1, question == std::string_view::npos ? question : question - 1);
  while (!path.empty()) {
    auto end = path.find('/');
    auto segment = decoded(path.substr(0, end), false);
    if (!segment)
      return std::nullopt;
    result.segments.push_back(std::move(*segment));
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  }
  if (question == std::string_view::npos)
    return result;
  auto query = text.substr(question + 1);
  while (!query.empty()) {
    auto end = query.find('&');
    auto pair = query.substr(0, end);
    auto equals = pair.find('=');
    auto key = decoded(pair.substr(0, equals), true);
    auto value = decoded(
        equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
    if (!key || !value)
      return std::nullopt;
    result.query.emplace_back(std::move(*key), std::move(*value));
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return result;
}

} // namespace confab::net
