// Whether others have changed logs that were seen before.
#include "store/redis_entries.hpp"
#include "store/redis_writer.hpp"

#include <algorithm>

namespace confab::store {

namespace {

constexpr std::size_t questions_each = 3;

/// The answers of `look` about a log that is open and has as many entries as before, and none
/// behind.
bool says_the_same(std::span<const redis_reply> answers, std::uint64_t length) {
  using kind = redis_reply::kind;
  const auto& behind = answers[0];
  const auto& held = answers[1];
  const auto& marks = answers[2];
  return behind.is(kind::array) && behind.elements.empty() && held.is(kind::integer) &&
         static_cast<std::uint64_t>(held.number) == length && marks.is(kind::array) &&
         std::all_of(marks.elements.begin(), marks.elements.end(),
                     [](const redis_reply& x) { return x.is(kind::nil); });
}

} // namespace

std::vector<model::result<log_head>>
redis_writer::look(std::span<const model::conversation_name> names, std::int64_t now_ms) {
  // Three cheap questions for each that was seen before: is there anything behind its tail, does
  // the stream hold as many entries as it did, and was it closed, or deleted and kept for its
  // forks? They do not tell what a fork's source lost.
  std::vector<redis_command> questions;
  std::vector<std::optional<redis_sight>> known;
  for (const auto& x : names) {
    auto& before = known.emplace_back(session_.places.find(x));
    if (before && (before->head.state.epoch.empty() || before->head.fork ||
                   before->head.settings.lifetime.expires_ms ||
                   before->head.state.life == model::lifecycle::closed))
      before.reset();
    if (!before)
      continue;
    auto stream = stream_key(x);
    questions.push_back(
        {"XRANGE", {stream, '(' + to_string(before->head.state.tail_id), "+", "COUNT", "1"}});
    questions.push_back({"XLEN", {stream}});
    questions.push_back({"HMGET", {"confab:log:" + x.text(), "closed", "gone"}});
  }
  auto answers = session_.redis.send_all(questions);
  std::vector<model::result<log_head>> heads;
  std::size_t at = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto same = known[i].has_value() && answers &&
                says_the_same(std::span{*answers}.subspan(at, questions_each), known[i]->length);
    if (known[i])
      at += questions_each;
    if (!answers)
      heads.push_back(unreadable(answers.why()));
    else if (same)
      heads.push_back(known[i]->head);
    else
      heads.push_back(open_at(names[i], now_ms));
  }
  if (!answers)
    note(&answers.why());
  return heads;
}

} // namespace confab::store
