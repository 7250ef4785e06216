// How `/v1/stream/{name}` answers (Durable Streams): status, header lines and body. No sockets.
#pragma once

#include "net/stream_route.hpp"

namespace confab::net {

struct stream_answer {
  unsigned status = 200;
  std::string type = {};
  /// Complete header lines.
  std::string fields = {};
  std::string body = {};
  std::string_view cache = "no-store";
};

[[nodiscard]] stream_answer answer_created(const stream_question& asked, const created_event& x);
[[nodiscard]] stream_answer answer_appended(const stream_question& asked, const published_event& x);
[[nodiscard]] stream_answer answer_info(const info_event& x);

/// What a reading found: entries behind `after` in the order in which they are added.
class stream_reading {
public:
  stream_reading(const model::log_state& state, const model::settings& settings,
                 model::start after);

  void add(std::span<const model::entry> entries);
  [[nodiscard]] bool empty() const noexcept { return last_.at == after_.at; }

  /// Why there is no answer but an error: there is no such stream, or what the reader asks for is
  /// not there any more.
  [[nodiscard]] std::optional<model::error> refusal(const stream_question& asked) const;
  /// Header lines of that: of a position that is gone, the earliest offset that there is.
  [[nodiscard]] std::string refusal_fields(const model::error& why) const;
  /// @pre no refusal
  [[nodiscard]] stream_answer answer(const stream_question& asked, std::int64_t now_ms);

private:
  const model::log_state state_;
  const model::settings settings_;
  const model::start after_;
  model::seq first_ = {};
  model::position last_;
  std::string body_;
  bool json_;
};

/// Header lines of a refusal.
[[nodiscard]] std::string refusal_fields(const stream_question& asked, const failed_event& x);

/// The state's tail as an offset.
[[nodiscard]] std::string tail_offset(const model::log_state& state);

} // namespace confab::net
