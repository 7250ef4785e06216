#include "net/wire/command.hpp"

#include <limits>

namespace confab::net::wire {

namespace {

constexpr std::size_t ref_bytes_max = 256;

model::error bad(model::code what, std::string detail) {
  return {what, std::move(detail)};
}

model::result<model::conversation_name> name_of(const json_object& x) {
  auto text = x.text("conversation", std::string::npos); // its own rules tell more
  if (!text)
    return text.why();
  if (!*text)
    return bad(model::code::bad_request, "conversation: is missing");
  return model::conversation_name::parse(**text);
}

/// `after` with its checks `epoch` and `id`.
model::result<std::optional<model::resume_request>> resume_of(const json_object& x) {
  auto json = x.raw("after");
  if (!json || *json == "null")
    return std::optional<model::resume_request>{};
  auto kind = kind_of(*json);
  if (kind != "a string" && kind != "a number")
    return bad(model::code::bad_after,
               "after: must be a number or a string, is " + std::string{kind});
  auto text = kind == "a string" ? **x.text("after", json->size()) : std::string{*json};
  auto result = model::parse_after(text);
  if (!result)
    return result.why();
  auto epoch = x.text("epoch", 64);
  if (!epoch)
    return epoch.why();
  if (*epoch && !(*epoch)->empty()) {
    auto parsed = model::parse_epoch(**epoch);
    if (!parsed)
      return bad(model::code::bad_request, "epoch: is not one that the server sent");
    result->epoch = *parsed;
  }
  auto id = x.text("id", 64);
  if (!id)
    return id.why();
  if (*id) {
    result->id = model::parse_entry_id(**id);
    if (!result->id)
      return bad(model::code::bad_request, "id: must look like \"1698249600123-0\"");
  }
  return std::optional{*result};
}

/// FNV-1a: tells another body under the same idempotency key; not a defence against forgery.
std::uint64_t fingerprint(std::string_view text) noexcept {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text)
    hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

bool given(const json_object& x, std::string_view key) {
  auto json = x.raw(key);
  return json && *json != "null";
}

model::status producer_of(const json_object& x, model::batch& into) {
  auto producer = x.text("producer", model::producer_bytes_max);
  if (!producer)
    return bad(model::code::bad_producer, producer.why().detail);
  auto number = x.number("producer_seq", model::seq_max.value);
  if (!number)
    return bad(model::code::bad_producer, number.why().detail);
  auto epoch = x.number("producer_epoch", std::numeric_limits<std::uint32_t>::max());
  if (!epoch)
    return bad(model::code::bad_producer, epoch.why().detail);
  if (!*producer) {
    if (*number || *epoch)
      return bad(model::code::bad_producer, "producer: is missing beside producer_seq");
    return model::nothing{};
  }
  const auto& id = **producer;
  if (id.empty() || id.front() == '~' || id.front() == '=')
    return bad(model::code::bad_producer, "producer: must not be empty or begin with '~' or '='");
  if (!*number)
    return bad(model::code::bad_producer, "producer_seq: is missing beside producer");
  into.producer = id;
  into.producer_seq = **number;
  into.producer_epoch = static_cast<std::uint32_t>(epoch->value_or(0));
  return model::nothing{};
}

model::result<model::draft> draft_of(const json_object& x, const client_identity& who,
                                     const limits& bounds) {
  model::draft result;
  result.sender = who.user;
  auto payload = x.raw("payload");
  if (!payload)
    return bad(model::code::bad_request, "payload: is missing; any JSON value will do");
  if (payload->size() > bounds.payload_bytes)
    return bad(model::code::payload_too_large,
               "payload: has " + std::to_string(payload->size()) + " bytes of JSON; at most " +
                   std::to_string(bounds.payload_bytes) + " are allowed (net.payload_bytes)");
  result.payload = *payload;
  auto kind = x.text("kind", model::kind_bytes_max);
  if (!kind)
    return kind.why();
  if (*kind) {
    if ((*kind)->empty())
      return bad(model::code::bad_request, "kind: must not be empty");
    result.kind = std::move(**kind);
  }
  auto message = x.text("message", model::message_bytes_max);
  if (!message)
    return message.why();
  if (*message)
    result.message = std::move(**message);
  return result;
}

frame parse_op(const json_object& x, std::string ref, const client_identity& who,
               const limits& bounds) {
  auto op = x.text("op", 64);
  if (!op)
    return refusal{std::move(ref), std::nullopt, op.why()};
  if (!*op)
    return refusal{std::move(ref), std::nullopt, bad(model::code::bad_request, "op: is missing")};
  const auto& name_of_op = **op;
  if (name_of_op == "ping")
    return ping{std::move(ref)};
  auto known = name_of_op == "subscribe" || name_of_op == "unsubscribe" ||
               name_of_op == "publish" || name_of_op == "ack";
  if (!known)
    return refusal{std::move(ref), std::nullopt,
                   bad(model::code::unknown_op, "op: must be subscribe, unsubscribe, publish, ack "
                                                "or ping")};
  auto name = name_of(x);
  if (!name)
    return refusal{std::move(ref), std::nullopt, name.why()};
  auto refused = [&](const model::error& why) { return refusal{std::move(ref), *name, why}; };
  if (name_of_op == "subscribe") {
    auto from = resume_of(x);
    if (!from)
      return refused(from.why());
    return subscribe_command{std::move(ref), std::move(*name), *from};
  }
  if (name_of_op == "unsubscribe")
    return unsubscribe_command{std::move(ref), std::move(*name)};
  if (name_of_op == "ack") {
    auto at = x.number("seq", model::seq_max.value);
    if (!at)
      return refused(at.why());
    if (!*at)
      return refused(bad(model::code::bad_request, "seq: is missing"));
    return ack{std::move(ref), std::move(*name), {**at}};
  }
  auto draft = draft_of(x, who, bounds);
  if (!draft)
    return refused(draft.why());
  auto drafts = std::make_shared<model::batch>();
  drafts->drafts.push_back(std::move(*draft));
  if (auto done = producer_of(x, *drafts); !done)
    return refused(done.why());
  return publish_command{std::move(ref), std::move(*name), std::move(drafts)};
}

} // namespace

frame parse_frame(std::string_view text, const client_identity& who, const limits& bounds) {
  auto x = json_object::parse(text, "frame");
  if (!x)
    return refusal{{}, std::nullopt, x.why()};
  std::string ref;
  if (auto json = x->raw("ref")) {
    if (json->size() > ref_bytes_max)
      return refusal{{},
                     std::nullopt,
                     bad(model::code::bad_request,
                         "ref: has " + std::to_string(json->size()) + " bytes of JSON; at most " +
                             std::to_string(ref_bytes_max) + " are allowed")};
    ref = *json;
  }
  return parse_op(*x, std::move(ref), who, bounds);
}

model::result<model::batch> parse_drafts(std::string_view body, const client_identity& who,
                                         const limits& bounds, bool& array) {
  model::batch result;
  if (!valid_json(body))
    return bad(model::code::bad_request, "body: is not valid JSON in UTF-8");
  auto parts = elements(body);
  array = parts.has_value();
  if (!array)
    parts.emplace({body});
  if (parts->empty() || parts->size() > model::drafts_max)
    return bad(model::code::batch_too_large,
               "body: an array of " + std::to_string(parts->size()) + " drafts; 1 to " +
                   std::to_string(model::drafts_max) + " are allowed");
  for (std::size_t i = 0; i < parts->size(); ++i) {
    auto where = array ? "draft " + std::to_string(i + 1) : std::string{"body"};
    auto x = json_object::parse((*parts)[i], where);
    if (!x)
      return x.why();
    auto draft = draft_of(*x, who, bounds);
    if (!draft)
      return array ? bad(draft.why().what, where + ": " + draft.why().detail) : draft.why();
    result.drafts.push_back(std::move(*draft));
    // A batch has one number: the first draft carries it.
    if (i == 0) {
      if (auto done = producer_of(*x, result); !done)
        return done.why();
    } else if (given(*x, "producer") || given(*x, "producer_seq") || given(*x, "producer_epoch")) {
      return bad(model::code::bad_producer,
                 where + ": producer and producer_seq stand in the first draft of an array, which "
                         "is appended as a whole under one number");
    }
  }
  return result;
}

model::status add_key(model::batch& to, std::string_view key, std::string_view text) {
  if (!to.producer.empty())
    return bad(model::code::bad_producer,
               "Idempotency-Key: not together with a producer, which is one already");
  to.producer = '=' + std::string{key};
  if (to.producer.size() > model::producer_bytes_max)
    return bad(model::code::bad_producer, "Idempotency-Key: too long for this many lines");
  to.producer_seq = 1;
  to.fingerprint = fingerprint(text);
  return model::nothing{};
}

} // namespace confab::net::wire
