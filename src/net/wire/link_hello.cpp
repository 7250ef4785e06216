#include "net/wire/link_hello.hpp"

#include "net/wire/link_bytes.hpp"

#include <limits>

namespace confab::net::wire {

namespace {

constexpr std::string_view magic = "confab link";
constexpr std::size_t word_bytes_max = 256;

} // namespace

std::string make_link_hello(const link_hello& x) {
  std::string out{magic};
  add_leb128(out, x.protocol);
  for (const auto* text : {&x.cluster, &x.version, &x.incarnation, &x.to})
    add_text(out, *text);
  return out;
}

model::result<link_hello> read_link_hello(std::string_view bytes) {
  const model::error no_hello{model::code::bad_request, "does not begin as a link between nodes"};
  if (!bytes.starts_with(magic))
    return no_hello;
  link_bytes_reader in{bytes.substr(magic.size())};
  link_hello x;
  x.protocol = static_cast<std::uint32_t>(in.number(std::numeric_limits<std::uint32_t>::max()));
  x.cluster = in.text(word_bytes_max);
  x.version = in.text(word_bytes_max);
  x.incarnation = in.text(word_bytes_max);
  x.to = in.text(word_bytes_max);
  if (!in.whole() || x.incarnation.empty())
    return no_hello;
  return x;
}

} // namespace confab::net::wire
