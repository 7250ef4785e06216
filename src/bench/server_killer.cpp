#include "bench/server_killer.hpp"

#include "bench/process_usage.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace confab::bench {

namespace {

/// A killed process is gone after so many checks, one per millisecond.
constexpr int gone_checks_max = 5000;

} // namespace

server_killer::server_killer(int pid, std::string restart, double mean_s, std::uint64_t seed,
                             std::int64_t now_ns)
  : pid_{pid}, restart_{std::move(restart)}, mean_s_{mean_s}, random_{seed} {
  plan(now_ns);
}

void server_killer::plan(std::int64_t now_ns) {
  std::uniform_real_distribution<double> between{0.5 * mean_s_, 1.5 * mean_s_};
  next_ns_ = now_ns + static_cast<std::int64_t>(1e9 * between(random_));
}

std::string server_killer::tick(std::int64_t now_ns) {
  if (stopped_ || now_ns < next_ns_)
    return {};
  plan(now_ns);
  if (auto why = kill_now(); !why.empty())
    return why;
  ++kills_;
  return start();
}

std::string server_killer::kill_now() {
  // With whatever the command has started.
  if (::kill(own_ ? -pid_ : pid_, SIGKILL) != 0)
    return "the server (pid " + std::to_string(pid_) +
           ") could not be killed: " + std::strerror(errno);
  for (int i = 0; i < gone_checks_max; ++i) {
    // Where it has another parent, it is enough that it runs no more.
    if (own_ ? ::waitpid(pid_, nullptr, WNOHANG) == pid_ : usage_of({pid_}, false).processes == 0)
      return {};
    timespec wait{0, 1'000'000};
    ::nanosleep(&wait, nullptr);
  }
  return "the killed server (pid " + std::to_string(pid_) + ") does not end";
}

std::string server_killer::start() {
  auto child = ::fork();
  if (child < 0)
    return std::string{"fork: "} + std::strerror(errno);
  if (child == 0) {
    // Nothing of ours: stdout is the table's.
    ::setpgid(0, 0);
    auto nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDIN_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    ::close_range(STDERR_FILENO + 1, ~0U, 0);
    ::execl("/bin/sh", "sh", "-c", restart_.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::setpgid(child, child);
  pid_ = child;
  own_ = true;
  return {};
}

} // namespace confab::bench
