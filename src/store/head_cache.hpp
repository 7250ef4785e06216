// The heads of the conversations appended to last, so that the hot path needs no SELECT.
#pragma once

#include "store/sqlite_rows.hpp"

#include <list>
#include <string>
#include <unordered_map>

namespace confab::store {

/// Least recently used first out. True to the disk only because there is one writer, which puts a
/// head here after its commit and drops everything after a failure.
class head_cache {
public:
  static constexpr std::size_t heads_max = 4096;

  /// Null when unknown. Valid until the next call.
  [[nodiscard]] const conversation_head* find(const std::string& name);
  void put(const std::string& name, const conversation_head& head);
  void erase(const std::string& name);
  void clear();
  [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }

private:
  struct item {
    std::string name;
    conversation_head head;
  };
  /// Most recently used first.
  std::list<item> order_;
  std::unordered_map<std::string, std::list<item>::iterator> by_name_;
};

} // namespace confab::store
