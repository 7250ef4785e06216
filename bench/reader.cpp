#include "reader.hpp"

namespace confab::bench {

void reader::on_text(std::string_view text) {
  if (text.starts_with(prefix_)) {
    std::uint64_t seq = 0;
    std::from_chars(text.data() + prefix_.size(), text.data() + text.size(), seq);
    if (!subscribed_ || seq != at_ + 1)
      offend("entry " + std::to_string(seq) + " came");
    at_ = seq;
    ++of_.delivered;
    of_.bytes += text.size();
    if (!sampled_)
      return;
    id_ = text_after(text.substr(prefix_.size()), R"("id":)");
    if (of_.payload_bytes == 0)
      return;
    auto payload = text.substr(text.size() - 1 - std::min(text.size() - 1, of_.payload_bytes));
    if (!payload.starts_with(R"({"t":")") || !payload.ends_with("a\"}}"))
      offend("a payload that was not published: " + std::string{text.substr(0, 300)});
    std::int64_t made = 0;
    std::from_chars(payload.data() + payload_time_at,
                    payload.data() + payload_time_at + payload_time_digits, made);
    if (of_.age)
      of_.age->add(now_ns() - made);
    return;
  }
  if (text.starts_with(R"({"op":"subscribed")")) {
    at_ = number_after(text, R"("after":)").value_or(0);
    epoch_ = text_after(text, R"("epoch":)");
    if (resumes_after_ && at_ != *resumes_after_)
      offend("was to resume after " + std::to_string(*resumes_after_));
    subscribed_ = true;
  } else if (text.starts_with(R"({"op":"live")")) {
    live_ = true;
  } else if (!text.starts_with(R"({"op":"hello")")) {
    offend("unexpected: " + std::string{text.substr(0, 300)});
  }
}

} // namespace confab::bench
