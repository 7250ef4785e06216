// Socket.IO 4 (engine.io 4 over WebSocket), with connection state recovery; the server is
// bench/peers/socketio/server.mjs.
#include "parsing.hpp"
#include "peers.hpp"
#include "websocket_dialect.hpp"

namespace confab::peers {

namespace {

using net::load::dialect_events;
using net::load::place;
using net::load::purpose;

/// Session ids and offsets: nothing that JSON would escape.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char x) {
    return (x >= '0' && x <= '9') || (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || x == '-' ||
           x == '_' || x == '.';
  });
}

/// The plain string behind `key` (such as `"pid":"`), or nothing.
std::string_view text_after(std::string_view json, std::string_view key) {
  auto at = json.find(key);
  if (at == json.npos)
    return {};
  json.remove_prefix(at + key.size());
  auto value = json.substr(0, json.find('"'));
  return is_plain(value) ? value : std::string_view{};
}

class socketio_dialect : public websocket_dialect {
public:
  explicit socketio_dialect(char) {}

  void connect(std::string& out, const purpose& what) override {
    what_ = what;
    ready_ = following_ = wanted_ = false;
    waiting_.clear();
    socket_.connect(out, "/socket.io/?EIO=4&transport=websocket");
  }

  // `42ID["publish","conversation",payload]`, answered by `43ID[true]`.
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref, std::uint64_t,
               std::string_view payload) override {
    waiting_.add(ref);
    std::string text = "42" + std::to_string(ref) + R"(["publish",")";
    text.append(conversation).append("\",").append(payload).append("]");
    net::load::websocket_client::add(out, text);
  }

private:
  using client = net::load::websocket_client;

  void on_open(std::string&, dialect_events&) override {}

  std::string on_message(std::string_view text, std::string& out, dialect_events& to) override {
    if (text.starts_with("0{")) {
      client::add(out, "40" + recovery());
      return {};
    }
    if (text == "2") {
      client::add(out, "3");
      return {};
    }
    if (text.starts_with("40{"))
      return on_connected(text, out, to);
    if (text.starts_with("43"))
      return on_answer(text.substr(2), to);
    if (text.starts_with(R"(42["entry",)"))
      return on_entry(text, to);
    if (text.starts_with(R"(42["following",)"))
      return on_following(text, to);
    return "the server says " + printable(text);
  }

  /// A place is `PID/SID/OFFSET`, the three things that a recovery needs and is known by.
  std::string recovery() {
    if (!what_.after || what_.after->token.empty())
      return {};
    std::string_view rest = what_.after->token;
    wanted_ = true;
    pid_ = cut(rest, "/");
    sid_ = cut(rest, "/");
    offset_ = rest;
    return R"({"pid":")" + pid_ + R"(","offset":")" + offset_ + R"("})";
  }

  std::string on_connected(std::string_view text, std::string& out, dialect_events& to) {
    auto sid = text_after(text, R"("sid":")");
    auto pid = text_after(text, R"("pid":")");
    if (ready_ || sid.empty() || pid.empty())
      return "not the answer to a connect: " + printable(text);
    auto recovered = wanted_ && sid_ == sid;
    if (following_ && !recovered)
      return "entries came for a session that was not recovered";
    ready_ = true;
    pid_ = pid;
    sid_ = sid;
    // What was missed may already have come.
    if (!following_)
      to.opened();
    if (what_.as == purpose::role::publisher)
      return {};
    if (recovered) {
      follow(to);
      return {};
    }
    if (what_.after)
      to.missing(0, 0, wanted_ ? "the session was not recovered" : "the server keeps no log");
    offset_.clear();
    client::add(out, R"(42["follow",")" + what_.conversation + R"("])");
    return {};
  }

  void follow(dialect_events& to) {
    if (following_)
      return;
    following_ = true;
    to.following({.token = place_now()});
    to.live();
  }

  std::string on_following(std::string_view text, dialect_events& to) {
    auto offset = offset_of(text);
    if (!ready_ || offset.empty())
      return "not the answer to a follow: " + printable(text);
    offset_ = offset;
    follow(to);
    return {};
  }

  // `42["entry","conversation",payload,"offset"]`. The server joins before it says `following`, and
  // what a recovered session missed comes before `40`.
  std::string on_entry(std::string_view text, dialect_events& to) {
    auto offset = offset_of(text);
    auto rest = text.substr(std::string_view{R"(42["entry",)"}.size());
    if (offset.empty() || !rest.starts_with('"') || rest.size() < offset.size() + 5)
      return "not an entry: " + printable(text);
    rest.remove_prefix(1);
    rest.remove_suffix(offset.size() + 4);
    auto end = rest.find("\",");
    if (end == rest.npos)
      return "not an entry: " + printable(text);
    if (!following_ && (ready_ || !wanted_))
      return "an entry before the subscription: " + printable(text);
    if (!following_) {
      to.opened();
      follow(to);
    }
    offset_ = offset;
    to.entry(rest.substr(0, end), 0, rest.substr(end + 2));
    to.at(place_now());
    return {};
  }

  std::string on_answer(std::string_view text, dialect_events& to) {
    auto ref = number(text.substr(0, text.find('[')));
    if (!ref || waiting_.empty() || *ref != waiting_.front() || !text.ends_with(']'))
      return "an answer to nothing: " + printable(text);
    waiting_.pop();
    if (text.ends_with("[true]"))
      to.receipt(*ref, 0, false);
    else
      to.refused(*ref, printable(text), false);
    return {};
  }

  /// The last argument, which the server adds.
  static std::string_view offset_of(std::string_view text) {
    if (!text.ends_with("\"]"))
      return {};
    text.remove_suffix(2);
    auto begin = text.rfind(",\"");
    if (begin == text.npos)
      return {};
    text.remove_prefix(begin + 2);
    return is_plain(text) ? text : std::string_view{};
  }

  std::string place_now() const { return pid_ + '/' + sid_ + '/' + offset_; }

  purpose what_;
  bool ready_ = false;
  bool following_ = false;
  /// A session is to be recovered.
  bool wanted_ = false;
  std::string pid_;
  std::string sid_;
  std::string offset_;
  unanswered waiting_;
};

} // namespace

std::vector<kind_ptr> socketio_kinds() {
  return {std::make_shared<simple_kind<socketio_dialect, char>>(
      net::load::server_kind::traits{
          .name = "socketio",
          .guarantees = "a receipt: the entry was handed to those who are connected, in memory; a "
                        "recovered session gets what it missed within two minutes, an unrecovered "
                        "one says so; a retry is a second entry",
          .resumes = true,
          .receipts = true},
      '\0')};
}

} // namespace confab::peers
