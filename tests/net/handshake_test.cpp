#include "net/wire/handshake.hpp"

#include <doctest/doctest.h>

using namespace confab::net::wire;

TEST_CASE("the answer to a handshake is the one of RFC 6455") {
  CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  std::string out;
  add_switching_protocols(out, "dGhlIHNhbXBsZSBub25jZQ==");
  CHECK(out.starts_with("HTTP/1.1 101 "));
  CHECK(out.find("\r\nServer: confab/") != std::string::npos);
  CHECK(out.ends_with("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
}

TEST_CASE("a handshake's key is 16 bytes in base64") {
  CHECK(valid_handshake_key("dGhlIHNhbXBsZSBub25jZQ=="));
  CHECK(valid_handshake_key("//////////////////////=="));
  for (auto bad :
       {"", "=", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQ== ", "dGhlIHNhbXBsZSB b25jZQ==", "AAAAAAAAAAAAAAAAAAAAAAAAAA=="})
    CHECK_FALSE(valid_handshake_key(bad));
}
