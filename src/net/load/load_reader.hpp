// A load client that follows one conversation and checks every entry it gets.
#pragma once

#include "model/reception.hpp"
#include "net/load/load_socket.hpp"

namespace confab::net::load {

class load_reader final : public load_socket {
public:
  load_reader(load_thread& home, std::uint32_t number, socket_settings how,
              std::unique_ptr<load_port> port);

  /// Its conversation has another goal.
  void new_goal();

  // After the thread has stopped.

  [[nodiscard]] model::reception& received() noexcept { return received_; }
  [[nodiscard]] bool reached() const noexcept { return reached_; }
  /// How far it came: a seq, or a number where the server has no seqs.
  [[nodiscard]] std::uint64_t progress() const noexcept;
  [[nodiscard]] const load_conversation& conversation() const noexcept { return of_; }

private:
  void prepare(purpose& what) override;
  void taken() override;

  void opened() override;
  void following(const place& at) override;
  void live() override;
  void entry(std::string_view conversation, std::uint64_t seq, std::string_view payload) override;
  void at(std::string_view token) override;
  void missing(std::uint64_t from, std::uint64_t to, std::string_view why) override;
  void receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) override;
  void refused(std::uint64_t ref, std::string_view why, bool retry) override;

  void note_progress();

  load_conversation& of_;
  model::reception received_;
  /// Where to resume; empty: nowhere yet.
  std::string token_;
  std::uint64_t offences_ = 0;
  /// It has followed before.
  bool followed_ = false;
  bool live_ = false;
  bool reached_ = false;
};

} // namespace confab::net::load
