// What a client sends is read whole, however it is cut, or refused with the right code.
#include "net/wire/frame_reader.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace confab::net::wire;
using kind = frame_event::kind;

namespace {

using generator = std::minstd_rand;

std::size_t below(generator& random, std::size_t bound) {
  return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random);
}

/// As a client frames it.
std::string frame(std::string_view payload, int opcode = 1, bool final = true,
                  std::string_view mask = "\x12\xe4\x56\x78") {
  std::string out(1, static_cast<char>((final ? 0x80 : 0) | opcode));
  auto n = payload.size();
  auto extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
  out += static_cast<char>(0x80 | (extra == 0 ? n : extra == 2 ? 126u : 127u));
  for (int i = extra; i-- > 0;)
    out += static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i));
  out += mask;
  for (std::size_t i = 0; i < n; ++i)
    out += static_cast<char>(payload[i] ^ mask[i % 4]);
  return out;
}

std::string close_frame(int code, std::string_view reason = {}) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  return frame(payload.append(reason), 8);
}

struct seen {
  kind what;
  std::string payload;
  int code = 0;

  friend bool operator==(const seen&, const seen&) = default;
};

std::ostream& operator<<(std::ostream& out, const seen& x) {
  return out << static_cast<int>(x.what) << ' ' << x.code << " (" << x.payload.size() << ") "
             << x.payload.substr(0, 40);
}

/// A socket's side of the reader: a buffer that is filled, read and given back.
struct reading {
  std::size_t message_bytes_max = 1000;
  frame_reader reader;
  std::vector<seen> events;

  /// @param events_max how many events the session takes of these bytes before it is held back.
  void feed(std::string_view bytes, std::size_t events_max = std::size_t(-1)) {
    // Of exactly the size that is needed, so that a sanitizer sees what reads beyond.
    std::vector<char> buffer(kept + bytes.size());
    auto left = reader.resume(buffer);
    CHECK(left.size() == kept);
    std::copy(bytes.begin(), bytes.end(), buffer.begin() + static_cast<std::ptrdiff_t>(kept));
    left = buffer;
    while (events_max-- > 0) {
      auto x = reader.next(left, message_bytes_max);
      if (x.what == kind::none)
        break;
      events.push_back({x.what, std::string{x.payload}, x.code});
    }
    reader.keep(left);
    kept = reader.ended() ? 0 : left.size();
  }

  std::size_t kept = 0;
};

std::vector<seen> read(std::string_view bytes) {
  reading x;
  x.feed(bytes);
  // Byte by byte it is the same.
  reading y;
  for (char c : bytes)
    y.feed({&c, 1});
  CHECK(x.events == y.events);
  return x.events;
}

void check_broken(std::string_view bytes, int code) {
  auto got = read(std::string{bytes} + frame("behind"));
  REQUIRE(got.size() == 1);
  CHECK(got[0] == seen{kind::broken, {}, code});
}

std::string random_text(generator& random, std::size_t bytes) {
  static const std::vector<std::string> characters{
      "a", "\n", "é", "東", "\xf0\x9f\x98\x80", "\x7f", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
  std::string out;
  auto ascii = below(random, 2) == 0;
  while (out.size() < bytes)
    out += ascii ? std::string(1, static_cast<char>(' ' + below(random, 95)))
                 : characters[below(random, characters.size())];
  return out;
}

std::string random_mask(generator& random) {
  std::string out;
  for (int i = 0; i < 4; ++i)
    out += static_cast<char>(below(random, 256));
  return out;
}

/// Bytes of a client that keeps to the protocol, and what is to be read from them.
std::string random_session(generator& random, std::vector<seen>& expected, std::size_t limit) {
  std::string bytes;
  auto maybe_control = [&] {
    if (below(random, 3) > 0)
      return;
    auto op = below(random, 2) == 0 ? 9 : 10;
    auto payload = random_text(random, below(random, 120));
    bytes += frame(payload, op, true, random_mask(random));
    expected.push_back({op == 9 ? kind::ping : kind::pong, payload});
  };
  for (auto n = 1 + below(random, 8); n > 0; --n) {
    maybe_control();
    auto text = below(random, 4) > 0;
    auto payload =
        random_text(random, below(random, 5) == 0 ? below(random, 70'000) : below(random, 300));
    std::string_view rest{payload};
    for (auto op = text ? 1 : 2;; op = 0) {
      auto last = below(random, 2) == 0;
      auto part = rest.substr(0, last ? rest.size() : below(random, rest.size() + 1));
      bytes += frame(part, op, last, random_mask(random));
      rest.remove_prefix(part.size());
      if (last)
        break;
      maybe_control();
    }
    if (payload.size() > limit)
      expected.push_back({kind::too_large, {}});
    else
      expected.push_back({text ? kind::text : kind::binary, payload});
  }
  return bytes;
}

} // namespace

TEST_CASE("every length of a message is read, alone and in fragments") {
  for (std::size_t n : {0u, 1u, 7u, 8u, 125u, 126u, 127u, 999u, 1000u}) {
    CAPTURE(n);
    std::string text(n, 'x');
    CHECK(read(frame(text)) == std::vector<seen>{{kind::text, text}});
    CHECK(read(frame(text, 2)) == std::vector<seen>{{kind::binary, text}});
    CHECK(read(frame(text.substr(0, n / 2), 1, false) + frame("", 0, false) +
               frame(text.substr(n / 2), 0)) == std::vector<seen>{{kind::text, text}});
  }
}

TEST_CASE("what a client sends is what is read, however it is fragmented and cut") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    generator random{seed};
    reading x;
    x.message_bytes_max = below(random, 2) == 0 ? 20'000u : 100'000u;
    std::vector<seen> expected;
    auto bytes = random_session(random, expected, x.message_bytes_max);
    auto most = 1 + (below(random, 2) == 0 ? below(random, 20) : below(random, 70'000));
    for (std::string_view rest{bytes}; !rest.empty();) {
      auto part = rest.substr(0, 1 + below(random, most));
      rest.remove_prefix(part.size());
      // Held back now and then: what is not taken is kept.
      x.feed(part, below(random, 4) == 0 ? below(random, 2) : std::size_t(-1));
    }
    x.feed({});
    REQUIRE(x.events == expected);
    CHECK(x.kept == 0);
  }
}

TEST_CASE("corrupted bytes lead to events within the bounds, or to one error") {
  for (unsigned seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    generator random{seed};
    reading x;
    x.message_bytes_max = 20'000;
    std::vector<seen> expected;
    auto bytes = random_session(random, expected, x.message_bytes_max);
    for (auto n = 1 + below(random, 4); n > 0; --n)
      bytes[below(random,
                  below(random, 2) == 0 ? std::min<std::size_t>(bytes.size(), 40) : bytes.size())] =
          static_cast<char>(below(random, 256));
    for (std::string_view rest{bytes}; !rest.empty();) {
      auto part = rest.substr(0, 1 + below(random, 5000));
      rest.remove_prefix(part.size());
      x.feed(part);
      // Less than a header and a control frame's payload.
      CHECK(x.kept < 14 + 125);
    }
    for (std::size_t i = 0; i < x.events.size(); ++i) {
      const auto& y = x.events[i];
      auto end = y.what == kind::broken || y.what == kind::close;
      CHECK(end == (x.reader.ended() && i + 1 == x.events.size()));
      CHECK(y.payload.size() <= (y.what == kind::text || y.what == kind::binary ? 20'000u : 125u));
      if (y.what == kind::text)
        CHECK(valid_utf8(y.payload));
      if (y.what == kind::broken)
        CHECK((y.code == 1002 || y.code == 1007 || y.code == 1009));
    }
  }
}

TEST_CASE("what is against the protocol breaks the connection with code 1002") {
  using namespace std::string_literals;
  auto mask = "\0\0\0\0"s;
  check_broken("\x81\x02{}"s, 1002); // not masked
  for (int reserved : {0x40, 0x20, 0x10})
    check_broken(std::string(1, static_cast<char>(0x81 | reserved)) + "\x80" + mask, 1002);
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
    check_broken(frame("", opcode), 1002);
  check_broken(frame("x", 0), 1002);                          // continues nothing
  check_broken(frame("x", 1, false) + frame("x"), 1002);      // begins within another
  check_broken(frame("x", 9, false), 1002);                   // a control frame in fragments
  check_broken("\x89\xfe\x00\x7e"s + mask, 1002);             // a long control frame
  check_broken("\x81\xfe\x00\x7d"s + mask, 1002);             // not the shortest form
  check_broken("\x81\xff\0\0\0\0\0\0\xff\xff"s + mask, 1002); // not the shortest form
  check_broken("\x81\xff\x80\0\0\0\0\0\0\0"s + mask, 1002);   // the highest bit
  check_broken(frame("\x03", 8), 1002);                       // half a close code
  for (int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535})
    check_broken(close_frame(code), 1002);
}

TEST_CASE("text that is not UTF-8 breaks the connection with code 1007, as soon as that is sure") {
  for (std::string_view bad :
       {"\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5", "\x80", "\xc3(", "\xe6\x9d"}) {
    CAPTURE(bad);
    check_broken(frame(bad), 1007);
    check_broken(frame("long enough for words " + std::string{bad}), 1007);
    check_broken(frame(bad.substr(0, 1), 1, false) + frame(bad.substr(1), 0), 1007);
    check_broken(close_frame(1000, bad), 1007);
    CHECK(read(frame(bad, 2)) == std::vector<seen>{{kind::binary, std::string{bad}}});
  }
  reading x;
  x.feed(frame("\xed\xa0", 1, false)); // a surrogate: what follows cannot mend it
  CHECK(x.events == std::vector<seen>{{kind::broken, {}, 1007}});
}

TEST_CASE("a character may be cut by a fragment, and a control frame come between") {
  CHECK(read(frame("\xe6", 1, false) + frame("in between", 9) + frame("\x9d", 0, false) +
             frame("\xb1", 0)) ==
        std::vector<seen>{{kind::ping, "in between"}, {kind::text, "東"}});
}

TEST_CASE("a close frame ends the reading, with the codes that a peer may send") {
  CHECK(read(frame("", 8) + frame("behind")) == std::vector<seen>{{kind::close, {}}});
  for (int code : {1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 4999})
    CHECK(read(close_frame(code, "réason") + frame("behind")) ==
          std::vector<seen>{{kind::close, "réason", code}});
}

TEST_CASE(
    "a message beyond the limit is read and not kept; one beyond all measure ends the connection") {
  std::string large(1001, 'x');
  CHECK(read(frame(large) + frame("next")) ==
        std::vector<seen>{{kind::too_large, {}}, {kind::text, "next"}});
  CHECK(read(frame(large.substr(0, 600), 1, false) + frame("", 9) + frame(large.substr(0, 600), 0) +
             frame("next")) ==
        std::vector<seen>{{kind::ping, {}}, {kind::too_large, {}}, {kind::text, "next"}});
  CHECK(read(frame(std::string(16'000, 'x'))) == std::vector<seen>{{kind::too_large, {}}});
  check_broken(frame(std::string(16'001, 'x')), 1009);
  check_broken(frame(std::string(16'000, 'x'), 1, false) + frame("x", 0), 1009);
  using namespace std::string_literals;
  // At its header: nobody waits for what it claims.
  check_broken("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"s, 1009);
}
