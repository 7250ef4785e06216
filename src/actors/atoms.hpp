// What messages between actors begin with.
#pragma once

#include <caf/atom.hpp>

namespace confab::actors {

// Atom texts have at most 10 characters in CAF 0.17.
namespace atom {
using announce = caf::atom_constant<caf::atom("announce")>;
using append = caf::atom_constant<caf::atom("append")>;
using close = caf::atom_constant<caf::atom("close")>;
using command = caf::atom_constant<caf::atom("command")>;
using create = caf::atom_constant<caf::atom("create")>;
using committed = caf::atom_constant<caf::atom("committed")>;
using cursor = caf::atom_constant<caf::atom("cursor")>;
using follow = caf::atom_constant<caf::atom("follow")>;
using flush = caf::atom_constant<caf::atom("flush")>;
using frame = caf::atom_constant<caf::atom("frame")>;
using gone = caf::atom_constant<caf::atom("gone")>;
using expire = caf::atom_constant<caf::atom("expire")>;
using hello = caf::atom_constant<caf::atom("hello")>;
using idle = caf::atom_constant<caf::atom("idle")>;
using leave = caf::atom_constant<caf::atom("leave")>;
using look = caf::atom_constant<caf::atom("look")>;
using linked = caf::atom_constant<caf::atom("linked")>;
using locate = caf::atom_constant<caf::atom("locate")>;
using list = caf::atom_constant<caf::atom("list")>;
using lookup = caf::atom_constant<caf::atom("lookup")>;
using open = caf::atom_constant<caf::atom("open")>;
using page = caf::atom_constant<caf::atom("page")>;
using passivate = caf::atom_constant<caf::atom("passivate")>;
using placed = caf::atom_constant<caf::atom("placed")>;
using producer = caf::atom_constant<caf::atom("producer")>;
using receipts = caf::atom_constant<caf::atom("receipts")>;
using reconcile = caf::atom_constant<caf::atom("reconcile")>;
using remove = caf::atom_constant<caf::atom("remove")>;
using retain = caf::atom_constant<caf::atom("retain")>;
using stop = caf::atom_constant<caf::atom("stop")>;
using subscribe = caf::atom_constant<caf::atom("subscribe")>;
using superseded = caf::atom_constant<caf::atom("superseded")>;
using tick = caf::atom_constant<caf::atom("tick")>;
using touch = caf::atom_constant<caf::atom("touch")>;
using trimmed = caf::atom_constant<caf::atom("trimmed")>;
using unfollow = caf::atom_constant<caf::atom("unfollow")>;
using unsubscribe = caf::atom_constant<caf::atom("unsubscr")>;
using welcome = caf::atom_constant<caf::atom("welcome")>;
using wake_up = caf::atom_constant<caf::atom("wakeup")>;
using work = caf::atom_constant<caf::atom("work")>;
} // namespace atom

} // namespace confab::actors
