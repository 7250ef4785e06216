#include "store/redis_cursor.hpp"

namespace confab::store {

namespace {

void add_encoded(std::string& to, std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  for (char c : text) {
    auto plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.' || c == '~';
    auto byte = static_cast<unsigned char>(c);
    if (plain)
      to += c;
    else
      to.append({'%', hex[byte >> 4], hex[byte & 15]});
  }
}

} // namespace

std::string redis_cursor_key(const cursor_key& x) {
  std::string key = "client:sync:";
  add_encoded(key, x.user);
  key += ':';
  add_encoded(key, x.client);
  return key.append(":").append(x.conversation.text());
}

} // namespace confab::store
