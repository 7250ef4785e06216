#include "config.hpp"

#include "config_rules.hpp"

#include <algorithm>
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
  for (const auto& row : options()) {
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

} // namespace

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

model::result<store::redis_options> redis_options_of(const config::redis_group& x) {
  auto address = store::parse_redis_address(x.address);
  if (!address)
    return model::error{model::code::store_failed, "redis.address: " + address.why().detail};
  store::redis_options made{.address = *address,
                            .user = x.user,
                            .database = static_cast<std::uint32_t>(x.database),
                            .connect_ms = static_cast<std::int64_t>(x.connect_ms),
                            .command_ms = static_cast<std::int64_t>(x.command_ms),
                            .reply_bytes = x.reply_bytes};
  // A process has one Redis, however often its options are read.
  static const auto reach = std::make_shared<store::redis_reach>();
  made.reach = reach;
  made.reconnect.last_ms = static_cast<std::int64_t>(x.reconnect_ms);
  if (!x.password_file.empty()) {
    std::string why;
    auto text = read_file(x.password_file, why);
    if (!text)
      return model::error{model::code::store_failed,
                          "redis.password_file: " + x.password_file + ' ' + why};
    made.password = text->substr(0, text->find_first_of("\r\n"));
    if (made.password.empty())
      return model::error{model::code::store_failed,
                          "redis.password_file: " + x.password_file + " has an empty first line"};
  }
  return made;
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

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<setting> read_ini(std::string_view text, std::string_view file_name,
                              std::vector<std::string>& errors) {
  std::vector<setting> settings;
  std::map<std::string, std::size_t> line_by_name;
  std::string section;
  bool known_section = false;
  std::size_t number = 0;
  for (auto line : split(text, '\n')) {
    ++number;
    if (line.empty() || line.starts_with(';'))
      continue;
    auto place = std::string{file_name} + ':' + std::to_string(number) + ": ";
    if (line.starts_with('[')) {
      auto end = line.find(']');
      auto rest = end == std::string_view::npos ? "?" : trimmed(line.substr(end + 1));
      section = end == std::string_view::npos ? "?" : trimmed(line.substr(1, end - 1));
      known_section = std::any_of(options().begin(), options().end(), [&](const option& row) {
        return row.name.starts_with(section + '.');
      });
      if (!rest.empty() && !rest.starts_with(';'))
        errors.push_back(place + "malformed section line; [section] is needed");
      else if (!known_section)
        errors.push_back(place + '[' + section +
                         "]: no such section; net, store, redis, cluster and log exist");
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
    auto row = std::find_if(options().begin(), options().end(),
                            [&](const option& candidate) { return candidate.name == each.name; });
    if (row == options().end()) {
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
