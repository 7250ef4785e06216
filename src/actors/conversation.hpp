// One actor per conversation: gives drafts their places, lets them commit, then announces (DESIGN
// §5).
//
// Invariants:
// (1) Nobody sees an entry, or a receipt, before the log has it.
// (2) Places are given in the order of arrival and commit in that order; behind a failure, what is
// innocent is given
//     new places and sent again, so a hole can neither commit nor be seen.
// (3) Whoever subscribes gets a feed that holds the answer's state or a later one, in the same
//     step; where others append, too, a state that was looked for after it came.
// (4) Once it has asked to be passivated it takes nothing new: `moved` sends the asker back to the
//     directory, which has been asked first.
// (5) A follower appends nothing of its clients: what the home has not answered goes to the next
//     home before anything new, so drafts keep their order, whoever the home is.
// (6) Where others append, too, nothing is refused, or called a repeat, by what is remembered
// alone.
#pragma once

#include "actors/environment.hpp"
#include "actors/redis_interfaces.hpp"
#include "model/producers.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <list>
#include <map>
#include <set>
#include <unordered_map>

namespace confab::actors {

/// Receipts of one commit, gathered per connection.
class answer_batches {
public:
  void add(const publication& to, append_answer answer);
  template <class Self>
  void send(Self* self) {
    for (auto& x : batches_)
      self->send(x.to, atom::receipts::value, std::move(x.answers));
  }

private:
  struct batch {
    client_actor to;
    append_answers answers;
  };
  std::vector<batch> batches_;
  std::unordered_map<const void*, std::size_t> index_;
};

/// Of a batch's payloads.
[[nodiscard]] std::string_view content_type_of(const model::batch& x);

struct conversation_state {
  using self_pointer = conversation_actor::stateful_pointer<conversation_state>;

  explicit conversation_state(self_pointer parent) : self{parent} {}

  void open();
  caf::result<subscribed> subscribe(const subscriber& x);
  void unsubscribe(connection_id who);
  void publish(const publication& x);
  void committed(const commit_report& x);
  void wake_up();
  void looked(const opened& x);
  void reconcile();
  void placed(const cluster_view_ptr& x);
  void receipts(const append_answers& x);
  void announced(const announcement& x);
  bool follow(const link_actor& x);
  void unfollow(const link_actor& x);
  caf::result<state_changed> close();
  caf::result<state_changed> remove();
  caf::result<creation_done> create(const creation& x);
  void touch();
  void expire();
  void trimmed(const model::log_state& x);
  void idle();

  // Steps of the above.

  /// Adds a subscriber. @pre the state is one of after it came.
  subscribed admit(const subscriber& x);
  /// Those that waited until the log was looked at.
  void admit_all();
  struct arrival {
    subscriber who;
    caf::typed_response_promise<subscribed> answer;
  };
  void turn_away(std::vector<arrival>& from, connection_id who);
  /// What the log says of itself.
  void know(const store::log_head& x);
  void become(const model::log_state& x);
  /// The deadline has come: nobody sees the log any more. The store removes it by its own clock.
  void forget_expired();
  void watch_expiry();
  /// Whether others append, too.
  [[nodiscard]] bool shared() const noexcept;
  /// Others may add to the log while somebody follows it.
  void watch_growth();
  /// Why nothing can be done now, if so.
  [[nodiscard]] std::optional<model::error> unavailable();
  /// Its turn has come.
  void take(const publication& x);
  void look_up(const publication& x);
  /// What the log holds of its producer is being read.
  [[nodiscard]] bool is_looked_up(const model::batch& x) const;
  /// Before it is refused by what is remembered, or called a repeat: another node may have appended
  /// since, or removed the log. Then it waits until the log was looked at, once.
  [[nodiscard]] bool out_of_date(const publication& x);
  /// `x` is done for by what is remembered, unless it is there already.
  [[nodiscard]] bool may_be_there(const publication& x);
  /// Those whose look is over take their turn, or are refused if the log could not be looked at;
  /// all of them if it was opened.
  void release_unread(bool all, const model::error* why = nullptr);
  /// Likewise until the stored row of its producer was read.
  [[nodiscard]] bool look_up_again(const publication& x);
  /// @param asked the epoch when it was asked.
  void looked_up(const std::string& key, const model::epoch& asked, const producer_read& got);
  void read_older(const publication& x);
  /// Whether the draft's conditions keep it waiting, or out: then it is answered or held.
  bool kept_out(const publication& x);
  /// Gives places and sends to the writer.
  void start(const publication& x);
  /// The oldest appends in flight are durable: receipts and the announcement.
  void settle(const commit_report& x, answer_batches& answers);
  /// The oldest append in flight has failed: a new round, with new places for those behind it that
  /// are innocent.
  void start_over(const model::error& why, answer_batches& answers);
  /// Nobody knows what became of the appends in flight: say so, and read the log anew.
  void lose_track(const model::error& why, answer_batches& answers);
  /// Others have added to the log: what is given next stands behind that.
  void place_again();
  void send_to_writer(const std::shared_ptr<const store::append>& x);
  /// It was appended before.
  void confirm(const publication& x, model::receipt got);
  void refuse(const publication& x, model::error why);
  /// A copy that waits for something, and knows its place among those that do.
  [[nodiscard]] publication kept(const publication& x);
  /// Until what it waits for is over: then all that are held take their turns again.
  void hold(const publication& x);
  void refuse_gap(const publication& x, std::uint64_t expected);
  /// Every answer says how the log is by now.
  void answer(answer_batches& to, const publication& x, model::result<model::receipt> got);
  void announce(const std::vector<model::run_ptr>& newest);
  void tell_followers(const std::vector<model::run_ptr>& newest);
  [[nodiscard]] announcement announcement_of(const std::vector<model::run_ptr>& newest) const;
  /// To the home.
  void forward(const publication& x);
  /// For old consumers, who listen on a channel.
  void speak(const spoken_runs& newest);
  /// The same where the log itself is in Redis.
  void speak_of_growth();
  /// The next closing or deleting, if nothing is in flight. CAF handles the latest `await` first,
  /// so there is one at a time: an opening, or a control.
  void run_controls();
  void give_up_controls(const model::error& why);
  /// The drafts that waited for controls, or for the log's creation.
  void release_held();
  void watch_idleness();
  [[nodiscard]] bool busy() const noexcept;

  struct in_flight_append {
    std::shared_ptr<store::append> what;
    std::vector<publication> from;
    std::size_t bytes;
    int sends = 1;
  };
  struct hub_followers {
    std::shared_ptr<net::hub_feed> feed;
    std::size_t count = 0;
  };
  /// Closing, deleting or creating; one of the promises is set.
  struct control {
    bool removes;
    caf::typed_response_promise<state_changed> answer;
    creation creates = nullptr;
    caf::typed_response_promise<creation_done> created = {};
  };
  void run(control next);
  void changed(const control& by, const state_changed& got);
  void control_done();

  self_pointer self;
  environment* env = nullptr;
  log_writer_actor writer;
  directory_actor directory;
  stream_actors streams;
  std::shared_ptr<const model::conversation_name> of;

  model::log_state state;
  model::settings settings;
  /// The last one that is durable, and the last one that is on its way.
  std::string stream_seq, stream_seq_given;
  /// An append that closes is on its way: what comes behind it waits.
  bool closing = false;
  bool expiry_pending = false;
  /// Set while the log cannot be opened.
  std::optional<model::error> broken;
  std::int64_t opened_ms = 0;
  bool leaving = false;

  model::producers producers;
  // Lists, since an empty deque costs 576 bytes of an idle conversation.
  std::list<in_flight_append> in_flight;
  /// Of the last append that was sent.
  std::shared_ptr<const append_target> target;
  std::uint64_t round = 0;
  /// An outcome was unknown and nothing was committed since: a failed commit may still come back
  /// after a crash, so "failed" cannot be said.
  bool unsettled = false;
  model::seq last_given;
  model::entry_id last_id;
  /// Drafts whose producer is being looked for in the log, in their order.
  std::unordered_map<std::string, std::vector<publication>> looking_up;
  /// Other questions to the log whose answers decide about a draft.
  std::size_t asked_for_drafts = 0;
  /// The first one may be running.
  std::list<control> controls;
  bool control_running = false;
  bool opening = false;
  /// Drafts that wait for a look at the log, by its number.
  struct unread_draft {
    publication what;
    std::uint64_t look;
  };
  std::vector<unread_draft> unread;
  /// So many looks have begun.
  std::uint64_t looks = 0;
  /// Drafts that came behind a control, or behind the append that creates the log; as they arrived.
  std::vector<publication> held;
  std::uint64_t last_arrival = 0;

  /// Where its home is; null: this one appends.
  link_actor home;
  cluster_view_ptr view;
  /// Drafts that the home has not answered, in order.
  std::map<std::uint64_t, publication> forwards;
  std::uint64_t last_forward = 0;
  /// Nodes that take this one for the home.
  std::set<link_actor> followers;

  /// Where others append, too, the log is looked at before a subscribe is answered: these have come
  /// since the last look began, and before it.
  std::vector<arrival> arriving, looked_for;
  std::unordered_map<std::uint64_t, subscriber> subscribers;
  /// (user, client) → its one subscription; those that cannot come back are not in it.
  std::map<std::pair<std::string, std::string>, connection_id> by_client;
  std::map<net::hub*, hub_followers> hubs;
  bool idle_pending = false;
  bool growth_pending = false;
  std::uint64_t growth_phase = 0;
  /// The writer looks at the log; another wake-up came meanwhile.
  bool looking = false, look_again = false;
  /// What that look has seen is older than what an awaited answer has told since.
  bool look_overtaken = false;
  caf::actor_clock::time_point last_use;

  static inline const char* name = "conversation";
};

/// @param view null: there is one node.
/// @param env outlives the actor.
conversation_actor::behavior_type conversation(conversation_state::self_pointer self,
                                               model::conversation_name name,
                                               log_writer_actor writer, directory_actor directory,
                                               stream_actors streams, cluster_view_ptr view,
                                               environment* env);

} // namespace confab::actors
