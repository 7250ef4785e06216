// What an append to the log in Redis costs Redis, beside the two raw XADDs that it stands for:
// confab_append_cost ADDRESS PID [ROUNDS]; bench/append_cost starts it.
#include "actors/stream_copies.hpp"
#include "store/redis_connection.hpp"
#include "store/redis_store.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

using namespace confab;

namespace {

/// Of a chat message.
const std::string payload = '"' + std::string(198, 'x') + '"';
/// Connections that publish to one conversation.
constexpr std::uint64_t producers = 4;

template <class T>
T must(model::result<T> x) {
  if (x)
    return std::move(*x);
  std::fprintf(stderr, "%s\n", x.why().detail.c_str());
  std::exit(1);
}

/// The process's CPU time.
double cpu_us(const std::string& pid) {
  std::ifstream file{"/proc/" + pid + "/schedstat"};
  double ns = 0;
  if (!(file >> ns)) {
    std::fprintf(stderr, "no such process: %s\n", pid.c_str());
    std::exit(1);
  }
  return ns / 1'000;
}

model::conversation_name name_of(std::size_t i) {
  return *model::conversation_name::parse("room/" + std::to_string(i));
}

/// So many calls on their way at once, with so many drafts each.
struct shape {
  std::size_t calls;
  std::size_t drafts;
  std::size_t repeats;
};

class appender {
public:
  explicit appender(const store::redis_options& redis)
    : log_{must(store::open_redis(options(redis)))}, writer_{log_->writer()}, states_(64) {}

  void append(const shape& x) {
    std::vector<store::chain> chains;
    for (std::size_t i = 0; i < x.calls; ++i)
      chains.push_back(chain_of(i, x.drafts));
    std::vector<const store::chain*> pointers;
    for (const auto& each : chains)
      pointers.push_back(&each);
    auto outcomes = writer_->commit(pointers, store::system_wall_ms());
    for (std::size_t i = 0; i < x.calls; ++i) {
      if (outcomes[i].failure) {
        std::fprintf(stderr, "%s\n", outcomes[i].failure->detail.c_str());
        std::exit(1);
      }
      states_[i] = outcomes[i].state;
    }
  }

private:
  static store::redis_log_options options(const store::redis_options& redis) {
    store::redis_log_options made;
    made.redis = redis;
    made.origin = "3f0c9b1e77a24d58";
    made.read = actors::copy_of;
    return made;
  }

  store::chain chain_of(std::size_t i, std::size_t drafts) {
    store::chain made{name_of(i), states_[i].epoch, "application/json", {}};
    auto at = states_[i].tail;
    auto now = store::system_wall_ms();
    auto id = model::next_id(states_[i].tail_id, now);
    for (std::size_t j = 0; j < drafts; ++j, ++id.n) {
      ++number_;
      auto append = std::make_shared<store::append>();
      append->producer_seq = number_ / producers;
      at = at.next();
      model::entry entry;
      entry.at = at;
      entry.id = id;
      entry.time_ms = now;
      entry.sender = "ann";
      entry.kind = "message";
      entry.payload = payload;
      entry.producer = "~3f0c9b1e77a24d58:" + std::to_string(number_ % producers);
      entry.producer_seq = append->producer_seq;
      append->entries.push_back(std::move(entry));
      made.appends.push_back(std::move(append));
    }
    return made;
  }

  std::unique_ptr<store::log_store> log_;
  std::unique_ptr<store::log_writer> writer_;
  std::vector<model::log_state> states_;
  std::uint64_t number_ = 0;
};

void add_raw(store::redis_connection& redis, const shape& x) {
  std::vector<store::redis_command> all;
  for (std::size_t i = 0; i < x.calls; ++i)
    for (std::size_t j = 0; j < x.drafts; ++j) {
      auto name = "raw/" + std::to_string(i);
      auto stream = "stream:conversation:" + name;
      auto now = std::to_string(store::system_wall_ms());
      all.push_back({"XADD",
                     {stream, "*", "payload", payload, "conversation_id", name, "sender_id", "ann",
                      "timestamp", now}});
      all.push_back({"XADD",
                     {"stream:fanout:all-conversations", "*", "conversation_id", name, "stream_key",
                      stream, "entry_id", now + "-0"}});
    }
  must(redis.send_all(all));
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

} // namespace

int main(int count, char** words) {
  if (count < 3) {
    std::fprintf(stderr, "confab_append_cost ADDRESS PID [ROUNDS]\n");
    return 2;
  }
  store::redis_options how;
  how.address = must(store::parse_redis_address(words[1]));
  auto rounds = count > 3 ? std::atoi(words[3]) : 40;
  store::redis_connection redis{how};
  appender log{how};
  const shape shapes[] = {{1, 1, 300}, {64, 1, 20}, {64, 8, 4}, {64, 64, 1}, {1, 64, 30}};
  for (const auto& x : shapes) {
    std::vector<double> raw, own, ratios;
    auto entries = static_cast<double>(x.calls * x.drafts * x.repeats);
    for (int round = 0; round < rounds; ++round) {
      auto begin = cpu_us(words[2]);
      for (std::size_t i = 0; i < x.repeats; ++i)
        add_raw(redis, x);
      auto between = cpu_us(words[2]);
      for (std::size_t i = 0; i < x.repeats; ++i)
        log.append(x);
      auto end = cpu_us(words[2]);
      // So that the streams stay small, as trimmed ones do.
      must(redis.send({"XTRIM", {"stream:fanout:all-conversations", "MAXLEN", "1000"}}));
      raw.push_back((between - begin) / entries);
      own.push_back((end - between) / entries);
      ratios.push_back(own.back() / raw.back());
    }
    std::printf("%3zu calls of %2zu: raw %6.2f us, append %6.2f us, %5.2f x\n", x.calls, x.drafts,
                median(raw), median(own), median(ratios));
    std::fflush(stdout);
  }
}
