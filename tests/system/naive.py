"""The ways in which earlier systems deliver a conversation out of Redis, each with its defect, and all as short as possible.

They are kept to be measured against (bench/races) and to show that the tests notice the defects (races_test.py).
A reader has `received`: payload numbers in the order in which its user saw them, over all of its connections.
"""

import json
import random
import threading
import time

import redis

FANOUT = "stream:fanout:all-conversations"


def stream(name):
    return f"stream:conversation:{name}"


def number(fields):
    return json.loads(fields[b"payload"])["n"]


class Reader(threading.Thread):
    """Connects, follows until it is dropped, and comes back; `drop` is set by whoever disturbs it."""

    def __init__(self, port, name, seed=0):
        super().__init__(daemon=True)
        self.port, self.conversation = port, name
        self.rng = random.Random(seed)
        self.received = []
        self.dropped = threading.Event()
        self.ended = threading.Event()
        self.following = threading.Event()
        self.start_reading()

    def start_reading(self):
        """What it knows before its first connection."""

    def run(self):
        while not self.ended.is_set():
            self.dropped.clear()
            client = redis.Redis(port=self.port)
            try:
                self.session(client)
            finally:
                client.close()
            self.following.clear()

    def over(self):
        return self.dropped.is_set() or self.ended.is_set()

    def pause(self):
        """The time that a round trip, an actor or a page load takes between two steps."""
        time.sleep(self.rng.random() * 0.01)


class PubSubListener(Reader):
    """A producer that PUBLISHes and pushes on a history list; here is what each order of the two steps makes of it."""

    def listen(self, client):
        feed = client.pubsub(ignore_subscribe_messages=True)
        feed.subscribe(f"live:{self.conversation}")
        feed.get_message(timeout=1)  # the confirmation
        return feed

    def replay(self, client):
        last = self.received[-1] if self.received else -1
        for x in client.lrange(f"history:{self.conversation}", 0, -1):
            n = json.loads(x)["n"]
            if n > last:
                self.received.append(n)

    def follow(self, feed):
        self.following.set()
        while not self.over():
            x = feed.get_message(timeout=0.02)
            if x and x["type"] == "message":
                self.received.append(json.loads(x["data"])["n"])
        feed.close()


class ReadThenSubscribe(PubSubListener):
    """What comes between the two is lost."""

    def session(self, client):
        self.replay(client)
        self.pause()
        self.follow(self.listen(client))


class SubscribeThenRead(PubSubListener):
    """What comes between the two comes twice."""

    def session(self, client):
        feed = self.listen(client)
        self.pause()
        self.replay(client)
        self.follow(feed)


class PubSubAlone(PubSubListener):
    """What comes while nobody listens is forgotten."""

    def session(self, client):
        self.pause()
        self.follow(self.listen(client))


class FanoutFromStart(Reader):
    """Reads the fan-out stream from `0` at each start: everything again."""

    def session(self, client):
        last = "0"
        self.following.set()
        while not self.over():
            for _, pointers in client.xread({FANOUT: last}, count=500, block=20):
                for last, x in pointers:
                    if x[b"conversation_id"].decode() == self.conversation:
                        entry = client.xrange(x[b"stream_key"], x[b"entry_id"], x[b"entry_id"])
                        self.received += [number(fields) for _, fields in entry]


class GroupAsBroadcast(Reader):
    """A consumer in the group that all nodes share: each entry reaches one of them only."""

    members = 0

    def start_reading(self):
        GroupAsBroadcast.members += 1
        self.member = f"node{GroupAsBroadcast.members}"

    def session(self, client):
        try:
            client.xgroup_create(FANOUT, "broadcast", "0", mkstream=True)
        except redis.ResponseError as why:
            if not str(why).startswith("BUSYGROUP"):
                raise
        self.following.set()
        while not self.over():
            for _, pointers in client.xreadgroup("broadcast", self.member, {FANOUT: ">"}, count=500, block=20):
                for pointer, x in pointers:
                    entry = client.xrange(x[b"stream_key"], x[b"entry_id"], x[b"entry_id"])
                    self.received += [number(fields) for _, fields in entry]
                    client.xack(FANOUT, "broadcast", pointer)


class StreamWithCursor(Reader):
    """Follows the stream from a cursor that is saved now and then, by what was sent: `cursor_key` says under which name."""

    saved_every_s = 0.2

    def cursor_key(self):
        return f"cursor:{self.conversation}:{id(self)}"

    def session(self, client):
        key = self.cursor_key()
        last = (client.get(key) or b"0").decode()
        saved = time.monotonic()
        self.following.set()
        while not self.over():
            for _, entries in client.xread({stream(self.conversation): last}, count=100, block=20):
                for last, fields in entries:
                    self.received.append(number(fields))
            if time.monotonic() - saved > self.saved_every_s:
                client.set(key, last)
                saved = time.monotonic()


class CursorOfConnection(StreamWithCursor):
    """The server makes the client's id, anew for each connection: its cursor is never found again."""

    def cursor_key(self):
        return f"cursor:{self.conversation}:{self.rng.random()}"


class OneCursorPerClient(StreamWithCursor):
    """One key per client: where it was in one conversation is overwritten by the next one that it looks at."""

    def session(self, client):
        self.pause()
        others = client.xrevrange(stream("other"), count=1)
        if others:
            client.set(self.cursor_key(), others[0][0])
        super().session(client)

    def cursor_key(self):
        return f"cursor:{id(self)}"


class TwoAdds:
    """A producer that adds entry and pointer in two steps, and dies in between now and then."""

    def __init__(self, client, seed):
        self.client, self.rng = client, random.Random(seed)

    def add(self, name, payload):
        entry = self.client.xadd(stream(name), {"payload": payload})
        if self.rng.random() > 0.05:
            self.client.xadd(FANOUT, {"conversation_id": name, "stream_key": stream(name), "entry_id": entry})


NAIVE = {
    "read the history, then subscribe": ReadThenSubscribe,
    "subscribe, then read the history": SubscribeThenRead,
    "Pub/Sub alone": PubSubAlone,
    "fan-out stream from 0 at each start": FanoutFromStart,
    "one consumer group for all nodes": GroupAsBroadcast,
    "cursor saved as sent, every 0.2 s": StreamWithCursor,
    "cursor under the connection's id": CursorOfConnection,
    "one cursor key for all conversations": OneCursorPerClient,
}


def lost_and_repeated(received, count):
    """Of 0 … count-1; a reader that joined late is not asked for what was before its first."""
    seen = set(received)
    return len(set(range(count)) - seen), len(received) - len(seen)
