#include "net/wire/stream_format.hpp"

#include "net/wire/base64.hpp"

namespace confab::net::wire {

namespace {

/// One `data:` line per line of text. CR, LF and CRLF each end a line in an event stream, so none
/// of them may stand in one.
void add_text(std::string& out, std::string_view text) {
  while (true) {
    auto end = text.find_first_of("\r\n");
    auto line = text.substr(0, end);
    out += "data:";
    if (line.starts_with(' '))
      out += ' '; // a reader takes the first one off
    out.append(line).append("\n");
    if (end == std::string_view::npos)
      return;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

/// Raw line ends in JSON text can only be white space between its tokens.
void add_json(std::string& out, std::string_view json) {
  out += "data:[";
  for (char c : json)
    out += c == '\n' || c == '\r' ? ' ' : c;
  out += "]\n";
}

void begin_control(std::string& out, const model::position& at) {
  out.append("event: control\n"
             R"(data:{"streamNextOffset":")")
      .append(to_string(at)) += '"';
}

class stream final : public model::wire_format {
public:
  constexpr stream() : wire_format{2, true} {}

  void add_entry(std::string& out, const model::conversation_name&, const model::epoch& of,
                 const model::entry& x) const override {
    out += "event: data\n";
    switch (x.form) {
    case model::payload_form::json:
      add_json(out, x.payload);
      break;
    case model::payload_form::text:
      add_text(out, x.payload);
      break;
    case model::payload_form::bytes:
      out += "data:";
      add_base64(out, x.payload);
      out += '\n';
      break;
    }
    out += '\n';
    begin_control(out, {of, x.at, x.id});
  }

  void add_live(std::string& out, const model::conversation_name&,
                const model::position& at) const override {
    begin_control(out, at);
  }

  /// An open-ended format has none.
  void add_reset(std::string&, const model::conversation_name&, model::reset_reason,
                 const model::epoch&, model::seq, model::seq) const override {}

  void add_closed(std::string& out, const model::conversation_name&,
                  const model::position& at) const override {
    begin_control(out, at);
  }

  void add_end(std::string& out, std::uint64_t cursor, model::remaining rest) const override {
    if (rest == model::remaining::end) {
      out += R"(,"upToDate":true,"streamClosed":true})"
             "\n\n";
      return;
    }
    out.append(R"(,"streamCursor":")").append(std::to_string(cursor));
    out += rest == model::remaining::nothing_yet ? R"(","upToDate":true})" : R"("})";
    out += "\n\n";
  }
};

constinit const stream the_format{};

} // namespace

const model::wire_format& stream_format() noexcept {
  return the_format;
}

void add_payloads(std::string& out, std::span<const model::entry> entries) {
  for (const auto& x : entries) {
    if (x.form == model::payload_form::json && !out.empty() && out.back() != '[')
      out += ',';
    out += x.payload;
  }
}

} // namespace confab::net::wire
