#include "net/load/websocket_client.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace confab::net::load {

namespace {

/// The example of RFC 6455 §1.3: a constant key makes the right answer a constant too, so that it
/// can be compared without SHA-1. It need not be random where no cache stands between.
constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

constexpr std::size_t control_bytes_max = 125;
/// Header of a masked frame of up to 65,535 bytes.
constexpr std::size_t long_header = 8;
constexpr std::size_t why_bytes_max = 200;

bool equal_words(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string_view trimmed(std::string_view text) {
  auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// The value of the first header field of that name.
std::optional<std::string_view> field(std::string_view head, std::string_view name) {
  for (auto at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at + 2)) {
    auto line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    auto colon = line.find(':');
    if (colon != line.npos && equal_words(line.substr(0, colon), name))
      return trimmed(line.substr(colon + 1));
  }
  return std::nullopt;
}

/// What a server said, cut short and without what a terminal would act on.
std::string printable(std::string_view text) {
  std::string result{text.substr(0, why_bytes_max)};
  std::replace_if(
      result.begin(), result.end(), [](unsigned char x) { return x < 0x20 || x >= 0x7f; }, '?');
  return result;
}

struct frame_head {
  bool last;
  unsigned char opcode;
  std::size_t header;
  std::uint64_t length;
};

/// @returns nothing while the head is not complete. @param why set when no client may accept it.
std::optional<frame_head> head_of(std::span<const char> in, std::string_view& why) {
  if (in.size() < 2)
    return std::nullopt;
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  frame_head x{(byte(0) & 0x80) != 0, static_cast<unsigned char>(byte(0) & 0x0f), 2,
               static_cast<std::uint64_t>(byte(1) & 0x7f)};
  if (byte(0) & 0x70)
    why = "a frame uses an extension that was not agreed on";
  else if (byte(1) & 0x80)
    why = "a frame is masked, which a server must not do";
  else if (x.opcode >= 8 && (!x.last || x.length > control_bytes_max))
    why = "a control frame is fragmented or too long";
  if (!why.empty())
    return x;
  std::size_t extra = x.length == 126 ? 2 : x.length == 127 ? 8 : 0;
  if (in.size() < 2 + extra)
    return std::nullopt;
  if (extra > 0)
    x.length = 0;
  for (std::size_t i = 0; i < extra; ++i)
    x.length = x.length << 8 | byte(x.header++);
  if (x.length > websocket_client::message_bytes_max)
    why = "a frame is longer than 16 MiB";
  return x;
}

} // namespace

void websocket_client::connect(std::string& out, std::string_view target,
                               std::string_view protocol) {
  state_ = state::asked;
  in_fragments_ = false;
  text_.clear();
  protocol_ = protocol;
  out.append("GET ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n"
                                           "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
  out.append(key).append("\r\n");
  if (!protocol.empty())
    out.append("Sec-WebSocket-Protocol: ").append(protocol).append("\r\n");
  out.append("\r\n");
}

websocket_client::step websocket_client::next(std::span<char> in, std::string& out) {
  if (state_ == state::asked)
    return answered(in);
  if (state_ != state::open)
    return ended(in.size(), "bytes came on a connection that is over");
  // What the last call handed out is done with.
  if (!in_fragments_ && !text_.empty())
    std::string{}.swap(text_);
  for (std::size_t used = 0;;) {
    auto rest = in.subspan(used);
    std::string_view wrong;
    auto head = head_of(rest, wrong);
    if (!wrong.empty())
      return ended(in.size(), std::string{wrong});
    if (!head || rest.size() - head->header < head->length)
      return {step::what::more, used, {}};
    auto payload = rest.subspan(head->header, static_cast<std::size_t>(head->length));
    used += head->header + payload.size();
    if (head->opcode >= 8) {
      std::string why;
      if (!control(static_cast<opcode>(head->opcode), {payload.data(), payload.size()}, out, why))
        return ended(in.size(), std::move(why));
      continue;
    }
    if (head->opcode > 2 || (head->opcode == 0) != in_fragments_)
      return ended(in.size(), "a frame of an unknown kind, or a fragment out of place");
    if (head->last && !in_fragments_)
      return {step::what::message, used, payload};
    if (text_.size() + payload.size() > message_bytes_max)
      return ended(in.size(), "a message is longer than 16 MiB");
    text_.append(payload.data(), payload.size());
    in_fragments_ = !head->last;
    if (head->last)
      return {step::what::message, used, text_};
  }
}

websocket_client::step websocket_client::answered(std::span<char> in) {
  std::string_view text{in.data(), std::min(in.size(), answer_bytes_max)};
  auto end = text.find("\r\n\r\n");
  if (end == text.npos)
    return in.size() < answer_bytes_max
               ? step{}
               : ended(in.size(), "the answer to the handshake is too long");
  auto head = text.substr(0, end);
  auto first = head.substr(0, head.find("\r\n"));
  if (!first.starts_with("HTTP/1.1 101"))
    return ended(in.size(), "the handshake was refused: " + printable(first));
  if (field(head, "Sec-WebSocket-Accept") != accept || field(head, "Sec-WebSocket-Extensions"))
    return ended(in.size(), "the answer to the handshake is not this handshake's");
  if (!protocol_.empty() && field(head, "Sec-WebSocket-Protocol") != protocol_)
    return ended(in.size(), "the server does not speak " + protocol_);
  state_ = state::open;
  std::string{}.swap(protocol_);
  return {step::what::opened, end + 4, {}};
}

websocket_client::step websocket_client::ended(std::size_t used, std::string why) {
  state_ = state::over;
  text_ = std::move(why);
  return {step::what::ended, used, text_};
}

bool websocket_client::control(opcode op, std::string_view payload, std::string& out,
                               std::string& why) {
  if (op == opcode::ping) {
    add(out, payload, opcode::pong);
    return true;
  }
  if (op == opcode::pong)
    return true;
  if (op != opcode::close) {
    why = "a control frame of an unknown kind";
    return false;
  }
  add(out, payload.substr(0, 2), opcode::close);
  why = "the server closed the connection";
  if (payload.size() >= 2)
    why += " with " +
           std::to_string(static_cast<unsigned char>(payload[0]) << 8 |
                          static_cast<unsigned char>(payload[1])) +
           ' ' + printable(payload.substr(2));
  return false;
}

void websocket_client::add(std::string& out, std::string_view payload, opcode as) {
  auto n = static_cast<std::uint64_t>(payload.size());
  int extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
  out.push_back(static_cast<char>(0x80 | static_cast<unsigned char>(as)));
  out.push_back(static_cast<char>(0x80 | (extra == 0 ? n : extra == 2 ? 126 : 127)));
  for (int i = extra; i-- > 0;)
    out.push_back(static_cast<char>(n >> (8 * i)));
  out.append(4, '\0').append(payload);
}

std::size_t websocket_client::begin(std::string& out) {
  auto at = out.size();
  out.append(long_header, '\0');
  return at;
}

void websocket_client::end(std::string& out, std::size_t at, opcode as) {
  auto n = out.size() - at - long_header;
  // The short form is mandatory where it suffices (RFC 6455 §5.2).
  if (n < 126)
    out.erase(at, 2);
  if (n >= 65536) {
    auto payload = out.substr(at + long_header);
    out.resize(at);
    return add(out, payload, as);
  }
  out[at] = static_cast<char>(0x80 | static_cast<unsigned char>(as));
  out[at + 1] = static_cast<char>(0x80 | (n < 126 ? n : 126));
  if (n >= 126) {
    out[at + 2] = static_cast<char>(n >> 8);
    out[at + 3] = static_cast<char>(n);
  }
}

} // namespace confab::net::load
