// A load client that publishes as its schedule says and keeps the receipts.
#pragma once

#include "model/publish_schedule.hpp"
#include "net/load/load_socket.hpp"

#include <vector>

namespace confab::net::load {

class load_publisher final : public load_socket {
public:
  load_publisher(load_thread& home, std::uint32_t number, socket_settings how,
                 std::unique_ptr<load_port> port);

  /// Goes on with another plan, now if it is connected, else as soon as it is.
  void start(const model::publish_schedule::plan& x);
  /// Nothing is due from then on.
  void stop(std::int64_t end_ns);

  void due(std::int64_t now_ns) override;

  // After the thread has stopped.

  /// The seq of each receipt, by number - 1; 0: none came (or the server tells no seqs).
  [[nodiscard]] const std::vector<std::uint64_t>& receipts(std::uint32_t of) const {
    return receipts_[of];
  }
  /// The last number sent.
  [[nodiscard]] std::uint64_t last_number(std::uint32_t of) const noexcept {
    return schedule_.last_number(of);
  }
  [[nodiscard]] std::size_t unanswered() const noexcept { return schedule_.unanswered(); }
  /// A receipt that contradicts another one, for people; empty: none did.
  [[nodiscard]] const std::string& contradiction() const noexcept { return contradiction_; }

private:
  void taken() override { pump(); }
  void drained() override { pump(); }
  void disconnected() override;

  void opened() override;
  void following(const place& at) override;
  void live() override;
  void entry(std::string_view conversation, std::uint64_t seq, std::string_view payload) override;
  void at(std::string_view token) override;
  void missing(std::uint64_t from, std::uint64_t to, std::string_view why) override;
  void receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) override;
  void refused(std::uint64_t ref, std::string_view why, bool retry) override;

  void pump();
  void send(const model::publish_schedule::publish& x);
  void arm(std::int64_t now);

  model::publish_schedule schedule_;
  std::vector<std::vector<std::uint64_t>> receipts_;
  std::string payload_;
  std::string contradiction_;
  /// The earliest time for which the thread was asked to wake it.
  std::int64_t armed_ns_ = model::publish_schedule::never;
  bool open_ = false;
  /// A plan is running whose end was not told yet.
  bool running_ = false;
};

} // namespace confab::net::load
