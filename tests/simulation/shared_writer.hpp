// A log to which several nodes append, as one on Redis is: it gives the places itself, knows each
// number, an answer may get lost behind an append, and a node may be cut off from it.
#pragma once

#include "store/log_store.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace confab::test {

/// What the writers of all nodes share.
struct shared_numbers {
  /// By name, epoch of the log, producer, its epoch, number.
  std::map<std::tuple<std::string, std::string, std::string, std::uint32_t, std::uint64_t>,
           model::receipt>
      receipts;
  /// Whether the answer to an append is lost.
  std::function<bool()> loses_answer = [] { return false; };
};

/// @param away whether the log cannot be reached from this node now.
[[nodiscard]] std::unique_ptr<store::log_writer> share(std::unique_ptr<store::log_writer> x,
                                                       std::shared_ptr<shared_numbers> numbers,
                                                       std::shared_ptr<const bool> away);

} // namespace confab::test
