// What one socket sends: whole frames, in order.
#include "support/outlet_bed.hpp"

using namespace confab::model;
using namespace confab::model::outlet_bed;

TEST_CASE(
    "wherever a send stops, the frame in progress ends before posted, control and entry frames") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  REQUIRE(expected.size() == 12);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    x.to.out.post("[post 1]");
    x.to.control("{control 1}");
    x.to.drain();
    std::vector<std::string> begun, later;
    for (const auto& f : expected)
      (f.begin < cut ? begun : later).push_back(f.text);
    std::string wanted;
    for (const auto& f : begun)
      wanted += f;
    wanted += "[post 1]{control 1}";
    for (const auto& f : later)
      wanted += f;
    CHECK(x.to.got == wanted);
    CHECK(x.to.out.control_sent());
  }
}

TEST_CASE("a blocked outlet keeps the rest of one frame and no more") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    std::size_t rest = 0;
    for (const auto& f : expected)
      if (f.begin < cut && cut < f.begin + f.text.size())
        rest = f.begin + f.text.size() - cut;
    CHECK(x.to.out.backlog() == rest);
  }
}

TEST_CASE("a blocked outlet keeps no page") {
  two_conversations x;
  x.to.send(4);
  outlet other;
  other.gather(x.to.held, x.to); // the next socket's turn
  CHECK(x.to.given.expired());
}

TEST_CASE("sent byte by byte, the frames are the same") {
  two_conversations whole, slow;
  whole.to.drain();
  while (slow.to.send(1))
    ;
  CHECK(slow.to.got == whole.to.got);
}

TEST_CASE("a control frame that has begun is not interrupted by frames that are posted meanwhile") {
  const std::string control = "{control 1}";
  for (std::size_t cut = 1; cut < control.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.control(control);
    x.to.send(cut);
    CHECK_FALSE(x.to.out.control_sent());
    x.to.out.post("[post 1]");
    x.to.send(1);
    x.to.drain();
    CHECK(x.to.got.starts_with("{control 1}[post 1]<a 1 x>"));
  }
}

TEST_CASE("of the pongs that wait only the newest leaves, behind the one that has begun") {
  const std::string first = "{control 1}";
  for (std::size_t cut = 0; cut < first.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.control(first);
    if (cut > 0)
      x.to.send(cut);
    x.to.out.post("[post 1]");
    x.to.control("{control 2}");
    x.to.control("{control 3}");
    x.to.drain();
    // A frame that is not begun waits behind those that were posted.
    CHECK(x.to.got.starts_with(cut > 0 ? "{control 1}[post 1]{control 3}<a 1 x>"
                                       : "[post 1]{control 3}<a 1 x>"));
    CHECK(x.to.out.control_sent());
  }
}

TEST_CASE("a pong that waits leaves before the close frame, and nothing is queued behind that") {
  two_conversations x;
  x.to.out.post("[post 1]");
  x.to.control("{control 1}");
  x.to.control("{close}", true);
  x.to.control("{control 2}");
  x.to.control("{close 2}", true);
  x.to.drain();
  CHECK(x.to.got == "[post 1]{control 1}{close}");
}

TEST_CASE("nothing leaves behind a close frame") {
  two_conversations whole;
  whole.to.drain();
  const auto expected = frames_of(whole.to.got);
  for (std::size_t cut = 0; cut <= whole.to.got.size(); ++cut) {
    CAPTURE(cut);
    two_conversations x;
    x.to.send(cut);
    x.to.out.post("[post 1]");
    x.to.control("{close}", true);
    x.to.out.post("[post 2]");
    x.to.send(3);
    x.to.out.post("[post 3]");
    x.to.drain();
    std::string wanted;
    for (const auto& f : expected)
      if (f.begin < cut)
        wanted += f.text;
    CHECK(x.to.got == wanted + "[post 1]{close}");
    x.to.out.post("[post 4]");
    CHECK(x.to.out.backlog() == 0);
  }
}

TEST_CASE("entries that are stopped stay, and what is posted still leaves") {
  two_conversations x;
  x.to.send(2);
  x.to.out.stop_entries();
  x.to.out.post("[post 1]");
  x.to.drain();
  CHECK(x.to.got == "<a 1 x>[post 1]");
}

TEST_CASE("a follower that was forgotten sends nothing more") {
  two_conversations x;
  x.to.out.forget(*x.to.followers[0]);
  x.to.drain();
  CHECK(x.to.got.starts_with("<b 1 x>"));
  CHECK(x.to.got.find("<a") == std::string::npos);
}

TEST_CASE("a page that has not come keeps neither the other conversations nor live ones waiting") {
  two_conversations x;
  x.to.late = true;
  history c{"c"};
  c.append({1}, true);
  x.to.follow(c);
  x.to.drain();
  CHECK(x.to.got == "<c 1 x><c live 1>");
  x.to.arrive();
  x.to.drain();
  CHECK(frames_of(x.to.got).size() == 14);
}

TEST_CASE("whoever needed the log is told live again, wherever the send of the page stopped") {
  for (std::size_t cut = 0; cut <= 26; ++cut) {
    CAPTURE(cut);
    history c{"c"};
    bed to;
    c.append({1}, true);
    auto& reader = to.follow(c);
    to.drain();
    c.append({1, 1}, false);
    to.out.make_ready(reader);
    to.send(cut);
    to.out.make_ready(reader);
    to.drain();
    CHECK(to.got == "<c 1 x><c live 1><c 2 x><c 3 x><c live 3>");
  }
}
