// What the bare server and the bare log share: time, options, WebSocket frames, results.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace confab::bench {

/// Ends the run: the figures would be worth nothing.
[[noreturn]] inline void fail(const std::string& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "FAILED: %s\n", why.c_str());
  std::exit(1);
}

/// Monotonic; the same clock in all processes of the machine.
inline std::int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

constexpr std::int64_t second_ns = 1'000'000'000;

inline timespec to_timespec(std::int64_t ns) {
  ns = std::max<std::int64_t>(ns, 0);
  return {static_cast<std::time_t>(ns / second_ns), static_cast<long>(ns % second_ns)};
}

/// `--name=value`; every option must be asked for before `check`.
class options {
public:
  options(int argc, char** argv, int first) {
    for (int i = first; i < argc; ++i) {
      std::string_view x = argv[i];
      if (!x.starts_with("--"))
        fail("not an option: " + std::string{x});
      x.remove_prefix(2);
      auto equals = x.find('=');
      auto value = equals == x.npos ? std::string_view{"1"} : x.substr(equals + 1);
      values_.emplace(x.substr(0, equals), value);
    }
  }

  std::string text(const std::string& name, std::string_view otherwise) {
    auto i = values_.find(name);
    if (i == values_.end())
      return std::string{otherwise};
    auto value = i->second;
    known_.push_back(name);
    return value;
  }

  std::int64_t number(const std::string& name, std::int64_t otherwise, std::int64_t least,
                      std::int64_t most) {
    auto value = text(name, std::to_string(otherwise));
    std::int64_t x = 0;
    auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), x);
    if (failure != std::errc{} || end != value.data() + value.size() || x < least || x > most)
      fail("--" + name + ": a number from " + std::to_string(least) + " to " +
           std::to_string(most) + " is needed");
    return x;
  }

  /// An unknown option is an error, not a default.
  void check() const {
    for (const auto& [name, value] : values_)
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        fail("unknown option: --" + name);
  }

private:
  std::map<std::string, std::string> values_;
  std::vector<std::string> known_;
};

// RFC 6455 §5.2, as much of it as two ends that know each other need: no fragments, no extensions.

struct frame {
  unsigned char opcode;
  std::string_view payload;
  /// Bytes of header and payload.
  std::size_t size;
};

/// The frame at the beginning of `bytes`, or nothing when it is not complete. Unmasks in place.
inline std::optional<frame> next_frame(char* bytes, std::size_t n) {
  if (n < 2)
    return std::nullopt;
  const auto* head = reinterpret_cast<const unsigned char*>(bytes);
  std::size_t length = head[1] & 0x7f;
  std::size_t header = 2;
  int extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  auto mask_bytes = head[1] & 0x80 ? 4u : 0u;
  if (n < header + static_cast<std::size_t>(extra) + mask_bytes)
    return std::nullopt;
  if (extra > 0) {
    length = 0;
    for (int i = 0; i < extra; ++i)
      length = length << 8 | head[header++];
  }
  const auto* mask = bytes + header;
  header += mask_bytes;
  if (n - header < length)
    return std::nullopt;
  if (mask_bytes)
    for (std::size_t i = 0; i < length; ++i)
      bytes[header + i] = static_cast<char>(bytes[header + i] ^ mask[i % 4]);
  return frame{
      static_cast<unsigned char>(head[0] & 0x0f), {bytes + header, length}, header + length};
}

/// @param masked as a client must; the key is 0, which costs this end nothing and the other end the
/// same.
inline void add_frame(std::string& out, std::string_view payload, bool masked,
                      unsigned char opcode = 1) {
  auto n = payload.size();
  int extra = n < 126 ? 0 : n < 65536 ? 2 : 8;
  out.push_back(static_cast<char>(0x80 | opcode));
  out.push_back(static_cast<char>((extra == 0 ? n : extra == 2 ? 126 : 127) | (masked ? 0x80 : 0)));
  for (int i = extra; i-- > 0;)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i)));
  if (masked)
    out.append(4, '\0');
  out.append(payload);
}

/// A JSON payload of exactly `bytes` bytes that says when it was made:
/// `{"t":"0000003061234567890","x":"aaa…"}`.
constexpr std::size_t payload_bytes_min = 36;
constexpr std::size_t payload_time_at = 6;
constexpr std::size_t payload_time_digits = 19;

inline void add_payload(std::string& out, std::size_t bytes, std::int64_t made_ns) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%019lld", static_cast<long long>(made_ns));
  out.append(R"({"t":")").append(digits).append(R"(","x":")");
  out.append(bytes - payload_bytes_min + 2, 'a');
  out.append("\"}");
}

/// Of all threads that live; in CPU time, not the wall's.
inline std::int64_t cpu_ns_of(int pid) {
  std::int64_t sum = 0;
  std::error_code failure;
  for (const auto& x :
       std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/task", failure}) {
    std::ifstream in{x.path() / "schedstat"};
    std::int64_t ns = 0;
    in >> ns;
    sum += ns;
  }
  return sum;
}

/// Times, of which percentiles are asked for.
class distribution {
public:
  void add(std::int64_t ns) {
    us_.push_back(static_cast<std::uint32_t>(std::max<std::int64_t>(ns, 0) / 1000));
  }
  [[nodiscard]] std::size_t size() const noexcept { return us_.size(); }

  /// In milliseconds; `q` in [0, 1].
  [[nodiscard]] double ms(double q) {
    if (us_.empty())
      return 0;
    std::sort(us_.begin(), us_.end());
    auto i = static_cast<std::size_t>(q * static_cast<double>(us_.size() - 1));
    return us_[i] / 1000.0;
  }

private:
  std::vector<std::uint32_t> us_;
};

/// Figures in the order in which they were added, for people or as one JSON object.
class report {
public:
  explicit report(std::string scenario) { text("scenario", std::move(scenario)); }

  void text(std::string key, std::string value) {
    items_.push_back({std::move(key), std::move(value), true});
  }
  void figure(std::string key, double value) {
    char buffer[40];
    std::snprintf(buffer, sizeof buffer,
                  value == static_cast<double>(static_cast<std::int64_t>(value)) ? "%.0f" : "%.3f",
                  value);
    items_.push_back({std::move(key), buffer, false});
  }
  void latency(const std::string& of, distribution& x) {
    figure(of + "_p50_ms", x.ms(0.5));
    figure(of + "_p99_ms", x.ms(0.99));
    figure(of + "_max_ms", x.ms(1));
  }

  void print(bool json) const {
    std::string out = json ? "{" : "";
    for (const auto& x : items_) {
      if (json) {
        out += out.size() > 1 ? ",\"" : "\"";
        out += x.key + "\":" + (x.quoted ? '"' + x.value + '"' : x.value);
      } else {
        out += x.key + std::string(x.key.size() < 34 ? 34 - x.key.size() : 1, ' ') + x.value + '\n';
      }
    }
    std::puts((json ? out + "}" : out).c_str());
  }

private:
  struct item {
    std::string key, value;
    bool quoted;
  };
  std::vector<item> items_;
};

} // namespace confab::bench
