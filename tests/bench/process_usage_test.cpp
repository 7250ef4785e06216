// What a measured server's processes cost is read from /proc: of real processes.
#include "bench/process_usage.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace confab;

namespace {

constexpr std::size_t touched_bytes = 16 * 1024 * 1024;

/// A process that holds touched memory, and a child that does the same, until it is destroyed.
class family {
public:
  family() {
    REQUIRE(::pipe(ready_) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::setpgid(0, 0);
      if (::fork() >= 0 && hold())
        for (;;)
          ::pause();
      ::_exit(1);
    }
    char both[2];
    for (auto& x : both)
      REQUIRE(::read(ready_[0], &x, 1) == 1);
  }
  family(const family&) = delete;
  family& operator=(const family&) = delete;
  ~family() {
    if (pid_ > 0)
      end();
    ::close(ready_[0]);
    ::close(ready_[1]);
  }

  void end() {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] int pid() const noexcept { return pid_; }

private:
  /// Only what may be called between a fork and an exec.
  bool hold() const noexcept {
    auto* at =
        ::mmap(nullptr, touched_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
      return false;
    for (std::size_t i = 0; i < touched_bytes; i += 4096)
      static_cast<volatile char*>(at)[i] = 1;
    return ::write(ready_[1], "x", 1) == 1;
  }

  int ready_[2] = {-1, -1};
  pid_t pid_ = 0;
};

} // namespace

TEST_CASE("a server's children are counted with it, their memory too") {
  family x;
  auto usage = bench::usage_of({x.pid()});
  CHECK(usage.processes == 2);
  CHECK(usage.private_kib >= 2 * std::int64_t{touched_bytes} / 1024);
  CHECK(usage.cpu_ns > 0);
  CHECK(bench::usage_of({x.pid(), x.pid()}).processes == 2);
  CHECK(bench::usage_of({x.pid()}, false).private_kib == 0);
}

TEST_CASE("a process that has ended costs nothing and is not counted") {
  family x;
  auto pid = x.pid();
  x.end();
  CHECK(bench::usage_of({pid}).processes == 0);
  CHECK(bench::usage_of({}).processes == 0);
}

TEST_CASE("the time of this process rises as it works") {
  auto before = bench::own_cpu_ns();
  auto after = before;
  // Reading the clock is work itself.
  for (int tries = 0; after == before && tries < 1'000'000; ++tries)
    after = bench::own_cpu_ns();
  CHECK(after > before);
}
