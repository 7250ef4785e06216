// Whether the logs in a Redis are dense and whole: their streams, and what the hashes say of them.
#include "store/creation_rules.hpp"
#include "store/log_check.hpp"
#include "store/redis_session.hpp"

#include <algorithm>
#include <map>
#include <sstream>

namespace confab::store {

namespace {

using kind = redis_reply::kind;

/// Entries and names that are read in one go.
constexpr std::int64_t names_max = 500;
constexpr std::int64_t entries_max = 100;
constexpr std::int64_t fields_max = 1000;

/// A seq and its id, as a hash has them.
struct claim {
  std::string by;
  std::uint64_t at = 0;
  model::entry_id id;
};

/// `41 1698249600123-0`
bool read_claim(std::istream& in, claim& x) {
  std::string id;
  if (!(in >> x.at >> id))
    return false;
  auto parsed = model::parse_entry_id(id);
  x.id = parsed.value_or(model::entry_id{});
  return parsed.has_value();
}

/// Where a fork comes from, as its hash has it: `source 41 1698249600123-0 0 epoch`.
struct origin {
  std::string source;
  claim last;
  std::string epoch;
};
bool read_origin(const std::string& text, origin& x) {
  std::istringstream in{text};
  std::uint64_t cut_bytes = 0;
  in >> x.source;
  return read_claim(in, x.last) && static_cast<bool>(in >> cut_bytes >> x.epoch);
}

/// One conversation's log.
class one_log {
public:
  one_log(redis_connection& redis, const model::conversation_name& name, check_summary& summary,
          const defect_sink& sink)
    : redis_{redis}, name_{name}, summary_{summary}, sink_{sink} {}

  /// Errors: Redis cannot be asked.
  [[nodiscard]] model::status check() {
    for (auto step : {&one_log::read_stream, &one_log::read_log, &one_log::read_origin_of,
                      &one_log::read_forks, &one_log::read_producers, &one_log::walk}) {
      if (auto done = (this->*step)(); !done)
        return done;
      if (broken_)
        break;
    }
    return model::nothing{};
  }

private:
  void defect(const std::string& what) {
    ++summary_.defects;
    sink_(name_.text() + ": " + what);
  }

  [[nodiscard]] std::uint64_t first() const { return added_ - length_ + 1; }

  [[nodiscard]] model::status read_stream() {
    redis_command command{"XINFO", {"STREAM", stream_key(name_)}};
    auto replies = redis_.send_all({&command, 1});
    if (!replies)
      return replies.why();
    const auto& x = replies->front();
    if (x.is(kind::error) && x.text.find("no such key") != std::string::npos)
      return model::nothing{}; // a log that nothing was added to, unless its hash knows better
    auto facts = elements_of(x, "XINFO STREAM");
    if (!facts) {
      broken_ = true;
      defect(facts.why().detail);
      return model::nothing{};
    }
    for (std::size_t i = 0; i + 1 < (*facts)->size(); i += 2) {
      const auto& what = (**facts)[i].text;
      const auto& value = (**facts)[i + 1];
      if (what == "entries-added")
        added_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value.number));
      else if (what == "length")
        length_ = static_cast<std::uint64_t>(std::max<std::int64_t>(0, value.number));
      else if (what == "max-deleted-entry-id")
        deleted_ = value.text;
    }
    if (length_ > added_) {
      broken_ = true;
      defect("the stream holds " + std::to_string(length_) + " entries, but only " +
             std::to_string(added_) + " were ever added: its counts were set by hand");
    }
    return model::nothing{};
  }

  [[nodiscard]] model::status read_log() {
    auto got = redis_.send(redis_command{"HGETALL", {"confab:log:" + name_.text()}});
    if (!got)
      return got.why();
    auto all = elements_of(*got, "HGETALL");
    if (!all)
      return all.why();
    std::map<std::string_view, std::string_view> fields;
    for (std::size_t i = 0; i + 1 < (*all)->size(); i += 2)
      fields[(**all)[i].text] = (**all)[i + 1].text;
    auto epoch = fields.find("epoch");
    if (epoch == fields.end() || !model::parse_epoch(epoch->second))
      defect("confab:log has no epoch: its readers get a reset");
    auto deleted = fields.contains("deleted") ? fields["deleted"] : "0-0";
    if (deleted != deleted_)
      defect("entries were removed by XDEL (max-deleted-entry-id is " + deleted_ + ", was " +
             std::string{deleted} + "): places do not mean what they did");
    for (const auto* what : {"last", "closed"})
      if (auto x = fields.find(what); x != fields.end() && !x->second.empty())
        add_claim(what, std::string{x->second});
    if (auto x = fields.find("fork"); x != fields.end())
      fork_ = x->second;
    return model::nothing{};
  }

  /// The fields of another log's hash, empty where there is none.
  [[nodiscard]] model::result<std::vector<std::string>>
  ask(const std::string& name, std::initializer_list<std::string_view> fields) {
    redis_command command{"HMGET", {"confab:log:" + name}};
    for (auto x : fields)
      command.add(x);
    auto got = redis_.send(command);
    if (!got)
      return got.why();
    auto all = elements_of(*got, "HMGET");
    if (!all)
      return all.why();
    std::vector<std::string> texts;
    for (const auto& x : **all)
      texts.push_back(x.text);
    return texts;
  }

  /// Of a fork: its source is the one that it left, and has the last entry that both show.
  [[nodiscard]] model::status read_origin_of() {
    if (fork_.empty())
      return model::nothing{};
    origin from;
    if (!read_origin(fork_, from)) {
      defect("confab:log, fork: is not what Confab writes");
      return model::nothing{};
    }
    auto member = redis_.send({"SISMEMBER", {"confab:forks:" + from.source, name_.text()}});
    if (!member)
      return member.why();
    if (member->number != 1)
      defect("confab:forks:" + from.source + " does not name it: its source may be removed");
    auto source = ask(from.source, {"epoch", "fork"});
    if (!source)
      return source.why();
    if ((*source)[0] != from.epoch)
      defect("its source " + from.source + " is another log by now: its readers get a reset");
    auto holder = from.source;
    std::size_t depth = 0;
    for (auto text = (*source)[1]; !text.empty(); ++depth) {
      if (depth == fork_depth_max) {
        defect("its sources have sources without end");
        return model::nothing{};
      }
      origin next;
      if (!read_origin(text, next) || next.last.at < from.last.at)
        break; // its own check names what is wrong
      holder = next.source;
      auto below = ask(holder, {"fork"});
      if (!below)
        return below.why();
      text = (*below)[0];
    }
    return from.last.at == 0 ? model::nothing{} : compare_shared(holder, from.last.id);
  }

  [[nodiscard]] model::status compare_shared(const std::string& holder, model::entry_id id) {
    auto stream = "stream:conversation:" + holder;
    auto text = to_string(id);
    std::vector<redis_command> questions{{"XRANGE", {stream, text, text}},
                                         {"XRANGE", {stream, "-", text, "COUNT", "1"}}};
    auto replies = redis_.send_all(questions);
    if (!replies)
      return replies.why();
    auto there = elements_of((*replies)[0], "XRANGE");
    auto older = elements_of((*replies)[1], "XRANGE");
    if (!there || !older)
      return there ? older.why() : there.why();
    // Trimmed, if none of those before it is there either.
    if ((*there)->empty() && !(*older)->empty())
      defect("the stream of " + holder + " has no entry " + text + ", the last one that is shared");
    return model::nothing{};
  }

  /// What forks of it say of its entries.
  [[nodiscard]] model::status read_forks() {
    std::string from = "0";
    do {
      redis_command command{"SSCAN", {"confab:forks:" + name_.text(), from, "COUNT"}};
      command.add(names_max);
      auto got = redis_.send(command);
      if (!got)
        return got.why();
      auto parts = elements_of(*got, "SSCAN");
      if (!parts || (*parts)->size() != 2)
        return unexpected(*got, "SSCAN");
      from = (**parts)[0].text;
      for (const auto& fork : (**parts)[1].elements) {
        auto its = ask(fork.text, {"fork"});
        if (!its)
          return its.why();
        origin said;
        if (!read_origin((*its)[0], said) || said.source != name_.text())
          continue; // it ended, and the set only helps to find those that did not
        said.last.by = "fork " + fork.text;
        expect(std::move(said.last));
      }
    } while (from != "0");
    return model::nothing{};
  }

  void add_claim(const std::string& by, const std::string& text) {
    std::istringstream in{text};
    claim made;
    made.by = "confab:log, " + by;
    if (read_claim(in, made))
      expect(std::move(made));
    else
      defect("confab:log, " + by + ": is not a seq and an id");
  }

  /// It is compared when the walk comes by.
  void expect(claim x) {
    if (x.at == 0)
      return;
    if (x.at > added_)
      return defect(x.by + ": names seq " + std::to_string(x.at) + ", but the stream had only " +
                    std::to_string(added_) + ": entries are lost");
    if (x.at >= first())
      claims_.emplace(x.at, std::move(x));
  }

  [[nodiscard]] model::status read_producers() {
    std::string from = "0";
    do {
      redis_command command{"HSCAN", {"confab:producer:" + name_.text(), from, "COUNT"}};
      command.add(fields_max);
      auto got = redis_.send(command);
      if (!got)
        return got.why();
      auto parts = elements_of(*got, "HSCAN");
      if (!parts || (*parts)->size() != 2)
        return unexpected(*got, "HSCAN");
      from = (**parts)[0].text;
      const auto& rows = (**parts)[1].elements;
      for (std::size_t i = 0; i + 1 < rows.size(); i += 2)
        read_row(rows[i].text, rows[i + 1].text);
    } while (from != "0");
    return model::nothing{};
  }

  /// `epoch number fingerprint at` of a producer, `epoch number seq count id at` of a number.
  void read_row(const std::string& field, const std::string& text) {
    auto end = field.find('\n');
    auto by = "producer " + field.substr(0, end);
    std::istringstream in{text};
    std::uint64_t epoch = 0, number = 0, fingerprint = 0, count = 0, at = 0;
    in >> epoch >> number;
    if (end == std::string::npos) {
      if (!(in >> fingerprint >> at))
        defect(by + ": its row is not what Confab writes");
      return;
    }
    claim made;
    made.by = by + ", number " + std::to_string(number);
    std::string id;
    auto whole = static_cast<bool>(in >> made.at >> count >> id >> at);
    auto parsed = model::parse_entry_id(id);
    if (!whole || !parsed)
      return defect(by + ": a receipt of it is not what Confab writes");
    made.id = *parsed;
    if (count > 0)
      expect(std::move(made));
  }

  [[nodiscard]] model::status walk() {
    std::string from = "-";
    auto seq = first();
    model::entry_id last;
    while (true) {
      redis_command command{"XRANGE", {stream_key(name_), from, "+", "COUNT"}};
      command.add(entries_max);
      auto got = redis_.send(command);
      if (!got)
        return got.why();
      auto page = elements_of(*got, "XRANGE");
      if (!page)
        return page.why();
      for (const auto& x : **page) {
        auto id = x.elements.size() == 2 ? id_of(x.elements[0]) : unexpected(x, "XRANGE");
        if (!id || *id <= last) {
          defect("seq " + std::to_string(seq) + ": its id is not beyond the one before it");
          return model::nothing{};
        }
        compare(seq++, last = *id);
      }
      if ((*page)->size() < static_cast<std::size_t>(entries_max))
        break;
      from = '(' + to_string(last);
    }
    summary_.entries += seq - first();
    if (seq != added_ + 1)
      defect("the stream has " + std::to_string(seq - first()) + " entries and says " +
             std::to_string(length_));
    return model::nothing{};
  }

  void compare(std::uint64_t seq, model::entry_id id) {
    auto [begin, end] = claims_.equal_range(seq);
    for (auto i = begin; i != end; ++i)
      if (i->second.id != id)
        defect(i->second.by + ": seq " + std::to_string(seq) + " has the id " + to_string(id) +
               ", and not " + to_string(i->second.id) + ": the stream lost what it had");
  }

  redis_connection& redis_;
  const model::conversation_name& name_;
  check_summary& summary_;
  const defect_sink& sink_;
  std::uint64_t added_ = 0, length_ = 0;
  std::string deleted_ = "0-0";
  /// Empty: it is none.
  std::string fork_;
  std::multimap<std::uint64_t, claim> claims_;
  bool broken_ = false;
};

} // namespace

model::result<check_summary> check_redis(const redis_options& how, const defect_sink& defect) {
  redis_connection redis{how};
  check_summary summary;
  std::string from = "-";
  while (true) {
    redis_command command{"ZRANGEBYLEX", {"confab:conversations", from, "+", "LIMIT", "0"}};
    command.add(names_max);
    auto got = redis.send(command);
    if (!got)
      return got.why();
    auto names = elements_of(*got, "ZRANGEBYLEX");
    if (!names)
      return names.why();
    for (const auto& x : **names) {
      from = '(' + x.text;
      auto name = model::conversation_name::parse(x.text);
      if (!name) {
        ++summary.defects;
        defect("confab:conversations names what is no conversation's name");
        continue;
      }
      ++summary.conversations;
      if (auto done = one_log{redis, *name, summary, defect}.check(); !done)
        return done.why();
    }
    if ((*names)->size() < static_cast<std::size_t>(names_max))
      return summary;
  }
}

} // namespace confab::store
