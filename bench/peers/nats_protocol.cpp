#include "nats_protocol.hpp"

#include <array>

namespace confab::peers {

namespace {

/// INFO is about 1 KiB; subjects are at most 300 bytes here.
constexpr std::size_t line_bytes_max = 64 * 1024;
constexpr std::size_t payload_bytes_max = 8 * 1024 * 1024;

/// `MSG subject sid [reply] bytes` and `HMSG subject sid [reply] header-bytes bytes`.
std::optional<nats_message> message_of(std::string_view line, bool with_headers,
                                       std::string_view& rest, std::string& why) {
  std::array<std::string_view, 6> words;
  std::size_t n = 0;
  for (auto left = line; !left.empty() && n < words.size();)
    if (auto word = cut(left, " "); !word.empty())
      words[n++] = word;
  auto sizes = with_headers ? 2u : 1u;
  if (n < 2 + sizes || n > 3 + sizes) {
    why = "not a message: " + printable(line);
    return std::nullopt;
  }
  nats_message x{.is = nats_message::what::message, .subject = words[0]};
  auto subscription = number(words[1]);
  auto bytes = number(words[n - 1]);
  auto head = with_headers ? number(words[n - 2]) : std::optional<std::uint64_t>{0};
  if (!subscription || !bytes || !head || *head > *bytes || *bytes > payload_bytes_max) {
    why = "a message has no usable length: " + printable(line);
    return std::nullopt;
  }
  x.subscription = *subscription;
  if (n == 3 + sizes)
    x.reply = words[2];
  if (rest.size() < *bytes + 2)
    return std::nullopt;
  x.headers = rest.substr(0, static_cast<std::size_t>(*head));
  x.text = rest.substr(x.headers.size(), static_cast<std::size_t>(*bytes - *head));
  rest.remove_prefix(static_cast<std::size_t>(*bytes));
  if (cut(rest, "\r\n") != "") {
    why = "a message is longer than it says: " + printable(line);
    return std::nullopt;
  }
  return x;
}

} // namespace

std::optional<nats_message> next_message(std::string_view& rest, std::string& why) {
  using what = nats_message::what;
  auto end = rest.substr(0, line_bytes_max).find("\r\n");
  if (end == rest.npos) {
    if (rest.size() >= line_bytes_max)
      why = "a line is too long";
    return std::nullopt;
  }
  auto line = rest.substr(0, end);
  auto behind = rest.substr(end + 2);
  std::optional<nats_message> x;
  if (line.starts_with("MSG "))
    x = message_of(line.substr(4), false, behind, why);
  else if (line.starts_with("HMSG "))
    x = message_of(line.substr(5), true, behind, why);
  else if (line.starts_with("INFO "))
    x = nats_message{.is = what::info, .text = line.substr(5)};
  else if (line.starts_with("-ERR "))
    x = nats_message{.is = what::error, .text = line.substr(5)};
  else if (line == "PING")
    x = nats_message{.is = what::ping};
  else if (line == "PONG")
    x = nats_message{.is = what::pong};
  else if (line == "+OK")
    x = nats_message{};
  else
    why = "not the NATS protocol: " + printable(line);
  if (x)
    rest = behind;
  return x;
}

unsigned status_of(std::string_view headers) {
  constexpr std::string_view version = "NATS/1.0 ";
  if (!headers.starts_with(version))
    return 0;
  return static_cast<unsigned>(number(headers.substr(version.size(), 3)).value_or(0));
}

void add_subject(std::string& out, std::string_view root, std::string_view name) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  out.append(root);
  for (unsigned char x : name)
    if (x <= ' ' || x >= 0x7f || x == '.' || x == '*' || x == '>' || x == '%')
      out.append({'%', hex[x >> 4], hex[x & 15]});
    else
      out.push_back(static_cast<char>(x));
}

} // namespace confab::peers
