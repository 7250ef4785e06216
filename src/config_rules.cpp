#include "config_rules.hpp"

#include "model/channel.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace confab {

namespace {

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

/// Whether nobody can connect to it: it stands for all of a machine's addresses.
bool stands_for_all(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, address.c_str(), &v4) == 1
             ? v4.s_addr == INADDR_ANY
             : inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

bool made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

/// @returns how far the address reaches, which is an IP literal from then on.
reach check_address(std::string& address, std::string_view name, const complaint& complain) {
  if (address == "localhost")
    address = "127.0.0.1";
  auto range = reach_of(address);
  if (range == reach::none)
    complain(name, address + " is not an IP address; one such as 127.0.0.1 or ::1, or "
                             "localhost, is needed");
  return range;
}

void check_net(config::net_group& x, const complaint& complain) {
  if (check_address(x.address, "net.address", complain) == reach::beyond && !x.insecure)
    complain(
        "net.address",
        x.address +
            " is not a loopback address, and anyone who reaches the port could read and write "
            "every conversation, since there are no access tokens yet; use 127.0.0.1 or ::1, or "
            "add --insecure if that is meant");
  if (x.idle_ms <= x.heartbeat_ms)
    complain("net.idle_ms",
             std::to_string(x.idle_ms) + " is not more than net.heartbeat_ms (" +
                 std::to_string(x.heartbeat_ms) +
                 "), so quiet connections would be cut before they can answer a heartbeat");
}

void check_channels(const config::redis_group& x, const complaint& complain) {
  auto in = model::channel_pattern::parse(x.pubsub_in, "*");
  auto out = model::channel_pattern::parse(x.pubsub_out, "{name}");
  if (!x.pubsub_in.empty() && !in)
    complain("redis.pubsub_in", x.pubsub_in + ' ' + in.why().detail);
  if (!x.pubsub_out.empty() && !out)
    complain("redis.pubsub_out", x.pubsub_out + ' ' + out.why().detail);
  if (x.pubsub_in.empty() || x.pubsub_out.empty() || !in || !out)
    return;
  if (in->name_of(out->channel_of(*model::conversation_name::parse("x"))))
    complain("redis.pubsub_out", x.pubsub_out + " is heard by redis.pubsub_in: what is published "
                                                "there would come back as another entry for ever");
}

void check_redis(const config::redis_group& x, const complaint& complain) {
  if (!x.address.empty())
    if (auto place = store::parse_redis_address(x.address); !place)
      complain("redis.address", x.address + ' ' + place.why().detail);
  check_channels(x, complain);
  if (x.role == redis_role::log && x.address.empty())
    complain("redis.role", "log needs redis.address");
  if (!x.user.empty() && x.password_file.empty())
    complain("redis.user", x.user + " needs redis.password_file");
}

/// @returns whether certificates are configured.
bool check_certificates(const config::cluster_group& x, const complaint& complain) {
  const std::pair<std::string_view, const std::string*> files[] = {
      {"cluster.certificate", &x.certificate}, {"cluster.key", &x.key}, {"cluster.ca", &x.ca}};
  auto given = std::count_if(std::begin(files), std::end(files),
                             [](const auto& each) { return !each.second->empty(); });
  if (given == 0)
    return false;
  for (const auto& [name, file] : files) {
    std::string why;
    if (file->empty())
      complain(name, "has no value; cluster.certificate, cluster.key and cluster.ca need each "
                     "other");
    else if (auto text = read_file(*file, why); !text)
      complain(name, *file + ' ' + why);
    else if (text->find("-----BEGIN ") == std::string::npos)
      complain(name, *file + " is not a PEM file");
  }
  return true;
}

void check_cluster(config& values, const complaint& complain) {
  auto& x = values.cluster;
  auto range = check_address(x.address, "cluster.address", complain);
  auto secured = check_certificates(x, complain);
  if (!made_of(x.name, "_.-"))
    complain("cluster.name", x.name + " has other characters than A-Z a-z 0-9 _ . -");
  if (!made_of(x.advertise, ".-") && reach_of(x.advertise) == reach::none)
    complain("cluster.advertise", x.advertise + " is neither an IP address nor a host's name");
  // A node alone has no peers.
  if (x.port == 0)
    return;
  if (values.redis.role != redis_role::log)
    complain("cluster.port",
             "needs redis.role = log and redis.address: nodes share a log in Redis");
  if (range == reach::beyond && !secured)
    complain("cluster.address",
             x.address + " is not a loopback address, and a node refuses to listen for peers on a "
                         "public address without certificates, since anyone who reaches the port "
                         "would be a peer; configure cluster.certificate, cluster.key and "
                         "cluster.ca, or use 127.0.0.1 or ::1");
  if (stands_for_all(x.advertise.empty() ? x.address : x.advertise))
    complain("cluster.advertise", "is needed: the address or name of this machine that other nodes "
                                  "connect to; " +
                                      x.address + " stands for all of them");
}

} // namespace

void check_meaning(config& values, const complaint& complain) {
  check_net(values.net, complain);
  check_redis(values.redis, complain);
  check_cluster(values, complain);
  if (auto rules = model::parse_retention(values.store.retention); !rules)
    // Its detail begins with the option's name, which stands before every error here.
    complain("store.retention", rules.why().detail.substr(rules.why().detail.find(' ') + 1));
}

} // namespace confab
