#include "model/content_type.hpp"

#include <algorithm>

namespace confab::model {

namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool token(std::string_view text) noexcept {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

/// Without parameters and the white space before them.
std::string_view essence(std::string_view text) noexcept {
  text = text.substr(0, text.find(';'));
  auto last = text.find_last_not_of(" \t");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool equal(std::string_view x, std::string_view y) noexcept {
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

} // namespace

bool valid_content_type(std::string_view text) noexcept {
  auto name = essence(text);
  auto slash = name.find('/');
  return text.size() <= content_type_bytes_max && slash != std::string_view::npos &&
         token(name.substr(0, slash)) && token(name.substr(slash + 1)) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool same_content_type(std::string_view x, std::string_view y) noexcept {
  return equal(essence(x), essence(y));
}

payload_form form_of(std::string_view content_type) noexcept {
  if (same_content_type(content_type, json_content_type))
    return payload_form::json;
  return equal(content_type.substr(0, 5), "text/") ? payload_form::text : payload_form::bytes;
}

} // namespace confab::model
