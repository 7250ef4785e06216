// Validation of JSON text, by Boost.JSON's parser without a document: it keeps no value, so a
// number may have any size, as long as its exponent is below 2^31.
#include "net/wire/json_object.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>

namespace confab::net::wire {

namespace {

namespace json = boost::json;

/// Deeper nesting is refused: what is published must be readable by parsers that recurse.
constexpr std::size_t depth_max = 512;

/// Takes everything and keeps nothing.
struct acceptor {
  using error = boost::system::error_code;
  using text = json::string_view;

  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  bool on_document_begin(error&) { return true; }
  bool on_document_end(error&) { return true; }
  bool on_object_begin(error&) { return true; }
  bool on_object_end(std::size_t, error&) { return true; }
  bool on_array_begin(error&) { return true; }
  bool on_array_end(std::size_t, error&) { return true; }
  bool on_key_part(text, std::size_t, error&) { return true; }
  bool on_key(text, std::size_t, error&) { return true; }
  bool on_string_part(text, std::size_t, error&) { return true; }
  bool on_string(text, std::size_t, error&) { return true; }
  bool on_number_part(text, error&) { return true; }
  bool on_int64(std::int64_t, text, error&) { return true; }
  bool on_uint64(std::uint64_t, text, error&) { return true; }
  bool on_double(double, text, error&) { return true; }
  bool on_bool(bool, error&) { return true; }
  bool on_null(error&) { return true; }
  bool on_comment_part(text, error&) { return true; }
  bool on_comment(text, error&) { return true; }
};

} // namespace

bool valid_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<acceptor> parser{options};
  boost::system::error_code ec;
  auto n = parser.write_some(false, text.data(), text.size(), ec);
  return !ec && n == text.size();
}

} // namespace confab::net::wire
