#include "net/wire/formats.hpp"
#include "net/wire/json_object.hpp"

namespace confab::net::wire {

std::string page_begin(const model::log_state& state, const model::start& after) {
  std::string out = R"({"epoch":")" + state.epoch.text + R"(","first":)" +
                    std::to_string(state.first.value) + R"(,"last":)" +
                    std::to_string(state.tail.value) + R"(,"after":)" +
                    std::to_string(after.at.value);
  // A gap is never silent: what is not there any more stands here.
  if (after.reset)
    out += R"(,"reset":{"reason":")" + std::string{to_string(*after.reset)} + "\"}";
  else if (state.first > after.at.next())
    out += R"(,"reset":{"reason":"trimmed","missing":[)" + std::to_string(after.at.value + 1) +
           ',' + std::to_string(state.first.value - 1) + "]}";
  if (state.life == model::lifecycle::closed)
    out += R"(,"closed":true)";
  return out += R"(,"entries":[)";
}

void add_page_entries(std::string& out, std::span<const model::entry> entries) {
  for (const auto& e : entries) {
    out += out.back() == '[' ? "{" : ",{";
    add_entry_members(out, e);
    out += '}';
  }
}

std::string page_body(const page_event& x) {
  auto out = page_begin(x.held->state, x.after);
  add_page_entries(out, x.held->entries);
  return out += "]}";
}

std::string info_body(const info_event& x) {
  auto out = R"({"conversation":")" + x.name.text() + R"(","epoch":")" + x.state.epoch.text +
             R"(","first":)" + std::to_string(x.state.first.value) + R"(,"last":)" +
             std::to_string(x.state.tail.value) + R"(,"content_type":)";
  add_string(out, x.settings.content_type);
  out += x.state.life == model::lifecycle::closed ? R"(,"closed":true)" : R"(,"closed":false)";
  const auto& life = x.settings.lifetime;
  if (life.ttl_s)
    out += R"(,"ttl_s":)" + std::to_string(*life.ttl_s);
  if (life.expires_ms)
    out += R"(,"expires":)" + std::to_string(*life.expires_ms);
  return out += '}';
}

std::string list_body(const list_event& x) {
  std::string out = R"({"conversations":[)";
  for (const auto& one : x.conversations) {
    if (out.back() == '}')
      out += ',';
    out += info_body(one);
  }
  out += x.more ? R"(],"more":true})" : R"(],"more":false})";
  return out;
}

std::string cursor_body(const cursor_event& x) {
  std::string out = R"({"conversation":")" + x.name.text() + R"(","client":)";
  add_string(out, x.client);
  out += R"(,"seq":)" + std::to_string(x.at->at.value) + R"(,"epoch":")" + x.at->epoch.text +
         R"(","id":")" + to_string(x.at->id) + R"("})";
  return out;
}

std::string line_receipt(std::uint64_t line, const model::receipt& x) {
  return R"({"line":)" + std::to_string(line) + ',' + receipt_body(x, false).substr(1);
}

std::string receipt_body(const model::receipt& x, bool array) {
  std::string out;
  for (std::uint32_t i = 0; i < x.count; ++i) {
    if (i > 0)
      out += ',';
    out += R"({"seq":)" + std::to_string(x.first.value + i) + R"(,"id":")" +
           to_string(model::entry_id{x.id.ms, x.id.n + i}) + R"(","duplicate":)" +
           (x.duplicate ? "true" : "false") + '}';
  }
  return array ? '[' + out + ']' : out;
}

} // namespace confab::net::wire
