// What Redis answered, and the checks that everybody makes who reads it.
#pragma once

#include "model/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace confab::store {

/// One reply, as it came. Nothing in it is trusted: each use checks its kind.
struct redis_reply {
  enum class kind : std::uint8_t { nil, integer, text, error, array } what = kind::nil;
  std::int64_t number = 0;
  /// Of `text` (a bulk string or a status) and `error`.
  std::string text = {};
  std::vector<redis_reply> elements = {};

  [[nodiscard]] bool is(kind x) const noexcept { return what == x; }
  /// Whether it is an error whose first word is this one, such as `NOSCRIPT`.
  [[nodiscard]] bool refuses(std::string_view word) const noexcept;
};

/// Why a reply is not what its command promises: an error reply, nil, another kind. Names the
/// command and what Redis said of itself, never an argument.
[[nodiscard]] model::error unexpected(const redis_reply& x, std::string_view command);

// Each refuses every other kind, as `unexpected` says it.
[[nodiscard]] model::result<std::int64_t> integer_of(const redis_reply& x,
                                                     std::string_view command);
[[nodiscard]] model::result<const std::string*> text_of(const redis_reply& x,
                                                        std::string_view command);
[[nodiscard]] model::result<const std::vector<redis_reply>*> elements_of(const redis_reply& x,
                                                                         std::string_view command);

/// A command as Redis reads it.
class redis_command {
public:
  explicit redis_command(std::string_view name) : name_{name} { add(name); }
  redis_command(std::string_view name, std::initializer_list<std::string_view> arguments)
    : redis_command{name} {
    for (auto x : arguments)
      add(x);
  }

  redis_command& add(std::string_view argument);
  redis_command& add(std::int64_t number) { return add(std::to_string(number)); }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  void append_to(std::string& wire) const;

private:
  std::string name_;
  std::string arguments_;
  std::size_t count_ = 0;
};

} // namespace confab::store
