#include "model/content_type.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace confab::model;

TEST_CASE("a content type is a type and a subtype, perhaps with parameters") {
  for (const auto* text : {"text/plain", "application/json; charset=utf-8", "a/b", "Image/SVG+xml",
                           "text/plain ;q=\"x\""})
    CHECK_MESSAGE(valid_content_type(text), text);
  for (const auto* text : {"", "text", "/", "text/", "/plain", "te xt/plain", "text/plain\r\nX: y",
                           "text/pl\xc3\xa4in", "text/plain;\x7f", "a/b/c", ";a/b"})
    CHECK_FALSE_MESSAGE(valid_content_type(text), text);
  CHECK(valid_content_type("a/" + std::string(content_type_bytes_max - 2, 'b')));
  CHECK_FALSE(valid_content_type("a/" + std::string(content_type_bytes_max - 1, 'b')));
}

TEST_CASE("content types are the same without regard to case and parameters") {
  CHECK(same_content_type("text/plain", "TEXT/Plain ; charset=utf-8"));
  CHECK_FALSE(same_content_type("text/plain", "text/plainer"));
  CHECK_FALSE(same_content_type("text/plain", "text/html"));
}

TEST_CASE("a payload is JSON, text or bytes by its content type") {
  CHECK(form_of("Application/JSON;charset=utf-8") == payload_form::json);
  CHECK(form_of("TEXT/csv") == payload_form::text);
  CHECK(form_of("application/jsonx") == payload_form::bytes);
  CHECK(form_of("image/png") == payload_form::bytes);
}
