#include "net/wire/frame_reader.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>
#include <string>

namespace confab::net::wire {

namespace {

using kind = frame_event::kind;

enum opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10
};

constexpr std::size_t control_bytes_max = 125;

std::uint8_t byte_at(std::span<const char> bytes, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(bytes[i]);
}

using mask_key = std::array<char, 4>;

/// Takes the mask off and turns it for the bytes that follow.
/// @returns whether all of it is ASCII, which costs nothing to see here.
bool unmask(std::span<char> bytes, mask_key& mask) noexcept {
  std::uint64_t wide;
  std::memcpy(&wide, mask.data(), 4);
  std::memcpy(reinterpret_cast<char*>(&wide) + 4, mask.data(), 4);
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, &bytes[i], 8);
    word ^= wide;
    seen |= word;
    std::memcpy(&bytes[i], &word, 8);
  }
  for (; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ mask[i % 4]);
    seen |= static_cast<std::uint8_t>(bytes[i]);
  }
  std::rotate(mask.begin(), mask.begin() + static_cast<std::ptrdiff_t>(bytes.size() % 4),
              mask.end());
  return (seen & 0x8080808080808080u) == 0;
}

std::string_view view(std::span<const char> x) noexcept {
  return {x.data(), x.size()};
}

/// What a peer may give as its reason (RFC 6455 §7.4): 1004, 1005, 1006 and 1015 are never sent,
/// the others are not given out.
bool may_be_sent(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
         (code >= 3000 && code <= 4999);
}

} // namespace

struct frame_reader::header {
  std::uint8_t op;
  bool final;
  bool minimal;
  mask_key mask;
  /// Of the header itself.
  std::size_t bytes;
  /// Of the payload; below 2^63.
  std::uint64_t length;

  [[nodiscard]] bool control() const noexcept { return op >= opcode::close; }

  /// Nothing while bytes are missing; what is broken already is reported without waiting for them.
  static std::optional<header> parse(std::span<const char> from, bool& broken) noexcept;
};

std::optional<frame_reader::header> frame_reader::header::parse(std::span<const char> from,
                                                                bool& broken) noexcept {
  if (from.size() < 2)
    return std::nullopt;
  auto first = byte_at(from, 0);
  auto second = byte_at(from, 1);
  header x{.op = static_cast<std::uint8_t>(first & 0x0f),
           .final = (first & 0x80) != 0,
           .minimal = true,
           .mask = {},
           .bytes = 2,
           .length = second & 0x7fu};
  auto known = x.op <= opcode::binary || (x.op >= opcode::close && x.op <= opcode::pong);
  auto reserved = (first & 0x70) != 0;
  auto masked = (second & 0x80) != 0;
  broken =
      !known || reserved || !masked || (x.control() && (!x.final || x.length > control_bytes_max));
  if (broken)
    return std::nullopt;
  std::size_t extra = x.length == 126 ? 2 : x.length == 127 ? 8 : 0;
  if (from.size() < x.bytes + extra)
    return std::nullopt;
  if (extra > 0) {
    x.length = 0;
    for (std::size_t i = 0; i < extra; ++i)
      x.length = x.length << 8 | byte_at(from, x.bytes + i);
    // The shortest form is the only one allowed, and the highest bit is not (RFC 6455 §5.2).
    broken = x.length < (extra == 2 ? 126u : 65536u) || x.length >> 63 != 0;
    if (broken)
      return std::nullopt;
    x.bytes += extra;
  }
  if (from.size() < x.bytes + x.mask.size())
    return std::nullopt;
  std::memcpy(x.mask.data(), &from[x.bytes], x.mask.size());
  x.bytes += x.mask.size();
  return x;
}

/// What there is only while a message is in progress or bytes are kept.
struct frame_reader::progress {
  std::string kept;
  /// The message's payload so far, unless it is being dropped.
  std::string message;
  /// Of the message, with all that the header of the frame in progress claims.
  std::uint64_t claimed = 0;
  /// Of the frame in progress.
  std::uint64_t missing = 0;
  mask_key mask = {};
  utf8_progress utf8;
  std::uint8_t op = 0;
  bool in_message = false;
  bool in_frame = false;
  bool final = false;
  bool dropping = false;
  /// The message was given out: the next call frees it.
  bool given = false;
};

frame_reader::frame_reader() noexcept = default;
frame_reader::~frame_reader() = default;

std::span<char> frame_reader::resume(std::span<char> buffer) {
  if (!progress_)
    return buffer.first(0);
  auto& kept = progress_->kept;
  assert(kept.size() <= buffer.size());
  auto result = buffer.first(kept.size());
  std::copy(kept.begin(), kept.end(), result.begin());
  // Freed, not just emptied (assignment keeps the capacity).
  std::string{}.swap(kept);
  return result;
}

void frame_reader::keep(std::span<const char> bytes) {
  forget_given();
  if (ended_ || bytes.empty()) {
    if (progress_ && (ended_ || !progress_->in_message))
      progress_.reset();
    return;
  }
  if (!progress_)
    progress_ = std::make_unique<progress>();
  progress_->kept.assign(bytes.begin(), bytes.end());
}

void frame_reader::forget_given() noexcept {
  if (progress_ && progress_->given) {
    progress_->given = false;
    std::string{}.swap(progress_->message);
  }
}

frame_event frame_reader::next(std::span<char>& bytes, std::size_t message_bytes_max) {
  forget_given();
  while (!ended_) {
    if (progress_ && progress_->in_frame) {
      auto got = take_payload(bytes);
      if (got.what != kind::none || progress_->in_frame)
        return got;
      continue;
    }
    bool wrong = false;
    auto head = header::parse(bytes, wrong);
    if (wrong)
      return broken(close_code::protocol_error);
    if (!head)
      break;
    auto behind = bytes.subspan(head->bytes);
    auto complete = head->length <= behind.size();
    if (head->control()) {
      if (!complete)
        break;
      bytes = behind.subspan(head->length);
      return control(*head, behind.first(head->length));
    }
    auto alone =
        head->final && head->op != opcode::continuation && !(progress_ && progress_->in_message);
    if (alone && complete && head->length <= message_bytes_max) {
      bytes = behind.subspan(head->length);
      return whole_message(*head, behind.first(head->length));
    }
    bytes = behind;
    if (auto failed = begin_frame(*head, message_bytes_max); failed.what != kind::none)
      return failed;
  }
  return {};
}

frame_event frame_reader::broken(close_code why) noexcept {
  ended_ = true;
  return {.what = kind::broken, .code = static_cast<std::uint16_t>(why)};
}

frame_event frame_reader::control(const header& x, std::span<char> payload) {
  auto mask = x.mask;
  unmask(payload, mask);
  if (x.op != opcode::close)
    return {.what = x.op == opcode::ping ? kind::ping : kind::pong, .payload = view(payload)};
  if (payload.empty()) {
    ended_ = true;
    return {.what = kind::close};
  }
  if (payload.size() < 2)
    return broken(close_code::protocol_error);
  auto code = static_cast<std::uint16_t>(byte_at(payload, 0) << 8 | byte_at(payload, 1));
  auto reason = view(payload.subspan(2));
  if (!may_be_sent(code))
    return broken(close_code::protocol_error);
  if (!valid_utf8(reason))
    return broken(close_code::bad_payload);
  ended_ = true;
  return {.what = kind::close, .payload = reason, .code = code};
}

frame_event frame_reader::whole_message(const header& x, std::span<char> payload) {
  auto mask = x.mask;
  auto ascii = unmask(payload, mask);
  if (x.op == opcode::binary)
    return {.what = kind::binary, .payload = view(payload)};
  if (!ascii && !valid_utf8(view(payload)))
    return broken(close_code::bad_payload);
  return {.what = kind::text, .payload = view(payload)};
}

frame_event frame_reader::begin_frame(const header& x, std::size_t message_bytes_max) {
  auto continues = progress_ && progress_->in_message;
  if (continues != (x.op == opcode::continuation))
    return broken(close_code::protocol_error);
  if (!progress_)
    progress_ = std::make_unique<progress>();
  auto& p = *progress_;
  if (!continues) {
    p.in_message = true;
    p.op = x.op;
    p.claimed = 0;
    p.dropping = false;
    p.utf8 = {};
  }
  // Both are below 2^63.
  p.claimed += x.length;
  if (p.claimed > std::uint64_t{message_bytes_max} * too_big_factor)
    return broken(close_code::too_big);
  if (p.claimed > message_bytes_max && !p.dropping) {
    p.dropping = true;
    std::string{}.swap(p.message);
  }
  p.in_frame = true;
  p.missing = x.length;
  p.mask = x.mask;
  p.final = x.final;
  return {};
}

frame_event frame_reader::take_payload(std::span<char>& bytes) {
  auto& p = *progress_;
  auto piece =
      bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(p.missing, bytes.size())));
  auto ascii = unmask(piece, p.mask);
  if (p.op == opcode::text && !(ascii && p.utf8.whole()) && !p.utf8.take(view(piece)))
    return broken(close_code::bad_payload);
  if (!p.dropping)
    p.message.append(piece.data(), piece.size());
  bytes = bytes.subspan(piece.size());
  p.missing -= piece.size();
  if (p.missing > 0)
    return {};
  p.in_frame = false;
  if (!p.final)
    return {};
  p.in_message = false;
  if (p.op == opcode::text && !p.utf8.whole())
    return broken(close_code::bad_payload);
  if (p.dropping)
    return {.what = kind::too_large};
  p.given = true;
  return {.what = p.op == opcode::text ? kind::text : kind::binary, .payload = p.message};
}

} // namespace confab::net::wire
