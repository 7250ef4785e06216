// The load client's readers, which check every entry they get.
#pragma once

#include "connection.hpp"

namespace confab::bench {

/// What the readers of one run have in common.
struct reading {
  std::string conversation;
  /// Each entry's payload has so many bytes; 0: any.
  std::size_t payload_bytes = 0;
  /// Where sampled readers note the age of what they get; null: nowhere.
  distribution* age = nullptr;
  std::uint64_t delivered = 0;
  std::uint64_t bytes = 0;
};

/// Follows one conversation and fails the run at the first entry that is lost, repeated, reordered
/// or foreign.
class reader final : public connection {
public:
  reader(event_loop& loop, std::uint16_t port, reading& of, bool sampled)
    : connection{loop, port}, of_{of}, prefix_{R"({"op":"entry","conversation":")" +
                                               of.conversation + R"(","seq":)"},
      sampled_{sampled} {}

  void follow(const std::string& after, int receive_bytes = 0) {
    subscribed_ = live_ = false;
    connect("/v1/ws?conversation=" + of_.conversation + "&after=" + after, receive_bytes);
  }
  /// As a client that kept its position.
  void resume() {
    char seq[24];
    std::snprintf(seq, sizeof seq, "%016llu", static_cast<unsigned long long>(at_));
    resumes_after_ = at_;
    follow(std::string{seq} + '_' + epoch_ + '_' + id_);
  }

  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] bool subscribed() const noexcept { return subscribed_; }
  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }
  [[nodiscard]] std::string name() const override {
    return "a reader of " + of_.conversation + " at " + std::to_string(at_);
  }

private:
  void on_text(std::string_view text) override;

  reading& of_;
  std::string prefix_;
  std::uint64_t at_ = 0;
  std::optional<std::uint64_t> resumes_after_;
  std::string epoch_;
  std::string id_;
  bool sampled_;
  bool subscribed_ = false;
  bool live_ = false;
};

} // namespace confab::bench
