#include "actors/environment.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>

namespace confab::actors {

namespace {

/// A commit that lasts longer means a disk that hangs.
constexpr std::int64_t commit_ms_max = 3000;

} // namespace

void log_health_board::commit_ended(store::health now) {
  since_ms_ = 0;
  std::lock_guard lock{mutex_};
  if (now.trouble != last_.trouble) {
    if (now.trouble.empty())
      spdlog::info("log: appends work again");
    else
      spdlog::error("log: {}", now.trouble);
  }
  last_ = std::move(now);
}

net::readiness log_health_board::readiness(std::int64_t now_ms) const {
  if (auto since = since_ms_.load(); since != 0 && now_ms - since > commit_ms_max)
    return {false, "a commit to the log has been under way for " +
                       std::to_string((now_ms - since) / 1000) + " s: the disk hangs"};
  std::lock_guard lock{mutex_};
  return {.ready = last_.trouble.empty(), .why = last_.trouble, .settings = last_.settings};
}

store::health log_health_board::last() const {
  std::lock_guard lock{mutex_};
  return last_;
}

void redis_health_board::note(std::string_view user, const std::string& why) {
  std::lock_guard lock{mutex_};
  auto& known = trouble_by_user_[user];
  // While it is down its reasons change from try to try.
  if (known.empty() != why.empty()) {
    if (why.empty())
      spdlog::info("redis: {} go on", user);
    else
      spdlog::error("redis: {} wait: {}", user, why);
  }
  known = why;
}

std::string redis_health_board::trouble() const {
  std::lock_guard lock{mutex_};
  for (const auto& [user, why] : trouble_by_user_)
    if (!why.empty())
      return why;
  return {};
}

std::map<std::string_view, std::string> redis_health_board::trouble_by_user() const {
  std::lock_guard lock{mutex_};
  return trouble_by_user_;
}

void abort_on_exceptions(caf::scheduled_actor& self) {
  self.set_exception_handler(
      [](caf::scheduled_actor* which, std::exception_ptr& why) -> caf::error {
        try {
          std::rethrow_exception(why);
        } catch (const std::exception& x) {
          spdlog::critical("actor {}: {}", which->name(), x.what());
        }
        spdlog::default_logger()->flush();
        std::abort();
      });
  // CAF's own handler ends the actor, without a word, when somebody refuses a message of its.
  self.set_error_handler([](caf::scheduled_actor* which, caf::error& why) {
    spdlog::error("actor {}: {}", which->name(), which->system().render(why));
  });
}

} // namespace confab::actors
