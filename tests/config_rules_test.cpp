#include "support/config_bed.hpp"

#include <utility>

using namespace confab;
using namespace confab::test;

TEST_CASE("an address beyond loopback is refused with the reason, unless insecure") {
  for (const auto* address : {"0.0.0.0", "::", "192.168.1.1", "::ffff:127.0.0.1"}) {
    CAPTURE(address);
    auto refused = load(std::string{"[net]\naddress = "} + address + "\n");
    CHECK(only_error(refused).starts_with(
        std::string{"config.ini:2: net.address: "} + address +
        " is not a loopback address, and anyone who reaches the port "
        "could read and write every conversation"));
    auto meant = load("", {given("net.address", address), given("net.insecure", "true")});
    CHECK(meant.errors.empty());
    CHECK(meant.values.net.address == address);
  }
  for (const auto* address : {"127.0.0.1", "127.9.9.9", "::1"}) {
    CAPTURE(address);
    CHECK(load("", {given("net.address", address)}).errors.empty());
  }
  CHECK(load("", {given("net.address", "localhost")}).values.net.address == "127.0.0.1");
}

TEST_CASE("an address that is no IP literal is refused, insecure or not") {
  for (const auto* address : {"example.org", "127.0.0.1:80", "[::1]", "127.1"})
    CHECK(only_error(load("", {given("net.address", address), given("net.insecure", "true")})) ==
          std::string{"--net.address: "} + address +
              " is not an IP address; one such as 127.0.0.1 or ::1, or localhost, is needed");
}

TEST_CASE("a time to idle that no heartbeat can reach is refused") {
  CHECK(only_error(load("[net]\nidle_ms = 25000\n"))
            .starts_with(
                "config.ini:2: net.idle_ms: 25000 is not more than net.heartbeat_ms (25000)"));
  CHECK(load("[net]\nidle_ms = 200\nheartbeat_ms = 100\n").errors.empty());
}

TEST_CASE("channels without a place for the name, or that would feed themselves, are refused") {
  auto errors = [](const char* in, const char* out) {
    return load_config(std::nullopt,
                       std::vector{given("redis.pubsub_in", in), given("redis.pubsub_out", out)})
        .errors.size();
  };
  CHECK(errors("in:*", "out:{name}") == 0);
  CHECK(errors("in:", "out:{name}") == 1);
  CHECK(errors("in:*", "out") == 1);
  CHECK(errors("a:*", "a:{name}") == 1);
  CHECK(errors("*", "a:{name}") == 1);
}

TEST_CASE("channels are served whoever holds the log") {
  auto loaded = load_config(std::nullopt, std::vector{given("redis.address", "127.0.0.1:6379"),
                                                      given("redis.role", "log"),
                                                      given("redis.pubsub_in", "in:*"),
                                                      given("redis.pubsub_out", "out:{name}")});
  CHECK(loaded.errors.empty());
}

TEST_CASE("a retention rule that cannot be read is refused when the server starts") {
  CHECK(only_error(load("[store]\nretention = \"room:* soon - -\"\n"))
            .starts_with("config.ini:2: store.retention: rule 1 ('room:* soon - -'): "));
}

TEST_CASE("a node that has peers needs its log in Redis") {
  const std::string wanted = "config.ini:2: cluster.port: needs redis.role = log and redis.address";
  CHECK(only_error(load("[cluster]\nport = 7000\n")).starts_with(wanted));
  CHECK(only_error(load("[cluster]\nport = 7000\n[redis]\naddress = h:1\n")).starts_with(wanted));
  const std::string log = "[redis]\nrole = log\naddress = h:1\n[cluster]\n";
  CHECK(load(log + "port = 7000\n").errors.empty());
  CHECK(load(log + "port = 7000\naddress = localhost\n").values.cluster.address == "127.0.0.1");
  CHECK(only_error(load(log + "lease_ms = 499\n"))
            .starts_with("config.ini:5: cluster.lease_ms: 499 is out of range"));
}

TEST_CASE("a node listens for peers beyond loopback with certificates alone") {
  const std::string log = "[redis]\nrole = log\naddress = h:1\n[cluster]\nport = 7000\n";
  scratch_file pem{"-----BEGIN CERTIFICATE-----\n"};
  auto path = pem.path().string();
  auto secured = "certificate = " + path + "\nkey = " + path + "\nca = " + path + '\n';
  for (const auto* address : {"10.0.0.1", "fe80::1"}) {
    CAPTURE(address);
    auto open = log + "address = " + address + '\n';
    CHECK(only_error(load(open))
              .starts_with(std::string{"config.ini:6: cluster.address: "} + address +
                           " is not a loopback address, and a node refuses to listen for peers on "
                           "a public address "
                           "without certificates"));
    // Not even with what is said of clients.
    CHECK(only_error(load(open, {given("net.insecure", "true")})).find("peers") !=
          std::string::npos);
    CHECK(load(open + secured).errors.empty());
    // A node alone listens to nobody.
    CHECK(load("[cluster]\naddress = " + std::string{address} + '\n').errors.empty());
  }
  CHECK(only_error(load(log + "address = node-1\n")).find("is not an IP address") !=
        std::string::npos);
}

TEST_CASE("a node that listens on all addresses says which of them others connect to") {
  scratch_file pem{"-----BEGIN CERTIFICATE-----\n"};
  auto path = pem.path().string();
  auto base = "[redis]\nrole = log\naddress = h:1\n[cluster]\nport = 7000\ncertificate = " + path +
              "\nkey = " + path + "\nca = " + path + '\n';
  for (const auto* address : {"0.0.0.0", "::"}) {
    auto all = base + "address = " + address + '\n';
    CHECK(only_error(load(all)).starts_with("cluster.advertise: is needed"));
    CHECK(only_error(load(all + "advertise = 0.0.0.0\n")).find("is needed") != std::string::npos);
    CHECK(load(all + "advertise = 10.0.0.7\n").errors.empty());
    CHECK(load(all + "advertise = node-1.example.org\n").errors.empty());
    CHECK(load(all + "advertise = fe80::7\n").errors.empty());
  }
  for (const auto* text : {"node 1", "http://node", "node:7000", "a_b"})
    CHECK(only_error(load(base + "advertise = " + text + '\n')) ==
          "config.ini:9: cluster.advertise: " + std::string{text} +
              " is neither an IP address nor a host's name");
  CHECK(
      only_error(load(base + "name = my cluster\n")).starts_with("config.ini:9: cluster.name: my"));
}

TEST_CASE("certificates for peers are three files in PEM, or none") {
  scratch_file pem{"-----BEGIN CERTIFICATE-----\n"}, other{"binary"};
  auto path = pem.path().string();
  auto with = [&](const std::string& certificate, const std::string& key, const std::string& ca) {
    std::vector<setting> settings;
    for (const auto& [name, file] : {std::pair{"cluster.certificate", certificate},
                                     std::pair{"cluster.key", key}, std::pair{"cluster.ca", ca}})
      if (!file.empty())
        settings.push_back(given(name, file));
    return load_config(std::nullopt, settings);
  };
  CHECK(with(path, path, path).errors.empty());
  CHECK(only_error(with(path, path, "")).starts_with("cluster.ca: has no value; "));
  CHECK(only_error(with(path, "", path)).starts_with("cluster.key: has no value; "));
  CHECK(with("", path, "").errors.size() == 2);
  CHECK(only_error(with(path, "/nonexistent/key.pem", path)) ==
        "--cluster.key: /nonexistent/key.pem cannot be read: No such file or directory");
  CHECK(only_error(with(path, path, "/")) == "--cluster.ca: / cannot be read: Is a directory");
  CHECK(only_error(with(other.path(), path, path)) ==
        "--cluster.certificate: " + other.path().string() + " is not a PEM file");
}
