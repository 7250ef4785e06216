#include "net/http_head.hpp"

#include <boost/beast/core/string.hpp>

#include <charconv>

namespace confab::net {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

/// A chunk's size line with its extensions, and all trailers of a body, which nobody here reads.
constexpr std::size_t chunk_line_bytes_max = 256;
constexpr std::size_t trailer_bytes_max = 4096;
constexpr std::size_t method_bytes_max = 32;

beast::string_view beast_view(std::string_view x) {
  return {x.data(), x.size()};
}

bool token_char(unsigned char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos;
}

bool token(std::string_view x) noexcept {
  for (unsigned char c : x)
    if (!token_char(c))
      return false;
  return !x.empty();
}

bool value_char(unsigned char c) noexcept {
  return (c >= 0x20 && c != 0x7f) || c == '\t';
}

bool host_char(unsigned char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view{"-._~%!$&'()*+,;=:[]"}.find(static_cast<char>(c)) !=
             std::string_view::npos;
}

std::string_view trimmed(std::string_view x) noexcept {
  while (!x.empty() && (x.front() == ' ' || x.front() == '\t'))
    x.remove_prefix(1);
  while (!x.empty() && (x.back() == ' ' || x.back() == '\t'))
    x.remove_suffix(1);
  return x;
}

head_refusal bad(std::string detail, unsigned status = 400) {
  return {{model::code::bad_request, std::move(detail)}, status};
}

head_refusal too_large(std::string detail, unsigned status) {
  return {{model::code::frame_too_large, std::move(detail)}, status};
}

head_refusal target_too_large() {
  return too_large("target: at most 8192 bytes are allowed; send long values in a body", 414);
}

/// `http://host/path` becomes `/path`; its authority counts instead of Host (RFC 9112 §3.2.2).
std::string_view without_authority(std::string_view target, std::string_view& authority) {
  for (std::string_view scheme : {"http://", "https://"})
    if (target.size() >= scheme.size() &&
        beast::iequals(beast_view(target.substr(0, scheme.size())), beast_view(scheme))) {
      auto rest = target.substr(scheme.size());
      auto end = std::min(rest.find_first_of("/?"), rest.size());
      authority = rest.substr(0, end);
      return rest.substr(end);
    }
  return target;
}

std::optional<head_refusal> parse_request_line(std::string_view line, http_request& into,
                                               std::string_view& authority) {
  auto space = line.find(' ');
  auto method = line.substr(0, space);
  if (space == std::string_view::npos || !token(method) || method.size() > method_bytes_max)
    return bad("request line: must be METHOD TARGET HTTP/1.1");
  auto rest = line.substr(space + 1);
  auto end = rest.rfind(' ');
  if (end == std::string_view::npos || end == 0)
    return bad("request line: must be METHOD TARGET HTTP/1.1");
  auto version = rest.substr(end + 1);
  auto target = rest.substr(0, end);
  if (target.size() > target_bytes_max)
    return target_too_large();
  for (unsigned char c : target)
    if (c <= 0x20 || c == 0x7f)
      return bad("target: spaces and control characters are written as percent escapes");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    auto other = version.size() == 8 && version.starts_with("HTTP/");
    return other ? bad("version: HTTP/1.1 and HTTP/1.0 are spoken here", 505)
                 : bad("request line: must be METHOD TARGET HTTP/1.1");
  }
  into.method_string(beast_view(method));
  into.version(version.back() == '1' ? 11 : 10);
  auto path = without_authority(target, authority);
  if (!authority.empty() && (path.empty() || path.front() == '?'))
    into.target('/' + std::string{path});
  else
    into.target(beast_view(path));
  return std::nullopt;
}

std::optional<head_refusal> parse_field(std::string_view line, http_request& into) {
  if (line.front() == ' ' || line.front() == '\t')
    return bad("header: folded lines are not taken (RFC 9112 section 5.2)");
  auto colon = line.find(':');
  if (colon == std::string_view::npos || !token(line.substr(0, colon)))
    return bad("header: each line must be NAME: VALUE, without a space before the colon");
  auto value = trimmed(line.substr(colon + 1));
  for (unsigned char c : value)
    if (!value_char(c))
      return bad("header: control characters are not allowed");
  into.insert(beast_view(line.substr(0, colon)), beast_view(value));
  return std::nullopt;
}

std::optional<head_refusal> find_framing(const http_request& x, body_framing& into) {
  auto lengths = x.count(http::field::content_length);
  auto encodings = x.count(http::field::transfer_encoding);
  if (lengths + encodings > 1)
    return bad("header: a request has one Content-Length or one Transfer-Encoding, not both, "
               "neither repeated");
  if (encodings == 1) {
    if (x.version() == 10)
      return bad("Transfer-Encoding: HTTP/1.0 has none");
    if (!beast::iequals(x[http::field::transfer_encoding], "chunked"))
      return head_refusal{{model::code::unsupported, "Transfer-Encoding: only chunked is taken"},
                          501};
    into.what = body_framing::kind::chunked;
  } else if (lengths == 1) {
    auto text = x[http::field::content_length];
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), into.length);
    if (text.empty() || text.front() < '0' || text.front() > '9' || failure != std::errc{} ||
        end != text.data() + text.size())
      return bad("Content-Length: must be a decimal number");
    into.what = body_framing::kind::length;
  }
  return std::nullopt;
}

std::optional<head_refusal> check_host(http_request& x, std::string_view authority) {
  auto hosts = x.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && x.version() == 11))
    return bad("Host: stands in every HTTP/1.1 request, once");
  if (!authority.empty())
    x.set(http::field::host, beast_view(authority));
  for (unsigned char c : x[http::field::host])
    if (!host_char(c))
      return bad("Host: must be a host name or address, with a port if need be");
  return std::nullopt;
}

int hex(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

} // namespace

head_finder::found head_finder::look(std::string_view in) {
  // Whoever speaks TLS here hears so at once.
  if (!in.empty() && !token_char(static_cast<unsigned char>(in.front())))
    return {.refused = bad("request line: must be METHOD TARGET HTTP/1.1")};
  while (true) {
    auto end = in.find('\n', scanned_);
    auto whole = end != std::string_view::npos;
    // The request line and the header have bounds of their own.
    auto line_bytes = (whole ? end : in.size()) - line_;
    if (line_ == 0 && line_bytes > target_bytes_max + method_bytes_max + 16)
      return {.refused = target_too_large()};
    if ((whole ? end : in.size()) > header_bytes_max)
      return {.refused = too_large("header: at most 16384 bytes are allowed", 431)};
    if (!whole) {
      scanned_ = in.size();
      return {};
    }
    if (end == 0 || in[end - 1] != '\r')
      return {.refused = bad("header: lines end with CR LF")};
    if (end - 1 == line_)
      return {.bytes = end + 1};
    scanned_ = line_ = end + 1;
  }
}

std::size_t leading_empty_lines(std::string_view in) noexcept {
  std::size_t n = 0;
  while (in.substr(n).starts_with("\r\n"))
    n += 2;
  return n;
}

std::variant<request_head, head_refusal> parse_head(std::string_view head) {
  request_head result;
  std::string_view authority;
  std::size_t fields = 0;
  bool first = true;
  while (true) {
    auto end = head.find("\r\n");
    if (end == std::string_view::npos)
      return bad("header: lines end with CR LF");
    auto line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.empty())
      break;
    if (!first && ++fields > header_fields_max)
      return too_large("header: at most 100 fields are allowed", 431);
    auto refused = first ? parse_request_line(line, result.request, authority)
                         : parse_field(line, result.request);
    if (refused)
      return *refused;
    first = false;
  }
  if (first)
    return bad("request line: is missing");
  if (auto refused = check_host(result.request, authority))
    return *refused;
  if (auto refused = find_framing(result.request, result.body))
    return *refused;
  return result;
}

body_decoder::step body_decoder::next(std::string_view in) {
  using kind = body_framing::kind;
  if (done_ || in.empty())
    return {};
  auto data = framing_ == kind::length || part_ == part::data;
  if (data) {
    auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
    left_ -= n;
    if (left_ == 0) {
      done_ = framing_ == kind::length;
      part_ = part::data_end;
    }
    return {n, in.substr(0, n)};
  }
  switch (part_) {
  case part::size:
    return chunk_size(in);
  case part::data_end:
    if (in.size() < 2)
      return {.bad = in.front() != '\r'};
    part_ = part::size;
    return {.used = 2, .bad = !in.starts_with("\r\n")};
  default:
    return trailer(in);
  }
}

body_decoder::step body_decoder::chunk_size(std::string_view in) {
  auto end = in.find('\n');
  if (end == std::string_view::npos)
    return {.bad = in.size() > chunk_line_bytes_max};
  auto line = in.substr(0, end);
  if (line.size() > chunk_line_bytes_max || !line.ends_with('\r'))
    return {.bad = true};
  line.remove_suffix(1);
  std::uint64_t size = 0;
  std::size_t digits = 0;
  // 15 digits: below 2^60, so that no sum of sizes can overflow.
  for (; digits < line.size() && hex(line[digits]) >= 0; ++digits)
    if (digits == 15)
      return {.bad = true};
    else
      size = size * 16 + static_cast<std::uint64_t>(hex(line[digits]));
  auto extension = line.substr(digits);
  if (digits == 0 || (!extension.empty() && extension.front() != ';'))
    return {.bad = true};
  for (unsigned char c : extension)
    if (!value_char(c))
      return {.bad = true};
  left_ = size;
  part_ = size == 0 ? part::trailer : part::data;
  return {.used = end + 1};
}

body_decoder::step body_decoder::trailer(std::string_view in) {
  auto end = in.find('\n');
  auto bytes = end == std::string_view::npos ? in.size() : end + 1;
  if (trailer_bytes_ + bytes > trailer_bytes_max)
    return {.bad = true};
  if (end == std::string_view::npos)
    return {};
  auto line = in.substr(0, end);
  if (!line.ends_with('\r'))
    return {.bad = true};
  line.remove_suffix(1);
  trailer_bytes_ += bytes;
  if (line.empty())
    done_ = true;
  else if (auto colon = line.find(':');
           colon == std::string_view::npos || !token(line.substr(0, colon)))
    return {.bad = true};
  return {.used = bytes};
}

} // namespace confab::net
