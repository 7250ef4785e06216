#include "actors/node.hpp"

#include "actors/connection.hpp"
#include "actors/directory.hpp"
#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"
#include "actors/measures.hpp"
#include "actors/root_uuid.hpp"
#include "actors/scheduler.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <spdlog/spdlog.h>

#include <cstdlib>

namespace confab::actors {

namespace {

class port final : public net::client_port {
public:
  port(connection_actor to, node_load_board& load) : to_{std::move(to)}, load_{load} {
    ++load_.connections;
  }
  ~port() override {
    --load_.connections;
    caf::anon_send(to_, atom::gone::value);
  }
  port(const port&) = delete;
  port& operator=(const port&) = delete;
  void tell(net::command x) override { caf::anon_send(to_, atom::command::value, std::move(x)); }

private:
  connection_actor to_;
  node_load_board& load_;
};

} // namespace

node_config::node_config(const std::optional<cluster_options>& cluster) {
  if (!node_ids_are_random(*this)) {
    spdlog::critical("CAF makes its own node ids, which two containers of one machine share: the "
                     "program was linked so that its symbols do not come first");
    std::abort();
  }
  module_factories.push_back([](caf::actor_system& x) -> caf::actor_system::module* {
    return new scheduler{x}; // owned by the system, as CAF wants it
  });
  // Without it, one busy actor can keep its thread for itself.
  set("scheduler.max-throughput", 50);
  if (cluster)
    cluster_node::prepare(*this, *cluster);
}

node::node(store::log_store& log, environment& env, std::optional<cluster_options> cluster)
  : log_{log}, env_{env}, how_{std::move(cluster)} {}

node::~node() {
  stop();
}

model::status node::start(net::pages& pages, std::size_t readers,
                          const std::optional<streams_options>& streams) {
  std::shared_ptr<store::log_writer> session{log_.writer()};
  if (streams) {
    auto joining = redis_streams::open(*streams, log_, *session, env_);
    if (!joining)
      return joining.why();
    streams_ = std::move(*joining);
  }
  auto pool = std::make_shared<std::vector<log_reader_actor>>();
  readers_ = pool;
  for (std::size_t i = 0; i < readers; ++i) {
    auto reading = log_.reader();
    if (!reading)
      return reading.why();
    pool->push_back(system_.spawn<caf::detached>(
        log_reader, std::shared_ptr<store::log_reader>{std::move(*reading)}, &pages, &env_));
  }
  writer_ = system_.spawn<caf::detached>(log_writer, std::move(session), &env_);
  stream_actors joined;
  if (streams_)
    joined = streams_->start(system_, writer_, readers_);
  directory_ = system_.spawn(directory, writer_, joined, &env_);
  if (how_) {
    auto joined_cluster = cluster_node::start(system_, *how_, directory_, env_);
    if (!joined_cluster)
      return joined_cluster.why();
    cluster_ = std::move(*joined_cluster);
  }
  if (streams_)
    streams_->join(system_, directory_);
  return model::nothing{};
}

void node::leave() {
  // While its drafts still find their homes.
  if (streams_)
    streams_->hand_over(system_);
  if (cluster_)
    cluster_->leave();
}

void node::stop() {
  if (!writer_)
    return;
  // First of all, so that nothing of it is half done when the log has gone.
  if (streams_)
    streams_->leave();
  if (cluster_)
    cluster_->stop();
  cluster_ = nullptr;
  caf::scoped_actor self{system_};
  // Failing to answer means that it has ended already.
  self->request(writer_, caf::infinite, atom::stop::value)
      .receive([](bool) {}, [](const caf::error&) {});
  auto end = [&](const auto& x) {
    self->send_exit(x, caf::exit_reason::user_shutdown);
    self->wait_for(x);
  };
  for (const auto& x : *readers_)
    end(x);
  end(directory_);
  if (streams_)
    streams_->stop(system_);
  streams_ = nullptr;
  readers_ = nullptr;
  directory_ = nullptr;
  writer_ = nullptr;
}

std::unique_ptr<net::actor_turns> node::join(std::function<void()> wake) {
  return static_cast<scheduler&>(system_.scheduler()).join(std::move(wake));
}

std::unique_ptr<net::client_port> node::connect(net::client_ref session, net::client_identity who) {
  connection_place place{directory_, writer_, readers_, {++connections_}};
  return std::make_unique<port>(
      system_.spawn(connection, std::move(place), session, std::move(who), &env_), env_.load);
}

void node::read(net::page_request x) {
  const auto& to = (*readers_)[reads_++ % readers_->size()];
  caf::anon_send(to, atom::page::value, std::move(x));
}

net::readiness node::ready() const {
  auto state = env_.log_health.readiness(env_.wall_ms());
  state.redis = env_.redis_health.trouble();
  return state;
}

void node::measure(net::metrics& to) const {
  actors::measure(env_, to);
}

} // namespace confab::actors
