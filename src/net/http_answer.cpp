#include "net/http_answer.hpp"

#include <boost/beast/http/status.hpp>

#include <array>
#include <charconv>
#include <ctime>
#include <ostream> // status.hpp uses it without saying so

namespace confab::net {

namespace {

/// The Date field's text, made once a second.
std::string_view date() {
  thread_local std::time_t made_at = -1;
  thread_local std::array<char, 40> text;
  thread_local std::size_t size = 0;
  if (auto now = std::time(nullptr); now != made_at) {
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    // The program keeps the C locale, whose names are those of RFC 9110.
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made_at = now;
  }
  return {text.data(), size};
}

} // namespace

std::string begin_answer(const answer_head& x) {
  std::string out;
  out.reserve(512);
  out.append("HTTP/1.1 ").append(std::to_string(x.status)).append(" ").append(reason_of(x.status));
  out.append("\r\nServer: confab/" CONFAB_VERSION "\r\nDate: ").append(date());
  out.append("\r\nCache-Control: ").append(x.cache);
  // What other sites may have, CORS tells; nothing else of theirs may take it in.
  out += "\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";
  if (!x.type.empty())
    out.append("Content-Type: ").append(x.type).append("\r\n");
  out += x.fields;
  if (x.closes)
    out += "Connection: close\r\n";
  else if (x.says_keep_alive)
    out += "Connection: keep-alive\r\n";
  return out;
}

void add_chunk(std::string& out, std::string_view bytes) {
  char size[16];
  auto end = std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr;
  out.append(size, end).append("\r\n").append(bytes).append("\r\n");
}

std::string_view reason_of(unsigned status) {
  auto text = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  return {text.data(), text.size()};
}

} // namespace confab::net
