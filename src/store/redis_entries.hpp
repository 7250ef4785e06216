// How an entry stands in a stream of Redis (DESIGN §8), and what one found there is.
#pragma once

#include "store/redis_reply.hpp"
#include "store/redis_store.hpp"

namespace confab::store {

/// Adds the number of its fields and values, and these, to a call of the append script.
void add_fields(std::vector<std::string>& arguments, const model::conversation_name& name,
                const model::entry& x);

/// The same for `plain_append`: payload, sender, timestamp, the number of further fields and
/// values, and these.
void add_plain_fields(std::vector<std::string>& arguments, const model::entry& x);

/// @param x an array of an id and an array of fields and values, as XRANGE gives it. Errors:
/// `log_damaged` when Redis itself does not keep to that, or the id is one that no entry can have.
[[nodiscard]] model::result<model::entry> read_entry(const redis_reply& x, model::seq at,
                                                     model::payload_form form,
                                                     const redis_log_options& how);

} // namespace confab::store
