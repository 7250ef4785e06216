#include "actors/measures.hpp"

namespace confab::actors {

namespace {

double figure(const model::counter& x) {
  return static_cast<double>(x.value());
}

double figure(const model::level& x) {
  return static_cast<double>(x.value());
}

void measure_log(const environment& env, net::metrics& to) {
  const auto& x = env.counted;
  auto health = env.log_health.last();
  to.now("confab_conversations", "Conversations in memory.",
         static_cast<double>(env.load.conversations));
  to.now("confab_homes", "Conversations in memory whose home this node is.",
         static_cast<double>(env.load.homes));
  to.rising("confab_published_entries_total", "Entries appended by clients.",
            figure(x.published_entries));
  to.rising("confab_published_bytes_total", "Bytes of their drafts.", figure(x.published_bytes));
  to.rising("confab_appends_refused_total", "Publishes answered by an error, by its code.", "code",
            net::by_code([&x](model::code code) { return x.refused_appends.value(code); }));
  to.now("confab_appends_waiting_bytes", "Bytes of drafts on their way to the log.",
         static_cast<double>(env.appends.used()));
  to.now("confab_log_writable", "0 while appends do not work.",
         env.log_health.readiness(env.wall_ms()).ready ? 1 : 0);
  to.rising("confab_log_commits_total", "Rounds of appends that were given to the log.",
            figure(x.commits));
  to.rising("confab_log_commit_seconds_total", "Time that they took.", figure(x.commit_us) / 1e6);
  to.rising("confab_log_commit_failures_total", "Commits that failed.",
            static_cast<double>(health.commit_failures));
  to.rising("confab_log_fences_total", "Fences after failed commits (SQLite).",
            static_cast<double>(health.fences));
  to.rising("confab_log_checkpoint_failures_total",
            "Failures to move pages from the write-ahead log into the database (SQLite).",
            static_cast<double>(health.checkpoint_failures));
}

void measure_redis(const environment& env, net::metrics& to) {
  const auto& x = env.counted;
  std::vector<net::metrics::labelled> up;
  for (const auto& [user, trouble] : env.redis_health.trouble_by_user())
    up.emplace_back(user, trouble.empty() ? 1 : 0);
  to.now("confab_redis_up", "Whether Redis answers, by what it is used for.", "user",
         std::move(up));
  to.rising("confab_looks_total", "Looks at streams to which others may have added.",
            figure(x.looks));
  to.rising("confab_pointers_read_total", "Pointers read from the fan-out stream.",
            figure(x.pointers_read));
  to.rising("confab_pointers_acknowledged_total", "Pointers acknowledged.",
            figure(x.pointers_acknowledged));
  to.rising("confab_pointers_refused_total", "Pointers that point to no entry.",
            figure(x.pointers_refused));
  to.rising("confab_pointers_claimed_total", "Pointers taken over from dead consumers.",
            figure(x.pointers_claimed));
  to.now("confab_pointers_under_way", "Pointers read and not acknowledged by this process.",
         figure(x.pointers_under_way));
  to.rising("confab_pointers_trimmed_total", "Old pointers removed from the fan-out stream.",
            figure(x.pointers_trimmed));
  to.rising("confab_consumers_removed_total", "Consumers of the group that were long gone.",
            figure(x.consumers_removed));
}

void measure_bridge(const environment& env, net::metrics& to) {
  const auto& x = env.counted;
  to.rising("confab_copied_entries_total", "Entries copied from streams.",
            figure(x.copied_entries));
  to.rising("confab_copied_gaps_total", "Entries of kind gap, for what is missing from streams.",
            figure(x.copied_gaps));
  to.rising("confab_copy_conflicts_total", "Copies that had been made already.",
            figure(x.copy_conflicts));
  to.rising("confab_copy_rests_total", "Failures to copy, each tried again later.",
            figure(x.copy_rests));
  to.rising("confab_mirrored_entries_total", "Entries added to streams.",
            figure(x.mirrored_entries));
  to.rising("confab_mirror_rests_total", "Failures to mirror, each tried again later.",
            figure(x.mirror_rests));
  to.now("confab_mirrors_behind", "Conversations that are not mirrored whole.",
         figure(x.mirrors_behind));
  to.rising("confab_pubsub_heard_total", "Messages of redis.pubsub_in.", figure(x.heard));
  to.rising("confab_pubsub_published_total", "Entries published on redis.pubsub_out.",
            figure(x.spoken));
  to.rising("confab_pubsub_dropped_total", "Entries that were not, since Redis does not keep up.",
            figure(x.unspoken));
}

void measure_links(const environment& env, net::metrics& to) {
  const auto& x = env.counted;
  to.rising("confab_link_frames_total", "Frames sent to other nodes.", figure(x.link_frames));
  to.rising("confab_link_bytes_total", "Bytes of frames sent to other nodes.",
            figure(x.link_bytes));
  to.rising("confab_link_announcements_total",
            "States of conversations, with their newest entries, sent to nodes that follow.",
            figure(x.link_announcements));
  to.rising("confab_link_drafts_total", "Drafts sent to their home.", figure(x.link_drafts));
}

} // namespace

void measure(const environment& x, net::metrics& to) {
  measure_log(x, to);
  measure_redis(x, to);
  measure_bridge(x, to);
  measure_links(x, to);
}

} // namespace confab::actors
