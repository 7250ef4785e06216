// A dialect whose messages travel in WebSocket frames.
#pragma once

#include "net/load/dialect.hpp"
#include "net/load/websocket_client.hpp"

namespace confab::peers {

class websocket_dialect : public net::load::dialect {
public:
  [[nodiscard]] std::size_t take(std::span<char> in, std::string& out,
                                 net::load::dialect_events& to) override;

protected:
  /// The handshake is over.
  virtual void on_open(std::string& out, net::load::dialect_events& to) = 0;
  /// @returns why the connection is of no further use; usually nothing.
  [[nodiscard]] virtual std::string on_message(std::string_view text, std::string& out,
                                               net::load::dialect_events& to) = 0;

  net::load::websocket_client socket_;
};

} // namespace confab::peers
