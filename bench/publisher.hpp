// The load client's publishers, which number what they publish and check the receipts.
#pragma once

#include "connection.hpp"

#include <utility>

namespace confab::bench {

/// Publishes with producer numbers and checks the receipts. One conversation, no other producer.
class publisher final : public connection {
public:
  publisher(event_loop& loop, std::uint16_t port, std::string conversation,
            std::size_t payload_bytes, int index = 0)
    : connection{loop, port}, conversation_{std::move(conversation)},
      producer_{"load-" + std::to_string(getpid()) + "-" + std::to_string(now_ns()) + "-" +
                std::to_string(index)},
      payload_bytes_{payload_bytes} {}

  void publish(bool more = false);

  [[nodiscard]] std::uint64_t published() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t in_flight() const noexcept { return number_ - answered_; }
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }
  /// Seq of the last receipt.
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
  [[nodiscard]] std::string name() const override { return "the publisher of " + conversation_; }
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }

  static constexpr std::uint64_t in_flight_max = 64;
  distribution latency;
  /// Other connections publish to the conversation too.
  bool shared = false;

private:
  void on_text(std::string_view text) override;

  std::string conversation_;
  std::string producer_;
  std::size_t payload_bytes_;
  std::uint64_t number_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t last_ = 0;
  bool greeted_ = false;
  std::array<std::int64_t, 128> made_{};
};

} // namespace confab::bench
