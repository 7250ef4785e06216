// What the next minor version may say to this one over a link (link_frame.hpp, invariant 1): each
// record has members more, and each frame a record of a kind that this version does not know. The
// linker puts these in front of the program's own functions (tests/CMakeLists.txt).
#include "net/wire/link_bytes.hpp"
#include "net/wire/link_frame.hpp"
#include "net/wire/link_hello.hpp"

using namespace confab::net::wire;

namespace {

constexpr char unknown_kind = 100;
constexpr std::string_view news = "\x01\xFFnews";

} // namespace

extern "C" {

std::string __real__ZNO6confab3net4wire17link_frame_writer6finishB5cxx11Ev(link_frame_writer&& x);
std::string
__real__ZN6confab3net4wire15make_link_helloB5cxx11ERKNS1_10link_helloE(const link_hello& x);

std::string __wrap__ZNO6confab3net4wire17link_frame_writer6finishB5cxx11Ev(link_frame_writer&& x) {
  auto bytes = __real__ZNO6confab3net4wire17link_frame_writer6finishB5cxx11Ev(std::move(x));
  link_bytes_reader in{bytes};
  std::string out;
  add_leb128(out, in.number()); // serial
  add_leb128(out, in.number()); // acked
  while (in.whole() && !in.at_end()) {
    out.push_back(unknown_kind);
    add_text(out, news);
    out.push_back(static_cast<char>(in.number()));
    add_text(out, std::string{in.text()}.append(news));
  }
  return out;
}

std::string
__wrap__ZN6confab3net4wire15make_link_helloB5cxx11ERKNS1_10link_helloE(const link_hello& x) {
  auto next = x;
  next.version = "next";
  return __real__ZN6confab3net4wire15make_link_helloB5cxx11ERKNS1_10link_helloE(next).append(news);
}
}
