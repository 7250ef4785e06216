// Against a real redis-server, and against peers that are none.
#include "store/redis_connection.hpp"

#include "support/redis_server.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace confab;
using namespace confab::test;
using store::redis_command;
using store::redis_connection;
using store::redis_script;
using kind = store::redis_reply::kind;

namespace {

/// Answers each connection with these bytes, then closes it; asks nothing.
class false_redis {
public:
  explicit false_redis(std::string bytes) : bytes_{std::move(bytes)} {
    path_ = (scratch_ / "socket").string();
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(listener_ >= 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path_.copy(to.sun_path, sizeof to.sun_path - 1);
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    thread_ = std::thread{[this] { serve(); }};
  }
  false_redis(const false_redis&) = delete;
  false_redis& operator=(const false_redis&) = delete;
  ~false_redis() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] store::redis_options options() const {
    store::redis_options how;
    how.address.path = path_;
    return how;
  }

private:
  void serve() {
    for (;;) {
      auto fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0)
        return;
      char asked[4096];
      // The greeting; what it says does not matter.
      [[maybe_unused]] auto read = ::recv(fd, asked, sizeof asked, 0);
      [[maybe_unused]] auto sent = ::send(fd, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
      ::close(fd);
    }
  }

  scratch_directory scratch_;
  std::string path_;
  std::string bytes_;
  int listener_ = -1;
  std::thread thread_;
};

std::string refusal_of(const std::string& bytes) {
  false_redis peer{bytes};
  redis_connection one{peer.options()};
  auto there = one.connect();
  REQUIRE_FALSE(there);
  CHECK_FALSE(one.connected());
  return there.why().detail;
}

std::string greeting(const std::string& info) {
  return "+OK\r\n$" + std::to_string(info.size()) + "\r\n" + info + "\r\n";
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("an address is host:port, [v6]:port or an absolute path, and nothing else") {
  CHECK(*store::parse_redis_address("10.0.0.1:6379") == store::redis_address{"10.0.0.1", 6379, ""});
  CHECK(*store::parse_redis_address("[::1]:1") == store::redis_address{"::1", 1, ""});
  CHECK(*store::parse_redis_address("/run/redis.sock") ==
        store::redis_address{"", 0, "/run/redis.sock"});
  for (const char* text : {"", "localhost", ":6379", "h:", "h:0", "h:65536", "h:1x", "::1:6379",
                           "redis://h:1", "rediss://h:1"}) {
    CAPTURE(text);
    REQUIRE_FALSE(store::parse_redis_address(text));
  }
  CHECK(contains(store::parse_redis_address("rediss://h:1").why().detail, "TLS"));
  CHECK_FALSE(store::parse_redis_address('/' + std::string(200, 'x')));
}

TEST_CASE("a pipeline's replies come in order, each as its kind, errors among them") {
  redis_server redis;
  redis_connection one{redis.options()};
  std::vector<redis_command> all{{"SET", {"k", std::string_view{"a\0\r\nb", 5}}},
                                 {"GET", {"k"}},
                                 {"GET", {"none"}},
                                 {"INCR", {"k"}},
                                 {"RPUSH", {"l", "1", "2"}},
                                 {"LRANGE", {"l", "0", "-1"}}};
  auto got = one.send_all(all);
  REQUIRE_MESSAGE(got, got.why().detail);
  REQUIRE(got->size() == all.size());
  CHECK((*got)[1].text == std::string{"a\0\r\nb", 5});
  CHECK((*got)[2].is(kind::nil));
  CHECK((*got)[3].is(kind::error));
  CHECK(*store::integer_of((*got)[4], "RPUSH") == 2);
  auto list = store::elements_of((*got)[5], "LRANGE");
  REQUIRE(list);
  CHECK((*list)->at(1).text == "2");
  CHECK_FALSE(one.facts().run_id.empty());
}

TEST_CASE("a reply of another kind than its command promises is an error that names the command") {
  redis_server redis;
  redis_connection one{redis.options()};
  auto nil = one.send({"GET", {"none"}});
  REQUIRE(nil);
  auto text = store::text_of(*nil, "GET");
  REQUIRE_FALSE(text);
  CHECK(text.why().detail == "Redis: GET: answered nil, which it never should");
  CHECK_FALSE(store::integer_of(*nil, "GET"));
  CHECK_FALSE(store::elements_of(*nil, "GET"));

  auto wrong = one.send({"XADD", {"s", "no id", "f", "secret payload"}});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.why().what == model::code::store_failed);
  CHECK(contains(wrong.why().detail, "Redis: XADD: ERR"));
  auto unknown = one.send({"NOSUCH", {"secret payload"}});
  REQUIRE_FALSE(unknown);
  CHECK_FALSE(contains(unknown.why().detail, "secret"));
}

TEST_CASE("a user's password and the database's number open the connection, a wrong one does not") {
  redis_server redis{{"user default off", "user confab on >sesame ~* &* +@all"}};
  auto how = redis.options();
  how.user = "confab";
  how.password = "sesame";
  how.database = 3;
  redis_connection one{how};
  REQUIRE(one.send({"SET", {"k", "1"}}));
  how.database = 0;
  redis_connection other{how};
  CHECK(other.send({"GET", {"k"}})->is(kind::nil));
  how.password = "open";
  redis_connection refused{how};
  auto there = refused.connect();
  REQUIRE_FALSE(there);
  CHECK(contains(there.why().detail, "AUTH: WRONGPASS"));
  CHECK_FALSE(contains(there.why().detail, "open"));
  how.password.clear();
  redis_connection stranger{how};
  CHECK(contains(stranger.connect().why().detail, "NOAUTH"));
}

TEST_CASE(
    "a script that Redis has forgotten is loaded again, and no call of it is lost or doubled") {
  redis_server redis;
  redis_connection one{redis.options()};
  constexpr redis_script count{"count", "return redis.call('INCRBY', KEYS[1], ARGV[1])"};
  std::vector<store::redis_call> calls(10, {{"n"}, {"2"}});
  for (int round = 1; round <= 3; ++round) {
    auto got = one.call_all(count, calls);
    REQUIRE_MESSAGE(got, got.why().detail);
    CHECK(*store::integer_of(got->back(), "count") == round * 20);
    redis.ask({"SCRIPT", "FLUSH"});
  }
}

TEST_CASE("a connection that Redis has closed meanwhile is opened anew without an error") {
  redis_server redis;
  redis_connection one{redis.options()};
  REQUIRE(one.send({"SET", {"k", "1"}}));
  redis.ask({"CLIENT", "KILL", "TYPE", "normal"});
  auto got = one.send({"INCR", {"k"}});
  REQUIRE_MESSAGE(got, got.why().detail);
  CHECK(got->number == 2);
}

TEST_CASE("what was sent and not answered is unknown; then the connection comes back by itself") {
  redis_server redis;
  auto how = redis.options();
  how.command_ms = 100;
  redis_connection one{how};
  REQUIRE(one.connect());
  redis.pause();
  auto got = one.send({"INCR", {"k"}});
  REQUIRE_FALSE(got);
  CHECK(got.why().what == model::code::append_unknown);
  CHECK(contains(got.why().detail, "INCR"));
  CHECK_FALSE(one.connected());
  redis.go_on();
  // It was executed all the same.
  model::result<store::redis_reply> now = got.why();
  for (int tries = 0; tries < 1000 && !now; ++tries) {
    now = one.send({"GET", {"k"}});
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  REQUIRE(now);
  CHECK(now->text == "1");
}

TEST_CASE("without Redis, tries wait for the backoff and say why; when it is back, they succeed") {
  redis_server redis;
  redis_connection one{redis.options()};
  REQUIRE(one.connect());
  redis.kill();
  auto got = one.send(redis_command{"PING"});
  REQUIRE_FALSE(got);
  auto again = one.send(redis_command{"PING"});
  REQUIRE_FALSE(again);
  CHECK(again.why().what == model::code::store_failed);
  CHECK(contains(again.why().detail, "cannot connect to"));
  CHECK(one.retry_in_ms() > 0);
  redis.start();
  for (int tries = 0; tries < 1000 && !one.connect(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  CHECK(one.send(redis_command{"PING"}));
}

TEST_CASE("when one of several connections gets through, the others do not wait any longer") {
  redis_server redis;
  auto how = redis.options();
  how.reconnect = {.first_ms = 600'000, .last_ms = 600'000};
  how.reach = std::make_shared<store::redis_reach>();
  redis.kill();
  redis_connection one{how}, other{how};
  CHECK_FALSE(one.connect());
  CHECK(one.retry_in_ms() > 0);
  redis.start();
  CHECK_FALSE(one.connect());
  REQUIRE(other.connect());
  CHECK(one.retry_in_ms() == 0);
  CHECK(one.connect());
}

TEST_CASE(
    "a peer that is no Redis, an old one, a Sentinel or a Redis Cluster is refused with why") {
  CHECK(contains(refusal_of("HTTP/1.1 400 Bad Request\r\n\r\n"), "unreadable reply"));
  CHECK(contains(refusal_of(""), "closed the connection, before CLIENT"));
  CHECK(contains(refusal_of("+OK\r\n$100\r\nredis_ver"), "closed the connection, before INFO"));
  CHECK(contains(refusal_of("+OK\r\n:1\r\n"), "INFO: answered an integer"));
  CHECK(contains(refusal_of("*1000001\r\n"), "unreadable reply"));
  CHECK(contains(refusal_of(greeting("redis_version:6.2.1\r\nredis_mode:standalone\r\n")),
                 "version 6.2.1"));
  CHECK(contains(refusal_of(greeting("redis_version:7.0.15\r\nredis_mode:cluster\r\n")),
                 "Redis Cluster"));
  CHECK(contains(refusal_of(greeting("redis_version:7.0.15\r\nredis_mode:sentinel\r\n")),
                 "Sentinel"));
}

TEST_CASE("a reply beyond the bound ends the connection") {
  redis_server redis;
  auto how = redis.options();
  how.reply_bytes = 1 << 20;
  redis_connection one{how};
  REQUIRE(one.send({"SETRANGE", {"k", "3000000", "x"}}));
  auto got = one.send({"GET", {"k"}});
  REQUIRE_FALSE(got);
  CHECK(contains(got.why().detail, "more than 1048576 bytes"));
  CHECK(one.send(redis_command{"PING"}));
}

TEST_CASE("a published message is received, and without one the wait ends") {
  redis_server redis;
  redis_connection one{redis.options()};
  REQUIRE(one.send({"SUBSCRIBE", {"room"}}));
  auto none = one.receive(1);
  REQUIRE(none);
  CHECK_FALSE(*none);
  redis.ask({"PUBLISH", "room", "hello"});
  auto got = one.receive(60'000);
  REQUIRE(got);
  REQUIRE(*got);
  CHECK((*got)->elements.at(2).text == "hello");
}
