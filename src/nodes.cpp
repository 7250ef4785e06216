#include "nodes.hpp"

#include "net/wire/json_object.hpp"
#include "store/redis_leases.hpp"

#include <algorithm>
#include <array>
#include <iostream>

namespace confab {

namespace {

struct column {
  std::string_view title;
  bool number = false;
};

constexpr std::array columns{column{"INCARNATION"},       column{"ADDRESS"},
                             column{"VERSION"},           column{"PROTOCOL", true},
                             column{"CLUSTER"},           column{"CLIENTS"},
                             column{"CONNECTIONS", true}, column{"CONVERSATIONS", true},
                             column{"HOMES", true},       column{"LEASE LEFT", true}};

using row = std::array<std::string, columns.size()>;

row row_of(const store::lease& x) {
  auto tenths = x.left_ms / 100;
  return {x.who.incarnation,
          model::endpoint(x.who.address, x.who.port),
          x.who.version,
          std::to_string(x.who.protocol),
          x.cluster,
          x.client_url.empty() ? "-" : x.client_url,
          std::to_string(x.load.connections),
          std::to_string(x.load.conversations),
          std::to_string(x.load.homes),
          std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s"};
}

/// Texts to the left of their column, numbers to the right.
std::string table_of(const std::vector<store::lease>& nodes) {
  std::vector<row> rows(1);
  for (std::size_t i = 0; i < columns.size(); ++i)
    rows.front()[i] = columns[i].title;
  for (const auto& x : nodes)
    rows.push_back(row_of(x));
  std::array<std::size_t, columns.size()> widths{};
  for (const auto& each : rows)
    for (std::size_t i = 0; i < columns.size(); ++i)
      widths[i] = std::max(widths[i], each[i].size());
  std::string table;
  for (const auto& each : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      std::string blank(widths[i] - each[i].size(), ' ');
      table += i == 0 ? "" : "  ";
      table += columns[i].number ? blank + each[i] : each[i] + blank;
    }
    table += '\n';
  }
  return table;
}

std::string json_of(const std::vector<store::lease>& nodes, std::size_t unreadable) {
  std::string json = R"({"nodes":[)";
  for (const auto& x : nodes) {
    auto text = [&json](std::string_view name, std::string_view value) {
      json.append("\"").append(name).append("\":");
      net::wire::add_string(json, value);
      json += ',';
    };
    auto number = [&json](std::string_view name, std::uint64_t value) {
      json.append("\"").append(name).append("\":").append(std::to_string(value)).append(",");
    };
    json += '{';
    text("incarnation", x.who.incarnation);
    text("address", x.who.address);
    number("port", x.who.port);
    text("version", x.who.version);
    number("protocol", x.who.protocol);
    text("cluster", x.cluster);
    text("client_url", x.client_url);
    number("connections", x.load.connections);
    number("conversations", x.load.conversations);
    number("homes", x.load.homes);
    number("lease_left_ms", static_cast<std::uint64_t>(x.left_ms));
    json.back() = '}';
    json += ',';
  }
  if (!nodes.empty())
    json.pop_back();
  return json + R"(],"unreadable":)" + std::to_string(unreadable) + "}\n";
}

} // namespace

int print_nodes(const config::redis_group& redis, bool as_json) {
  auto failed = [](const model::error& why) {
    std::cerr << "confab nodes: " << why.detail << '\n';
    return 1;
  };
  auto how = redis_options_of(redis);
  if (!how)
    return failed(how.why());
  store::redis_leases leases{*how, store::lease_ms_max};
  auto nodes = leases.list();
  if (!nodes)
    return failed(nodes.why());
  if (as_json)
    std::cout << json_of(*nodes, leases.unreadable());
  else
    std::cout << (nodes->empty() ? "no live nodes\n" : table_of(*nodes));
  if (leases.unreadable() > 0)
    std::cerr << "confab nodes: " << leases.unreadable() << " rows of " << store::nodes_key
              << " are no leases and are left out\n";
  return 0;
}

} // namespace confab
