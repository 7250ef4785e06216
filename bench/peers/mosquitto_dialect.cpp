// mosquitto over TCP (MQTT 3.1.1): publishers with QoS 1, whose PUBACK is the receipt; readers with
// QoS 0, which its documentation and every broker's recommends for speed, or with QoS 1.
#include "parsing.hpp"
#include "peers.hpp"

namespace confab::peers {

namespace {

using net::load::dialect_events;
using net::load::purpose;

constexpr std::size_t packet_bytes_max = 16 * 1024 * 1024;

enum class packet : unsigned char {
  connect = 0x10,
  connack = 0x20,
  publish = 0x30,
  puback = 0x40,
  subscribe = 0x82,
  suback = 0x90,
};

void add_u16(std::string& out, std::size_t x) {
  out.push_back(static_cast<char>(x >> 8));
  out.push_back(static_cast<char>(x));
}

unsigned u16(std::string_view x) {
  return static_cast<unsigned>(static_cast<unsigned char>(x[0]) << 8 |
                               static_cast<unsigned char>(x[1]));
}

void add_text(std::string& out, std::string_view text) {
  add_u16(out, text.size());
  out.append(text);
}

/// Type and remaining length (MQTT 3.1.1 §2.2).
void add_head(std::string& out, unsigned char head, std::size_t length) {
  out.push_back(static_cast<char>(head));
  do {
    auto digit = length % 128;
    length /= 128;
    out.push_back(static_cast<char>(digit | (length > 0 ? 0x80 : 0)));
  } while (length > 0);
}

struct received {
  unsigned char head = 0;
  std::string_view body;
  /// 0: not all has come.
  std::size_t size = 0;
};

received packet_of(std::string_view in, std::string& why) {
  std::size_t length = 0, digits = 0;
  for (;; ++digits) {
    if (in.size() < 2 + digits)
      return {};
    auto x = static_cast<unsigned char>(in[1 + digits]);
    length |= static_cast<std::size_t>(x & 0x7f) << (7 * digits);
    if (!(x & 0x80))
      break;
    if (digits == 3)
      break;
  }
  if (digits == 3 && (static_cast<unsigned char>(in[4]) & 0x80))
    why = "a packet's length has more than four digits";
  else if (length > packet_bytes_max)
    why = "a packet is longer than 16 MiB";
  auto head = 2 + digits;
  if (!why.empty() || in.size() - head < length)
    return {};
  return {static_cast<unsigned char>(in[0]), in.substr(head, length), head + length};
}

struct quality {
  unsigned char readers = 0;
};

class mosquitto_dialect : public net::load::dialect {
public:
  explicit mosquitto_dialect(quality of) : readers_(of.readers) {}

  void connect(std::string& out, const purpose& what) override {
    what_ = what;
    connected_ = false;
    following_ = false;
    waiting_.clear();
    std::string body;
    add_text(body, "MQTT");
    body += '\4';     // 3.1.1
    body += '\2';     // a clean session
    add_u16(body, 0); // no keep-alive
    add_text(body, what.client.substr(0, 65535));
    add_head(out, static_cast<unsigned char>(packet::connect), body.size());
    out += body;
  }

  std::size_t take(std::span<char> in, std::string& out, dialect_events& to) override {
    for (std::size_t used = 0;;) {
      std::string why;
      auto x = packet_of({in.data() + used, in.size() - used}, why);
      // Whoever speaks something else may never complete what looks like a packet.
      if (!connected_ && !in.empty() && used == 0 &&
          static_cast<unsigned char>(in[0]) != static_cast<unsigned char>(packet::connack))
        why = "the first packet is no CONNACK";
      else if (x.size > 0)
        why = on_packet(x, out, to);
      if (!why.empty()) {
        to.ended(why);
        return in.size();
      }
      if (x.size == 0)
        return used;
      used += x.size;
    }
  }

  void publish(std::string& out, std::string_view conversation, std::uint64_t ref, std::uint64_t,
               std::string_view payload) override {
    waiting_.add(ref);
    add_head(out, static_cast<unsigned char>(packet::publish) | 2, // QoS 1
             2 + conversation.size() + 2 + payload.size());
    add_text(out, conversation);
    add_u16(out, packet_id(ref));
    out.append(payload);
  }

private:
  static unsigned packet_id(std::uint64_t ref) {
    return static_cast<unsigned>(ref % 65535) + 1; // 0 is no packet id
  }

  std::string on_packet(const received& x, std::string& out, dialect_events& to) {
    if (!connected_)
      return on_connack(x, out, to);
    if ((x.head & 0xf0) == static_cast<unsigned char>(packet::publish))
      return on_publish(x, out, to);
    if (x.head == static_cast<unsigned char>(packet::puback) && x.body.size() == 2) {
      // §4.6: in the order of the publishes.
      if (waiting_.empty() || u16(x.body) != packet_id(waiting_.front()))
        return "a PUBACK for another packet than the oldest";
      to.receipt(waiting_.pop(), 0, false);
      return {};
    }
    if (x.head == static_cast<unsigned char>(packet::suback) && !following_ && x.body.size() == 3) {
      if (static_cast<unsigned char>(x.body[2]) != readers_)
        return "the subscription was refused, or granted with another QoS";
      following_ = true;
      to.following({});
      to.live();
      return {};
    }
    return "a packet that was not expected, of type " + std::to_string(x.head >> 4);
  }

  std::string on_connack(const received& x, std::string& out, dialect_events& to) {
    if (x.body.size() != 2)
      return "a CONNACK of another shape";
    if (x.body[1] != 0)
      return "the connection was refused with code " +
             std::to_string(static_cast<unsigned char>(x.body[1]));
    connected_ = true;
    if (what_.as == purpose::role::reader) {
      add_head(out, static_cast<unsigned char>(packet::subscribe),
               2 + 2 + what_.conversation.size() + 1);
      add_u16(out, 1);
      add_text(out, what_.conversation);
      out.push_back(static_cast<char>(readers_));
    }
    to.opened();
    return {};
  }

  std::string on_publish(const received& x, std::string& out, dialect_events& to) {
    unsigned qos = x.head >> 1 & 3;
    auto topic = x.body.size() < 2 ? 0 : u16(x.body);
    auto head = 2 + topic + (qos > 0 ? 2 : 0);
    if (qos > readers_ || x.body.size() < head)
      return "a PUBLISH of another shape";
    to.entry(x.body.substr(2, topic), 0, x.body.substr(head));
    if (qos > 0) {
      add_head(out, static_cast<unsigned char>(packet::puback), 2);
      out.append(x.body.substr(2 + topic, 2));
    }
    return {};
  }

  unsigned char readers_;
  purpose what_;
  bool connected_ = false;
  bool following_ = false;
  unanswered waiting_;
};

using kind = simple_kind<mosquitto_dialect, quality>;

} // namespace

std::vector<kind_ptr> mosquitto_kinds() {
  return {
      std::make_shared<kind>(
          net::load::server_kind::traits{
              .name = "mosquitto",
              .guarantees = "a receipt (QoS 1): the broker has taken the entry, in memory; readers "
                            "have QoS 0: what comes while they are away is lost, silently",
              .receipts = true},
          quality{0}),
      std::make_shared<kind>(
          net::load::server_kind::traits{
              .name = "mosquitto-qos1",
              .guarantees = "a receipt (QoS 1): the broker has taken the entry, in memory; readers "
                            "have QoS 1: at least once while they are connected (clean sessions)",
              .receipts = true},
          quality{1})};
}

} // namespace confab::peers
