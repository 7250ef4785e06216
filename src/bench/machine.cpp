#include "bench/report.hpp"

#include <fstream>
#include <string>
#include <thread>

#include <stdlib.h>
#include <sys/utsname.h>

namespace confab::bench {

namespace {

std::string cpu_model() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);) {
    // x86 says "model name", some ARM kernels "Processor" or "Model".
    auto colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size())
      continue;
    if (line.starts_with("model name") || line.starts_with("Processor") ||
        line.starts_with("Model"))
      return line.substr(colon + 2);
  }
  return {};
}

} // namespace

machine_description this_machine() {
  machine_description x;
  x.cores = std::thread::hardware_concurrency();
  x.cpu = cpu_model();
  utsname name{};
  if (uname(&name) == 0)
    x.kernel = std::string{name.sysname} + ' ' + name.release;
  double load = 0;
  if (getloadavg(&load, 1) == 1)
    x.load_average = load;
  return x;
}

} // namespace confab::bench
