// The head of an HTTP/1.1 request: strict, so that no two readers can disagree on where a request
// ends.
#pragma once

#include "model/error.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace confab::net {

using http_request = boost::beast::http::request<boost::beast::http::string_body>;

inline constexpr std::size_t header_bytes_max = 16 * 1024;
inline constexpr std::size_t target_bytes_max = 8 * 1024;
inline constexpr std::size_t header_fields_max = 100;

/// Where a request's body ends.
struct body_framing {
  enum class kind : std::uint8_t { none, length, chunked } what = kind::none;
  std::uint64_t length = 0;
};

struct request_head {
  http_request request;
  body_framing body;
};

struct head_refusal {
  model::error why;
  unsigned status = 400;
};

/// Looks for the empty line that ends a head.
class head_finder {
public:
  struct found {
    /// Bytes of the head with its empty line; 0: it is not all there.
    std::size_t bytes = 0;
    std::optional<head_refusal> refused = std::nullopt;
  };
  /// @param in all bytes of the request so far; each call goes on where the last one stopped.
  [[nodiscard]] found look(std::string_view in);
  void restart() noexcept { scanned_ = line_ = 0; }

private:
  std::size_t scanned_ = 0;
  /// Where the line in progress begins.
  std::size_t line_ = 0;
};

/// Parses a head with its empty line, without empty lines before it. Refuses what RFC 9112 calls an
/// error or leaves to guesses: folded lines, bare CR or LF, controls, spaces before a colon, both
/// or repeated Content-Length and Transfer-Encoding, a missing or repeated Host.
[[nodiscard]] std::variant<request_head, head_refusal> parse_head(std::string_view head);

/// Empty lines that may precede a request (RFC 9112 §2.2).
[[nodiscard]] std::size_t leading_empty_lines(std::string_view in) noexcept;

/// Takes a body apart as it arrives.
class body_decoder {
public:
  body_decoder() = default;
  explicit body_decoder(body_framing x)
    : framing_{x.what}, left_{x.length}, done_{x.what == body_framing::kind::none ||
                                               (x.what == body_framing::kind::length &&
                                                x.length == 0)} {}

  struct step {
    /// Bytes of `in` that are done with.
    std::size_t used = 0;
    /// A piece of the body, within `in`; may be empty although bytes were used.
    std::string_view piece = {};
    bool bad = false;
  };
  /// One step; nothing used and not bad: more bytes are needed.
  [[nodiscard]] step next(std::string_view in);
  [[nodiscard]] bool done() const noexcept { return done_; }

private:
  enum class part : std::uint8_t { size, data, data_end, trailer };

  step chunk_size(std::string_view in);
  step trailer(std::string_view in);

  body_framing::kind framing_ = body_framing::kind::none;
  part part_ = part::size;
  std::uint64_t left_ = 0;
  std::size_t trailer_bytes_ = 0;
  bool done_ = true;
};

} // namespace confab::net
