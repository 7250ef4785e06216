// What Redis executes as one step: the Lua scripts of the log (DESIGN §8, role log).
//
// Their keys are those of one conversation, in this order: its stream, `confab:log:{name}`,
// `confab:producer:{name}`, `confab:conversations`, `confab:since`; then what one of them names.
// All check the types of their keys before they write anything: Redis does not roll back.
//
// All begin with an observation: is the stream still the one of the epoch? It is, if the last entry
// that the hash knows, and the one that the caller knows, are in it at their places, or trimmed. If
// not, the epoch is replaced there and then. A stream that others have made gets its first epoch.
// A place is counted from the first entry ever added (`entries-added`), so trimming moves nothing.
//
// Scripts reach the logs that a fork shares entries with by the names that the hashes hold.
#pragma once

#include "store/redis_connection.hpp"

namespace confab::store::redis_scripts {

/// What every script takes first: name, now in ms, a fresh epoch's random part, `1` to import all
/// of an unknown stream, and the caller's epoch, tail seq and tail id (or empty, 0, `0-0`).
/// @returns {0} for no log, else {1, epoch, first, tail, tail id, `open` or `closed`, content type,
/// ttl_s, expires_ms, stream_seq, top id, length, held, fork}; -1 numbers and empty texts where
/// there is none. {0, 1}: it is kept for its forks only. The last item is empty, or of a fork its
/// source, last shared seq and cut bytes; then for each log that it shares entries of, the oldest
/// first, its name, epoch and the seq up to which.
extern const redis_script observe;

/// Sixth key: the fan-out stream. Behind those: top id, content type, MAXLEN (0: none), origin,
/// producers' ttl in ms, the internal producers', ttl_s of a log that begins (or empty), the
/// stream's length as it was last seen, the number of appends, how long the producers' hash is kept
/// in ms; then producer and slot of each append; then each append: its producer's epoch, number and
/// fingerprint, stream_seq, `1` if it closes, a new deadline or empty, proposed ms and n, the
/// number of its entries; then each entry: the number of its fields and values, and these.
/// @returns {`ok` or a code, detail, expected, epoch, tail, tail id, top id, length, how many
/// appends are in the log, where they landed…}: for each seq, count, first id, `1` if it was there
/// already; nothing if all stand behind the caller's tail with the ids that were proposed. Codes
/// besides those of model::code: `look` (nothing was written; observe first), `torn` (an error in
/// the middle of writing).
extern const redis_script append;

/// The same for the usual case, at a fraction of the cost: appends that stand right behind the tail
/// as it was last seen, with the ids that were proposed, and bring nothing else with them. The
/// caller has put together what is stored; the script finds out whether it is still true.
/// Keys: stream, `confab:log:{name}`, `confab:producer:{name}`, the fan-out stream. Arguments:
/// name, epoch, tail id, length, `last` as it becomes, origin, MAXLEN (0: none), how long the
/// producers' hash is kept from now on (empty: as before), the numbers of slots and of producers;
/// each slot and its value; each producer and its row; for each producer what a row must begin
/// with, if there is one; then each entry: id, payload, sender, timestamp, the number of further
/// fields and values, and these.
/// @returns the stream's length; 0: it is not the usual case, and no entry was written; a text:
/// an error in the middle of writing.
extern const redis_script plain_append;

/// Behind those: from, through, entries at most, bytes at most, an anchor's seq and id (0: none),
/// `entries` or `ids`.
/// @returns {the observation, the seq of the first that follows, how it ended, entries (or ids)…};
/// it ended 0: at the tail, 1: at a bound, 2: nowhere, since `from` is too far behind the anchor.
/// Ids begin right behind the anchor (without one: at the first that is there).
extern const redis_script read;

/// As `read`, but ids only, those before the anchor, the newest first.
extern const redis_script read_back;

/// Behind those: `close`, `remove`, or `touch` with epoch and deadline.
/// @returns {`ok` or a code, the observation afterwards}.
extern const redis_script change;

/// Sixth key: the fan-out stream. Behind those: the source's name and epoch, the last shared seq
/// and its id, cut bytes, origin, content type, ttl_s and deadline (or empty), `1` if it closes,
/// the number of the fork's own entries, and each one's id, number of fields and values, and these.
/// @returns {`ok`, `exists`, or `look` (the source is another one by now), the observation}.
extern const redis_script fork;

/// Behind those: entries to keep at most (-1: all), the ms of the oldest to keep (-1: all), the
/// producers' ttl in ms, the internal producers', a random cursor, from which some producers are
/// looked at that may have outlived it, and of a fork the last entry that is too old to be shown.
/// Removes at most 500 entries; what a fork shares it shows no more. @returns {removed, the
/// observation}.
extern const redis_script trim;

/// Sixth key: the cursor. Behind those: user, client, epoch, seq, id, ttl in ms. Never back within
/// an epoch. @returns 1 if it moved.
extern const redis_script move_cursor;

/// Key: a cursor. @returns {epoch, seq, id, last_sync_at}, texts, empty where there is none; nil
/// for no cursor.
extern const redis_script cursor;

/// Key: `confab:log:{name}`. The epoch, the id of the last entry that was published on a channel
/// (`0-0`: none) and what it becomes, the channel, and the messages. @returns 1 if they were
/// published; 0: another epoch, or another last entry.
extern const redis_script speak;

/// Key: `confab:since`. Notes, once, when this Redis was first used. @returns that, in ms.
extern const redis_script begin;

} // namespace confab::store::redis_scripts
