#include "net/http_fields.hpp"

#include <doctest/doctest.h>

using namespace confab;
using namespace confab::net;
using boost::beast::http::field;
using boost::beast::http::verb;

namespace {

model::result<std::string> key(std::string_view text) {
  http_request x;
  x.set("Idempotency-Key", {text.data(), text.size()});
  return idempotency_key(x);
}

} // namespace

TEST_CASE(
    "Accept lets a type through by itself, by its family, or by all, unless its quality is zero") {
  for (const char* accept :
       {"", "*/*", "application/*", "application/json", "text/html, Application/JSON;q=0.5",
        "text/html;q=0, */*;q=0.1", "application/json ; q=0.001"})
    CHECK(accepts(accept, "application/json"));
  for (const char* accept : {"text/html", "application/json;q=0", "application/json;q=0.000",
                             "application/json;q=0, */*", "text/*", "application/jsonx", ",;,"})
    CHECK_FALSE(accepts(accept, "application/json"));
  CHECK(asks_for("text/html, application/x-ndjson", "application/x-ndjson"));
  CHECK_FALSE(asks_for("*/*", "application/x-ndjson"));
}

TEST_CASE("an idempotency key is a quoted string, or bare") {
  CHECK(*idempotency_key({}) == "");
  CHECK(*key("\"8e03978e-40d5\"") == "8e03978e-40d5");
  CHECK(*key("8e03978e-40d5") == "8e03978e-40d5");
  CHECK(*key(R"("a\"b\\ c")") == R"(a"b\ c)");
  CHECK(*key('"' + std::string(120, 'k') + '"') == std::string(120, 'k'));
  for (const std::string& bad :
       std::initializer_list<std::string>{"", "\"\"", "\"a", "a\"", "\"a\"b\"", "a b", "a,b",
                                          R"("a\b")", "\"\xc3\xa4\"", std::string(121, 'k')}) {
    CAPTURE(bad);
    auto got = key(bad);
    REQUIRE_FALSE(got);
    CHECK(got.why().what == model::code::bad_producer);
  }
  http_request twice;
  twice.insert("Idempotency-Key", "a");
  twice.insert("Idempotency-Key", "b");
  CHECK_FALSE(idempotency_key(twice));
}

TEST_CASE(
    "only pages of the listed origins may read answers, and every answer varies by origin then") {
  http_request x{verb::get, "/", 11};
  x.set(field::host, "here");
  x.set(field::origin, "https://friend");
  session_limits limits;
  CHECK(cors_fields(x, limits).empty());
  limits.origins = {"https://friend"};
  CHECK(cors_fields(x, limits).find("Access-Control-Allow-Origin: https://friend\r\n") !=
        std::string::npos);
  CHECK(cors_fields(x, limits).starts_with("Vary: Origin\r\n"));
  x.set(field::origin, "https://evil");
  CHECK(cors_fields(x, limits) == "Vary: Origin\r\n");
  CHECK(foreign_origin(x, limits));
}

TEST_CASE("a preflight is told which methods and fields may follow") {
  http_request x{verb::options, "/", 11};
  x.set(field::origin, "https://friend");
  CHECK_FALSE(preflight(x));
  x.set(field::access_control_request_method, "POST");
  CHECK(preflight(x));
  session_limits limits;
  limits.origins = {"*"};
  CHECK(cors_fields(x, limits).find("Access-Control-Allow-Methods: ") != std::string::npos);
}
