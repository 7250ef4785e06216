// What a measured server speaks: a load client's wishes as bytes, and the server's bytes as what
// the client checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace confab::net::load {

/// Where a reader goes on. `token` is the server's own name of the place (Confab: a position);
/// empty: it has none.
struct place {
  std::uint64_t seq = 0;
  std::string token;
};

/// What one connection is for. A connection follows at most one conversation; a publisher may write
/// into several.
struct purpose {
  enum class role : std::uint8_t { reader, publisher };
  role as = role::reader;
  /// Readers: the conversation to follow.
  std::string conversation{};
  /// Readers: everything after it; without: only what comes from now on.
  std::optional<place> after{};
  /// Stable over reconnects; the publisher's id where the server knows such a thing.
  std::string client{};
};

/// What a dialect finds in the bytes it takes. Called in the order of the bytes.
class dialect_events {
public:
  virtual ~dialect_events() = default;
  /// What the server calls itself, if it says so; before `opened`.
  virtual void server_version(std::string_view text) = 0;
  /// The handshake is over: a publisher may publish.
  virtual void opened() = 0;
  /// The subscription stands: every later publish will arrive. @param at where the replay starts;
  /// without a token: the server does not say it.
  virtual void following(const place& at) = 0;
  /// The replay is over, if the server says it; else called right behind `following`.
  virtual void live() = 0;
  /// @param seq the server's own count, 0 if it has none. @param payload as published; valid during
  /// the call.
  virtual void entry(std::string_view conversation, std::uint64_t seq,
                     std::string_view payload) = 0;
  /// The entry's place, to resume behind it; only called where `traits::resumes`. Valid during the
  /// call.
  virtual void at(std::string_view token) = 0;
  /// A publish is durable as far as the server promises it. @param ref of the publish. @param seq 0
  /// if the server does not say.
  virtual void receipt(std::uint64_t ref, std::uint64_t seq, bool duplicate) = 0;
  /// A publish was refused. @param retry the same number may be sent again.
  virtual void refused(std::uint64_t ref, std::string_view why, bool retry) = 0;
  /// The server says that entries are not to be had: a reset, a gap. [from, to] inclusive, 0 if
  /// unknown.
  virtual void missing(std::uint64_t from, std::uint64_t to, std::string_view why) = 0;
  /// The connection is of no further use; `why` is for people. Nothing of it is called after this.
  virtual void ended(std::string_view why) = 0;
};

/// One connection's side of a protocol: no sockets, no clocks. Every server that is measured has
/// one; `confab bench` has Confab's, bench/ has the peers'.
class dialect {
public:
  virtual ~dialect() = default;

  /// A fresh connection: appends the first bytes to send, forgets what the last connection left.
  virtual void connect(std::string& out, const purpose& what) = 0;

  /// Takes what came, as far as it is complete, and appends answers that the protocol needs (pong,
  /// ack) to `out`.
  /// @param in may be changed in place (unmasking, unescaping). @returns how many bytes were used
  /// up; the rest comes again in front of what follows.
  [[nodiscard]] virtual std::size_t take(std::span<char> in, std::string& out,
                                         dialect_events& to) = 0;

  /// Appends one publish.
  /// @param ref the caller's name of this publish in the answer; rises by one from publish to
  /// publish of one connection.
  /// @param number rises by one from 1 per client and conversation, over reconnects too; a retry
  /// has the first try's.
  /// @param payload JSON text.
  virtual void publish(std::string& out, std::string_view conversation, std::uint64_t ref,
                       std::uint64_t number, std::string_view payload) = 0;
};

/// What a server promises and how it is reached: a dialect's factory.
class server_kind {
public:
  struct traits {
    std::string name;
    /// One line for people: what a receipt and a delivery of this server guarantee.
    std::string guarantees;
    /// A reader can go on where it was.
    bool resumes = false;
    /// A publish is answered.
    bool receipts = false;
    /// A publish sent twice with one number yields one entry.
    bool idempotent = false;
    /// Entries have a dense seq of the server's.
    bool seqs = false;
    /// `pages` of the log can be read and compared: Confab's HTTP.
    bool pages = false;
  };
  virtual ~server_kind() = default;
  [[nodiscard]] virtual const traits& about() const noexcept = 0;
  [[nodiscard]] virtual std::unique_ptr<dialect> speak() const = 0;
};

} // namespace confab::net::load
