// Small strict readers and writers of what Confab sends, for its dialects.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace confab::net::load {

/// Walks over text whose shape is known. After the first thing that is not as expected, `ok` is
/// false and nothing moves any more.
class scanner {
public:
  explicit scanner(std::string_view text) : rest_{text} {}

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

  bool accept(std::string_view literal) {
    if (!ok_ || !rest_.starts_with(literal))
      return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  void expect(std::string_view literal) { ok_ = accept(literal); }
  std::uint64_t number();
  /// What is left of a string's raw text behind its first quote; the closing quote is passed.
  std::string_view string();

private:
  std::string_view rest_;
  bool ok_ = true;
};

struct entry_text {
  std::uint64_t seq = 0;
  std::string_view id;
  std::string_view payload;
};
/// An entry's members up to the object's closing brace, which is the last character. @returns
/// whether they are as they should be.
[[nodiscard]] bool read_entry(scanner& x, entry_text& to);

/// For people: cut short, and without what a terminal would act on.
[[nodiscard]] std::string shown(std::string_view text);

void add_number(std::string& out, std::uint64_t x);

/// A part of a URL; names and positions hold little that must be escaped.
void add_escaped(std::string& out, std::string_view text);

} // namespace confab::net::load
