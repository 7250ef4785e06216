// nchan: readers over WebSocket with message ids (`ws+meta.nchan`), publishers with pipelined
// POSTs. The locations /sub, /all and /pub are those of bench/peers/nginx.conf.
#include "parsing.hpp"
#include "peers.hpp"
#include "websocket_dialect.hpp"

namespace confab::peers {

namespace {

using net::load::dialect_events;
using net::load::place;
using net::load::purpose;

constexpr std::size_t head_bytes_max = 8 * 1024;
constexpr std::size_t body_bytes_max = 64 * 1024;

struct answer {
  unsigned status = 0;
  std::string_view line{};
  /// Head and body; 0: not all has come.
  std::size_t size = 0;
};

bool is_field(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b);
         });
}

/// The HTTP/1.1 answer at the beginning of `in`. @param why set when it is none that a keep-alive
/// publisher can go on behind.
answer answer_of(std::string_view in, std::string& why) {
  auto end = in.substr(0, head_bytes_max).find("\r\n\r\n");
  if (end == in.npos) {
    if (in.size() >= head_bytes_max)
      why = "the head of an answer is too long";
    return {};
  }
  auto head = in.substr(0, end);
  answer x{.line = cut(head, "\r\n")};
  auto status = number(x.line.substr(0, 12).substr(std::min<std::size_t>(9, x.line.size())));
  if (!x.line.starts_with("HTTP/1.1 ") || !status || *status < 200) {
    why = "an answer is not HTTP/1.1: " + printable(x.line);
    return {};
  }
  x.status = static_cast<unsigned>(*status);
  std::optional<std::uint64_t> body;
  while (!head.empty()) {
    auto line = cut(head, "\r\n");
    if (is_field(line, "content-length")) {
      line.remove_prefix(line.find_last_of(" :") + 1);
      body = number(line);
    } else if (is_field(line, "connection") && line.ends_with("close")) {
      why = "the server closes the connection: " + printable(x.line);
    } else if (is_field(line, "transfer-encoding")) {
      why = "an answer has a transfer encoding";
    }
  }
  if (!body || *body > body_bytes_max)
    why = "an answer has no usable length: " + printable(x.line);
  else if (in.size() >= end + 4 + *body)
    x.size = end + 4 + static_cast<std::size_t>(*body);
  return x;
}

class nchan_reader : public websocket_dialect {
public:
  void connect(std::string& out, const purpose& what) override {
    conversation_ = what.conversation;
    after_ = what.after.value_or(place{});
    auto target = std::string{what.after && after_.token.empty() ? "/all?id=" : "/sub?id="};
    target += conversation_;
    if (!after_.token.empty())
      target += "&last_event_id=" + after_.token;
    socket_.connect(out, target, "ws+meta.nchan");
  }

  void publish(std::string&, std::string_view, std::uint64_t, std::uint64_t,
               std::string_view) override {}

private:
  // nchan answers the handshake when the subscriber is in the channel.
  void on_open(std::string&, dialect_events& to) override {
    to.opened();
    to.following(after_);
    to.live();
  }

  // `id: 1700000000:3\n`, other fields, an empty line, the payload.
  std::string on_message(std::string_view text, std::string&, dialect_events& to) override {
    std::string_view id;
    auto rest = text;
    while (!rest.starts_with('\n')) {
      auto line = cut(rest, "\n");
      if (line.starts_with("id: "))
        id = line.substr(4);
      if (rest.empty())
        return "a message has no empty line behind its fields: " + printable(text);
    }
    // It goes into a request line when the reader comes back.
    if (id.empty() || id.find_first_not_of("0123456789:,[]-") != id.npos)
      return "a message has no usable id: " + printable(text);
    to.entry(conversation_, 0, rest.substr(1));
    to.at(id);
    return {};
  }

  std::string conversation_;
  place after_;
};

class nchan_publisher : public net::load::dialect {
public:
  // HTTP has no handshake: a request for nothing tells that the server answers.
  void connect(std::string& out, const purpose&) override {
    open_ = false;
    waiting_.clear();
    out += "GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }

  std::size_t take(std::span<char> in, std::string&, dialect_events& to) override {
    for (std::size_t used = 0;;) {
      std::string why;
      auto x = answer_of({in.data() + used, in.size() - used}, why);
      if (x.size > 0) {
        used += x.size;
        if (!open_ && x.status != 200)
          why = "the server is not ready: " + printable(x.line);
        else if (open_ && waiting_.empty())
          why = "an answer to nothing: " + printable(x.line);
        else if (!open_)
          to.opened();
        else if (x.status == 201 || x.status == 202)
          to.receipt(waiting_.pop(), 0, false);
        else
          to.refused(waiting_.pop(), printable(x.line), x.status >= 500);
        open_ = true;
      }
      if (!why.empty()) {
        to.ended(why);
        return in.size();
      }
      if (x.size == 0)
        return used;
    }
  }

  void publish(std::string& out, std::string_view conversation, std::uint64_t ref, std::uint64_t,
               std::string_view payload) override {
    waiting_.add(ref);
    out.append("POST /pub?id=").append(conversation);
    out.append(" HTTP/1.1\r\nHost: localhost\r\nContent-Length: ");
    out.append(std::to_string(payload.size())).append("\r\n\r\n").append(payload);
  }

private:
  bool open_ = false;
  unanswered waiting_;
};

/// Reader or publisher, as the purpose says.
class nchan_dialect : public net::load::dialect {
public:
  explicit nchan_dialect(char) {}

  void connect(std::string& out, const purpose& what) override {
    if (what.as == purpose::role::reader)
      as_ = std::make_unique<nchan_reader>();
    else
      as_ = std::make_unique<nchan_publisher>();
    as_->connect(out, what);
  }
  std::size_t take(std::span<char> in, std::string& out, dialect_events& to) override {
    return as_->take(in, out, to);
  }
  void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
               std::uint64_t number, std::string_view payload) override {
    as_->publish(out, conversation, ref, number, payload);
  }

private:
  std::unique_ptr<net::load::dialect> as_;
};

using kind = simple_kind<nchan_dialect, char>;

} // namespace

std::vector<kind_ptr> nchan_kinds() {
  return {
      std::make_shared<kind>(
          net::load::server_kind::traits{
              .name = "nchan",
              .guarantees =
                  "a receipt: the entry is in the server's memory, lost when it ends; a reader can "
                  "resume by message id while the buffer holds it, a gap is silent; a retry is a "
                  "second entry",
              .resumes = true,
              .receipts = true},
          '\0'),
      std::make_shared<kind>(
          net::load::server_kind::traits{
              .name = "nchan-redis",
              .guarantees =
                  "a receipt: Redis has the entry, with appendfsync always on disk; a reader can "
                  "resume by message id while the buffer holds it, a gap is silent; a retry is a "
                  "second entry",
              .resumes = true,
              .receipts = true},
          '\0')};
}

} // namespace confab::peers
