#include "net/load/http_answers.hpp"

#include "net/load/confab_text.hpp"

#include <algorithm>

namespace confab::net::load {

namespace {

constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr std::uint64_t body_bytes_max = 1024 * 1024;

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

} // namespace

std::string_view http_answer::field(std::string_view name) const {
  auto rest = head;
  while (!rest.empty()) {
    auto end = std::min(rest.find("\r\n"), rest.size());
    auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    if (line.size() > name.size() && line[name.size()] == ':' &&
        same(line.substr(0, name.size()), name)) {
      line.remove_prefix(name.size() + 1);
      return line.substr(std::min(line.find_first_not_of(' '), line.size()));
    }
  }
  return {};
}

std::optional<http_answer> read_head(std::string_view in, std::string& why) {
  auto end = in.substr(0, head_bytes_max).find("\r\n\r\n");
  if (end == in.npos) {
    if (in.size() >= head_bytes_max)
      why = "the head of an answer is too long";
    return std::nullopt;
  }
  http_answer x;
  x.head = in.substr(0, end + 4);
  scanner line{x.head};
  line.expect("HTTP/1.1 ");
  x.status = static_cast<unsigned>(line.number());
  if (!line.ok() || x.status < 200 || x.status > 599) {
    why = "an answer is not HTTP/1.1: " + shown(x.head);
    return std::nullopt;
  }
  return x;
}

std::optional<http_answer> read_answer(std::string_view in, std::string& why) {
  auto x = read_head(in, why);
  if (!x || x->status == 204)
    return x;
  scanner length{x->field("content-length")};
  auto bytes = length.number();
  if (!length.ok() || !length.rest().empty() || bytes > body_bytes_max) {
    why = "an answer has no usable length: " + shown(x->head);
    return std::nullopt;
  }
  if (in.size() - x->head.size() < bytes)
    return std::nullopt;
  x->body = in.substr(x->head.size(), bytes);
  return x;
}

} // namespace confab::net::load
