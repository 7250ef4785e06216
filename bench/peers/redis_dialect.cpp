// Redis over TCP (RESP2): Pub/Sub, and streams as a log.
#include "parsing.hpp"
#include "peers.hpp"
#include "resp.hpp"

namespace confab::peers {

namespace {

using net::load::dialect_events;
using net::load::place;
using net::load::purpose;

/// Entries of one XREAD: a page's worth.
constexpr std::string_view page_entries = "1000";

void command(std::string& out, std::initializer_list<std::string_view> words) {
  out.append("*").append(std::to_string(words.size())).append("\r\n");
  for (auto word : words)
    out.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
}

bool is_stream_id(std::string_view id) {
  auto rest = id;
  return number(cut(rest, "-")) && number(rest);
}

class redis_dialect : public net::load::dialect {
public:
  std::size_t take(std::span<char> in, std::string& out, dialect_events& to) final {
    for (std::size_t used = 0;;) {
      std::string_view rest{in.data() + used, in.size() - used};
      std::string why;
      auto size = rest.empty() ? 0 : reply_size(rest, why);
      if (size > 0)
        why = on_reply(rest.substr(0, size), out, to);
      if (!why.empty()) {
        to.ended(why);
        return in.size();
      }
      if (size == 0)
        return used;
      used += size;
    }
  }

  void connect(std::string& out, const purpose& what) final {
    what_ = what;
    open_ = false;
    waiting_.clear();
    if (what.as == purpose::role::reader)
      follow(out);
    else
      command(out, {"PING"});
  }

protected:
  virtual void follow(std::string& out) = 0;
  /// @returns why the connection is of no use.
  virtual std::string on_followed(std::string_view reply, std::string& out, dialect_events& to) = 0;
  /// Whether that part is a publish's good answer.
  virtual bool is_receipt(const resp_part& x) const = 0;

  purpose what_;
  bool open_ = false;
  unanswered waiting_;

private:
  std::string on_reply(std::string_view reply, std::string& out, dialect_events& to) {
    auto first = resp_walk{reply}.next();
    if (what_.as == purpose::role::reader)
      return first.type == '-' ? "the server says " + printable(first.text)
                               : on_followed(reply, out, to);
    if (!open_) {
      if (first.type != '+' || first.text != "PONG")
        return "the server is not ready: " + printable(first.text);
      open_ = true;
      to.opened();
      return {};
    }
    if (waiting_.empty())
      return "a reply to nothing: " + printable(reply);
    if (is_receipt(first))
      to.receipt(waiting_.pop(), 0, false);
    else if (first.type == '-')
      to.refused(waiting_.pop(), printable(first.text), false);
    else
      return "not the reply to a publish: " + printable(reply);
    return {};
  }
};

class pubsub : public redis_dialect {
public:
  explicit pubsub(char) {}
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref, std::uint64_t,
               std::string_view payload) override {
    waiting_.add(ref);
    command(out, {"PUBLISH", conversation, payload});
  }

private:
  void follow(std::string& out) override { command(out, {"SUBSCRIBE", what_.conversation}); }

  std::string on_followed(std::string_view reply, std::string&, dialect_events& to) override {
    resp_walk x{reply};
    if (!x.array(3))
      return "not a Pub/Sub reply: " + printable(reply);
    auto what = x.bulk();
    auto channel = x.bulk();
    if (!open_ && what == "subscribe" && channel == what_.conversation) {
      open_ = true;
      to.opened();
      to.following({});
      to.live();
      return {};
    }
    auto payload = x.bulk();
    if (!open_ || what != "message" || !channel || !payload)
      return "not a Pub/Sub reply: " + printable(reply);
    to.entry(*channel, 0, *payload);
    return {};
  }

  bool is_receipt(const resp_part& x) const override { return x.type == ':'; }
};

/// A reader asks for what is after its place, and waits in the server if there is nothing: replay
/// and live are the same question.
class streams : public redis_dialect {
public:
  explicit streams(char) {}
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref, std::uint64_t,
               std::string_view payload) override {
    waiting_.add(ref);
    command(out, {"XADD", conversation, "*", "payload", payload});
  }

private:
  void follow(std::string& out) override {
    live_ = false;
    // Its answer tells where "now" is.
    command(out, {"XREVRANGE", what_.conversation, "+", "-", "COUNT", "1"});
  }

  std::string on_followed(std::string_view reply, std::string& out, dialect_events& to) override {
    if (!open_)
      return on_tail(reply, out, to);
    // [[conversation, [[id, [field, value]] …]]]
    resp_walk x{reply};
    if (!x.array(1) || !x.array(2))
      return "not a reply to XREAD: " + printable(reply);
    auto conversation = x.bulk();
    auto entries = x.next();
    if (!conversation || entries.type != '*')
      return "not a reply to XREAD: " + printable(reply);
    for (std::size_t i = 0; i < entries.count; ++i) {
      auto shaped = x.array(2);
      auto id = x.bulk();
      shaped = shaped && x.array(2) && x.bulk() == "payload";
      auto payload = x.bulk();
      if (!shaped || !id || !is_stream_id(*id) || !payload)
        return "an entry has another shape: " + printable(reply);
      at_ = *id;
      to.entry(*conversation, 0, *payload);
      to.at(at_);
      if (at_ == tail_)
        live(to);
    }
    ask(out);
    return {};
  }

  std::string on_tail(std::string_view reply, std::string& out, dialect_events& to) {
    resp_walk x{reply};
    auto newest = x.next();
    tail_ = "0-0";
    if (newest.type != '*' || newest.count > 1)
      return "not a reply to XREVRANGE: " + printable(reply);
    if (newest.count == 1) {
      auto shaped = x.array(2);
      auto id = x.bulk();
      if (!shaped || !id || !is_stream_id(*id))
        return "not a reply to XREVRANGE: " + printable(reply);
      tail_ = *id;
    }
    at_ = !what_.after ? tail_ : what_.after->token.empty() ? "0-0" : what_.after->token;
    open_ = true;
    to.opened();
    to.following({.token = at_});
    if (at_ == tail_)
      live(to);
    ask(out);
    return {};
  }

  void live(dialect_events& to) {
    if (!live_)
      to.live();
    live_ = true;
  }

  void ask(std::string& out) const {
    command(out,
            {"XREAD", "COUNT", page_entries, "BLOCK", "0", "STREAMS", what_.conversation, at_});
  }

  bool is_receipt(const resp_part& x) const override {
    return x.type == '$' && !x.null && is_stream_id(x.text);
  }

  bool live_ = false;
  std::string at_;
  std::string tail_;
};

} // namespace

std::vector<kind_ptr> redis_kinds() {
  return {
      std::make_shared<simple_kind<pubsub, char>>(
          net::load::server_kind::traits{
              .name = "redis-pubsub",
              .guarantees =
                  "a receipt: the entry was handed to those who are connected; nothing is "
                  "kept, nobody can resume, a retry is a second entry",
              .receipts = true},
          '\0'),
      std::make_shared<simple_kind<streams, char>>(
          net::load::server_kind::traits{
              .name = "redis-streams",
              .guarantees =
                  "a receipt: with appendfsync always the entry is on disk; a reader (XREAD BLOCK) "
                  "resumes by id, what was trimmed is missing silently; a retry is a second entry",
              .resumes = true,
              .receipts = true},
          '\0')};
}

} // namespace confab::peers
