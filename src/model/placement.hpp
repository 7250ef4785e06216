// Which node is the home of a conversation (DESIGN §8, cluster): rendezvous hashing.
//
// Each node has a score for each name, and the highest is the home. So:
// (1) The home depends on the set of nodes and the name alone: not on their order, the machine or
//     the build. The hash is our own; one that changes is another protocol between nodes.
// (2) A node that leaves moves only the conversations that it was home of; one that joins takes
//     only those that it is home of from then on.
// (3) Nodes have equal shares, as far as chance makes them equal.
#pragma once

#include "model/name.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace confab::model {

inline constexpr std::size_t incarnation_bytes_max = 32;

/// Whether it is a text of 1–32 of `0–9 a–z`.
[[nodiscard]] bool valid_incarnation(std::string_view text) noexcept;

/// One live node, as its lease says.
struct member {
  /// Random per process.
  std::string incarnation;
  /// Where other nodes connect to.
  std::string address;
  std::uint16_t port = 0;
  /// Of the program, such as 0.1.0.
  std::string version;
  /// Of the messages between nodes.
  std::uint32_t protocol = 0;

  friend bool operator==(const member&, const member&) = default;
};

/// `address:port`, an IPv6 address in brackets.
[[nodiscard]] std::string endpoint(std::string_view address, std::uint16_t port);

/// Immutable. `home_of` is O(nodes), some nanoseconds for each.
class placement {
public:
  /// No nodes.
  placement() = default;
  /// @param incarnations in any order.
  explicit placement(std::vector<std::string> incarnations);

  /// The incarnation of the home, valid as long as this; empty if there are no nodes.
  [[nodiscard]] const std::string& home_of(const conversation_name& name) const;

private:
  struct node {
    std::uint64_t hash = 0;
    std::string incarnation;
  };

  /// By incarnation: of equal scores the first wins.
  std::vector<node> nodes_;
};

} // namespace confab::model
