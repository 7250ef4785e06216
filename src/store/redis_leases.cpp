#include "store/redis_leases.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>

namespace confab::store {

namespace {

constexpr std::size_t address_bytes_max = 255;
constexpr std::size_t word_bytes_max = 64;
constexpr std::size_t url_bytes_max = 512;
/// Longer rows are none, of whatever version.
constexpr std::size_t row_bytes_max = 2'048;

using kind = redis_reply::kind;

// KEYS: confab:nodes. ARGV: the longest lease, nodes at most, bytes of a row at most; to renew: own
// incarnation, the lease, own row without its deadline. Answers {now, how many rows are none,
// incarnation, row, …}.
constexpr std::string_view body = R"lua(
local KEY, LEASE_MAX, NODES_MAX, BYTES_MAX = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local OWN, LEASE, ROW = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HLEN', KEY) > 4 * NODES_MAX then
  return redis.error_reply('ERR ' .. KEY .. ' has too many fields; does something else use this key?')
end
local answer, unreadable = {now, 0}, 0
local rows = redis.call('HGETALL', KEY)
for i = 1, #rows, 2 do
  local node, row = rows[i], rows[i + 1]
  local deadline = tonumber(row:match('^(%d+) ') or '')
  local live = deadline and now < deadline and deadline <= now + LEASE_MAX
  if #node > 32 or #row > BYTES_MAX or not deadline then
    unreadable = unreadable + (node == OWN and 0 or 1)
  elseif live and node ~= OWN then
    answer[#answer + 1] = node
    answer[#answer + 1] = row
  elseif not live and OWN then
    redis.call('HDEL', KEY, node)
  end
end
if OWN then
  if #answer - 2 >= 2 * NODES_MAX then
    return redis.error_reply('NODES there are ' .. ARGV[2] .. ' nodes, and no more can join')
  end
  local row = string.format('%.0f ', now + LEASE) .. ROW
  redis.call('HSET', KEY, OWN, row)
  answer[#answer + 1] = OWN
  answer[#answer + 1] = row
end
answer[2] = unreadable
return answer
)lua";

redis_script made(std::string_view name, std::string_view first_line, std::string& text) {
  text.append(first_line).append("\n").append(body);
  return {name, text};
}

/// A Redis that is full refuses appends. Its nodes stay a cluster that can read.
const redis_script& renew_script() {
  static std::string text;
  static const auto script = made("the script that renews leases", "#!lua flags=allow-oom", text);
  return script;
}

const redis_script& list_script() {
  static std::string text;
  static const auto script = made("the script that lists leases", "#!lua flags=no-writes", text);
  return script;
}

bool word(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

/// Takes a row apart, from the left; the first part that is not what it should be spoils it.
class row_reader {
public:
  explicit row_reader(std::string_view row) : rest_{row} {}

  std::string text(std::size_t bytes_max) {
    auto part = next();
    whole_ = whole_ && word(part, bytes_max);
    return std::string{part};
  }
  template <class Number>
  Number number() {
    auto part = next();
    Number x = 0;
    auto [end, failure] = std::from_chars(part.data(), part.data() + part.size(), x);
    whole_ = whole_ && !part.empty() && failure == std::errc{} && end == part.data() + part.size();
    return x;
  }
  [[nodiscard]] bool whole() const noexcept { return whole_; }

private:
  std::string_view next() {
    auto end = std::min(rest_.find(' '), rest_.size());
    auto part = rest_.substr(0, end);
    rest_.remove_prefix(std::min(rest_.size(), end + 1));
    return part;
  }

  std::string_view rest_;
  bool whole_ = true;
};

/// Without the deadline.
std::string row_of(const lease& x) {
  std::string row = x.who.address;
  auto add = [&row](std::string_view part) { row.append(" ").append(part); };
  add(std::to_string(x.who.port));
  add(x.who.version);
  add(std::to_string(x.who.protocol));
  add(x.cluster);
  add(std::to_string(x.load.connections));
  add(std::to_string(x.load.conversations));
  add(std::to_string(x.load.homes));
  add(x.client_url.empty() ? "-" : x.client_url);
  return row;
}

/// Nothing for what is no lease.
std::optional<lease> lease_of(const redis_reply& incarnation, const redis_reply& row,
                              std::int64_t now_ms) {
  if (!incarnation.is(kind::text) || !row.is(kind::text))
    return std::nullopt;
  row_reader parts{row.text};
  lease x;
  x.who.incarnation = incarnation.text;
  x.left_ms = parts.number<std::int64_t>() - now_ms;
  x.who.address = parts.text(address_bytes_max);
  x.who.port = parts.number<std::uint16_t>();
  x.who.version = parts.text(word_bytes_max);
  x.who.protocol = parts.number<std::uint32_t>();
  x.cluster = parts.text(word_bytes_max);
  x.load.connections = parts.number<std::uint64_t>();
  x.load.conversations = parts.number<std::uint64_t>();
  x.load.homes = parts.number<std::uint64_t>();
  x.client_url = parts.text(url_bytes_max);
  if (x.client_url == "-")
    x.client_url.clear();
  if (!parts.whole() || !valid(x))
    return std::nullopt;
  return x;
}

/// The longest of the usual calls: a connection, a script that is loaded, its reply.
redis_options within(redis_options how, std::int64_t lease_ms) {
  auto part = std::max<std::int64_t>(1, lease_ms / 9);
  how.connect_ms = std::min(how.connect_ms, part);
  how.command_ms = std::min(how.command_ms, part);
  how.reconnect.first_ms = std::min(how.reconnect.first_ms, part);
  how.reconnect.last_ms = std::min(how.reconnect.last_ms, part);
  return how;
}

} // namespace

bool valid(const lease& x) {
  return model::valid_incarnation(x.who.incarnation) && word(x.who.address, address_bytes_max) &&
         x.who.port != 0 && word(x.who.version, word_bytes_max) &&
         word(x.cluster, word_bytes_max) &&
         (x.client_url.empty() || (word(x.client_url, url_bytes_max) && x.client_url != "-"));
}

redis_leases::redis_leases(redis_options how, std::int64_t lease_ms)
  : lease_ms_{lease_ms}, redis_{within(std::move(how), lease_ms)} {
  assert(0 < lease_ms && lease_ms <= lease_ms_max);
}

model::result<std::vector<lease>> redis_leases::renew(const lease& own) {
  if (!valid(own))
    return model::error{model::code::bad_request,
                        "this node's lease has an address, version, cluster name or URL with "
                        "blanks, or one that is too long"};
  return call(renew_script(), {{}, {own.who.incarnation, std::to_string(lease_ms_), row_of(own)}});
}

model::status redis_leases::release(const std::string& incarnation) {
  auto reply = redis_.send({"HDEL", {nodes_key, incarnation}});
  if (!reply)
    return reply.why();
  return model::nothing{};
}

model::result<std::vector<lease>> redis_leases::list() {
  return call(list_script(), {});
}

model::result<std::vector<lease>> redis_leases::call(const redis_script& script, redis_call x) {
  x.keys = {nodes_key};
  x.arguments.insert(x.arguments.begin(), {std::to_string(lease_ms_max), std::to_string(nodes_max),
                                           std::to_string(row_bytes_max)});
  auto replies = redis_.call_all(script, {&x, 1});
  if (!replies)
    return replies.why();
  const auto& reply = replies->front();
  if (reply.refuses("NODES"))
    return model::error{model::code::overloaded, unexpected(reply, script.name).detail};
  auto all = elements_of(reply, script.name);
  if (!all)
    return all.why();
  const auto& parts = **all;
  if (parts.size() < 2 || parts.size() % 2 != 0 || !parts[0].is(kind::integer) ||
      !parts[1].is(kind::integer))
    return unexpected(reply, script.name);
  std::vector<lease> live;
  unreadable_ = static_cast<std::size_t>(std::max<std::int64_t>(0, parts[1].number));
  for (std::size_t i = 2; i < parts.size(); i += 2)
    if (auto one = lease_of(parts[i], parts[i + 1], parts[0].number))
      live.push_back(std::move(*one));
    else
      ++unreadable_;
  std::sort(live.begin(), live.end(),
            [](const lease& a, const lease& b) { return a.who.incarnation < b.who.incarnation; });
  return live;
}

} // namespace confab::store
