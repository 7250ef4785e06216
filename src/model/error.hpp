// Every error that a client can see: a stable code, whether a retry can help, and a text for
// people.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace confab::model {

/// Stable: these names go over the wire and are listed in docs/protocol.md.
enum class code : std::uint8_t {
  bad_request,            ///< The frame or body is not what the protocol asks for. Permanent.
  unknown_op,             ///< The frame names an operation that does not exist. Permanent.
  bad_name,               ///< Not a conversation name (DESIGN §2). Permanent.
  bad_after,              ///< `after` has none of its forms. Permanent.
  bad_producer,           ///< Producer id or number out of bounds. Permanent.
  frame_too_large,        ///< A frame or body exceeds its limit. Permanent.
  payload_too_large,      ///< A payload exceeds its limit. Permanent.
  batch_too_large,        ///< Too many drafts in one batch. Permanent.
  too_many_subscriptions, ///< The connection follows as many conversations as it may. Permanent.
  not_found,              ///< No such conversation or path. Permanent.
  not_subscribed,         ///< The connection does not follow this conversation. Permanent.
  bad_ack,                ///< Acknowledges what was never sent. Permanent.
  conflict,               ///< Exists with another configuration, or cannot be made so. Permanent.
  gone,                   ///< Was deleted; its name is free when its last fork is gone. Permanent.
  position_gone,        ///< What comes behind that position is not in the log any more. Permanent.
  stream_seq,           ///< Not beyond the last `Stream-Seq` that was taken. Permanent.
  closed,               ///< The conversation takes no more entries. Permanent.
  content_type,         ///< The conversation holds payloads of another type. Permanent.
  producer_gap,         ///< A producer's number is not its last + 1. Permanent.
  producer_epoch,       ///< A newer epoch of this producer has fenced this one. Permanent.
  producer_old,         ///< Was appended, but so long ago that its receipt is gone. Permanent.
  idempotency_mismatch, ///< The key was used with another body. Permanent.
  store_failed,         ///< The log refused the append; nobody will see it. Temporary.
  append_unknown,       ///< The outcome is unknown; a retry with the same number is safe.
  read_failed,          ///< The log could not be read. Temporary.
  log_damaged,          ///< The log's bytes are not what was written. Permanent.
  overloaded,           ///< More is queued than the server holds. Temporary.
  superseded,           ///< The same client subscribed through another connection. Permanent.
  draining,             ///< The server sends its clients away. Temporary.
  unsupported,          ///< The request's method or media type is not taken here. Permanent.
  forbidden,            ///< Not allowed to whoever asks. Permanent.
  timeout,              ///< The request took too long to arrive. Temporary.
  moved,                ///< Internal: ask the directory again. Never reaches a client.
};

[[nodiscard]] std::string_view to_string(code x) noexcept;

/// Whether the same request can succeed later without a change.
[[nodiscard]] bool temporary(code x) noexcept;

struct error {
  code what = code::bad_request;
  /// For a person: names the field or option, the limit, and the kind of the value.
  std::string detail;
  /// With `producer_gap`: the number that would be taken. With `producer_epoch`: the epoch in
  /// force. 0 otherwise.
  std::uint64_t expected = 0;
};

/// Either a value or an error: expected failure is a return value (STYLE).
template <class T>
class result {
public:
  result(T value) : held_{std::move(value)} {}
  result(error why) : held_{std::move(why)} {}

  [[nodiscard]] explicit operator bool() const noexcept { return held_.index() == 0; }
  /// @pre holds a value.
  [[nodiscard]] T& operator*() noexcept {
    assert(*this);
    return *std::get_if<0>(&held_);
  }
  [[nodiscard]] const T& operator*() const noexcept {
    assert(*this);
    return *std::get_if<0>(&held_);
  }
  [[nodiscard]] T* operator->() noexcept { return &**this; }
  [[nodiscard]] const T* operator->() const noexcept { return &**this; }
  /// @pre holds an error.
  [[nodiscard]] const error& why() const noexcept {
    assert(!*this);
    return *std::get_if<1>(&held_);
  }

private:
  std::variant<T, error> held_;
};

struct nothing {};
/// Success without a value, or an error.
using status = result<nothing>;

} // namespace confab::model
