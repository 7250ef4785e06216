#include "net/wire/link_frame.hpp"

#include "net/wire/json_object.hpp"
#include "net/wire/link_bytes.hpp"
#include "net/wire/utf8.hpp"

#include <limits>

namespace confab::net::wire {

namespace {

enum class kind : std::uint8_t { follow = 1, unfollow, wake, append, answer, announcement, lease };

constexpr std::size_t word_bytes_max = 256;
constexpr std::uint64_t runs_max = 4096;
constexpr std::size_t sender_bytes_max = 4096;

void add_id(std::string& out, model::entry_id x) {
  add_leb128(out, x.ms);
  add_leb128(out, x.n);
}

model::entry_id read_id(link_bytes_reader& in) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  auto ms = in.number(most);
  return {ms, in.number(most)};
}

void add_state(std::string& out, const model::log_state& x) {
  add_text(out, x.epoch.text);
  add_leb128(out, x.first.value);
  add_leb128(out, x.tail.value);
  add_id(out, x.tail_id);
  add_leb128(out, static_cast<std::uint64_t>(x.life));
}

model::log_state read_state(link_bytes_reader& in) {
  model::log_state x;
  auto epoch = in.text(word_bytes_max);
  if (auto parsed = model::parse_epoch(epoch); parsed || epoch.empty())
    x.epoch = parsed.value_or(model::epoch{});
  else
    in.refuse();
  x.first = {in.number(model::seq_max.value + 1)};
  x.tail = {in.number(model::seq_max.value)};
  x.tail_id = read_id(in);
  x.life =
      static_cast<model::lifecycle>(in.number(static_cast<unsigned>(model::lifecycle::deleted)));
  if (x.first.value == 0 || x.first > x.tail.next())
    in.refuse();
  return x;
}

std::optional<model::conversation_name> read_name(link_bytes_reader& in) {
  auto name = model::conversation_name::parse(in.text(model::name_bytes_max));
  if (name)
    return std::move(*name);
  in.refuse();
  return std::nullopt;
}

/// What stands in frames for clients beside the payload.
bool showable(std::string_view sender, std::string_view its_kind, std::string_view message) {
  return valid_utf8(sender) && valid_utf8(its_kind) && valid_utf8(message);
}

class link final : public model::wire_format {
public:
  constexpr link() : wire_format{3} {}

  void add_entry(std::string& out, const model::conversation_name&, const model::epoch&,
                 const model::entry& x) const override {
    add_id(out, x.id);
    add_leb128(out, static_cast<std::uint64_t>(x.time_ms));
    add_leb128(out, static_cast<std::uint64_t>(x.form));
    for (const auto* text : {&x.sender, &x.kind, &x.payload, &x.producer, &x.message, &x.source_id})
      add_text(out, *text);
    add_leb128(out, x.producer_seq);
  }
  // Only entries travel.
  void add_live(std::string&, const model::conversation_name&,
                const model::position&) const override {}
  void add_reset(std::string&, const model::conversation_name&, model::reset_reason,
                 const model::epoch&, model::seq, model::seq) const override {}
  void add_closed(std::string&, const model::conversation_name&,
                  const model::position&) const override {}
};

constinit const link the_format{};

model::entry read_entry(link_bytes_reader& in, model::seq at) {
  model::entry x;
  x.at = at;
  x.id = read_id(in);
  x.time_ms = static_cast<std::int64_t>(
      in.number(static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
  x.form = static_cast<model::payload_form>(
      in.number(static_cast<unsigned>(model::payload_form::bytes)));
  x.sender = in.text(sender_bytes_max);
  x.kind = in.text(sender_bytes_max);
  x.payload = in.text();
  x.producer = in.text(sender_bytes_max);
  x.message = in.text(sender_bytes_max);
  x.source_id = in.text(sender_bytes_max);
  x.producer_seq = in.number();
  if (!showable(x.sender, x.kind, x.message) || !valid_utf8(x.source_id) ||
      (x.form == model::payload_form::json && !valid_json(x.payload)))
    in.refuse();
  return x;
}

model::run_ptr read_run(link_bytes_reader& in, const announcement_record& of,
                        model::byte_budget* budget) {
  auto first = in.number(model::seq_max.value);
  auto count = in.number(model::page_entries_max);
  link_bytes_reader bytes{in.text()};
  std::vector<model::entry> entries;
  for (std::uint64_t i = 0; i < count && bytes.whole(); ++i) {
    entries.push_back(read_entry(bytes, {first + i}));
    if (i > 0 && entries[i].id <= entries[i - 1].id)
      bytes.refuse();
  }
  if (!bytes.whole() || entries.empty() || first == 0 || entries.back().at > model::seq_max ||
      of.state.epoch.empty()) {
    in.refuse();
    return nullptr;
  }
  return std::make_shared<model::run>(of.name, of.state.epoch, std::move(entries), budget);
}

std::optional<link_record> read_announcement(link_bytes_reader& in, model::byte_budget* budget) {
  auto name = read_name(in);
  if (!name)
    return std::nullopt;
  announcement_record x{
      std::make_shared<const model::conversation_name>(std::move(*name)), read_state(in), {}};
  for (auto n = in.number(runs_max); n > 0 && in.whole(); --n)
    if (auto run = read_run(in, x, budget))
      x.newest.push_back(std::move(run));
  return x;
}

std::shared_ptr<const model::batch> read_batch(link_bytes_reader& in) {
  auto x = std::make_shared<model::batch>();
  x->producer = in.text(model::producer_bytes_max * 2);
  x->producer_epoch =
      static_cast<std::uint32_t>(in.number(std::numeric_limits<std::uint32_t>::max()));
  x->producer_seq = in.number();
  x->fingerprint = in.number();
  auto& where = x->where;
  where.content_type = in.text(word_bytes_max);
  where.stream_seq = in.text(model::stream_seq_bytes_max);
  auto flags = in.number();
  where.must_exist = (flags & 1) != 0;
  where.closes = (flags & 2) != 0;
  where.numbering = (flags & 4) != 0 ? model::numbering::from_zero : model::numbering::any;
  auto form = model::form_of(where.content_type.empty() ? model::json_content_type
                                                        : std::string_view{where.content_type});
  for (auto n = in.number(model::drafts_max); n > 0 && in.whole(); --n) {
    auto& draft = x->drafts.emplace_back();
    draft.sender = in.text(sender_bytes_max);
    draft.kind = in.text(model::kind_bytes_max);
    draft.payload = in.text(model::page_bytes_max);
    draft.message = in.text(model::message_bytes_max);
    draft.source_id = in.text(sender_bytes_max);
    if (!showable(draft.sender, draft.kind, draft.message) ||
        (form == model::payload_form::json && !valid_json(draft.payload)))
      in.refuse();
  }
  // Between nodes there are no drafts without a producer.
  if (x->producer.empty() || (x->drafts.empty() && !where.closes) ||
      (!where.content_type.empty() && !model::valid_content_type(where.content_type)))
    in.refuse();
  return x;
}

void add_batch(std::string& out, const model::batch& x) {
  add_text(out, x.producer);
  add_leb128(out, x.producer_epoch);
  add_leb128(out, x.producer_seq);
  add_leb128(out, x.fingerprint);
  const auto& where = x.where;
  add_text(out, where.content_type);
  add_text(out, where.stream_seq);
  auto from_zero = where.numbering == model::numbering::from_zero;
  add_leb128(out, (where.must_exist ? 1U : 0U) | (where.closes ? 2U : 0U) | (from_zero ? 4U : 0U));
  add_leb128(out, x.drafts.size());
  for (const auto& draft : x.drafts)
    for (const auto* text :
         {&draft.sender, &draft.kind, &draft.payload, &draft.message, &draft.source_id})
      add_text(out, *text);
}

std::optional<link_record> read_append(link_bytes_reader& in) {
  auto request = in.number();
  auto name = read_name(in);
  auto retried = in.number(1) == 1;
  auto drafts = read_batch(in);
  if (!name)
    return std::nullopt;
  return append_record{request, std::move(*name), retried, std::move(drafts)};
}

/// One that is not known here is said by a newer node: whether the draft was appended is unknown.
model::code code_of(std::string_view text) {
  for (auto x = 0; x <= static_cast<int>(model::code::moved); ++x)
    if (to_string(static_cast<model::code>(x)) == text)
      return static_cast<model::code>(x);
  return model::code::append_unknown;
}

std::optional<link_record> read_answer(link_bytes_reader& in) {
  answer_record x{in.number(), model::receipt{}, {}, 0};
  if (in.number(1) == 1) {
    model::receipt got;
    got.first = {in.number(model::seq_max.value + 1)};
    got.count = static_cast<std::uint32_t>(in.number(model::drafts_max));
    got.id = read_id(in);
    got.duplicate = in.number(1) == 1;
    x.got = got;
    if (got.first.value == 0)
      in.refuse();
  } else {
    auto code = code_of(in.text(word_bytes_max));
    std::string detail{in.text(sender_bytes_max)};
    x.got = model::error{code, std::move(detail), in.number()};
  }
  x.state = read_state(in);
  x.producer_last = in.number();
  return x;
}

std::optional<link_record> read_record(kind what, link_bytes_reader& in,
                                       model::byte_budget* budget) {
  switch (what) {
  case kind::follow:
    if (auto name = read_name(in))
      return follow_record{std::move(*name)};
    break;
  case kind::unfollow:
    if (auto name = read_name(in))
      return unfollow_record{std::move(*name)};
    break;
  case kind::wake:
    if (auto name = read_name(in))
      return wake_record{std::move(*name)};
    break;
  case kind::append:
    return read_append(in);
  case kind::answer:
    return read_answer(in);
  case kind::announcement:
    return read_announcement(in, budget);
  case kind::lease:
    return lease_record{in.number(1) == 1};
  }
  return std::nullopt;
}

void add_record(std::string& out, kind what, std::string_view body) {
  out.push_back(static_cast<char>(what));
  add_text(out, body);
}

void add_named(std::string& out, kind what, const model::conversation_name& name) {
  std::string body;
  add_text(body, name.text());
  add_record(out, what, body);
}

} // namespace

const model::wire_format& link_format() noexcept {
  return the_format;
}

link_frame_writer::link_frame_writer(std::uint64_t serial, std::uint64_t acked) {
  add_leb128(bytes_, serial);
  add_leb128(bytes_, acked);
}

std::string link_frame_writer::finish() && {
  return std::move(bytes_);
}

void link_frame_writer::add(const follow_record& x) {
  add_named(bytes_, kind::follow, x.name);
}

void link_frame_writer::add(const unfollow_record& x) {
  add_named(bytes_, kind::unfollow, x.name);
}

void link_frame_writer::add(const wake_record& x) {
  add_named(bytes_, kind::wake, x.name);
}

void link_frame_writer::add(const lease_record& x) {
  add_record(bytes_, kind::lease, x.held ? "\x01" : std::string_view{"\0", 1});
}

void link_frame_writer::add(const append_record& x) {
  std::string body;
  add_leb128(body, x.request);
  add_text(body, x.name.text());
  add_leb128(body, x.retried ? 1 : 0);
  add_batch(body, *x.drafts);
  add_record(bytes_, kind::append, body);
}

void link_frame_writer::add(const answer_record& x) {
  std::string body;
  add_leb128(body, x.request);
  add_leb128(body, x.got ? 1 : 0);
  if (x.got) {
    add_leb128(body, x.got->first.value);
    add_leb128(body, x.got->count);
    add_id(body, x.got->id);
    add_leb128(body, x.got->duplicate ? 1 : 0);
  } else {
    const auto& why = x.got.why();
    add_text(body, to_string(why.what));
    add_text(body, std::string_view{why.detail}.substr(0, sender_bytes_max));
    add_leb128(body, why.expected);
  }
  add_state(body, x.state);
  add_leb128(body, x.producer_last);
  add_record(bytes_, kind::answer, body);
}

void link_frame_writer::add(const announcement_record& x) {
  std::string head;
  add_text(head, x.name->text());
  add_state(head, x.state);
  add_leb128(head, x.newest.size());
  std::vector<std::string> heads;
  auto size = head.size();
  for (const auto& run : x.newest) {
    auto& its = heads.emplace_back();
    add_leb128(its, run->first().value);
    add_leb128(its, run->size());
    add_leb128(its, run->encoded(the_format).bytes.size());
    size += its.size() + run->encoded(the_format).bytes.size();
  }
  bytes_.push_back(static_cast<char>(kind::announcement));
  add_leb128(bytes_, size);
  bytes_ += head;
  for (std::size_t i = 0; i < x.newest.size(); ++i)
    bytes_.append(heads[i]).append(x.newest[i]->encoded(the_format).bytes);
}

model::result<link_frame> read_link_frame(std::string_view bytes, model::byte_budget* budget) {
  if (bytes.size() > link_frame_bytes_max)
    return model::error{model::code::bad_request, "a frame of " + std::to_string(bytes.size()) +
                                                      " bytes; at most " +
                                                      std::to_string(link_frame_bytes_max)};
  link_bytes_reader in{bytes};
  link_frame x;
  x.serial = in.number();
  x.acked = in.number();
  while (in.whole() && !in.at_end()) {
    auto what = in.number(0x7F);
    link_bytes_reader body{in.text()};
    auto known =
        what >= static_cast<unsigned>(kind::follow) && what <= static_cast<unsigned>(kind::lease);
    x.says_something = true;
    if (!in.whole() || !known)
      continue;
    auto record = read_record(static_cast<kind>(what), body, budget);
    if (!record || !body.whole())
      return model::error{model::code::bad_request,
                          "a record of kind " + std::to_string(what) + " that no node sends"};
    x.records.push_back(std::move(*record));
  }
  if (!in.whole() || x.serial == 0)
    return model::error{model::code::bad_request, "a frame that breaks off"};
  return x;
}

} // namespace confab::net::wire
