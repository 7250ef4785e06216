#include "store/redis_connection.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <system_error>

namespace confab::store {

namespace {

/// A larger array is no answer to anything that is asked here.
constexpr int elements_max = 1'000'000;
constexpr std::size_t read_bytes = 64 * 1024;
constexpr int major_min = 7;

using clock = std::chrono::steady_clock;
using kind = redis_reply::kind;

// How hiredis builds our replies. Its only rule: an array comes before its elements.

redis_reply* place(const redisReadTask* task, kind what) {
  if (task->parent == nullptr)
    return new redis_reply{.what = what};
  auto& elements = static_cast<redis_reply*>(task->parent->obj)->elements;
  return &elements.emplace_back(redis_reply{.what = what});
}

void* make_text(const redisReadTask* task, char* text, std::size_t size) {
  auto made = place(task, task->type == REDIS_REPLY_ERROR ? kind::error : kind::text);
  made->text.assign(text, size);
  return made;
}
void* make_array(const redisReadTask* task, int elements) {
  return elements > elements_max ? nullptr : place(task, kind::array);
}
void* make_integer(const redisReadTask* task, long long value) {
  auto made = place(task, kind::integer);
  made->number = value;
  return made;
}
void* make_nil(const redisReadTask* task) {
  return place(task, kind::nil);
}
void free_reply(void* root) {
  delete static_cast<redis_reply*>(root);
}

redisReplyObjectFunctions builders{make_text, make_array, make_integer, make_nil, free_reply};

timeval timeval_of(std::int64_t ms) {
  return {static_cast<time_t>(ms / 1000), static_cast<suseconds_t>(ms % 1000 * 1000)};
}

std::string errno_text() {
  return std::generic_category().message(errno);
}

/// Whether the socket became ready in time. False with errno 0: it did not.
bool wait_for(int fd, short event, clock::time_point deadline) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd x{fd, event, 0};
    auto ready = ::poll(&x, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000)));
    if (ready > 0)
      return true;
    if (ready == 0 || errno != EINTR) {
      errno = ready == 0 ? 0 : errno;
      return false;
    }
  }
}

/// The value behind `name:` in the answer to INFO; empty if there is none.
std::string_view info_value(std::string_view info, std::string_view name) {
  while (!info.empty()) {
    auto end = std::min(info.find("\r\n"), info.size());
    auto line = info.substr(0, end);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':'))
      return line.substr(name.size() + 1);
    info.remove_prefix(std::min(info.size(), end + 2));
  }
  return {};
}

model::error unusable(std::string why) {
  return {model::code::unsupported, "Redis: " + std::move(why)};
}

model::error refused(std::string why) {
  return {model::code::store_failed, "Redis: " + std::move(why)};
}

} // namespace

struct redis_connection::socket {
  redisContext* context;
  /// Since the last whole reply.
  std::size_t unread_bytes = 0;

  explicit socket(redisContext* x) : context{x} {}
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;
  ~socket() { redisFree(context); }
};

redis_connection::redis_connection(redis_options how)
  : how_{std::move(how)}, backoff_{how_.reconnect, std::random_device{}()} {}

redis_connection::~redis_connection() = default;

bool redis_connection::connected() const noexcept {
  return socket_ != nullptr;
}

void redis_connection::disconnect() noexcept {
  socket_.reset();
  sha_by_script_.clear();
}

std::int64_t redis_connection::retry_in_ms() const {
  if (socket_ || !last_failure_ || (how_.reach && how_.reach->times() != others_connected_))
    return 0;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(next_try_ - clock::now()).count();
  return std::max<std::int64_t>(0, left);
}

bool redis_connection::stale() const noexcept {
  char byte = 0;
  // Nothing was asked, so whatever can be read is an end or a misunderstanding.
  auto got = ::recv(socket_->context->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

model::status redis_connection::connect() {
  if (socket_)
    return model::nothing{};
  if (retry_in_ms() > 0)
    return *last_failure_;
  others_connected_ = how_.reach ? how_.reach->times() : 0;
  auto done = open();
  if (done)
    done = greet();
  if (done) {
    backoff_.succeeded();
    last_failure_.reset();
    if (how_.reach)
      how_.reach->connected();
    return done;
  }
  disconnect();
  // Whatever was sent changed nothing.
  auto usable = done.why().what != model::code::unsupported;
  last_failure_ = {usable ? model::code::store_failed : done.why().what, done.why().detail};
  next_try_ = clock::now() + std::chrono::milliseconds{backoff_.failed()};
  return *last_failure_;
}

model::status redis_connection::open() {
  const auto& to = how_.address;
  auto place = to.path.empty() ? to.host + ':' + std::to_string(to.port) : to.path;
  auto timeout = timeval_of(how_.connect_ms);
  auto* context = to.path.empty() ? redisConnectWithTimeout(to.host.c_str(), to.port, timeout)
                                  : redisConnectUnixWithTimeout(to.path.c_str(), timeout);
  if (context == nullptr)
    return refused("cannot connect to " + place + ": no memory");
  auto made = std::make_unique<socket>(context);
  if (context->err != 0)
    return refused("cannot connect to " + place + ": " + context->errstr);
  if (to.path.empty() && redisEnableKeepAlive(context) != REDIS_OK)
    return refused("cannot connect to " + place + ": " + context->errstr);
  context->reader->fn = &builders;
  socket_ = std::move(made);
  return model::nothing{};
}

model::status redis_connection::greet() {
  std::vector<redis_command> all;
  if (!how_.password.empty()) {
    all.emplace_back("AUTH");
    if (!how_.user.empty())
      all.back().add(how_.user);
    all.back().add(how_.password);
  }
  all.push_back({"CLIENT", {"SETNAME", "confab"}});
  if (how_.database != 0)
    all.push_back({"SELECT", {std::to_string(how_.database)}});
  all.push_back({"INFO", {"server"}});
  auto replies = exchange(all, how_.connect_ms);
  if (!replies)
    return replies.why();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (auto text = text_of((*replies)[i], all[i].name()); !text)
      return text.why();
  const auto& info = replies->back().text;
  auto mode = info_value(info, "redis_mode");
  if (mode.empty()) // as Valkey calls it
    mode = info_value(info, "server_mode");
  if (mode == "cluster")
    return unusable("is a Redis Cluster, in which a conversation's stream and the fan-out stream "
                    "lie in different slots; one primary, with replicas if wanted, is needed");
  if (mode == "sentinel")
    return unusable("is a Sentinel; the primary's own address is needed");
  auto version = info_value(info, "redis_version");
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  if (major < major_min)
    return unusable("is version " + std::string{version.substr(0, 32)} +
                    "; 7.0 or newer is needed");
  facts_ = {std::string{version}, std::string{info_value(info, "run_id")}};
  return model::nothing{};
}

model::error redis_connection::lost(model::code what, std::string why) {
  disconnect();
  return {what, "Redis: " + std::move(why)};
}

model::status redis_connection::write(std::string_view bytes, std::int64_t ms) {
  auto deadline = clock::now() + std::chrono::milliseconds{ms};
  auto fd = socket_->context->fd;
  while (!bytes.empty()) {
    auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR)
      continue;
    if ((errno == EAGAIN || errno == EWOULDBLOCK) && wait_for(fd, POLLOUT, deadline))
      continue;
    return lost(model::code::append_unknown,
                errno == 0 || errno == EAGAIN
                    ? "does not read what it is sent for " + std::to_string(ms) + " ms"
                    : "the connection broke: " + errno_text());
  }
  return model::nothing{};
}

model::result<std::optional<redis_reply>> redis_connection::read(std::int64_t ms) {
  auto deadline = clock::now() + std::chrono::milliseconds{ms};
  auto* reader = socket_->context->reader;
  for (;;) {
    void* got = nullptr;
    if (redisReaderGetReply(reader, &got) != REDIS_OK)
      return lost(model::code::append_unknown,
                  std::string{"an unreadable reply: "} + reader->errstr);
    if (got != nullptr) {
      std::unique_ptr<redis_reply> reply{static_cast<redis_reply*>(got)};
      socket_->unread_bytes = 0;
      return std::optional{std::move(*reply)};
    }
    if (socket_->unread_bytes > how_.reply_bytes)
      return lost(model::code::append_unknown,
                  "a reply of more than " + std::to_string(how_.reply_bytes) + " bytes");
    if (!wait_for(socket_->context->fd, POLLIN, deadline)) {
      if (errno == 0)
        return std::optional<redis_reply>{};
      return lost(model::code::append_unknown, "the connection broke: " + errno_text());
    }
    thread_local std::vector<char> buffer(read_bytes);
    auto size = ::recv(socket_->context->fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      socket_->unread_bytes += static_cast<std::size_t>(size);
      if (redisReaderFeed(reader, buffer.data(), static_cast<std::size_t>(size)) != REDIS_OK)
        return lost(model::code::append_unknown, std::string{"no memory: "} + reader->errstr);
    } else if (size == 0) {
      return lost(model::code::append_unknown, "closed the connection");
    } else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
      return lost(model::code::append_unknown, "the connection broke: " + errno_text());
    }
  }
}

model::result<std::vector<redis_reply>>
redis_connection::exchange(std::span<const redis_command> all, std::int64_t reply_ms) {
  std::string wire;
  for (const auto& x : all)
    x.append_to(wire);
  if (auto written = write(wire, reply_ms); !written)
    return written.why();
  std::vector<redis_reply> replies;
  replies.reserve(all.size());
  for (const auto& x : all) {
    auto reply = read(reply_ms);
    if (!reply)
      return model::error{reply.why().what,
                          reply.why().detail + ", before " + x.name() + " was answered"};
    if (!*reply)
      return lost(model::code::append_unknown,
                  "no answer to " + x.name() + " for " + std::to_string(reply_ms) + " ms");
    replies.push_back(std::move(**reply));
  }
  // The address may lead to another server by now.
  if (std::any_of(replies.begin(), replies.end(), [](const redis_reply& x) {
        return x.refuses("READONLY") || x.refuses("MASTERDOWN");
      }))
    disconnect();
  return replies;
}

model::result<std::vector<redis_reply>>
redis_connection::send_all(std::span<const redis_command> all, std::int64_t wait_ms) {
  if (socket_ && stale())
    disconnect();
  if (auto there = connect(); !there)
    return there.why();
  return exchange(all, how_.command_ms + wait_ms);
}

model::result<redis_reply> redis_connection::send(const redis_command& x, std::int64_t wait_ms) {
  auto replies = send_all({&x, 1}, wait_ms);
  if (!replies)
    return replies.why();
  if (replies->front().is(kind::error))
    return unexpected(replies->front(), x.name());
  return std::move(replies->front());
}

model::result<std::string> redis_connection::load(const redis_script& script) {
  auto loaded = send({"SCRIPT", {"LOAD", script.text}});
  if (!loaded)
    return model::error{model::code::store_failed, loaded.why().detail};
  auto sha = text_of(*loaded, "SCRIPT LOAD");
  if (!sha)
    return sha.why();
  return sha_by_script_[script.text.data()] = **sha;
}

model::result<std::vector<redis_reply>>
redis_connection::call_all(const redis_script& script, std::span<const redis_call> all) {
  if (socket_ && stale())
    disconnect();
  std::vector<redis_reply> replies(all.size());
  std::vector<std::size_t> open(all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    open[i] = i;
  // The second round is for those that came behind a SCRIPT FLUSH.
  for (int round = 0; round < 2 && !open.empty(); ++round) {
    auto known = sha_by_script_.find(script.text.data());
    auto sha =
        known != sha_by_script_.end() ? model::result<std::string>{known->second} : load(script);
    if (!sha) // in the second round some were executed
      return model::error{round == 0 ? model::code::store_failed : model::code::append_unknown,
                          sha.why().detail};
    std::vector<redis_command> commands;
    for (auto i : open) {
      auto& x = commands.emplace_back("EVALSHA");
      x.add(*sha).add(static_cast<std::int64_t>(all[i].keys.size()));
      for (const auto& key : all[i].keys)
        x.add(key);
      for (const auto& argument : all[i].arguments)
        x.add(argument);
    }
    auto got = exchange(commands, how_.command_ms);
    if (!got)
      return got.why();
    std::vector<std::size_t> again;
    for (std::size_t j = 0; j < open.size(); ++j) {
      if ((*got)[j].refuses("NOSCRIPT"))
        again.push_back(open[j]);
      replies[open[j]] = std::move((*got)[j]);
    }
    if (!again.empty())
      sha_by_script_.erase(script.text.data());
    open = std::move(again);
  }
  return replies;
}

model::result<std::optional<redis_reply>> redis_connection::receive(std::int64_t wait_ms) {
  if (auto there = connect(); !there)
    return there.why();
  return read(wait_ms);
}

} // namespace confab::store
