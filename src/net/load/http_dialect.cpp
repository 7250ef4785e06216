#include "net/load/http_dialect.hpp"

#include "model/entry.hpp"
#include "net/load/confab_text.hpp"
#include "net/load/http_answers.hpp"
#include "net/wire/json_object.hpp"

#include <deque>
#include <set>

namespace confab::net::load {

namespace {

constexpr std::size_t text_bytes_max = 1024;

/// What both ways have in common: requests on one connection, answered in order, the last of which
/// may be answered by events without end.
class http_dialect : public dialect {
public:
  void connect(std::string& out, const purpose& what) override {
    over_ = streaming_ = opened_ = followed_ = live_ = false;
    token_.clear();
    waiting_.clear();
    what_ = what;
    begin(out);
  }

  std::size_t take(std::span<char> in, std::string&, dialect_events& to) override {
    std::string_view text{in.data(), in.size()};
    while (!over_ && !text.empty()) {
      auto used = streaming_ ? take_event(text, to) : take_answer(text, to);
      if (used == 0)
        break;
      text.remove_prefix(used);
    }
    if (!over_ && !token_.empty())
      to.at(token_);
    token_.clear();
    return over_ ? in.size() : in.size() - text.size();
  }

protected:
  /// What an answer that waits belongs to.
  struct question {
    enum class kind : std::uint8_t { other, publish, events } what = kind::other;
    std::uint64_t ref = 0;
  };

  /// The first requests of a connection.
  virtual void begin(std::string& out) = 0;
  virtual void receipt(std::uint64_t ref, const http_answer& x, dialect_events& to) = 0;
  /// @param event its lines.
  virtual void event(std::string_view event, dialect_events& to) = 0;

  void add_request(std::string& out, question what, std::string_view method,
                   std::string_view target, std::string_view fields, std::string_view body) {
    out.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: confab\r\n");
    out += fields;
    if (!body.empty()) {
      out += "Content-Type: application/json\r\nContent-Length: ";
      add_number(out, body.size());
      out += "\r\n";
    }
    out.append("\r\n").append(body);
    waiting_.push_back(what);
  }

  void follow(const place& at, dialect_events& to) {
    if (!std::exchange(followed_, true))
      to.following(at);
  }
  void reached(dialect_events& to) {
    if (!std::exchange(live_, true))
      to.live();
  }
  void end(dialect_events& to, std::string_view why) {
    over_ = true;
    to.ended(why);
  }
  [[nodiscard]] bool followed() const noexcept { return followed_; }

  purpose what_;
  /// Of the last entry that came.
  std::string token_;
  std::string text_;

private:
  std::size_t take_answer(std::string_view in, dialect_events& to) {
    if (waiting_.empty()) {
      end(to, "an answer that nobody asked for: " + shown(in));
      return 0;
    }
    auto asked = waiting_.front();
    std::string why;
    auto head = read_head(in, why);
    auto events = head && asked.what == question::kind::events && head->status == 200;
    auto x = events ? head : read_answer(in, why);
    if (!why.empty())
      end(to, why);
    if (!x || over_)
      return 0;
    waiting_.pop_front();
    if (auto server = x->field("server"); !server.empty() && !std::exchange(named_, true))
      to.server_version(server);
    if (x->status < 300 && !std::exchange(opened_, true) && what_.as == purpose::role::publisher)
      to.opened();
    if (events)
      streaming_ = true;
    else if (asked.what == question::kind::publish)
      answer_publish(asked.ref, *x, to);
    else if (x->status >= 300 || asked.what == question::kind::events)
      end(to, "the server says: " + shown(x->body));
    return x->bytes();
  }

  void answer_publish(std::uint64_t ref, const http_answer& x, dialect_events& to) {
    if (x.status < 300)
      return receipt(ref, x, to);
    auto problem = wire::json_object::parse(x.body, "body");
    auto code = problem ? problem->text("code", text_bytes_max) : std::optional<std::string>{};
    auto retry = problem ? problem->truth("retry") : std::optional<bool>{};
    auto what = code && *code ? **code : "error";
    to.refused(ref, what + ": " + shown(x.body),
               (retry && *retry && **retry) || what == "producer_gap");
  }

  std::size_t take_event(std::string_view in, dialect_events& to) {
    auto size = in.find("\n\n");
    if (size == in.npos)
      return 0;
    if (in.front() != ':')
      event(in.substr(0, size), to);
    return size + 2;
  }

  std::deque<question> waiting_;
  bool over_ = false;
  bool streaming_ = false;
  bool opened_ = false;
  bool named_ = false;
  bool followed_ = false;
  bool live_ = false;
};

class events_dialect final : public http_dialect {
public:
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
               std::uint64_t number, std::string_view payload) override {
    text_.assign(R"({"producer":")").append(what_.client);
    text_.append(R"(","producer_seq":)");
    add_number(text_, number);
    text_.append(R"(,"payload":)").append(payload).append("}");
    add_request(out, {question::kind::publish, ref}, "POST", target(conversation, "/entries"), {},
                text_);
  }

private:
  static std::string target(std::string_view conversation, std::string_view behind) {
    std::string result = "/v1/conversations/";
    for (char c : conversation) // a name is one segment here
      c == '/' ? result.append("%2F") : (add_escaped(result, {&c, 1}), result);
    return result.append(behind);
  }

  void begin(std::string& out) override {
    if (what_.as == purpose::role::publisher)
      return add_request(out, {}, "GET", "/healthz", {}, {});
    auto to = target(what_.conversation, "/events?after=");
    if (!what_.after)
      to += "now";
    else if (what_.after->token.empty())
      add_number(to, what_.after->seq);
    else
      add_escaped(to, what_.after->token);
    add_request(out, {question::kind::events}, "GET", to, {}, {});
  }

  void receipt(std::uint64_t ref, const http_answer& x, dialect_events& to) override {
    scanner body{x.body};
    body.expect(R"({"seq":)");
    auto seq = body.number();
    if (!body.ok() || seq == 0)
      return end(to, "a receipt of an unknown shape: " + shown(x.body));
    to.receipt(ref, seq, x.status == 200);
  }

  void event(std::string_view event, dialect_events& to) override {
    scanner x{event};
    if (x.accept("retry: ")) {
      static_cast<void>(x.number());
      x.expect("\n");
    }
    x.expect("id: ");
    auto line = x.rest().substr(0, x.rest().find('\n'));
    x.expect(line);
    auto at = model::parse_position(line);
    if (!x.ok() || !at)
      return end(to, "the server says: " + shown(event));
    if (x.rest().empty())
      return follow({at->at.value, std::string{line}}, to);
    if (x.accept("\nevent: live\n"))
      return reached(to);
    if (x.accept("\nevent: reset\ndata: "))
      return to.missing(0, 0, x.rest());
    entry_text found;
    x.expect("\ndata: {");
    if (!x.ok() || !read_entry(x, found))
      return end(to, "the server says: " + shown(event));
    token_.assign(line);
    to.entry(what_.conversation, found.seq, found.payload);
  }
};

class stream_dialect final : public http_dialect {
public:
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
               std::uint64_t number, std::string_view payload) override {
    create(out, conversation);
    text_.assign("Producer-Id: ").append(what_.client).append("\r\nProducer-Epoch: 0\r\n");
    text_ += "Producer-Seq: ";
    add_number(text_, number - 1);
    text_ += "\r\n";
    // In brackets: an array would be taken apart.
    body_.assign("[").append(payload).append("]");
    add_request(out, {question::kind::publish, ref}, "POST", target(conversation), text_, body_);
  }

private:
  static std::string target(std::string_view conversation) {
    std::string result = "/v1/stream/";
    add_escaped(result, conversation);
    return result;
  }

  void create(std::string& out, std::string_view conversation) {
    if (created_.emplace(conversation).second)
      add_request(out, {}, "PUT", target(conversation), {}, "[]");
  }

  void begin(std::string& out) override {
    data_.clear();
    created_.clear();
    if (what_.as == purpose::role::publisher)
      return add_request(out, {}, "GET", "/healthz", {}, {});
    create(out, what_.conversation);
    auto to = target(what_.conversation) + "?live=sse&offset=";
    if (!what_.after)
      to += "now";
    else if (what_.after->token.empty())
      to += model::to_string(model::position{{}, {what_.after->seq}, {}});
    else
      add_escaped(to, what_.after->token);
    add_request(out, {question::kind::events}, "GET", to, {}, {});
  }

  void receipt(std::uint64_t ref, const http_answer& x, dialect_events& to) override {
    auto at = model::parse_position(x.field("stream-next-offset"));
    if (!at)
      return end(to, "a receipt without an offset: " + shown(x.head));
    to.receipt(ref, at->at.value, x.status == 204);
  }

  void event(std::string_view event, dialect_events& to) override {
    scanner x{event};
    if (x.accept("event: data\ndata:[") && x.rest().ends_with("]")) {
      data_.assign(x.rest().substr(0, x.rest().size() - 1));
      return;
    }
    x.expect("event: control\ndata:{\"streamNextOffset\":\"");
    auto offset = x.string();
    auto at = model::parse_position(offset);
    if (!x.ok() || !at)
      return end(to, "the server says: " + shown(event));
    auto up_to_date = x.rest().find("\"upToDate\":true") != std::string_view::npos;
    if (what_.after)
      follow(*what_.after, to);
    else
      follow({at->at.value - (data_.empty() ? 0 : 1), {}}, to);
    if (!data_.empty()) {
      token_.assign(offset);
      to.entry(what_.conversation, at->at.value, data_);
      data_.clear();
    }
    if (up_to_date)
      reached(to);
  }

  /// Of the data event whose control event has not come.
  std::string data_;
  std::string body_;
  std::set<std::string, std::less<>> created_;
};

template <class Dialect>
class http_kind final : public server_kind {
public:
  explicit http_kind(std::string name)
    : about_{.name = std::move(name),
             .guarantees = "a receipt: committed to the log and synced as store.synchronous says; "
                           "a reader gets every entry once, in order, over any reconnect",
             .resumes = true,
             .receipts = true,
             .idempotent = true,
             .seqs = true,
             .pages = true} {}

  [[nodiscard]] const traits& about() const noexcept override { return about_; }
  [[nodiscard]] std::unique_ptr<dialect> speak() const override {
    return std::make_unique<Dialect>();
  }

private:
  traits about_;
};

} // namespace

const server_kind& confab_events_server() noexcept {
  static const http_kind<events_dialect> kind{"confab-events"};
  return kind;
}

const server_kind& confab_stream_server() noexcept {
  static const http_kind<stream_dialect> kind{"confab-stream"};
  return kind;
}

} // namespace confab::net::load
