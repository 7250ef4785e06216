// Makes the ids of nodes random, whatever the machine and the process id are (DESIGN §5).
//
// CAF 0.17 makes a node's id of the machine's network addresses, the UUID of its root disk, and the
// process id. Two containers of one machine, both with pid 1, are one node to it, and so is a
// process that got its predecessor's pid. It asks `caf::detail::get_root_uuid` for the UUID, once
// for each actor system; the program's own definition is found before that of libcaf_core.
#pragma once

#include <caf/fwd.hpp>

namespace confab::actors {

/// Whether CAF asks our definition. Whoever makes an actor system asks this first: what nobody
/// refers to is not linked.
[[nodiscard]] bool node_ids_are_random(const caf::actor_system_config& x);

} // namespace confab::actors
