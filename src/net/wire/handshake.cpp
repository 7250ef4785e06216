#include "net/wire/handshake.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace confab::net::wire {

namespace {

/// RFC 6455 §1.3: what a server that does not speak WebSocket cannot know to append.
constexpr std::string_view protocol_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool in_base64(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

} // namespace

bool valid_handshake_key(std::string_view key) noexcept {
  return key.size() == 24 && key.ends_with("==") &&
         std::all_of(key.begin(), key.end() - 2, in_base64);
}

std::string accept_key(std::string_view key) {
  std::string text{key};
  text += protocol_guid;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  // Four characters for each three bytes begun, and a zero.
  std::array<unsigned char, (SHA_DIGEST_LENGTH + 2) / 3 * 4 + 1> base64;
  auto size = EVP_EncodeBlock(base64.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(size)};
}

void add_switching_protocols(std::string& out, std::string_view key) {
  out.append("HTTP/1.1 101 Switching Protocols\r\nServer: confab/" CONFAB_VERSION
             "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
      .append(accept_key(key))
      .append("\r\n\r\n");
}

} // namespace confab::net::wire
