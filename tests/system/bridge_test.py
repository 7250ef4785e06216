"""Role bridge: what others add to streams of Redis is in the log once, in stream order, and what is published to Confab is
in the streams once, over drops of clients, wake-ups that never come, and a Redis that dies, stops, forgets or refuses.
"""

import asyncio
import json
import multiprocessing
import os
import random
import socket
import subprocess
import threading
import time

import redis

from redis_support import Redis, redis_server
from support import (CONFAB, PATIENCE_S, SEED, Client, Server, Wire, equal, eventually, expect, log_of, publish, ready, request, run,
                     scratch, served)

FANOUT = "stream:fanout:all-conversations"
GROUP = "confab"


def options(server, *more):
    return (f"--redis.address={server.address}", "--redis.reconnect_ms=200", "--redis.command_ms=2000", *more)


def stream(name):
    return f"stream:conversation:{name}"


def own(fields):
    return b"origin" in fields


def raw(server, name):
    """Entries of the stream: (id, payload, whether they bear the mark of a log)."""
    return [(i.decode(), json.loads(x[b"payload"]), own(x)) for i, x in server.client.xrange(stream(name))]


def copies(log):
    return [(x["source_id"], x["payload"]) for x in log if "source_id" in x]


def published(log):
    return [x["payload"] for x in log if "source_id" not in x and x["kind"] != "gap"]


def gaps(log):
    return [x["payload"] for x in log if x["kind"] == "gap"]


def foreign(server, name):
    return [(i, payload) for i, payload, mine in raw(server, name) if not mine]


def pending(server):
    return server.client.xpending(FANOUT, GROUP)["pending"]


def difference(seen, wanted):
    """Where two lists part, for a person; None: nowhere."""
    for i, (x, y) in enumerate(zip(seen, wanted)):
        if x != y:
            return i, x, y
    return None if len(seen) == len(wanted) else (min(len(seen), len(wanted)), len(seen), len(wanted))


def log_is_stream(confab, server, name, say=False):
    """Each source in its own order, each entry once, in the log and in the stream."""
    try:
        log = log_of(confab, name)
    except AssertionError:
        return None  # not there yet
    stands = raw(server, name)
    copied = difference(copies(log), [(i, p) for i, p, mine in stands if not mine])
    mirrored = difference([p for _, p, mine in stands if mine], published(log))
    if say and (copied or mirrored):
        print(f"  {name}: copies part at {copied}, mirrors at {mirrored}", flush=True)
    return copied is None and mirrored is None


# --- 1. producers


def entries_of_others_arrive_live_with_and_without_a_pointer():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=400")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        first = server.add("c", '{"text": 1.50}', sender_id="ann", kind="note", message="m1")
        x = wire.entries(1, "c")[0]
        equal((x["source_id"], x["sender"], x["kind"], x["message"], x["payload"]),
              (first, "ann", "note", "m1", {"text": 1.5}))
        # Without a pointer, within the reconcile time.
        second = server.add("c", "plain text", pointer=False)
        begin = time.monotonic()
        x = wire.entries(1, "c")[0]
        equal((x["seq"], x["source_id"], x["payload"]), (2, second, "plain text"))
        print(f"  without a pointer: {time.monotonic() - begin:.2f} s")
        server.add("c", b"\xff\xfe")
        equal(wire.entries(1, "c")[0]["payload"], {"base64": "//4="})
        server.client.xadd(stream("c"), {"kind": "empty"})
        x = wire.entries(1, "c")[0]
        equal((x["kind"], x["payload"]), ("empty", None))
        eventually(lambda: pending(server) == 0, "everything is acknowledged")
        # A resume by the id that the producer knows.
        with Wire(confab) as other:
            other.subscribe("c", after=first)
            equal(other.entries(1, "c")[0]["source_id"], second)


def a_conversation_that_nobody_follows_is_copied_by_its_pointer():
    with redis_server() as server, served(*options(server)) as confab:
        for i in range(3):
            server.add("quiet", str(i))
        eventually(lambda: log_is_stream(confab, server, "quiet"), "copied")
        eventually(lambda: pending(server) == 0, "acknowledged")


def what_is_old_is_imported_when_asked_for():
    with redis_server() as server:
        old = [server.client.xadd(stream("c"), {"payload": str(i)}, id=f"{1000 + i}-0").decode() for i in range(600)]
        with served(*options(server, "--redis.reconcile_ms=200")) as confab, Wire(confab) as wire:
            wire.subscribe("c", after="start")
            wire.until_live("c")
            new = server.add("c", '"new"')
            equal(wire.entries(1, "c")[0]["source_id"], new)
            equal([x["source_id"] for x in log_of(confab, "c")], [new])
        with served(*options(server, "--redis.import=all", "--redis.reconcile_ms=200")) as confab, Wire(confab) as wire:
            wire.subscribe("c", after="start")
            eventually(lambda: [x["source_id"] for x in log_of(confab, "c")] == [*old, new], "imported")


def produce(port, seed, number, names, count):
    """A process of its own: adds entries with pointers, as fast as pipelines go."""
    rng = random.Random(seed)
    client = redis.Redis(port=port)
    for begin in range(0, count, 50):
        with client.pipeline(transaction=False) as pipe:
            adds = []
            for n in range(begin, begin + 50):
                name = rng.choice(names)
                adds.append(name)
                pipe.xadd(stream(name), {"payload": json.dumps({"from": number, "n": n}), "sender_id": f"p{number}"})
            ids = pipe.execute()
        with client.pipeline(transaction=False) as pipe:
            for name, entry in zip(adds, ids):
                pipe.xadd(FANOUT, {"conversation_id": name, "stream_key": stream(name), "entry_id": entry})
            pipe.execute()


async def disturb(client, rng, until):
    while not until.is_set():
        await asyncio.sleep(rng.random() * 0.4)
        if client.task.done():
            return
        client.drop("close" if rng.random() > 0.8 else "cut")


async def twenty_thousand_entries_reach_clients_that_drop_each_once_in_stream_order():
    rng = random.Random(SEED)
    names = [f"room/{i}" for i in range(50)]
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=500")) as confab:
        until = asyncio.Event()
        clients = [Client(confab, f"c{i}", random.Random(rng.random()), rng.sample(names, 5), named=i % 3 != 0).start()
                   for i in range(40)]
        tasks = [asyncio.ensure_future(disturb(x, random.Random(rng.random()), until)) for x in clients]
        context = multiprocessing.get_context("spawn")
        begin = time.monotonic()
        producers = [context.Process(target=produce, args=(server.port, rng.random(), i, names, 5000)) for i in range(4)]
        for x in producers:
            x.start()
        # Confab's own entries come in between.
        mine = 0
        while any(x.is_alive() for x in producers):
            await asyncio.to_thread(publish, confab, rng.choice(names), {"own": mine})
            mine += 1
            await asyncio.sleep(0.02)
        for x in producers:
            await asyncio.to_thread(x.join)
            equal(x.exitcode, 0, "a producer's exit status")
        added = time.monotonic() - begin
        for name in names:
            await asyncio.to_thread(eventually, lambda: log_is_stream(confab, server, name), f"{name} is its stream")
        print(f"  20000 entries and {mine} own: added in {added:.1f} s, all in the log after {time.monotonic() - begin:.1f} s")
        until.set()
        await asyncio.gather(*tasks)
        logs = {x: await asyncio.to_thread(log_of, confab, x) for x in names}
        equal(sum(len(x) for x in logs.values()), 20000 + mine, "entries in all logs")
        for client in clients:
            await client.until(lambda: all(x.seq >= len(logs[y]) for y, x in client.follows.items()), "everything has come")
            for name, follow in client.follows.items():
                equal(follow.resets, [], "a reset without cause")
                equal([(x["seq"], x["id"]) for x in follow.entries], [(x["seq"], x["id"]) for x in logs[name]], name)
        for x in clients:
            await x.stop()
        await asyncio.to_thread(eventually, lambda: pending(server) == 0, "everything is acknowledged")


# --- pointers that are none


def hostile_pointers_and_entries_are_skipped():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=300")) as confab, Wire(confab) as wire:
        client = server.client
        wire.subscribe("good", after="start")
        wire.until_live("good")
        client.set(stream("string"), "x")
        client.set("confab:mirror:blocked", "no hash")
        evil = "evil\n\x1b[31m"
        for fields in ({"x": "y"}, {"conversation_id": evil}, {"stream_key": "stream:conversation:a/../b", "entry_id": "1-0"},
                       {"conversation_id": "a", "stream_key": stream("b"), "entry_id": "1-0"},
                       {"conversation_id": "string", "stream_key": stream("string"), "entry_id": "1-0"},
                       {"conversation_id": "nothing", "stream_key": stream("nothing"), "entry_id": "1-0"},
                       {"conversation_id": "good", "stream_key": stream("good"), "entry_id": "99999999999999999999-0"},
                       {"stream_key": FANOUT, "entry_id": "1-0"}, {"conversation_id": "x" * 100000, "entry_id": "1-0"}):
            client.xadd(FANOUT, fields)
        for i in range(50):
            client.xadd(FANOUT, {"conversation_id": f"{evil}{i}"})
        client.xadd(stream("beyond"), {"payload": "1"}, id="18446744073709551000-1")
        client.xadd(FANOUT, {"conversation_id": "beyond", "stream_key": stream("beyond"), "entry_id": "1-0"})
        big = "x" * 3_000_000
        server.add("good", big)
        server.add("good", json.dumps("after"))
        got = wire.entries(2, "good")
        equal((got[0]["kind"], got[0]["payload"]), ("gap", {"missing": 1, "reason": "too_large"}))
        equal(got[1]["payload"], "after")
        # A mirror that cannot be written holds up nobody else's.
        publish(confab, "blocked", 1)
        publish(confab, "free", 2)
        eventually(lambda: raw(server, "free"), "mirrored")
        eventually(lambda: pending(server) == 0, "everything is acknowledged")
        lines = confab.stderr()
        expect("evil" not in lines and "\x1b" not in lines, "hostile text in the log lines", lines[-1000:])
        expect(lines.count("points to no entry") < 20, "log lines are limited", lines.count("points to no entry"))


def pages_that_are_larger_than_a_reply_may_be_are_read_in_parts():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=200",
                                                   "--redis.reply_bytes=1048576")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        server.add("c", '"first"')
        wire.entries(1, "c")
        with server.client.pipeline() as pipe:
            for n in range(200):
                pipe.xadd(stream("c"), {"payload": json.dumps({"n": n, "filler": "x" * 20_000})})
            pipe.execute()
        equal([x["payload"]["n"] for x in wire.entries(200, "c")], list(range(200)))
        eventually(lambda: log_is_stream(confab, server, "c"), "each once")
        eventually(lambda: ready(confab).json() == {"ready": True}, "/readyz")


# --- gaps


def a_stream_that_was_trimmed_while_confab_was_away_shows_a_gap_with_the_right_number():
    with redis_server() as server, scratch() as top:
        confab = Server(os.path.join(top, "data"), *options(server, "--redis.reconcile_ms=200"))
        with confab:
            for i in range(10):
                server.add("c", str(i))
            eventually(lambda: log_is_stream(confab, server, "c"), "copied")
            confab.stop()
            for i in range(10, 50):
                server.add("c", str(i))
            kept = server.client.xrevrange(stream("c"), count=7)[::-1]
            server.client.xtrim(stream("c"), maxlen=7, approximate=False)
            confab.start()
            log = eventually(lambda: (x := log_of(confab, "c")) and len(x) == 18 and x, "the gap and what is left")
            equal(log[10]["kind"], "gap")
            equal((log[10]["payload"]["missing"], log[10]["payload"]["reason"]), (33, "trimmed"))
            equal([x["source_id"] for x in log[11:]], [i.decode() for i, _ in kept])
            # Trimmed to nothing: what is missing is said, too.
            confab.stop()
            for i in range(50, 60):
                server.add("c", str(i))
            server.client.xtrim(stream("c"), maxlen=0, approximate=False)
            confab.start()
            log = eventually(lambda: (x := log_of(confab, "c")) and len(x) == 19 and x, "the second gap")
            equal(log[18]["payload"]["missing"], 10)
            server.add("c", '"on"')
            log = eventually(lambda: (x := log_of(confab, "c")) and len(x) == 20 and x, "it goes on")
            equal(log[19]["payload"], "on")


def a_stream_that_was_deleted_and_filled_to_the_same_length_is_recognised():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=200")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        for i in range(5):
            server.add("c", str(i))
        wire.entries(5, "c")
        server.client.delete(stream("c"))
        server.later_ids()
        for i in range(5):
            server.add("c", str(10 + i), pointer=i % 2 == 0)
        got = wire.entries(6, "c")
        equal((got[0]["kind"], got[0]["payload"]["reason"], got[0]["payload"]["missing"]), ("gap", "lost", None))
        equal([x["payload"] for x in got[1:]], [10, 11, 12, 13, 14])
        server.client.flushall()
        server.later_ids()
        for i in range(3):
            server.add("c", str(20 + i))
        got = wire.entries(4, "c")
        equal([x["payload"] for x in got[1:]], [20, 21, 22])
        wire.silent()


def a_stream_that_was_deleted_and_holds_an_id_again_is_recognised():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=100", "--redis.import=all")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        for i in range(5):
            server.client.xadd(stream("c"), {"payload": str(i)}, id=f"{i + 1}-0")
        wire.entries(5, "c")
        server.client.delete(stream("c"))
        for i in range(5):
            server.client.xadd(stream("c"), {"payload": str(10 + i)}, id=f"{i + 5}-0")
        # What comes first may be taken for the same stream; every twelfth look compares places.
        log = eventually(lambda: (x := log_of(confab, "c")) and gaps(x) and x, "the loss is announced")
        equal([x["reason"] for x in gaps(log)], ["lost"])
        equal([x for _, x in copies(log)], [0, 1, 2, 3, 4, 11, 12, 13, 14], "an id names one entry")


def a_replica_that_was_promoted_behind_is_recognised_and_nothing_comes_twice():
    with scratch() as top, redis_server() as old, Redis(top) as new:
        # Confab talks to whoever has the address: here a relay that is pointed to the replica.
        with Relay(old.port) as relay, served(f"--redis.address=127.0.0.1:{relay.port}", "--redis.reconnect_ms=200",
                                              "--redis.reconcile_ms=200") as confab, Wire(confab) as wire:
            wire.subscribe("c", after="start")
            wire.until_live("c")
            new.client.replicaof("127.0.0.1", old.port)
            eventually(lambda: new.client.info("replication")["master_link_status"] == "up", "the replica is linked")
            for i in range(5):
                old.add("c", str(i))
            publish(confab, "c", {"own": 1})
            wire.entries(6, "c")
            eventually(lambda: new.client.xlen(stream("c")) == 6, "replicated")
            new.client.replicaof("no", "one")
            for i in range(5, 8):
                old.add("c", str(i))
            publish(confab, "c", {"own": 2})
            wire.entries(4, "c")
            eventually(lambda: old.client.xlen(stream("c")) == 10, "mirrored")
            relay.point_to(new.port)
            got = wire.entries(1, "c")
            equal(got[0]["payload"]["reason"], "lost")
            new.add("c", '"new"')
            equal(wire.entries(1, "c")[0]["payload"], "new")
            publish(confab, "c", {"own": 3})
            equal(wire.entries(1, "c")[0]["payload"], {"own": 3})
            # What the replica had not got is mirrored again, in order, once.
            eventually(lambda: [p for _, p, mine in raw(new, "c") if mine] == [{"own": 1}, {"own": 2}, {"own": 3}], "mirrored")
            wire.silent()


def an_older_state_of_many_pages_is_read_through_and_nothing_comes_twice():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=100")) as confab:
        client = server.client
        ids = []
        for begin in range(0, 1500, 500):
            with client.pipeline() as pipe:
                for n in range(begin, begin + 500):
                    pipe.xadd(stream("c"), {"payload": str(n)})
                ids += pipe.execute()
        client.xadd(FANOUT, {"conversation_id": "c", "stream_key": stream("c"), "entry_id": ids[-1]})
        eventually(lambda: log_is_stream(confab, server, "c"), "copied")
        for turn in range(3):
            # Redis goes back to an older state and goes on, while Confab is killed now and then.
            keep = 1400 - 100 * turn
            kept = client.xrange(stream("c"), count=keep)
            with client.pipeline() as pipe:
                pipe.delete(stream("c"))
                for i, fields in kept:
                    pipe.xadd(stream("c"), fields, id=i)
                pipe.execute()
            new = server.add("c", json.dumps({"turn": turn}))
            time.sleep(random.Random(SEED + turn).random() * 0.1)
            confab.restart()
            server.client.xadd(FANOUT, {"conversation_id": "c", "stream_key": stream("c"), "entry_id": new})
            eventually(lambda: log_of(confab, "c")[-1].get("source_id") == new, "the new one")
            log = log_of(confab, "c")
            sources = [x["source_id"] for x in log if "source_id" in x]
            equal(len(sources), len(set(sources)), "nothing twice")
            equal(len(gaps(log)), turn + 1, "each loss is announced once")


# --- mirrors


def what_is_published_is_mirrored_once_in_order_and_does_not_come_back():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=100")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        for i in range(300):
            wire.publish("c", {"n": i}, kind="note")
        server.add("c", '"other"')
        publish(confab, "c", *[{"n": i} for i in range(300, 1500)])
        eventually(lambda: [p["n"] for _, p, mine in raw(server, "c") if mine] == list(range(1500)), "mirrored")
        eventually(lambda: log_is_stream(confab, server, "c"), "each once")
        fields = server.client.xrange(stream("c"), count=1)[0][1]
        equal((fields[b"kind"], fields[b"conversation_id"]), (b"note", b"c"))
        expect(fields[b"timestamp"].isdigit() and fields[b"origin"], "fields of a mirrored entry", fields)
        pointers = server.client.xrange(FANOUT)
        equal(sum(own(x) for _, x in pointers), 1500, "own pointers")
        eventually(lambda: pending(server) == 0, "own pointers are acknowledged")
        time.sleep(0.5)  # several reconciles
        equal(len(log_of(confab, "c")), 1501, "nothing came back")


def an_outage_is_caught_up_in_order_even_behind_a_restart_of_confab():
    with redis_server("appendonly yes", "appendfsync always") as server, scratch() as top:
        with Server(os.path.join(top, "data"), *options(server, "--redis.reconcile_ms=200")) as confab:
            publish(confab, "a", *range(5))
            eventually(lambda: len(raw(server, "a")) == 5, "mirrored")
            server.kill()
            eventually(lambda: "redis" in ready(confab).json(), "/readyz says that Redis is away")
            equal(ready(confab).status, 200, "appends go on")
            for name in ("a", "b", "x/y"):
                publish(confab, name, *range(5, 20))
            confab.restart()
            publish(confab, "a", *range(20, 25))
            server.start()
            eventually(lambda: [p for _, p, _ in raw(server, "a")] == list(range(25)), "a is caught up")
            for name in ("b", "x/y"):
                eventually(lambda: [p for _, p, _ in raw(server, name)] == list(range(5, 20)), f"{name} is caught up")
            eventually(lambda: ready(confab).json() == {"ready": True}, "/readyz")
            equal(len(server.client.xrange(FANOUT)), 55, "pointers")


def a_deleted_conversation_does_not_come_back_and_takes_what_is_new():
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=200")) as confab:
        for i in range(3):
            server.add("c", str(i))
        eventually(lambda: log_is_stream(confab, server, "c"), "copied")
        equal(request(confab, "DELETE", "/v1/conversations/c").status, 204)
        new = server.add("c", '"new"')
        log = eventually(lambda: log_is_new(confab), "the new entry")
        equal([x["source_id"] for x in log], [new])


def log_is_new(confab):
    answer = request(confab, "GET", "/v1/conversations/c/entries?after=start")
    return answer.json()["entries"] if answer.status == 200 and answer.json()["entries"] else None


# --- Pub/Sub


def old_paths_over_channels_are_heard_and_spoken_to():
    with redis_server() as server, served(*options(server, "--redis.pubsub_in=chat:stream:*",
                                                   "--redis.pubsub_out=conversation:{name}")) as confab, Wire(confab) as wire:
        wire.subscribe("room/1", after="start")
        wire.until_live("room/1")
        old = server.client.pubsub(ignore_subscribe_messages=True)
        old.subscribe("conversation:room/1")
        old.get_message(timeout=5)
        eventually(lambda: server.client.publish("chat:stream:a b", "no name") == 1, "Confab listens")
        for i in range(200):
            server.client.publish("chat:stream:room/1", json.dumps({"n": i}))
        server.client.publish("chat:stream:room/1", b"\xff")
        entries = wire.entries(201, "room/1")
        equal([x["payload"] for x in entries], [*({"n": i} for i in range(200)), {"base64": "/w=="}])
        server.add("room/1", '"added"')
        entries += wire.entries(1, "room/1")
        publish(confab, "room/1", "published")
        entries += wire.entries(1, "room/1")
        spoken = []
        eventually(lambda: (x := old.get_message(timeout=1)) is not None and (spoken.append(json.loads(x["data"])) or
                                                                             len(spoken) == 203), "all are spoken")
        equal([(x["conversation"], x["seq"], x["payload"]) for x in spoken],
              [("room/1", x["seq"], x["payload"]) for x in entries])
        eventually(lambda: len(raw(server, "room/1")) == 203, "what was heard is mirrored like all that is published")


def channels_that_would_feed_themselves_are_refused():
    with scratch() as top:
        for arguments, word in ((("--redis.pubsub_in=a:*", "--redis.pubsub_out=a:{name}"), "for ever"),
                                (("--redis.pubsub_in=a",), "redis.pubsub_in"), (("--redis.pubsub_out=a:*",), "redis.pubsub_out")):
            done = subprocess.run([CONFAB, "serve", "--net.port=0", f"--store.directory={top}/data",
                                   "--redis.address=127.0.0.1:1", *arguments], capture_output=True, text=True,
                                  timeout=PATIENCE_S, check=False)
            expect(done.returncode == 2 and word in done.stderr, "refused with the reason", done)


# --- 3. trouble


class Relay:
    """Forwards TCP to a port that may change, and cuts connections in the middle of a reply."""

    def __init__(self, port):
        self.to = port
        self.cut_after = None
        self.cuts = 0
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = False

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.listener.close()
        self.cut()

    def point_to(self, port):
        self.to = port
        self.cut()

    def cut(self):
        for pair in self.pairs:
            for x in pair:
                try:
                    x.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def accept(self):
        while not self.ended:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                continue
            self.pairs.append((near, far))
            threading.Thread(target=self.pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, True), daemon=True).start()

    def pump(self, source, sink, replies):
        try:
            while data := source.recv(1 << 16):
                if replies and self.cut_after is not None and len(data) > self.cut_after:
                    sink.sendall(data[:self.cut_after])
                    self.cut_after = None
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for x in (source, sink):
            x.close()


class Load:
    """Others add to some conversations, and Confab's clients publish to them; both know what was acknowledged."""

    def __init__(self, confab, server, names, seed):
        self.confab, self.server, self.names, self.rng = confab, server, names, random.Random(seed)
        self.added = {x: [] for x in names}
        self.unsure = 0
        self.published = {x: [] for x in names}
        self.until = threading.Event()
        self.threads = [threading.Thread(target=self.add), threading.Thread(target=self.publish)]

    def __enter__(self):
        for x in self.threads:
            x.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.until.set()
        for x in self.threads:
            x.join()

    def add(self):
        n = 0
        while not self.until.is_set():
            name = self.rng.choice(self.names)
            n += 1
            try:
                self.server.add(name, json.dumps({"other": n}), pointer=n % 3 != 0)
                self.added[name].append(n)
            except redis.RedisError:
                self.unsure += 1
                time.sleep(0.02)
            time.sleep(0.001)

    def publish(self):
        n = 0
        rng = random.Random(1)
        while not self.until.is_set():
            name = rng.choice(self.names)
            n += 1
            publish(self.confab, name, {"own": n})
            self.published[name].append(n)
            time.sleep(0.002)

    def verify(self, losses=False):
        """Everything that is in Redis is in the log once, in order, and everything that was published in Redis."""
        for name in self.names:
            if not losses:
                try:
                    eventually(lambda: log_is_stream(self.confab, self.server, name), f"{name} is its stream")
                except AssertionError:
                    log_is_stream(self.confab, self.server, name, say=True)
                    raise
            log = log_of(self.confab, name)
            mine = [x["own"] for x in published(log)]
            equal(mine, self.published[name], f"{name}: what was acknowledged is in the log once, in order")
            others = [x["payload"]["other"] for x in log if "source_id" in x]
            equal(sorted(set(others)), others, f"{name}: others' entries in order, none twice")
            if not losses:
                missing = set(self.added[name]) - set(others)
                equal(missing, set(), f"{name}: acknowledged by Redis, and not in the log")
                equal(gaps(log), [], f"{name}: a gap without cause")


def redis_killed_twenty_times_under_load_loses_and_repeats_nothing():
    rng = random.Random(SEED)
    names = [f"k/{i}" for i in range(8)]
    with redis_server("appendonly yes", "appendfsync always") as server, \
            served(*options(server, "--redis.reconcile_ms=200")) as confab, Wire(confab) as wire:
        for x in names:
            wire.subscribe(x, after="start")
        with Load(confab, server, names, SEED) as load:
            for _ in range(20):
                time.sleep(0.2 + rng.random() * 0.3)
                server.kill()
                time.sleep(rng.random() * 0.2)
                server.start()
            load.stop()
        load.verify()
        print(f"  {sum(map(len, load.added.values()))} added, {load.unsure} refused, "
              f"{sum(map(len, load.published.values()))} published")


async def confab_killed_under_load_copies_and_mirrors_each_once():
    rng = random.Random(SEED)
    names = [f"z/{i}" for i in range(6)]
    with redis_server() as server, served(*options(server, "--redis.reconcile_ms=200")) as confab:
        until = threading.Event()
        others = random.Random(SEED + 1)
        added = {x: 0 for x in names}

        def add():
            while not until.is_set():
                name = others.choice(names)
                added[name] += 1
                server.add(name, json.dumps({"other": added[name]}), pointer=added[name] % 4 != 0)
                time.sleep(0.001)

        adding = threading.Thread(target=add)
        adding.start()
        clients = [Client(confab, f"c{i}", random.Random(rng.random()), names[i:i + 2] or names[:1]).start() for i in range(6)]
        for kill in range(8):
            for x in clients:
                for n in range(20):
                    x.publish(rng.choice(list(x.follows)), {"own": [x.name, kill, n]})
            await asyncio.sleep(0.1 + rng.random() * 0.5)
            await asyncio.to_thread(confab.restart)
        until.set()
        await asyncio.to_thread(adding.join)
        for x in clients:
            await x.until(lambda: not x.drafts, "every draft has its receipt")
        for name in names:
            await asyncio.to_thread(eventually, lambda: log_is_stream(confab, server, name, say=False), f"{name} is its stream")
            log = await asyncio.to_thread(log_of, confab, name)
            equal(gaps(log), [], "a gap without cause")
            equal(len(copies(log)), added[name], f"{name}: copies")
        for x in clients:
            await x.until(lambda: x.socket is not None, "connected")
            await x.stop()
        print(f"  {sum(added.values())} added, {8 * 6 * 20} published, 8 kills")


def redis_that_forgets_a_second_announces_each_loss():
    names = ["e/1", "e/2"]
    rng = random.Random(SEED)
    with redis_server("appendonly yes", "appendfsync everysec") as server, \
            served(*options(server, "--redis.reconcile_ms=100")) as confab, Wire(confab) as wire:
        for x in names:
            wire.subscribe(x, after="start")
        lost = 0
        for _ in range(3):
            with Load(confab, server, names, rng.random()) as load:
                time.sleep(1.5)
                load.stop()
            before = {x: {i for i, _ in foreign(server, x)} for x in names}
            eventually(lambda: all(log_is_stream(confab, server, x) or gaps(log_of(confab, x)) for x in names), "copied")
            # kill -9 alone loses nothing that the kernel has: an older state of the disk does.
            state = {x: server.client.xrange(stream(x)) for x in names}
            server.client.config_set("appendonly", "no")
            for x in names:
                keep = state[x][:-5]
                server.client.delete(stream(x))
                server.later_ids()
                with server.client.pipeline(transaction=False) as pipe:
                    for i, fields in keep:
                        pipe.xadd(stream(x), fields, id=i)
                    pipe.execute()
                lost += 1
                server.client.xadd(stream(x), {"payload": json.dumps({"other": 10**6 + lost})})
            for x in names:
                eventually(lambda: len(gaps(log_of(confab, x))) >= 1, f"{x}: the loss is announced")
            server.client.config_set("appendonly", "yes")
        for x in names:
            ids = [y["source_id"] for y in log_of(confab, x) if "source_id" in y]
            equal(len(set(ids)), len(ids), f"{x}: nothing twice")
            have = {i for i, _ in foreign(server, x)}
            eventually(lambda: have <= {y.get("source_id") for y in log_of(confab, x)}, f"{x}: what is left is in the log")


def trouble(server, begin, end, wait_s=2.0, word=None):
    with served(*options(server, "--redis.reconcile_ms=200")) as confab, Wire(confab) as wire:
        for name in ("t", "u"):
            wire.subscribe(name, after="start")
        with Load(confab, server, ["t", "u"], SEED) as load:
            time.sleep(0.3)
            begin(confab)
            time.sleep(wait_s)
            if word is not None:
                eventually(lambda: word in ready(confab).json().get("redis", ""), "/readyz says so")
            end()
            time.sleep(0.3)
            load.stop()
        load.verify()
        eventually(lambda: pending(server) == 0, "acknowledged")
        eventually(lambda: ready(confab).json() == {"ready": True}, "/readyz")


def redis_stopped_for_thirty_seconds_holds_nobody_up():
    with redis_server() as server:
        server.client.connection_pool.connection_kwargs["socket_timeout"] = 1
        trouble(server, lambda _: server.pause(), server.go_on, float(os.environ.get("CONFAB_REDIS_STOP_S", "30")))


def a_script_that_was_flushed_is_loaded_again():
    with redis_server() as server:
        trouble(server, lambda _: server.client.script_flush(), server.client.script_flush, 0.5)


def a_redis_that_is_slow_is_waited_for():
    with redis_server() as server:
        def sleep(_):
            redis.Redis(port=server.port).execute_command("DEBUG", "SLEEP", "1.5")
        trouble(server, sleep, lambda: None, 0.3)


def a_redis_out_of_memory_takes_the_mirror_later():
    with redis_server() as server:
        trouble(server, lambda _: server.client.config_set("maxmemory", "1mb"),
                lambda: server.client.config_set("maxmemory", "0"), word="OOM")


def a_redis_that_became_read_only_takes_the_mirror_later():
    with redis_server() as server:
        def demote(_):
            server.client.replicaof("127.0.0.1", 1)
        trouble(server, demote, lambda: server.client.replicaof("no", "one"), word="READONLY")


def connections_cut_in_the_middle_of_replies_lose_and_repeat_nothing():
    rng = random.Random(SEED)
    with redis_server() as server, Relay(server.port) as relay, \
            served(f"--redis.address=127.0.0.1:{relay.port}", "--redis.reconnect_ms=100",
                   "--redis.reconcile_ms=200") as confab, Wire(confab) as wire:
        names = ["r/1", "r/2"]
        for x in names:
            wire.subscribe(x, after="start")
        with Load(confab, server, names, SEED) as load:
            for _ in range(30):
                time.sleep(0.1 + rng.random() * 0.1)
                relay.cut_after = rng.choice((0, 1, 3, 10, 40))
                eventually(lambda: relay.cut_after is None, "a reply is cut")
            load.stop()
        expect(relay.cuts >= 30, "cuts", relay.cuts)
        load.verify()


# --- 4. groups


def what_a_dead_consumer_left_is_claimed_and_nothing_is_delivered_twice():
    with redis_server() as server, served(*options(server, "--redis.claim_ms=3000")) as confab:
        ids = [server.add("c", str(i)) for i in range(5)]
        eventually(lambda: log_is_stream(confab, server, "c"), "copied")
        # Another consumer of the group takes pointers and dies; what it has is claimed when it is idle for long.
        confab.stop()
        for i in range(5, 8):
            ids.append(server.add("c", str(i)))
        taken = server.client.xreadgroup(GROUP, "dead", {FANOUT: ">"}, count=2)
        equal(len(taken[0][1]), 2)
        for entry, _ in taken[0][1]:
            server.client.xclaim(FANOUT, GROUP, "dead", 0, [entry], idle=3_600_000)
        confab.start()
        eventually(lambda: pending(server) == 0, "claimed and acknowledged", 3 * PATIENCE_S)
        equal([x["source_id"] for x in log_of(confab, "c")], ids)


def pointers_are_removed_when_every_group_has_acknowledged_them_and_not_before():
    with redis_server("stream-node-max-bytes 0") as server, served(*options(server, "--redis.fanout_ms=1")) as confab:
        # A group of others that has read 260 pointers, and acknowledged all but the 250th.
        server.client.xgroup_create(FANOUT, "others", "0", mkstream=True)
        for i in range(500):
            server.add("c", str(i))
        eventually(lambda: log_is_stream(confab, server, "c"), "copied")
        taken = server.client.xreadgroup("others", "x", {FANOUT: ">"}, count=260)[0][1]
        server.client.xack(FANOUT, "others", *[i for i, _ in taken if i != taken[249][0]])
        # Redis trims whole nodes of 100.
        eventually(lambda: server.client.xlen(FANOUT) == 300, "those before the 200th are removed")
        equal(server.client.xpending_range(FANOUT, "others", "-", "+", 10)[0]["message_id"], taken[249][0])
        server.client.xack(FANOUT, "others", taken[249][0])
        rest = server.client.xreadgroup("others", "x", {FANOUT: ">"})[0][1]
        equal(len(rest), 240)
        server.client.xack(FANOUT, "others", *[i for i, _ in rest])
        eventually(lambda: server.client.xlen(FANOUT) <= 100, "the rest is removed, but for a node")


def in_role_log_a_pointer_wakes_the_conversation():
    with redis_server() as server, Server(":memory:", *options(server, "--redis.role=log",
                                                               "--redis.reconcile_ms=3600000")) as confab, Wire(confab) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        eventually(lambda: server.client.exists(FANOUT), "the group is there")
        for i in range(3):
            server.add("c", str(i))
            equal(wire.entries(1, "c")[0]["payload"], i)
        wire.publish("c", "own")
        equal(wire.entries(1, "c")[0]["payload"], "own")
        server.client.xadd(FANOUT, {"x": "y"})
        eventually(lambda: pending(server) == 0, "everything is acknowledged")


if __name__ == "__main__":
    run(entries_of_others_arrive_live_with_and_without_a_pointer,
        a_conversation_that_nobody_follows_is_copied_by_its_pointer,
        what_is_old_is_imported_when_asked_for,
        twenty_thousand_entries_reach_clients_that_drop_each_once_in_stream_order,
        hostile_pointers_and_entries_are_skipped,
        pages_that_are_larger_than_a_reply_may_be_are_read_in_parts,
        a_stream_that_was_trimmed_while_confab_was_away_shows_a_gap_with_the_right_number,
        a_stream_that_was_deleted_and_filled_to_the_same_length_is_recognised,
        a_stream_that_was_deleted_and_holds_an_id_again_is_recognised,
        a_replica_that_was_promoted_behind_is_recognised_and_nothing_comes_twice,
        an_older_state_of_many_pages_is_read_through_and_nothing_comes_twice,
        what_is_published_is_mirrored_once_in_order_and_does_not_come_back,
        an_outage_is_caught_up_in_order_even_behind_a_restart_of_confab,
        a_deleted_conversation_does_not_come_back_and_takes_what_is_new,
        old_paths_over_channels_are_heard_and_spoken_to,
        channels_that_would_feed_themselves_are_refused,
        redis_killed_twenty_times_under_load_loses_and_repeats_nothing,
        confab_killed_under_load_copies_and_mirrors_each_once,
        redis_that_forgets_a_second_announces_each_loss,
        redis_stopped_for_thirty_seconds_holds_nobody_up,
        a_script_that_was_flushed_is_loaded_again,
        a_redis_that_is_slow_is_waited_for,
        a_redis_out_of_memory_takes_the_mirror_later,
        a_redis_that_became_read_only_takes_the_mirror_later,
        connections_cut_in_the_middle_of_replies_lose_and_repeat_nothing,
        what_a_dead_consumer_left_is_claimed_and_nothing_is_delivered_twice,
        pointers_are_removed_when_every_group_has_acknowledged_them_and_not_before,
        in_role_log_a_pointer_wakes_the_conversation)
