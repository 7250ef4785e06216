#include "net/server.hpp"

#include "net/http_session.hpp"
#include "net/socket_member.hpp"
#include "net/wire/formats.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include <random>

namespace confab::net {

namespace {

/// After a failure to accept, which usually means that there are no file descriptors.
constexpr std::chrono::milliseconds accept_pause{100};

std::string full_answer() {
  auto body = wire::problem_body(503, "Service Unavailable",
                                 {model::code::overloaded,
                                  "as many connections as may be are open (net.connections, "
                                  "net.connections_per_address)"});
  return "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
         "Connection: close\r\nRetry-After: 5\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

server::server(server_context& shared, std::size_t threads) : shared_{shared} {
  for (std::size_t i = 0; i < threads; ++i)
    shared_.hubs.push_back(&threads_.emplace_back(std::make_unique<io_thread>(shared))->hub());
}

server::~server() {
  stop();
}

model::result<std::uint16_t> server::listen(const std::string& address, std::uint16_t port) {
  auto& first = *threads_.front();
  asio::ip::tcp::endpoint where{asio::ip::make_address(address), port};
  acceptor_ = std::make_unique<acceptor>(first.context());
  error_code ec;
  auto failed = [&](std::string_view what) {
    auto text = "cannot " + std::string{what} + ' ' + address + ':' + std::to_string(port) + ": " +
                ec.message();
    if (ec == asio::error::address_in_use)
      text += "; another process listens there: stop it, or choose another net.port";
    else if (ec == asio::error::access_denied)
      text += "; ports below 1024 need privileges: choose another net.port";
    return model::error{model::code::bad_request, std::move(text)};
  };
  if (acceptor_->open(where.protocol(), ec); ec)
    return failed("open a socket for");
  if (acceptor_->set_option(asio::socket_base::reuse_address{true}, ec); ec)
    return failed("prepare");
  if (acceptor_->bind(where, ec); ec)
    return failed("bind");
  if (acceptor_->listen(4096, ec); ec)
    return failed("listen on");
  auto bound = acceptor_->local_endpoint().port();
  pause_ = std::make_unique<std::remove_reference_t<decltype(*pause_)>>(first.context());
  for (auto& x : threads_)
    x->start();
  asio::post(first.context(), [this] { accept(); });
  return bound;
}

void server::accept() {
  auto& to = *threads_[next_thread_++ % threads_.size()];
  acceptor_->async_accept(to.context(), [this, &to](error_code ec, tcp_socket socket) {
    accepted(ec, std::move(socket), to);
  });
}

void server::accepted(error_code ec, tcp_socket socket, io_thread& to) {
  if (shared_.draining || ec == asio::error::operation_aborted)
    return;
  if (ec == asio::error::connection_aborted)
    return accept();
  if (ec) {
    spdlog::warn("accept: {}; trying again in {} ms", ec.message(), accept_pause.count());
    pause_->expires_after(accept_pause);
    pause_->async_wait([this](error_code stopped) {
      if (!stopped)
        accept();
    });
    return;
  }
  error_code gone;
  auto peer = socket.remote_endpoint(gone);
  if (!gone) {
    prepare(socket, shared_.limits);
    if (auto place = shared_.gate.admit(peer.address())) {
      asio::post(to.context(),
                 [socket = std::move(socket), place = std::move(*place), &to]() mutable {
                   serve_http(std::move(socket), to, std::move(place));
                 });
    } else {
      error_code ignored; // best effort: the connection ends either way
      auto answer = full_answer();
      socket.write_some(asio::buffer(answer), ignored);
      socket.shutdown(tcp_socket::shutdown_send, ignored);
    }
  }
  accept();
}

void server::drain(std::chrono::milliseconds spread) {
  shared_.draining = true;
  asio::post(threads_.front()->context(), [this] {
    error_code ignored; // it may be closed already
    acceptor_->close(ignored);
    pause_->cancel();
  });
  send_away(spread);
}

void server::send_away(std::chrono::milliseconds spread) {
  for (auto& x : threads_)
    asio::post(x->context(), [&thread = *x, spread] {
      std::minstd_rand random{std::random_device{}()};
      std::uniform_int_distribution<std::int64_t> delay{0, spread.count()};
      thread.hub().for_each([&](session& y) { y.drain(delay(random)); });
    });
}

void server::stop() {
  for (auto& x : threads_)
    x->stop();
}

} // namespace confab::net
