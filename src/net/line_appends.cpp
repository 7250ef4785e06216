#include "net/line_appends.hpp"

#include "net/wire/formats.hpp"

#include <algorithm>
#include <charconv>

namespace confab::net {

line_appends::line_appends(model::conversation_name name, std::string key, bool streamed,
                           const session_limits& limits)
  : name_{std::move(name)}, key_{std::move(key)}, streamed_{streamed}, limits_{limits} {}

void line_appends::feed(std::string_view piece) {
  if (over())
    return;
  text_.erase(0, at_);
  scanned_ -= at_;
  at_ = 0;
  text_ += piece;
}

void line_appends::end() {
  if (over())
    return;
  ended_ = true;
  if (text_.size() > at_ && text_.back() != '\n')
    text_ += '\n';
}

bool line_appends::full() const noexcept {
  return slots_.size() >= limits_.unanswered_drafts ||
         unanswered_bytes_ >= limits_.unanswered_bytes;
}

bool line_appends::holds_line() const noexcept {
  return !stopped_ && text_.find('\n', scanned_) != std::string::npos;
}

std::optional<publish_command> line_appends::next() {
  while (!stopped_ && !full()) {
    auto end = text_.find('\n', scanned_);
    auto whole = end != std::string::npos;
    scanned_ = whole ? end + 1 : text_.size();
    auto line = std::string_view{text_}.substr(at_, (whole ? end : text_.size()) - at_);
    if (line.size() > limits_.frame_bytes) {
      refuse(line_ + 1,
             {model::code::frame_too_large, "at most " + std::to_string(limits_.frame_bytes) +
                                                " bytes are allowed (net.frame_bytes)"});
      return std::nullopt;
    }
    if (!whole)
      return std::nullopt;
    at_ = end + 1;
    ++line_;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos)
      continue;
    bool array = false;
    auto drafts = wire::parse_drafts(line, {}, limits_.wire, array);
    if (!drafts) {
      refuse(line_, drafts.why());
      return std::nullopt;
    }
    if (array) {
      refuse(line_, {model::code::bad_request, "a line holds one draft, not an array"});
      return std::nullopt;
    }
    if (!streamed_ && receipts_.size() > receipts_bytes_max) {
      refuse(line_, {model::code::batch_too_large,
                     "the receipts exceed 1 MiB; take them as they come, with Accept: "
                     "application/x-ndjson"});
      return std::nullopt;
    }
    if (!key_.empty()) {
      // No key holds this separator, so no key of a line is another request's key.
      auto done = wire::add_key(*drafts, key_ + '\x1f' + std::to_string(line_), line);
      if (!done) {
        refuse(line_, done.why());
        return std::nullopt;
      }
    }
    slots_.push_back({line_, std::nullopt});
    unanswered_bytes_ += drafts->bytes();
    return publish_command{std::to_string(line_), name_,
                           std::make_shared<model::batch>(std::move(*drafts))};
  }
  return std::nullopt;
}

void line_appends::answered(const published_event& x) {
  settle(x.ref, x.bytes, x.got);
}

void line_appends::answered(const failed_event& x) {
  settle(x.ref, x.bytes, x.why);
}

void line_appends::settle(std::string_view ref, std::size_t bytes,
                          model::result<model::receipt> got) {
  std::uint64_t line = 0;
  std::from_chars(ref.data(), ref.data() + ref.size(), line);
  auto i = std::lower_bound(slots_.begin(), slots_.end(), line,
                            [](const slot& x, std::uint64_t y) { return x.line < y; });
  if (i == slots_.end() || i->line != line || i->got)
    return;
  // What internal numbering adds to a batch is not counted here.
  unanswered_bytes_ -= std::min(unanswered_bytes_, bytes);
  i->got = std::move(got);
  while (!slots_.empty() && slots_.front().got) {
    auto& first = slots_.front();
    if (*first.got) {
      const auto& receipt = **first.got;
      receipts_ += wire::line_receipt(first.line, receipt) += '\n';
      appended_ = appended_ || !receipt.duplicate;
    } else {
      refuse(first.line, first.got->why());
    }
    slots_.pop_front();
  }
}

void line_appends::refuse(std::uint64_t line, model::error why) {
  stopped_ = true;
  std::string{}.swap(text_);
  at_ = scanned_ = 0;
  if (refusal_ && refusal_->line <= line)
    return;
  why.detail = "line " + std::to_string(line) + ": " + why.detail;
  refusal_ = {line, std::move(why)};
}

std::string line_appends::take_receipts(char separator) {
  auto out = std::exchange(receipts_, {});
  if (separator != '\n')
    std::replace(out.begin(), out.end(), '\n', separator);
  return out;
}

} // namespace confab::net
