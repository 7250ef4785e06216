#include "store/stream_reply.hpp"

namespace confab::store {

namespace {

bool read_fields(const redis_reply& x, std::vector<model::stream_field>& to) {
  if (x.is(redis_reply::kind::nil))
    return true;
  if (!x.is(redis_reply::kind::array) || x.elements.size() % 2 != 0)
    return false;
  to.reserve(x.elements.size() / 2);
  for (std::size_t i = 0; i < x.elements.size(); i += 2) {
    const auto& name = x.elements[i];
    const auto& value = x.elements[i + 1];
    if (!name.is(redis_reply::kind::text) || !value.is(redis_reply::kind::text))
      return false;
    to.push_back({name.text, value.text});
  }
  return true;
}

} // namespace

model::result<std::vector<model::stream_entry>> stream_entries(const redis_reply& x,
                                                               std::string_view command) {
  auto all = elements_of(x, command);
  if (!all)
    return all.why();
  std::vector<model::stream_entry> found;
  found.reserve((*all)->size());
  for (const auto& each : **all) {
    model::stream_entry made;
    auto sound = each.is(redis_reply::kind::array) && each.elements.size() == 2 &&
                 each.elements[0].is(redis_reply::kind::text) &&
                 read_fields(each.elements[1], made.fields);
    if (!sound)
      return unexpected(each, command);
    made.id = each.elements[0].text;
    found.push_back(std::move(made));
  }
  return found;
}

} // namespace confab::store
