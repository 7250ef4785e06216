#include "support/redis_server.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace confab::test {

redis_server::redis_server(std::vector<std::string> settings) : settings_{std::move(settings)} {
  start();
}

redis_server::~redis_server() {
  if (pid_ != 0)
    kill();
}

void redis_server::start() {
  REQUIRE(pid_ == 0);
  auto file = scratch_ / "redis.conf";
  std::ofstream conf{file};
  conf << "port 0\nunixsocket " << (scratch_ / "socket").string() << "\nunixsocketperm 700\ndir "
       << file.parent_path().string() << "\nsave \"\"\nlogfile " << (scratch_ / "log").string()
       << "\nenable-debug-command local\n";
  for (const auto& line : settings_)
    conf << line << '\n';
  conf.close();
  std::error_code ignored;
  std::filesystem::remove(scratch_ / "socket", ignored);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::execlp("redis-server", "redis-server", file.c_str(), nullptr);
    ::_exit(127);
  }
  // It is ready when it answers; this bound only ends a test that cannot go on.
  for (int tries = 0; tries < 1500; ++tries) {
    auto how = options();
    how.password.clear();
    store::redis_connection one{how};
    auto there = one.connect();
    // One that wants a password answers, too.
    if (there || there.why().detail.find("NOAUTH") != std::string::npos)
      return;
    REQUIRE_MESSAGE(::waitpid(pid_, nullptr, WNOHANG) == 0, "redis-server ended by itself");
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  FAIL("redis-server does not answer");
}

void redis_server::kill() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void redis_server::pause() {
  ::kill(pid_, SIGSTOP);
}

void redis_server::go_on() {
  ::kill(pid_, SIGCONT);
}

store::redis_options redis_server::options() const {
  store::redis_options how;
  how.address.path = (scratch_ / "socket").string();
  return how;
}

store::redis_reply redis_server::ask(const std::vector<std::string>& words) {
  store::redis_connection one{options()};
  store::redis_command command{words.front()};
  for (std::size_t i = 1; i < words.size(); ++i)
    command.add(words[i]);
  auto reply = one.send(command);
  REQUIRE_MESSAGE(reply, reply.why().detail);
  return std::move(*reply);
}

} // namespace confab::test
