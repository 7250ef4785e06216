#include "net/wire/base64.hpp"
#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"
#include "net/wire/utf8.hpp"

#include <charconv>

namespace confab::net::wire {

namespace {

void add_number(std::string& out, std::uint64_t x) {
  char digits[20];
  auto [end, failure] = std::to_chars(digits, digits + sizeof digits, x);
  out.append(digits, end);
}

void add_id(std::string& out, model::entry_id x) {
  out += '"';
  add_number(out, x.ms);
  out += '-';
  add_number(out, x.n);
  out += '"';
}

/// What is no JSON: text as a string, anything else, also broken text, as base64.
void add_payload(std::string& out, const model::entry& x) {
  if (x.form == model::payload_form::json) {
    out.append(R"(,"payload":)").append(x.payload);
  } else if (x.form == model::payload_form::text && valid_utf8(x.payload)) {
    out += R"(,"payload":)";
    add_string(out, x.payload);
  } else {
    out += R"(,"payload_base64":")";
    add_base64(out, x.payload);
    out += '"';
  }
}

/// `{"op":"…"`, with the ref when there is one.
std::string begin(std::string_view op, std::string_view ref) {
  std::string out{R"({"op":")"};
  out.append(op).append("\"");
  if (!ref.empty())
    out.append(R"(,"ref":)").append(ref);
  return out;
}

void add_name(std::string& out, const model::conversation_name& name) {
  // Names hold no character that JSON escapes.
  out.append(R"(,"conversation":")").append(name.text()).append("\"");
}

class websocket final : public model::wire_format {
public:
  constexpr websocket() : wire_format{0} {}

  void add_entry(std::string& out, const model::conversation_name& name, const model::epoch&,
                 const model::entry& x) const override {
    thread_local std::string json;
    json = R"({"op":"entry")";
    add_name(json, name);
    json += ',';
    add_entry_members(json, x);
    json += '}';
    add_frame(out, json);
  }

  void add_live(std::string& out, const model::conversation_name& name,
                const model::position& at) const override {
    auto json = begin("live", {});
    add_name(json, name);
    json += R"(,"seq":)";
    add_number(json, at.at.value);
    json.append(R"(,"epoch":")").append(at.epoch.text).append("\"}");
    add_frame(out, json);
  }

  void add_reset(std::string& out, const model::conversation_name& name, model::reset_reason reason,
                 const model::epoch& now, model::seq from, model::seq through) const override {
    auto json = begin("reset", {});
    add_name(json, name);
    json.append(R"(,"reason":")").append(to_string(reason)).append("\"");
    if (reason == model::reset_reason::trimmed) {
      json += R"(,"missing":[)";
      add_number(json, from.value);
      json += ',';
      add_number(json, through.value);
      json += ']';
    }
    json.append(R"(,"epoch":")").append(now.text).append("\"}");
    add_frame(out, json);
  }

  void add_closed(std::string& out, const model::conversation_name& name,
                  const model::position& at) const override {
    auto json = begin("closed", {});
    add_name(json, name);
    json += R"(,"seq":)";
    add_number(json, at.at.value);
    json += '}';
    add_frame(out, json);
  }
};

constinit const websocket the_format{};

} // namespace

const model::wire_format& websocket_format() noexcept {
  return the_format;
}

void add_frame(std::string& out, std::string_view payload, unsigned char opcode) {
  auto n = payload.size();
  out.push_back(static_cast<char>(0x80 | opcode));
  int extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
  out.push_back(static_cast<char>(extra == 0 ? n : extra == 2 ? 126 : 127));
  for (int i = extra; i-- > 0;)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i)));
  out.append(payload);
}

void add_close(std::string& out, std::uint16_t code, std::string_view reason) {
  std::string payload;
  if (code > 0) {
    payload.push_back(static_cast<char>(code >> 8));
    payload.push_back(static_cast<char>(code));
    payload.append(reason);
  }
  add_frame(out, payload, 8);
}

void add_entry_members(std::string& out, const model::entry& x) {
  out += R"("seq":)";
  add_number(out, x.at.value);
  out += R"(,"id":)";
  add_id(out, x.id);
  out += R"(,"time":)";
  add_number(out, static_cast<std::uint64_t>(x.time_ms));
  out += R"(,"sender":)";
  add_string(out, x.sender);
  out += R"(,"kind":)";
  add_string(out, x.kind);
  if (!x.producer.empty() && x.producer.front() != '~' && x.producer.front() != '=') {
    out += R"(,"producer":)";
    add_string(out, x.producer);
    out += R"(,"producer_seq":)";
    add_number(out, x.producer_seq);
  }
  if (!x.message.empty()) {
    out += R"(,"message":)";
    add_string(out, x.message);
  }
  if (!x.source_id.empty()) {
    out += R"(,"source_id":)";
    add_string(out, x.source_id);
  }
  add_payload(out, x);
}

void add_hello(std::string& out, const hello& x) {
  auto json = begin("hello", {});
  json += R"(,"client":)";
  add_string(json, x.client);
  json += R"(,"user":)";
  add_string(json, x.user);
  json += R"(,"heartbeat_ms":)";
  add_number(json, static_cast<std::uint64_t>(x.heartbeat_ms));
  json += R"(,"server":"confab/)" CONFAB_VERSION R"("})";
  add_frame(out, json);
}

void add_subscribed(std::string& out, const subscribed_event& x) {
  auto json = begin("subscribed", x.ref);
  add_name(json, x.name);
  json.append(R"(,"epoch":")").append(x.state.epoch.text).append("\"");
  json += R"(,"first":)";
  add_number(json, x.state.first.value);
  json += R"(,"last":)";
  add_number(json, x.state.tail.value);
  json += R"(,"after":)";
  add_number(json, x.from.at.value);
  json += R"(,"unread":)";
  add_number(json, x.state.tail > x.from.at ? x.state.tail.value - x.from.at.value : 0);
  json += '}';
  add_frame(out, json);
}

void add_unsubscribed(std::string& out, const unsubscribed_event& x) {
  auto json = begin("unsubscribed", x.ref);
  add_name(json, x.name);
  if (x.superseded)
    json += R"(,"reason":"superseded")";
  json += '}';
  add_frame(out, json);
}

void add_published(std::string& out, const published_event& x) {
  auto json = begin("published", x.ref);
  add_name(json, x.name);
  json += R"(,"seq":)";
  add_number(json, x.got.first.value);
  json += R"(,"id":)";
  add_id(json, x.got.id);
  json += x.got.duplicate ? R"(,"duplicate":true})" : R"(,"duplicate":false})";
  add_frame(out, json);
}

void add_acked(std::string& out, const acked_event& x) {
  auto json = begin("acked", x.ref);
  add_name(json, x.name);
  json += R"(,"seq":)";
  add_number(json, x.at.value);
  json += '}';
  add_frame(out, json);
}

void add_failed(std::string& out, const failed_event& x) {
  auto json = begin("error", x.ref);
  if (x.name)
    add_name(json, *x.name);
  json.append(R"(,"code":")").append(to_string(x.why.what)).append(R"(","message":)");
  add_string(json, x.why.detail);
  json += temporary(x.why.what) ? R"(,"retry":true)" : R"(,"retry":false)";
  if (x.why.what == model::code::producer_gap) {
    json += R"(,"expected":)";
    add_number(json, x.why.expected);
  }
  json += '}';
  add_frame(out, json);
}

void add_pong(std::string& out, std::string_view ref) {
  add_frame(out, begin("pong", ref) + '}');
}

void add_goodbye(std::string& out, std::string_view reason, std::int64_t reconnect_ms) {
  auto json = begin("goodbye", {});
  json.append(R"(,"reason":")").append(reason).append(R"(","reconnect_ms":)");
  add_number(json, static_cast<std::uint64_t>(reconnect_ms));
  json += '}';
  add_frame(out, json);
}

} // namespace confab::net::wire
