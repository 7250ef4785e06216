#include "net/http_fields.hpp"

#include <boost/beast/core/string.hpp>

namespace confab::net {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

/// With the line number of an NDJSON body, a key stays below `model::producer_bytes_max`.
constexpr std::size_t idempotency_key_bytes_max = 120;

std::string_view view(beast::string_view x) {
  return {x.data(), x.size()};
}

bool equal(std::string_view a, std::string_view b) {
  return beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

std::string_view trimmed(std::string_view x) noexcept {
  while (!x.empty() && (x.front() == ' ' || x.front() == '\t'))
    x.remove_prefix(1);
  while (!x.empty() && (x.back() == ' ' || x.back() == '\t'))
    x.remove_suffix(1);
  return x;
}

/// Cuts the part before `by` off the front.
std::string_view next_part(std::string_view& rest, char by) {
  auto end = rest.find(by);
  auto part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return trimmed(part);
}

/// `q=0`, in any of its spellings, excludes a range.
bool excluded(std::string_view parameters) {
  while (!parameters.empty()) {
    auto one = next_part(parameters, ';');
    if (one.size() > 2 && (one[0] == 'q' || one[0] == 'Q') && one[1] == '=')
      return one.find_first_not_of("0.", 2) == std::string_view::npos;
  }
  return false;
}

/// How exactly a range names a type: 3 itself, 2 `type/*`, 1 `*/*`, 0 not at all.
int exactness(std::string_view range, std::string_view type) {
  if (equal(range, type))
    return 3;
  if (range == "*/*" || range == "*")
    return 1;
  auto slash = type.find('/');
  return range.ends_with("/*") && equal(range.substr(0, range.size() - 2), type.substr(0, slash))
             ? 2
             : 0;
}

/// The most exact range that names the type decides.
int best_range(std::string_view accept, std::string_view type) {
  int best = 0;
  bool taken = false;
  while (!accept.empty()) {
    auto parameters = next_part(accept, ',');
    auto range = next_part(parameters, ';');
    auto here = exactness(range, type);
    if (here > best) {
      best = here;
      taken = !excluded(parameters);
    }
  }
  return taken ? best : 0;
}

model::error bad_key(std::string detail) {
  return {model::code::bad_producer, "Idempotency-Key: " + std::move(detail)};
}

bool listed_origin(std::string_view origin, const session_limits& limits) {
  for (const auto& allowed : limits.origins)
    if (allowed == "*" || equal(allowed, origin))
      return true;
  return false;
}

} // namespace

std::string_view media_type(std::string_view content_type) noexcept {
  return trimmed(content_type.substr(0, content_type.find(';')));
}

bool accepts(std::string_view accept, std::string_view type) {
  return trimmed(accept).empty() || best_range(accept, type) > 0;
}

bool asks_for(std::string_view accept, std::string_view type) {
  return best_range(accept, type) == 3;
}

model::result<std::string> idempotency_key(const http_request& x) {
  constexpr std::string_view name = "Idempotency-Key";
  auto count = x.count({name.data(), name.size()});
  if (count == 0)
    return std::string{};
  if (count > 1)
    return bad_key("must stand once");
  auto text = view(x[{name.data(), name.size()}]);
  auto quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  if (quoted)
    text = text.substr(1, text.size() - 2);
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\'))
      c = text[++i];
    else if (c < ' ' || c > '~' || c == '"' || c == '\\' || (!quoted && (c == ' ' || c == ',')))
      return bad_key("must be visible ASCII characters in double quotes, like \"8e03978e\"");
    key += c;
  }
  if (key.empty() || key.size() > idempotency_key_bytes_max)
    return bad_key("has " + std::to_string(key.size()) + " bytes; 1 to 120 are allowed");
  return key;
}

bool foreign_origin(const http_request& x, const session_limits& limits) {
  auto origin = view(x[http::field::origin]);
  if (origin.empty() || listed_origin(origin, limits))
    return false;
  auto host = origin.find("://");
  return host == std::string_view::npos ||
         !equal(origin.substr(host + 3), view(x[http::field::host]));
}

std::string cors_fields(const http_request& x, const session_limits& limits) {
  if (limits.origins.empty())
    return {};
  std::string out = "Vary: Origin\r\n";
  auto origin = view(x[http::field::origin]);
  if (origin.empty() || !listed_origin(origin, limits))
    return out;
  out.append("Access-Control-Allow-Origin: ").append(origin);
  out += "\r\nAccess-Control-Expose-Headers: Allow, ETag, Location, Producer-Epoch, "
         "Producer-Expected-Seq, Producer-Received-Seq, Producer-Seq, Retry-After, Stream-Closed, "
         "Stream-Cursor, Stream-Expires-At, Stream-Next-Offset, Stream-SSE-Data-Encoding, "
         "Stream-TTL, Stream-Up-To-Date\r\n";
  if (preflight(x))
    // Ten minutes: a changed option is noticed soon.
    out += "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
           "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
           "If-None-Match, Last-Event-ID, Producer-Epoch, Producer-Id, Producer-Seq, "
           "Stream-Closed, Stream-Expires-At, Stream-Fork-Offset, Stream-Fork-Sub-Offset, "
           "Stream-Forked-From, Stream-Seq, Stream-TTL\r\nAccess-Control-Max-Age: 600\r\n";
  return out;
}

bool preflight(const http_request& x) {
  return x.method() == http::verb::options && x.count(http::field::origin) > 0 &&
         x.count(http::field::access_control_request_method) > 0;
}

} // namespace confab::net
