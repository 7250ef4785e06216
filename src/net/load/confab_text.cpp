#include "net/load/confab_text.hpp"

#include <charconv>

namespace confab::net::load {

namespace {

constexpr std::size_t shown_bytes_max = 200;

} // namespace

std::uint64_t scanner::number() {
  std::uint64_t x = 0;
  auto [end, failure] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), x);
  ok_ = ok_ && failure == std::errc{};
  if (ok_)
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  return ok_ ? x : 0;
}

std::string_view scanner::string() {
  std::size_t at = 0;
  while (ok_) {
    at = rest_.find_first_of("\"\\", at);
    ok_ = at != rest_.npos && (rest_[at] == '"' || at + 1 < rest_.size());
    if (!ok_ || rest_[at] == '"')
      break;
    at += 2;
  }
  if (!ok_)
    return {};
  auto text = rest_.substr(0, at);
  rest_.remove_prefix(at + 1);
  return text;
}

bool read_entry(scanner& x, entry_text& to) {
  x.expect(R"("seq":)");
  to.seq = x.number();
  x.expect(R"(,"id":")");
  to.id = x.string();
  x.expect(R"(,"time":)");
  static_cast<void>(x.number());
  x.expect(R"(,"sender":")");
  static_cast<void>(x.string());
  x.expect(R"(,"kind":")");
  static_cast<void>(x.string());
  if (x.accept(R"(,"producer":")")) {
    static_cast<void>(x.string());
    x.expect(R"(,"producer_seq":)");
    static_cast<void>(x.number());
  }
  if (x.accept(R"(,"message":")"))
    static_cast<void>(x.string());
  if (x.accept(R"(,"source_id":")"))
    static_cast<void>(x.string());
  x.expect(R"(,"payload":)");
  if (!x.ok() || to.seq == 0 || to.id.empty() || x.rest().size() < 2 || x.rest().back() != '}')
    return false;
  to.payload = x.rest().substr(0, x.rest().size() - 1);
  return true;
}

std::string shown(std::string_view text) {
  std::string result;
  for (unsigned char x : text.substr(0, shown_bytes_max))
    result += x < 0x20 || x >= 0x7f ? '?' : static_cast<char>(x);
  return result;
}

void add_number(std::string& out, std::uint64_t x) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, x).ptr);
}

void add_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  for (unsigned char x : text) {
    bool plain = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') ||
                 x == '-' || x == '.' || x == '_' || x == '/';
    if (plain)
      (out += static_cast<char>(x));
    else
      (((out += '%') += hex[x >> 4]) += hex[x & 15]);
  }
}

} // namespace confab::net::load
