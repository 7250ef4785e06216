#include "bench/process_usage.hpp"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>

namespace confab::bench {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

struct process_stat {
  char state = '?';
  int parent = 0;
  std::int64_t user_ticks = 0;
  std::int64_t system_ticks = 0;
};

std::optional<process_stat> stat_of(int pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  // The name in brackets may hold anything, brackets too.
  auto end = text.rfind(')');
  if (end == text.npos)
    return std::nullopt;
  std::istringstream fields{text.substr(end + 1)};
  process_stat x;
  fields >> x.state >> x.parent;
  std::string skipped;
  for (int i = 0; i < 9; ++i)
    fields >> skipped;
  fields >> x.user_ticks >> x.system_ticks;
  return fields ? std::optional{x} : std::nullopt;
}

/// The processes themselves and what descends from them, as far as they are alive.
std::map<int, process_stat> family_of(const std::vector<int>& pids) {
  std::map<int, process_stat> all;
  if (auto* directory = ::opendir("/proc")) {
    while (const auto* entry = ::readdir(directory))
      if (auto pid = std::atoi(entry->d_name); pid > 0)
        if (auto x = stat_of(pid); x && x->state != 'Z' && x->state != 'X')
          all.emplace(pid, *x);
    ::closedir(directory);
  }
  std::map<int, process_stat> family;
  std::vector<int> next = pids;
  while (!next.empty()) {
    auto pid = next.back();
    next.pop_back();
    auto found = all.find(pid);
    if (found == all.end() || !family.emplace(pid, found->second).second)
      continue;
    for (const auto& [other, x] : all)
      if (x.parent == pid)
        next.push_back(other);
  }
  return family;
}

std::int64_t private_kib_of(int pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
  std::int64_t sum = 0;
  for (std::string line; std::getline(in, line);)
    for (const auto* key : {"Private_Clean:", "Private_Dirty:"})
      if (line.starts_with(key))
        sum += std::atoll(line.c_str() + std::string{key}.size());
  return sum;
}

std::int64_t cpu_ns_of(clockid_t clock) {
  timespec x{};
  if (::clock_gettime(clock, &x) != 0)
    return 0;
  return std::int64_t{x.tv_sec} * second_ns + x.tv_nsec;
}

} // namespace

process_usage usage_of(const std::vector<int>& pids, bool memory) {
  process_usage sum;
  if (pids.empty())
    return sum;
  const auto tick_ns = second_ns / ::sysconf(_SC_CLK_TCK);
  for (const auto& [pid, x] : family_of(pids)) {
    ++sum.processes;
    clockid_t clock{};
    // Finer than the ticks of `stat`.
    if (::clock_getcpuclockid(pid, &clock) == 0)
      sum.cpu_ns += cpu_ns_of(clock);
    sum.user_ns += x.user_ticks * tick_ns;
    sum.system_ns += x.system_ticks * tick_ns;
    if (memory)
      sum.private_kib += private_kib_of(pid);
  }
  return sum;
}

std::int64_t own_cpu_ns() {
  return cpu_ns_of(CLOCK_PROCESS_CPUTIME_ID);
}

} // namespace confab::bench
