#include "actors/root_uuid.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/detail/get_root_uuid.hpp>
#include <caf/node_id.hpp>

#include <atomic>
#include <cstdio>
#include <random>

namespace {

std::atomic<unsigned> asked{0};

} // namespace

/// 128 random bits.
std::string caf::detail::get_root_uuid() {
  ++asked;
  std::random_device random;
  char text[40];
  std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
  return text;
}

namespace confab::actors {

bool node_ids_are_random(const caf::actor_system_config& x) {
  auto before = asked.load();
  auto id = caf::node_id::default_data::local(x);
  return id && asked != before;
}

} // namespace confab::actors
