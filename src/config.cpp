#include "config.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <map>
#include <numeric>
#include <system_error>
#include <type_traits>

namespace confab {

namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;
constexpr std::uint64_t hour_ms = 3'600'000;
constexpr std::uint64_t ten_years_s = 315'360'000;
constexpr std::uint64_t mib = 1024 * 1024;

template <auto Group, auto Member>
field at(config& values) {
  return &(values.*Group.*Member);
}

template <auto Member>
constexpr auto in_net = at<&config::net, Member>;
template <auto Member>
constexpr auto in_store = at<&config::store, Member>;
template <auto Member>
constexpr auto in_log = at<&config::log, Member>;

using ng = config::net_group;
using sg = config::store_group;
using lg = config::log_group;

// clang-format off
constexpr std::array table{
  option{"net.address", in_net<&ng::address>, "", 1, 64,
         "IP address to listen on; other than loopback only with net.insecure."},
  option{"net.port", in_net<&ng::port>, "", 0, 65'535,
         "TCP port to listen on; 0 picks a free one."},
  option{"net.threads", in_net<&ng::threads>, "threads", 0, 256,
         "I/O threads; 0 takes one per CPU that the process may use."},
  option{"net.sndbuf_bytes", in_net<&ng::sndbuf_bytes>, "bytes", 4'096, 16 * mib,
         "Kernel send buffer of each socket."},
  option{"net.ring_entries", in_net<&ng::ring_entries>, "entries", 1, 65'536,
         "Newest entries of a conversation kept in memory, per conversation and I/O thread."},
  option{"net.ring_bytes", in_net<&ng::ring_bytes>, "bytes", 4'096, 1'024 * mib,
         "Bound of the same in bytes."},
  option{"net.cache_bytes", in_net<&ng::cache_bytes>, "bytes", mib, 1'048'576 * mib,
         "Memory for all rings, pages and encoded frames of the process."},
  option{"net.drain_ms", in_net<&ng::drain_ms>, "ms", 0, hour_ms,
         "Longest time from SIGTERM to the end of the process."},
  option{"net.publish_deadline_ms", in_net<&ng::publish_deadline_ms>, "ms", 1, hour_ms,
         "A publish without an outcome for so long is answered with append_unknown."},
  option{"net.frame_bytes", in_net<&ng::frame_bytes>, "bytes", 1'024, 64 * mib,
         "Largest frame or HTTP body that a client may send."},
  // A page must be able to hold any entry.
  option{"net.payload_bytes", in_net<&ng::payload_bytes>, "bytes", 1, model::page_bytes_max,
         "Largest payload of an entry."},
  option{"net.connections", in_net<&ng::connections>, "connections", 1, 10'000'000,
         "Open connections; further ones are refused."},
  option{"net.connections_per_address", in_net<&ng::connections_per_address>, "connections", 0, 10'000'000,
         "Open connections from one IP address; 0 sets no limit."},
  option{"net.subscriptions", in_net<&ng::subscriptions>, "subscriptions", 1, 65'536,
         "Conversations that one connection may follow."},
  option{"net.heartbeat_ms", in_net<&ng::heartbeat_ms>, "ms", 1, hour_ms,
         "Time between two heartbeats to a client."},
  option{"net.idle_ms", in_net<&ng::idle_ms>, "ms", 1, 24 * hour_ms,
         "A connection that was silent for so long, pongs included, is dead; more than net.heartbeat_ms."},
  option{"net.handshake_ms", in_net<&ng::handshake_ms>, "ms", 1, hour_ms,
         "Time in which a client must have sent a whole request."},
  option{"net.insecure", in_net<&ng::insecure>, "", 0, 0,
         "Allows an address other than loopback, although nobody has to prove who they are."},
  option{"store.directory", in_store<&sg::directory>, "", 1, 4'096,
         "Directory of the log; :memory: keeps it in memory, so that it ends with the process."},
  option{"store.synchronous", in_store<&sg::synchronous>, "full|normal|off", 0, 0,
         "A receipt survives a power cut with full, a crash of the process with normal and off; after a power "
         "cut, off may leave a damaged log."},
  option{"store.gather_us", in_store<&sg::gather_us>, "us", 0, 1'000'000,
         "Under load, longest wait for more appends before a commit."},
  option{"store.producer_ttl_s", in_store<&sg::producer_ttl_s>, "s", 1, ten_years_s,
         "How long a retried publish is recognised after its producer's last entry."},
  option{"store.cursor_ttl_s", in_store<&sg::cursor_ttl_s>, "s", 1, ten_years_s,
         "How long a client's saved position is kept after it last moved."},
  option{"store.retention", in_store<&sg::retention>, "", 0, 65'536,
         "Rules pattern max_age max_entries max_bytes, split by commas, as in room:* 30d - 64MiB; - is no limit."},
  option{"store.passivate_ms", in_store<&sg::passivate_ms>, "ms", 1, 24 * hour_ms,
         "A conversation that nobody used for so long leaves the memory."},
  option{"store.readers", in_store<&sg::readers>, "threads", 1, 64,
         "Threads that read the log."},
  option{"log.level", in_log<&lg::level>, "trace|debug|info|warn|error", 0, 0,
         "Least severe log line that is written to stderr."},
  option{"log.format", in_log<&lg::format>, "text|json", 0, 0,
         "Form of a log line."},
};
// clang-format on

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  auto begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(blank) + 1 - begin);
}

/// Edits (insert, delete, replace) that turn one text into the other.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); ++j) {
      auto replace = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// `; did you mean net.port?`, or nothing when no option is near.
std::string suggestion(std::string_view unknown) {
  auto last_part = [](std::string_view name) { return name.substr(name.rfind('.') + 1); };
  std::string_view nearest;
  auto edits = std::max<std::size_t>(2, unknown.size() / 4) + 1;
  for (const auto& row : table) {
    // The right key in the wrong section, or without one, is one mistake.
    auto same_key = last_part(unknown) == last_part(row.name);
    auto apart = same_key ? std::size_t{1} : distance(unknown, row.name);
    if (apart < edits) {
      edits = apart;
      nearest = row.name;
    }
  }
  return nearest.empty() ? "" : "; did you mean " + std::string{nearest} + '?';
}

/// Why `text` is no value of this type, or nothing: then it was stored.
template <class T>
std::string assign(T& to, const std::string& text, const option& which) {
  auto refused = [&](const char* why) { return text + why + "; " + demand(which) + " is needed"; };
  if (text.empty() && !(std::is_same_v<T, std::string> && which.min == 0))
    return "has no value; " + demand(which) + " is needed";
  if constexpr (std::is_same_v<T, std::string>) {
    if (text.size() > which.max)
      return "is too long; " + demand(which) + " is needed";
    to = text;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text != "true" && text != "false")
      return refused(" is neither true nor false");
    to = text == "true";
  } else if constexpr (std::is_enum_v<T>) {
    auto values = split(which.unit, '|');
    auto found = std::find(values.begin(), values.end(), text);
    if (found == values.end())
      return refused(" is none of its values");
    to = static_cast<T>(found - values.begin());
  } else {
    std::string_view digits{text};
    if (digits.starts_with('-'))
      digits.remove_prefix(1);
    if (digits.find_first_not_of("0123456789") != std::string_view::npos)
      return refused(" is not a number");
    std::uint64_t number = 0;
    auto failure = std::from_chars(text.data(), text.data() + text.size(), number).ec;
    if (failure != std::errc{} || number < which.min || number > which.max)
      return refused(" is out of range");
    to = static_cast<T>(number);
  }
  return {};
}

enum class reach { none, loopback, beyond };

/// `none`: not an IP literal.
reach reach_of(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1)
    return ntohl(v4.s_addr) >> 24 == 127 ? reach::loopback : reach::beyond;
  in6_addr v6{};
  if (inet_pton(AF_INET6, address.c_str(), &v6) != 1)
    return reach::none;
  return IN6_IS_ADDR_LOOPBACK(&v6) ? reach::loopback : reach::beyond;
}

/// Rules beyond one option's type and bounds.
/// @param complain takes the option's name and what is wrong.
template <class Complain>
void check_meaning(config& values, Complain complain) {
  auto& address = values.net.address;
  if (address == "localhost")
    address = "127.0.0.1";
  auto range = reach_of(address);
  if (range == reach::none)
    complain("net.address", address + " is not an IP address; one such as 127.0.0.1 or ::1, or "
                                      "localhost, is needed");
  if (range == reach::beyond && !values.net.insecure)
    complain(
        "net.address",
        address +
            " is not a loopback address, and anyone who reaches the port could read and write "
            "every conversation, since there are no access tokens yet; use 127.0.0.1 or ::1, or "
            "add --insecure if that is meant");
  if (values.net.idle_ms <= values.net.heartbeat_ms)
    complain("net.idle_ms",
             std::to_string(values.net.idle_ms) + " is not more than net.heartbeat_ms (" +
                 std::to_string(values.net.heartbeat_ms) +
                 "), so quiet connections would be cut before they can answer a heartbeat");
  if (auto rules = model::parse_retention(values.store.retention); !rules)
    // Its detail begins with the option's name, which stands before every error here.
    complain("store.retention", rules.why().detail.substr(rules.why().detail.find(' ') + 1));
}

/// The value of a `key = value` line: without quotes and without the comment behind it.
std::optional<std::string> ini_value(std::string_view text) {
  if (text.starts_with('"')) {
    auto end = text.find('"', 1);
    if (end == std::string_view::npos)
      return std::nullopt;
    auto rest = trimmed(text.substr(end + 1));
    if (!rest.empty() && !rest.starts_with(';'))
      return std::nullopt;
    return std::string{text.substr(1, end - 1)};
  }
  if (text.starts_with(';'))
    return std::string{};
  auto comment = std::min(text.find(" ;"), text.find("\t;"));
  return std::string{trimmed(text.substr(0, comment))};
}

std::optional<std::string> read_file(const std::filesystem::path& path, std::string& why) {
  std::ifstream in{path, std::ios::binary};
  std::string text;
  if (in) {
    text.resize(file_bytes_max + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
  }
  if (!in.eof()) {
    why = text.size() > file_bytes_max
              ? "is larger than 1 MiB"
              : "cannot be read: " + std::generic_category().message(errno);
    return std::nullopt;
  }
  return text;
}

} // namespace

std::span<const option> options() noexcept {
  return table;
}

std::string value_text(const option& which, config values) {
  return std::visit(
      [&](auto* value) -> std::string {
        using type = std::remove_pointer_t<decltype(value)>;
        if constexpr (std::is_same_v<type, std::string>)
          return *value;
        else if constexpr (std::is_same_v<type, bool>)
          return *value ? "true" : "false";
        else if constexpr (std::is_enum_v<type>)
          return std::string{split(which.unit, '|')[static_cast<std::size_t>(*value)]};
        else
          return std::to_string(*value);
      },
      which.at(values));
}

std::string demand(const option& which) {
  config scratch;
  auto bounds = std::to_string(which.min) + " to " + std::to_string(which.max);
  return std::visit(
      [&](auto* value) -> std::string {
        using type = std::remove_pointer_t<decltype(value)>;
        if constexpr (std::is_same_v<type, std::string>) {
          return "a text of " + bounds + " bytes";
        } else if constexpr (std::is_same_v<type, bool>) {
          return "true or false";
        } else if constexpr (std::is_enum_v<type>) {
          std::string text = "one of";
          for (auto each : split(which.unit, '|'))
            text.append(text.ends_with("of") ? " " : ", ").append(each);
          return text;
        } else {
          auto of = which.unit.empty() ? "" : " of " + std::string{which.unit};
          return "a number" + of + " from " + bounds;
        }
      },
      which.at(scratch));
}

std::vector<setting> read_ini(std::string_view text, std::string_view file_name,
                              std::vector<std::string>& errors) {
  std::vector<setting> settings;
  std::map<std::string, std::size_t> line_by_name;
  std::string section;
  bool known_section = false;
  std::size_t number = 0;
  for (auto raw : split(text, '\n')) {
    ++number;
    auto line = trimmed(raw);
    if (line.empty() || line.starts_with(';'))
      continue;
    auto place = std::string{file_name} + ':' + std::to_string(number) + ": ";
    if (line.starts_with('[')) {
      auto end = line.find(']');
      auto rest = end == std::string_view::npos ? "?" : trimmed(line.substr(end + 1));
      section = end == std::string_view::npos ? "?" : trimmed(line.substr(1, end - 1));
      known_section = std::any_of(table.begin(), table.end(), [&](const option& row) {
        return row.name.starts_with(section + '.');
      });
      if (!rest.empty() && !rest.starts_with(';'))
        errors.push_back(place + "malformed section line; [section] is needed");
      else if (!known_section)
        errors.push_back(place + '[' + section + "]: no such section; net, store and log exist");
      continue;
    }
    auto equals = line.find('=');
    auto key = trimmed(line.substr(0, equals));
    auto value = equals == std::string_view::npos ? std::nullopt
                                                  : ini_value(trimmed(line.substr(equals + 1)));
    if (key.empty() || !value || line.starts_with('#')) {
      errors.push_back(place +
                       "malformed line; [section], key = value (in double quotes if wanted) or a "
                       "comment behind ; is needed");
      continue;
    }
    if (section.empty()) {
      errors.push_back(place + std::string{key} + " stands before any [section]" + suggestion(key));
      continue;
    }
    // Its section has been reported, and says nothing about its keys.
    if (!known_section)
      continue;
    auto name = section + '.' + std::string{key};
    auto [known, fresh] = line_by_name.emplace(name, number);
    if (fresh)
      settings.push_back({name, *value, place + name});
    else
      errors.push_back(place + name + ": was set in line " + std::to_string(known->second) +
                       " already");
  }
  return settings;
}

loaded_config load_config(const std::optional<std::filesystem::path>& file,
                          std::span<const setting> command_line) {
  loaded_config loaded;
  auto& errors = loaded.errors;
  std::vector<setting> settings;
  if (file) {
    std::string why;
    if (auto text = read_file(*file, why))
      settings = read_ini(*text, file->string(), errors);
    else
      errors.push_back(file->string() + ": " + why);
  }
  settings.insert(settings.end(), command_line.begin(), command_line.end());
  // Who set an option last, to name the place when its meaning is refused.
  std::map<std::string_view, std::string_view> where_by_name;
  for (const auto& each : settings) {
    auto row = std::find_if(table.begin(), table.end(),
                            [&](const option& candidate) { return candidate.name == each.name; });
    if (row == table.end()) {
      errors.push_back(each.where + ": no such option" + suggestion(each.name));
      continue;
    }
    auto why =
        std::visit([&](auto* to) { return assign(*to, each.value, *row); }, row->at(loaded.values));
    if (!why.empty())
      errors.push_back(each.where + ": " + why);
    where_by_name[row->name] = each.where;
  }
  check_meaning(loaded.values, [&](std::string_view name, const std::string& why) {
    auto known = where_by_name.find(name);
    errors.push_back(std::string{known == where_by_name.end() ? name : known->second} + ": " + why);
  });
  return loaded;
}

} // namespace confab
