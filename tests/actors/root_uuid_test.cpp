// Ids of nodes: random, whichever library CAF calls.
#include "actors/root_uuid.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/node_id.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace {

constexpr const char* child = "prints the id that this process has as a node";

/// A hash of the machine and the root UUID. Its last byte is a number that CAF gives to each actor
/// system of a process.
std::string host_part() {
  caf::actor_system_config config;
  auto id = caf::node_id::default_data::local(config);
  auto text = to_string(id);
  auto end = text.find('#');
  REQUIRE(end == 40);
  return text.substr(0, end - 2);
}

/// What another process of this binary says.
std::string host_part_of_child() {
  auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  auto command = '\'' + self + "' --no-skip -tc='" + child + "'";
  std::unique_ptr<FILE, int (*)(FILE*)> output{::popen(command.c_str(), "r"), ::pclose};
  REQUIRE(output != nullptr);
  std::string text;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), output.get()) != nullptr)
    text += line.data();
  auto at = text.find("host=");
  REQUIRE_MESSAGE(at != std::string::npos, text);
  return text.substr(at + 5, 38);
}

} // namespace

TEST_CASE("prints the id that this process has as a node" * doctest::skip()) {
  std::printf("host=%s\n", host_part().c_str());
}

TEST_CASE("two processes of one program on one machine have different node ids") {
  auto one = host_part_of_child();
  auto other = host_part_of_child();
  CHECK(one.size() == 38);
  CHECK(one != other);
  CHECK(host_part() != one);
}

TEST_CASE("two actor systems of one process have different node ids") {
  CHECK(host_part() != host_part());
}

TEST_CASE("libcaf_core asks the program for the UUID") {
  CHECK(confab::actors::node_ids_are_random(caf::actor_system_config{}));
}
