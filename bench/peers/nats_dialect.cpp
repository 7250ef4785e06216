// nats-server over WebSocket: core subjects, and JetStream (the stream `load` over `load.>`, which
// bench/side_by_side creates) with one ordered consumer per reader.
#include "nats_protocol.hpp"
#include "peers.hpp"
#include "websocket_dialect.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <utility>

namespace confab::peers {

namespace {

using net::load::dialect_events;
using net::load::place;
using net::load::purpose;
using nlohmann::json;

constexpr std::string_view root = "load.";
constexpr std::string_view stream = "load";
/// Subscriptions of one connection: answers first, then a number of each consumer in turn.
constexpr std::uint64_t answers_sid = 1;
/// An ordered consumer is made anew behind a gap, as NATS's own clients do; one that is never
/// whole ends.
constexpr int consumers_max = 16;

void frame(std::string& out, std::string_view text) {
  net::load::websocket_client::add(out, text, net::load::websocket_client::opcode::binary);
}

/// Appends a PUB without headers as part of a frame.
void add_pub(std::string& text, std::string_view subject, std::string_view reply,
             std::string_view payload) {
  text.append("PUB ").append(subject).append(" ");
  if (!reply.empty())
    text.append(reply).append(" ");
  text.append(std::to_string(payload.size())).append("\r\n").append(payload).append("\r\n");
}

/// One NATS connection: the handshake, pings, errors, and messages cut out of frames.
class nats_connection : public websocket_dialect {
public:
  void connect(std::string& out, const purpose& what) final {
    what_ = what;
    greeted_ = open_ = false;
    rest_.clear();
    subject_.clear();
    add_subject(subject_, root, what.conversation);
    socket_.connect(out, "/");
  }

protected:
  /// Commands that stand when the connection is ready.
  virtual std::string first() const { return {}; }
  /// The server has taken the first commands.
  virtual void on_ready(std::string& out, dialect_events& to) = 0;
  virtual std::string on_nats(const nats_message& x, std::string& out, dialect_events& to) = 0;

  /// The conversation of a subject; a foreign one as it is.
  std::string_view conversation_of(std::string_view subject) const {
    return subject == subject_ ? std::string_view{what_.conversation} : subject;
  }

  purpose what_;
  std::string subject_;

private:
  void on_open(std::string&, dialect_events&) final {}

  // Frames are cut anywhere: the bytes behind each other are the protocol.
  std::string on_message(std::string_view text, std::string& out, dialect_events& to) final {
    if (!rest_.empty())
      text = rest_.append(text);
    std::string why;
    while (why.empty() && !text.empty()) {
      auto x = next_message(text, why);
      if (!x)
        break;
      why = on_next(*x, out, to);
    }
    rest_ = std::string{text};
    return why;
  }

  std::string on_next(const nats_message& x, std::string& out, dialect_events& to) {
    using what = nats_message::what;
    switch (x.is) {
    case what::info:
      if (!std::exchange(greeted_, true))
        frame(out, R"(CONNECT {"verbose":false,"pedantic":false,"headers":true,)"
                   R"("no_responders":true,"protocol":1,"lang":"c++","version":"1"})"
                   "\r\n" +
                       first() + "PING\r\n");
      return {};
    case what::ping:
      frame(out, "PONG\r\n");
      return {};
    case what::pong:
      if (!std::exchange(open_, true)) {
        to.opened();
        on_ready(out, to);
      }
      return {};
    case what::error:
      return "the server says " + printable(x.text);
    case what::message:
      return on_nats(x, out, to);
    case what::ok:
      return {};
    }
    return {};
  }

  bool greeted_ = false;
  bool open_ = false;
  /// The beginning of a message that the next frame ends.
  std::string rest_;
};

class core : public nats_connection {
public:
  explicit core(char) {}
  void publish(std::string& out, std::string_view conversation, std::uint64_t, std::uint64_t,
               std::string_view payload) override {
    std::string subject, text;
    add_subject(subject, root, conversation);
    add_pub(text, subject, {}, payload);
    frame(out, text);
  }

private:
  std::string first() const override {
    return what_.as == purpose::role::reader ? "SUB " + subject_ + " 1\r\n" : "";
  }

  void on_ready(std::string&, dialect_events& to) override {
    if (what_.as == purpose::role::publisher)
      return;
    to.following({});
    to.live();
  }

  std::string on_nats(const nats_message& x, std::string&, dialect_events& to) override {
    to.entry(conversation_of(x.subject), 0, x.text);
    return {};
  }
};

class jetstream : public nats_connection {
public:
  explicit jetstream(char) {}

  // The message id makes a retry within the stream's window the same entry.
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
               std::uint64_t number, std::string_view payload) override {
    std::string subject;
    add_subject(subject, root, conversation);
    std::string headers = "NATS/1.0\r\nNats-Msg-Id: " + what_.client + '/';
    headers.append(conversation).append("/").append(std::to_string(number)).append("\r\n\r\n");
    std::string text = "HPUB " + subject + ' ' + inbox() + '.' + std::to_string(ref) + ' ' +
                       std::to_string(headers.size()) + ' ' +
                       std::to_string(headers.size() + payload.size()) + "\r\n";
    text.append(headers).append(payload).append("\r\n");
    frame(out, text);
  }

private:
  std::string inbox() const {
    std::string x;
    add_subject(x, "_INBOX.c", what_.client);
    return x;
  }

  std::string first() const override {
    return "SUB " + inbox() + ".* " + std::to_string(answers_sid) + "\r\n";
  }

  void on_ready(std::string& out, dialect_events&) override {
    following_ = live_ = false;
    consumers_ = 0;
    at_ = what_.after ? what_.after->token : "";
    everything_ = what_.after && at_.empty();
    if (what_.as == purpose::role::reader)
      make_consumer(out);
  }

  std::uint64_t sid() const { return answers_sid + static_cast<std::uint64_t>(consumers_); }

  /// What `$JS.API.CONSUMER.CREATE` is asked by NATS's own clients for an ordered consumer.
  void make_consumer(std::string& out) {
    std::string text;
    if (consumers_ > 0)
      text += "UNSUB " + std::to_string(sid()) + "\r\n";
    ++consumers_;
    next_ = 1;
    auto to = inbox() + ".entries." + std::to_string(consumers_);
    json config{{"deliver_subject", to},      {"filter_subject", subject_},
                {"ack_policy", "none"},       {"max_deliver", 1},
                {"flow_control", true},       {"idle_heartbeat", 5'000'000'000},
                {"mem_storage", true},        {"num_replicas", 1},
                {"replay_policy", "instant"}, {"deliver_policy", everything_ ? "all" : "new"}};
    if (auto seq = number(at_)) {
      config["deliver_policy"] = "by_start_sequence";
      config["opt_start_seq"] = *seq + 1;
    }
    text += "SUB " + to + ' ' + std::to_string(sid()) + "\r\n";
    add_pub(text, "$JS.API.CONSUMER.CREATE." + std::string{stream}, inbox() + ".consumer",
            json{{"stream_name", stream}, {"config", config}}.dump());
    frame(out, text);
  }

  std::string on_nats(const nats_message& x, std::string& out, dialect_events& to) override {
    if (x.subscription == answers_sid)
      return what_.as == purpose::role::reader ? on_consumer(x, to) : on_receipt(x, to);
    if (x.subscription != sid())
      return {}; // of a consumer that was replaced
    if (status_of(x.headers) == 100)
      return on_flow(x, out);
    return on_entry(x, out, to);
  }

  /// @returns the answer, or nothing if it is no JSON object. A 503 is nobody's answer.
  static json object_of(const nats_message& x) {
    auto said = json::parse(x.text, nullptr, false);
    return said.is_object() ? said : json::object();
  }

  std::string on_consumer(const nats_message& x, dialect_events& to) {
    auto said = object_of(x);
    if (said.contains("error") || !said.contains("name"))
      return "no consumer: " +
             (status_of(x.headers) ? "JetStream is not enabled" : printable(x.text));
    auto number_at = [](const json& in, const char* key) -> std::uint64_t {
      auto i = in.find(key);
      return i != in.end() && i->is_number_unsigned() ? i->get<std::uint64_t>() : 0;
    };
    if (std::exchange(following_, true))
      return {};
    if (at_.empty() && !everything_ && said.contains("delivered") && said["delivered"].is_object())
      at_ = std::to_string(number_at(said["delivered"], "stream_seq"));
    to.following({.token = at_});
    if (number_at(said, "num_pending") == 0)
      live(to);
    return {};
  }

  std::string on_receipt(const nats_message& x, dialect_events& to) {
    auto ref = number(x.subject.substr(x.subject.rfind('.') + 1));
    if (!ref)
      return "an answer to nothing: " + printable(x.subject);
    if (status_of(x.headers) == 503) {
      to.refused(*ref, "no stream takes the subject", true);
      return {};
    }
    auto said = object_of(x);
    auto seq = said.find("seq");
    if (said.contains("error") || seq == said.end() || !seq->is_number_unsigned()) {
      to.refused(*ref, printable(x.text), false);
      return {};
    }
    auto duplicate = said.find("duplicate");
    // Its seq counts the whole stream, not the conversation.
    to.receipt(*ref, 0, duplicate != said.end() && *duplicate == true);
    return {};
  }

  /// Flow control wants an empty answer; so does a heartbeat that tells of a stalled consumer.
  std::string on_flow(const nats_message& x, std::string& out) {
    constexpr std::string_view stalled = "Nats-Consumer-Stalled: ";
    auto subject = x.reply;
    if (auto at = x.headers.find(stalled); subject.empty() && at != x.headers.npos) {
      auto rest = x.headers.substr(at + stalled.size());
      subject = cut(rest, "\r\n");
    }
    if (subject.empty())
      return {};
    std::string text;
    add_pub(text, subject, {}, {});
    frame(out, text);
    return {};
  }

  // The reply says `$JS.ACK.stream.consumer.deliveries.stream-seq.consumer-seq.time.pending`.
  std::string on_entry(const nats_message& x, std::string& out, dialect_events& to) {
    std::array<std::string_view, 9> words;
    std::size_t n = 0;
    for (auto rest = x.reply; !rest.empty() && n < words.size();)
      words[n++] = cut(rest, ".");
    auto consumer_seq = number(words[6]);
    auto pending = number(words[8]);
    if (n != words.size() || words[0] != "$JS" || words[1] != "ACK" || !number(words[5]) ||
        !consumer_seq || !pending)
      return "an entry without its place: " + printable(x.reply);
    if (*consumer_seq != next_) {
      if (consumers_ == consumers_max)
        return "the consumer skips entries again and again";
      make_consumer(out);
      return {};
    }
    ++next_;
    at_ = words[5];
    to.entry(conversation_of(x.subject), 0, x.text);
    to.at(at_);
    if (*pending == 0)
      live(to);
    return {};
  }

  void live(dialect_events& to) {
    if (!std::exchange(live_, true))
      to.live();
  }

  bool following_ = false;
  bool live_ = false;
  bool everything_ = false;
  int consumers_ = 0;
  /// The consumer's own number of the next delivery.
  std::uint64_t next_ = 1;
  /// The stream's number of the last entry; empty: not known.
  std::string at_;
};

} // namespace

std::vector<kind_ptr> nats_kinds() {
  return {
      std::make_shared<simple_kind<jetstream, char>>(
          net::load::server_kind::traits{
              .name = "nats",
              .guarantees =
                  "a receipt: JetStream has written the entry to its file, without fsync (2.9 "
                  "syncs "
                  "every two minutes); a reader resumes by stream seq; a retry within the window "
                  "is the same entry",
              .resumes = true,
              .receipts = true,
              .idempotent = true},
          '\0'),
      std::make_shared<simple_kind<core, char>>(
          net::load::server_kind::traits{
              .name = "nats-core",
              .guarantees = "no receipts, nothing is kept: who is not connected or too slow loses "
                            "entries, silently"},
          '\0')};
}

} // namespace confab::peers
