#include "store/redis_entries.hpp"

#include "store/redis_session.hpp"

#include <charconv>

namespace confab::store {

namespace {

constexpr std::string_view usual_kind = "message";

/// A decimal number as Confab writes it; nothing else is one.
template <class T>
std::optional<T> number_of(const std::string* text) {
  T value{};
  if (text == nullptr || text->empty())
    return std::nullopt;
  auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failure != std::errc{} || end != text->data() + text->size())
    return std::nullopt;
  return value;
}

void add(std::vector<std::string>& arguments, const char* field, std::string value) {
  arguments.emplace_back(field);
  arguments.push_back(std::move(value));
}

/// Those that not every entry has.
void add_more(std::vector<std::string>& arguments, const model::entry& x) {
  if (x.kind != usual_kind)
    add(arguments, "kind", x.kind);
  if (!x.message.empty())
    add(arguments, "message", x.message);
  if (!x.source_id.empty())
    add(arguments, "source_id", x.source_id);
  // Internal producers and keys are shown to nobody; the producers' hash knows them.
  if (!x.producer.empty() && x.producer.front() != '~' && x.producer.front() != '=') {
    add(arguments, "producer", x.producer);
    add(arguments, "producer_seq", std::to_string(x.producer_seq));
  }
}

/// Stands before what it counts.
void count_behind(std::vector<std::string>& arguments, std::size_t at) {
  arguments[at] = std::to_string(arguments.size() - at - 1);
}

} // namespace

void add_fields(std::vector<std::string>& arguments, const model::conversation_name& name,
                const model::entry& x) {
  auto count = arguments.size();
  arguments.emplace_back();
  // The same ones in the same order: Redis stores the names of equal fields once.
  add(arguments, "payload", x.payload);
  add(arguments, "conversation_id", name.text());
  add(arguments, "sender_id", x.sender);
  add(arguments, "timestamp", std::to_string(x.time_ms));
  add_more(arguments, x);
  count_behind(arguments, count);
}

void add_plain_fields(std::vector<std::string>& arguments, const model::entry& x) {
  arguments.push_back(x.payload);
  arguments.push_back(x.sender);
  arguments.push_back(std::to_string(x.time_ms));
  auto count = arguments.size();
  arguments.emplace_back();
  add_more(arguments, x);
  count_behind(arguments, count);
}

model::result<model::entry> read_entry(const redis_reply& x, model::seq at,
                                       model::payload_form form, const redis_log_options& how) {
  auto parts = elements_of(x, "XRANGE");
  if (!parts || (*parts)->size() != 2)
    return model::error{model::code::log_damaged, unexpected(x, "XRANGE").detail};
  auto id = id_of((**parts)[0]);
  if (!id)
    return id.why();
  auto fields = elements_of((**parts)[1], "XRANGE");
  if (!fields)
    return model::error{model::code::log_damaged, fields.why().detail};
  model::stream_entry found{.id = (**parts)[0].text, .fields = {}};
  for (std::size_t i = 0; i + 1 < (*fields)->size(); i += 2)
    found.fields.push_back({(**fields)[i].text, (**fields)[i + 1].text});

  auto draft = how.read(found, form);
  model::entry made;
  made.at = at;
  made.id = *id;
  made.time_ms =
      number_of<std::int64_t>(found.field("timestamp")).value_or(static_cast<std::int64_t>(id->ms));
  made.sender = std::move(draft.sender);
  made.kind = std::move(draft.kind);
  made.payload = std::move(draft.payload);
  made.message = std::move(draft.message);
  made.form = form;
  const auto* source = found.field("source_id");
  if (source != nullptr && model::parse_entry_id(*source))
    made.source_id = *source;
  const auto* producer = found.field("producer");
  auto number = number_of<std::uint64_t>(found.field("producer_seq"));
  if (producer != nullptr && number && !producer->empty() &&
      producer->size() <= model::producer_bytes_max && producer->front() != '~' &&
      producer->front() != '=') {
    made.producer = *producer;
    made.producer_seq = *number;
  }
  return made;
}

} // namespace confab::store
