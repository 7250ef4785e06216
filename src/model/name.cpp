#include "model/name.hpp"

namespace confab::model {

namespace {

bool allowed(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':' || c == '/' || c == '@';
}

error bad(std::string why) {
  return {code::bad_name, "conversation name: " + std::move(why)};
}

} // namespace

result<conversation_name> conversation_name::parse(std::string_view text) {
  if (text.empty())
    return bad("is empty; 1 to 256 bytes are needed");
  if (text.size() > name_bytes_max)
    return bad("has " + std::to_string(text.size()) + " bytes; at most 256 are allowed");
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!allowed(text[i]))
      return bad("byte " + std::to_string(i + 1) + " is not one of A-Z a-z 0-9 _ - . : / @");
  for (std::size_t begin = 0; begin <= text.size();) {
    auto end = std::min(text.find('/', begin), text.size());
    auto segment = text.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..")
      return bad("a segment between slashes is empty, '.' or '..'");
    if (begin == 0 && segment == "__ds")
      return bad("the first segment '__ds' is reserved");
    begin = end + 1;
  }
  return conversation_name{text};
}

} // namespace confab::model
