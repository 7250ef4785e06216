// One reading session of the log as an actor.
#pragma once

#include "actors/environment.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace confab::actors {

/// @param answers takes the pages that followers wait for.
log_reader_actor::behavior_type log_reader(log_reader_actor::pointer self,
                                           std::shared_ptr<store::log_reader> session,
                                           net::pages* answers, const environment* env);

} // namespace confab::actors
