#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"

#include <algorithm>

namespace confab::net::wire {

namespace {

/// Appends JSON text as one `data:` line. Raw line ends can only be white space between JSON
/// tokens.
void add_data(std::string& out, std::string_view json) {
  out += "data: ";
  auto begin = out.size();
  out += json;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
  out += "\n\n";
}

void add_named(std::string& out, std::string_view name, const model::position& at,
               std::string_view json) {
  out.append("id: ").append(to_string(at)).append("\nevent: ").append(name).append("\n");
  add_data(out, json);
}

class event_stream final : public model::wire_format {
public:
  constexpr event_stream() : wire_format{1} {}

  void add_entry(std::string& out, const model::conversation_name&, const model::epoch& of,
                 const model::entry& x) const override {
    out.append("id: ").append(to_string(model::position{of, x.at, x.id})).append("\n");
    thread_local std::string json;
    json = '{';
    add_entry_members(json, x);
    json += '}';
    add_data(out, json);
  }

  void add_live(std::string& out, const model::conversation_name&,
                const model::position& at) const override {
    add_named(out, "live", at, R"({"seq":)" + std::to_string(at.at.value) + '}');
  }

  void add_reset(std::string& out, const model::conversation_name&, model::reset_reason reason,
                 const model::epoch& now, model::seq from, model::seq through) const override {
    auto trimmed = reason == model::reset_reason::trimmed;
    auto json = R"({"reason":")" + std::string{to_string(reason)} + '"';
    if (trimmed)
      json += R"(,"missing":[)" + std::to_string(from.value) + ',' + std::to_string(through.value) +
              ']';
    json += R"(,"epoch":")" + now.text + "\"}";
    add_named(out, "reset", {now, trimmed ? through : model::seq{}, {}}, json);
  }

  void add_closed(std::string& out, const model::conversation_name&,
                  const model::position& at) const override {
    add_named(out, "closed", at, R"({"seq":)" + std::to_string(at.at.value) + '}');
  }
};

constinit const event_stream the_format{};

} // namespace

const model::wire_format& event_stream_format() noexcept {
  return the_format;
}

void add_event_id(std::string& out, const model::position& x) {
  out.append("id: ").append(to_string(x)).append("\n\n");
}

void add_event_error(std::string& out, const model::error& why) {
  auto json = R"({"code":")" + std::string{to_string(why.what)} + R"(","message":)";
  add_string(json, why.detail);
  json += temporary(why.what) ? R"(,"retry":true})" : R"(,"retry":false})";
  out += "event: error\n";
  add_data(out, json);
}

} // namespace confab::net::wire
