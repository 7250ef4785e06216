#include "publisher.hpp"

namespace confab::bench {

void publisher::publish(bool more) {
  auto now = now_ns();
  made_[++number_ % made_.size()] = now;
  std::string text;
  text.reserve(payload_bytes_ + 200);
  text.append(R"({"op":"publish","ref":)").append(std::to_string(number_));
  text.append(R"(,"conversation":")").append(conversation_).append(R"(","producer":")");
  text.append(producer_).append(R"(","producer_seq":)").append(std::to_string(number_));
  text.append(R"(,"payload":)");
  add_payload(text, payload_bytes_, now);
  text += '}';
  send(text, more);
}

void publisher::on_text(std::string_view text) {
  if (text.starts_with(R"({"op":"hello")")) {
    greeted_ = true;
    return;
  }
  auto ref = number_after(text, R"("ref":)");
  auto seq = number_after(text, R"("seq":)");
  if (!text.starts_with(R"({"op":"published")") || !ref || !seq)
    offend("unexpected: " + std::string{text.substr(0, 300)});
  auto dense = shared ? *seq > last_ : last_ == 0 || *seq == last_ + 1;
  if (*ref != answered_ + 1 || !dense || text.find(R"("duplicate":false)") == text.npos)
    offend("a wrong receipt after " + std::to_string(last_) + ": " + std::string{text});
  answered_ = *ref;
  last_ = *seq;
  latency.add(now_ns() - made_[*ref % made_.size()]);
}

} // namespace confab::bench
