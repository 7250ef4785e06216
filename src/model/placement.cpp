#include "model/placement.hpp"

#include <algorithm>

namespace confab::model {

namespace {

/// The finaliser of MurmurHash3 (fmix64, Austin Appleby): each bit of the input changes about half
/// of the output's.
std::uint64_t mixed(std::uint64_t x) noexcept {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

/// FNV-1a with 64 bits (Fowler, Noll, Vo), whose high bits know little of the last bytes without
/// the finaliser.
std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mixed(hash);
}

} // namespace

bool valid_incarnation(std::string_view text) noexcept {
  return !text.empty() && text.size() <= incarnation_bytes_max &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

std::string endpoint(std::string_view address, std::uint16_t port) {
  std::string text{address};
  if (text.find(':') != std::string::npos)
    text = '[' + text + ']';
  return text + ':' + std::to_string(port);
}

placement::placement(std::vector<std::string> incarnations) {
  std::sort(incarnations.begin(), incarnations.end());
  incarnations.erase(std::unique(incarnations.begin(), incarnations.end()), incarnations.end());
  nodes_.reserve(incarnations.size());
  for (auto& x : incarnations) {
    auto hash = hash_of(x);
    nodes_.push_back({hash, std::move(x)});
  }
}

const std::string& placement::home_of(const conversation_name& name) const {
  static const std::string none;
  auto hash = hash_of(name.text());
  const node* home = nullptr;
  std::uint64_t highest = 0;
  for (const auto& x : nodes_) {
    auto score = mixed(x.hash ^ hash);
    if (home == nullptr || score > highest) {
      home = &x;
      highest = score;
    }
  }
  return home == nullptr ? none : home->incarnation;
}

} // namespace confab::model
