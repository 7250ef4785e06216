#include "net/load/confab_dialect.hpp"

#include "model/entry.hpp"
#include "net/load/confab_text.hpp"
#include "net/load/websocket_client.hpp"
#include "net/wire/json_object.hpp"

#include <charconv>

namespace confab::net::load {

namespace {

/// Longest value that is taken out of a frame: a conversation's name, an epoch, an error's text.
constexpr std::size_t text_bytes_max = 1024;

class confab_dialect final : public dialect {
public:
  void connect(std::string& out, const purpose& what) override {
    over_ = false;
    id_.clear();
    epoch_.clear();
    client_ = what.client;
    std::string target = "/v1/ws";
    if (what.as == purpose::role::reader) {
      target += "?conversation=";
      add_escaped(target, what.conversation);
      target += "&after=";
      if (!what.after)
        target += "now";
      else if (what.after->token.empty())
        add_number(target, what.after->seq);
      else
        add_escaped(target, what.after->token);
    }
    stream_.connect(out, target);
  }

  std::size_t take(std::span<char> in, std::string& out, dialect_events& to) override {
    std::size_t used = 0;
    id_.clear();
    while (!over_) {
      auto x = stream_.next(in.subspan(used), out);
      used += x.used;
      if (x.is == websocket_client::step::what::more)
        break;
      if (x.is == websocket_client::step::what::ended)
        end(to, x.view());
      else if (x.is == websocket_client::step::what::message)
        message(x.view(), to);
    }
    if (!over_ && !id_.empty())
      to.at(token(last_, id_));
    return over_ ? in.size() : used;
  }

  void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
               std::uint64_t number, std::string_view payload) override {
    text_.assign(R"({"op":"publish","ref":)");
    add_number(text_, ref);
    text_.append(R"(,"conversation":")").append(conversation);
    text_.append(R"(","producer":")").append(client_);
    text_.append(R"(","producer_seq":)");
    add_number(text_, number);
    text_.append(R"(,"payload":)").append(payload).append("}");
    websocket_client::add(out, text_);
  }

private:
  void end(dialect_events& to, std::string_view why) {
    over_ = true;
    to.ended(why);
  }

  void message(std::string_view text, dialect_events& to) {
    scanner x{text};
    if (x.accept(R"({"op":"entry","conversation":")"))
      entry(text, x, to);
    else if (x.accept(R"({"op":"published","ref":)"))
      published(text, x, to);
    else
      other(text, to);
  }

  void entry(std::string_view text, scanner& x, dialect_events& to) {
    auto conversation = x.string();
    x.expect(",");
    entry_text found;
    if (!read_entry(x, found))
      return end(to, "an entry of an unknown shape: " + shown(text));
    last_ = found.seq;
    id_.assign(found.id);
    to.entry(conversation, found.seq, found.payload);
  }

  void published(std::string_view text, scanner& x, dialect_events& to) {
    auto ref = x.number();
    x.expect(R"(,"conversation":")");
    static_cast<void>(x.string());
    x.expect(R"(,"seq":)");
    auto seq = x.number();
    x.expect(R"(,"id":")");
    static_cast<void>(x.string());
    auto duplicate = x.accept(R"(,"duplicate":true})");
    if (!duplicate)
      x.expect(R"(,"duplicate":false})");
    if (!x.ok() || !x.rest().empty() || seq == 0)
      return end(to, "a receipt of an unknown shape: " + shown(text));
    to.receipt(ref, seq, duplicate);
  }

  /// Everything that is rare: parsed as any JSON.
  void other(std::string_view text, dialect_events& to) {
    auto x = wire::json_object::parse(text, "frame");
    auto op = x ? x->text("op", text_bytes_max) : std::optional<std::string>{};
    if (!x || !op || !*op)
      return end(to, "a frame without an op: " + shown(text));
    if (**op == "hello") {
      if (auto version = x->text("server", text_bytes_max); version && *version)
        to.server_version(**version);
      return to.opened();
    }
    if (**op == "subscribed")
      return subscribed(*x, text, to);
    if (**op == "live")
      return to.live();
    if (**op == "reset")
      return reset(*x, to);
    if (**op == "error")
      return error(*x, to);
    end(to, "the server says: " + shown(text));
  }

  void subscribed(const wire::json_object& x, std::string_view text, dialect_events& to) {
    auto after = x.number("after", model::seq_max.value);
    auto epoch = x.text("epoch", text_bytes_max);
    if (!after || !*after || !epoch || !*epoch)
      return end(to, "a subscription of an unknown shape: " + shown(text));
    epoch_ = **epoch;
    // An empty conversation has no epoch yet; its seq says enough.
    place at{**after, std::to_string(**after)};
    if (!epoch_.empty())
      at.token = token(at.seq, "0-0");
    to.following(at);
  }

  void reset(const wire::json_object& x, dialect_events& to) {
    auto reason = x.text("reason", text_bytes_max);
    auto missing = x.raw("missing");
    auto ends = missing ? wire::elements(*missing) : std::nullopt;
    std::uint64_t range[2] = {0, 0};
    for (std::size_t i = 0; ends && ends->size() == 2 && i < 2; ++i)
      range[i] = scanner{(*ends)[i]}.number();
    if (auto epoch = x.text("epoch", text_bytes_max); epoch && *epoch)
      epoch_ = **epoch;
    to.missing(range[0], range[1], reason && *reason ? **reason : "reset");
  }

  void error(const wire::json_object& x, dialect_events& to) {
    auto code = x.text("code", text_bytes_max);
    auto detail = x.text("message", text_bytes_max);
    auto retry = x.truth("retry");
    auto ref = x.raw("ref");
    auto what = code && *code ? **code : "error";
    auto why = shown(what + (detail && *detail ? ": " + **detail : ""));
    if (!ref)
      return end(to, "the server says: " + why);
    // A number behind one that is to be retried has a gap before it until then.
    auto again = (retry && *retry && **retry) || what == "producer_gap";
    to.refused(scanner{*ref}.number(), why, again);
  }

  /// As the server writes positions: `model::to_string(position)`.
  std::string_view token(std::uint64_t seq, std::string_view id) {
    constexpr std::size_t seq_digits = 16;
    char digits[20];
    auto n =
        static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, seq).ptr - digits);
    text_.assign(seq_digits - std::min(n, seq_digits), '0');
    text_.append(digits, n).append("_").append(epoch_).append("_").append(id);
    return text_;
  }

  websocket_client stream_;
  bool over_ = false;
  /// Of the last entry that came.
  std::uint64_t last_ = 0;
  std::string id_;
  std::string epoch_;
  std::string client_;
  std::string text_;
};

class confab_kind final : public server_kind {
public:
  [[nodiscard]] const traits& about() const noexcept override { return about_; }
  [[nodiscard]] std::unique_ptr<dialect> speak() const override {
    return std::make_unique<confab_dialect>();
  }

private:
  traits about_{.name = "confab",
                .guarantees =
                    "a receipt: committed to the log and synced as store.synchronous says; "
                    "a reader gets every entry once, in order, over any reconnect",
                .resumes = true,
                .receipts = true,
                .idempotent = true,
                .seqs = true,
                .pages = true};
};

} // namespace

const server_kind& confab_server() noexcept {
  static const confab_kind kind;
  return kind;
}

} // namespace confab::net::load
