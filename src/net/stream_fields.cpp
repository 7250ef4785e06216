#include "net/stream_fields.hpp"

#include "net/request_target.hpp"
#include "net/timestamp.hpp"

#include <boost/beast/core/string.hpp>

#include <charconv>
#include <limits>
#include <random>

namespace confab::net {

namespace beast = boost::beast;

namespace {

constexpr std::uint64_t integer_max = (std::uint64_t{1} << 53) - 1;
constexpr std::string_view zero_offset = "0000000000000000_0000000000000000";
/// 2024-10-09T00:00:00Z, where the protocol counts intervals from.
constexpr std::int64_t cursor_epoch_ms = 1'728'432'000'000;
constexpr std::int64_t cursor_interval_ms = 20'000;
constexpr std::uint64_t cursor_jitter_max = 3600 * 1000 / cursor_interval_ms;

model::error bad(std::string_view name, std::string_view detail,
                 model::code what = model::code::bad_request) {
  return {what, std::string{name}.append(": ").append(detail)};
}

/// The field's value, if it is there. Errors: `bad_request` if it is there twice.
model::result<std::optional<std::string_view>> field_of(const http_request& x,
                                                        std::string_view name) {
  auto range = x.equal_range({name.data(), name.size()});
  if (range.first == range.second)
    return std::optional<std::string_view>{};
  auto value = range.first->value();
  if (++range.first != range.second)
    return bad(name, "must stand once");
  return std::optional{std::string_view{value.data(), value.size()}};
}

/// Decimal without a sign and without leading zeros.
std::optional<std::uint64_t> plain_number(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value > max ||
      (text.size() > 1 && text.front() == '0'))
    return std::nullopt;
  return value;
}

model::result<std::optional<std::uint64_t>> number_field(const http_request& x,
                                                         std::string_view name, std::uint64_t max) {
  auto text = field_of(x, name);
  if (!text)
    return text.why();
  if (!*text)
    return std::optional<std::uint64_t>{};
  auto number = plain_number(**text, max);
  if (!number)
    return bad(name,
               "must be a whole number from 0 to " + std::to_string(max) + ", in plain decimal");
  return number;
}

model::result<model::conversation_name> fork_source(std::string_view path) {
  constexpr std::string_view name = "Stream-Forked-From";
  auto target = parse_target(path);
  if (!target || !path.starts_with(stream_path) || !target->query.empty())
    return bad(name, "must be the path of a stream, such as /v1/stream/NAME");
  std::string joined;
  for (std::size_t i = 2; i < target->segments.size(); ++i)
    joined.append(i == 2 ? "" : "/").append(target->segments[i]);
  return model::conversation_name::parse(joined);
}

/// A position text, or the zero offset.
std::optional<model::position> offset_position(std::string_view text) {
  if (text == zero_offset)
    return model::position{};
  return model::parse_position(text);
}

} // namespace

bool closing_field(const http_request& x) {
  return beast::iequals(x["Stream-Closed"], "true");
}

model::result<model::lifetime> lifetime_fields(const http_request& x) {
  constexpr std::string_view expires_name = "Stream-Expires-At";
  model::lifetime result;
  auto ttl = number_field(x, "Stream-TTL", std::numeric_limits<std::uint32_t>::max());
  if (!ttl)
    return ttl.why();
  auto expires = field_of(x, expires_name);
  if (!expires)
    return expires.why();
  if (*ttl && *expires)
    return bad("Stream-TTL, Stream-Expires-At", "only one of them may be given");
  if (*ttl)
    result.ttl_s = static_cast<std::uint32_t>(**ttl);
  if (*expires) {
    result.expires_ms = parse_timestamp(**expires);
    if (!result.expires_ms)
      return bad(expires_name, "must be an RFC 3339 timestamp, such as 2030-01-02T03:04:05Z");
  }
  return result;
}

model::result<std::string> stream_seq_field(const http_request& x) {
  constexpr std::string_view name = "Stream-Seq";
  auto text = field_of(x, name);
  if (!text)
    return text.why();
  if (!*text)
    return std::string{};
  if ((*text)->empty() || (*text)->size() > model::stream_seq_bytes_max)
    return bad(name, "must have 1 to " + std::to_string(model::stream_seq_bytes_max) + " bytes");
  return std::string{**text};
}

model::result<std::optional<stream_producer>> producer_fields(const http_request& x) {
  using model::code;
  auto refused = [](const model::error& why) {
    return model::error{code::bad_producer, why.detail};
  };
  auto id = field_of(x, "Producer-Id");
  if (!id)
    return refused(id.why());
  auto epoch = number_field(x, "Producer-Epoch", std::numeric_limits<std::uint32_t>::max());
  if (!epoch)
    return refused(epoch.why());
  auto number = number_field(x, "Producer-Seq", integer_max);
  if (!number)
    return refused(number.why());
  if (!*id && !*epoch && !*number)
    return std::optional<stream_producer>{};
  if (!*id || !*epoch || !*number)
    return bad("Producer-Id, Producer-Epoch, Producer-Seq", "must be given together",
               code::bad_producer);
  const auto& text = **id;
  if (text.empty() || text.size() > model::producer_bytes_max || text.front() == '~' ||
      text.front() == '=')
    return bad("Producer-Id",
               "must have 1 to " + std::to_string(model::producer_bytes_max) +
                   " bytes and not begin with '~' or '='",
               code::bad_producer);
  for (char c : text)
    if (c < ' ' || c > '~')
      return bad("Producer-Id", "must be printable ASCII", code::bad_producer);
  return std::optional{
      stream_producer{std::string{text}, static_cast<std::uint32_t>(**epoch), **number}};
}

model::result<std::optional<model::fork_point>> fork_fields(const http_request& x) {
  constexpr std::string_view offset_name = "Stream-Fork-Offset";
  constexpr std::string_view beyond_name = "Stream-Fork-Sub-Offset";
  auto path = field_of(x, "Stream-Forked-From");
  if (!path)
    return path.why();
  auto offset = field_of(x, offset_name);
  if (!offset)
    return offset.why();
  auto beyond = number_field(x, beyond_name, integer_max);
  if (!beyond)
    return beyond.why();
  if (!*path) {
    if (*offset || *beyond)
      return bad(*offset ? offset_name : beyond_name, "needs Stream-Forked-From");
    return std::optional<model::fork_point>{};
  }
  auto source = fork_source(**path);
  if (!source)
    return source.why();
  model::fork_point result{std::move(*source), std::nullopt, beyond->value_or(0)};
  if (!*offset) {
    if (result.beyond > 0)
      return bad(beyond_name, "needs Stream-Fork-Offset");
    return std::optional{std::move(result)};
  }
  result.at = offset_position(**offset);
  if (!result.at)
    return bad(offset_name, "is not an offset that the server sent");
  return std::optional{std::move(result)};
}

model::result<model::resume_request> parse_offset(std::string_view text) {
  if (text == "-1")
    return model::parse_after("start");
  if (text == "now")
    return model::parse_after("now");
  auto at = offset_position(text);
  if (!at)
    return model::error{model::code::bad_after,
                        "offset: must be -1, now, or an offset that the server sent"};
  return model::parse_after(to_string(*at));
}

std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  return plain_number(text, integer_max);
}

std::uint64_t next_cursor(std::optional<std::uint64_t> own, std::int64_t now_ms) {
  thread_local std::minstd_rand random{std::random_device{}()};
  auto now = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, (now_ms - cursor_epoch_ms) / cursor_interval_ms));
  if (!own || *own < now)
    return now;
  return *own + std::uniform_int_distribution<std::uint64_t>{1, cursor_jitter_max}(random);
}

bool names_etag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    auto end = if_none_match.find(',');
    auto one = if_none_match.substr(0, end);
    if_none_match.remove_prefix(end == std::string_view::npos ? if_none_match.size() : end + 1);
    auto begin = one.find_first_not_of(" \t");
    if (begin == std::string_view::npos)
      continue;
    one = one.substr(begin, one.find_last_not_of(" \t") - begin + 1);
    if (one.starts_with("W/"))
      one.remove_prefix(2);
    if (one == "*" || one == etag) // no tag of ours holds a comma
      return true;
  }
  return false;
}

} // namespace confab::net
