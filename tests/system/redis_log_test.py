"""redis.role = log: producers that XADD and clients that publish share one order, and every reader sees just that."""

import asyncio
import multiprocessing
import random
import subprocess
import threading

import redis

from redis_support import redis_server
from support import CONFAB, SEED, Client, Server, Wire, equal, eventually, expect, info, log_of, post, publish, ready, request, run

CONVERSATIONS = 50
PRODUCERS = 4
ENTRIES = 20_000


def serve_on(address, *options):
    return Server(":memory:", "--redis.role=log", f"--redis.address={address}", "--redis.reconcile_ms=100", *options)


def stream_of(client, conversation):
    """[(id, payload)] as Redis has it."""
    return [(i.decode(), fields[b"payload"].decode())
            for i, fields in client.xrange(f"stream:conversation:{conversation}")]


def produce(port, which, count):
    """An old-style producer process: the entry, then its pointer."""
    client = redis.Redis(port=port)
    for begin in range(0, count, 50):
        pipe = client.pipeline(transaction=False)
        names = []
        for n in range(begin, begin + 50):
            name = f"room/{(n * PRODUCERS + which) % CONVERSATIONS}"
            names.append(name)
            pipe.xadd(f"stream:conversation:{name}", {"payload": f'{{"by":{which},"n":{n}}}', "sender_id": f"p{which}"})
        ids = pipe.execute()
        for name, entry in zip(names, ids):
            pipe.xadd("stream:fanout:all-conversations",
                      {"conversation_id": name, "stream_key": f"stream:conversation:{name}", "entry_id": entry})
        pipe.execute()


def old_producers_are_heard_with_and_without_a_pointer():
    with redis_server() as store, serve_on(store.address) as server, Wire(server) as wire:
        wire.subscribe("c", after="now")
        first = store.add("c", '{"text":"hi"}', sender_id="ann", kind="note")
        store.add("c", "plain text", pointer=False)
        seen = [x for x in (wire.next() for _ in range(3)) if x["op"] == "entry"]
        equal([(x["seq"], x["payload"]) for x in seen], [(1, {"text": "hi"}), (2, "plain text")])
        equal((seen[0]["id"], seen[0]["sender"], seen[0]["kind"]), (first, "ann", "note"))
        # Between two looks, and in front of a publish.
        store.add("c", "3", pointer=False)
        equal(wire.publish("c", 4)["seq"], 4)
        wire.held = []
        equal([x["payload"] for x in log_of(server, "c")], [{"text": "hi"}, "plain text", 3, 4])


async def everybody_sees_the_streams_of_four_producers():
    rng = random.Random(SEED)
    with redis_server() as store, serve_on(store.address) as server:
        names = [f"room/{i}" for i in range(CONVERSATIONS)]
        clients = [Client(server, f"c{i}", random.Random(rng.random()), rng.sample(names, 10), after="start").start()
                   for i in range(20)]
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=produce, args=(store.port, which, ENTRIES // PRODUCERS))
                     for which in range(PRODUCERS)]
        for x in processes:
            x.start()
        while any(x.is_alive() for x in processes):
            await asyncio.sleep(0.05)
            rng.choice(clients).drop("cut" if rng.random() < 0.8 else "close")
        for x in processes:
            x.join()
            equal(x.exitcode, 0, "a producer")
        streams = {name: stream_of(store.client, name) for name in names}
        equal(sum(len(x) for x in streams.values()), ENTRIES)
        for x in clients:
            await x.until(lambda x=x: all(y.seq >= len(streams[name]) for name, y in x.follows.items()), "all is there")
            for name, follow in x.follows.items():
                equal(follow.resets, [], "a reset without cause")
                equal([y["id"] for y in follow.entries], [i for i, _ in streams[name]], f"{x.name} in {name}")
            await x.stop()
        expect(sum(x.connections for x in clients) > len(clients), "nobody was dropped")


async def published_and_added_are_one_order_for_all():
    rng = random.Random(SEED)
    with redis_server() as store, serve_on(store.address) as server:
        readers = [Client(server, f"r{i}", random.Random(rng.random()), ["c"]).start() for i in range(5)]
        writers = [Client(server, f"w{i}", random.Random(rng.random())).start() for i in range(3)]
        for n in range(300):
            for x in writers:
                x.publish("c", {"w": x.name, "n": n})
            for _ in range(rng.randrange(4)):
                store.add("c", f'{{"raw":{n}}}', pointer=rng.random() < 0.5)
            await asyncio.sleep(0.002)
            if n % 20 == 0:
                rng.choice(readers).drop()
        for x in writers:
            await x.until(lambda x=x: not x.drafts, "all is answered")
        stream = stream_of(store.client, "c")
        place = {i: at for at, (i, _) in enumerate(stream, 1)}
        for x in writers:
            equal(len(x.receipts), 300)
            for receipt, _ in x.receipts.values():
                equal(place[receipt["id"]], receipt["seq"], "a receipt's place")
        for x in readers:
            await x.until(lambda x=x: x.follows["c"].seq == len(stream), "all is there")
            equal([y["id"] for y in x.follows["c"].entries], [i for i, _ in stream], "the order of the stream")
        for x in readers + writers:
            await x.stop()


def a_reader_behind_what_was_trimmed_is_told():
    with redis_server() as store, serve_on(store.address) as server:
        publish(server, "c", *range(10))
        store.client.xtrim("stream:conversation:c", maxlen=4, approximate=False)
        with Wire(server) as wire:
            equal(wire.subscribe("c", after=2)["last"], 10)
            x = wire.next("reset")
            equal((x["reason"], x["missing"]), ("trimmed", [3, 6]))
            equal([y["seq"] for y in wire.entries(4)], [7, 8, 9, 10])


def a_reader_resumes_at_the_id_that_xadd_gave():
    with redis_server() as store, serve_on(store.address) as server:
        ids = [store.add("c", str(n)) for n in range(1, 601)]
        for n in (1, 300, 599):
            with Wire(server) as wire:
                equal(wire.subscribe("c", after=ids[n - 1])["after"], n)
                equal(wire.entries(1)[0]["seq"], n + 1)
        # Between two entries, behind the last one, and before the first.
        ms = int(ids[-1].split("-")[0])
        with Wire(server) as wire:
            equal(wire.subscribe("c", after=f"{ms + 60_000}-0")["after"], 600)
            wire.until_live("c")
            equal(wire.publish("c", "own")["seq"], 601)
        with Wire(server) as wire:
            equal(wire.subscribe("c", after="1-0")["after"], 0)
            equal(wire.entries(1)[0]["payload"], 1)
        pages = request(server, "GET", f"/v1/conversations/c/entries?after={ids[597]}").json()
        equal([x["seq"] for x in pages["entries"]], [599, 600, 601])
        # One that was trimmed is known to be gone.
        ids = [store.add("d", str(n)) for n in range(1, 21)]
        store.client.xtrim("stream:conversation:d", maxlen=5, approximate=False)
        with Wire(server) as wire:
            wire.subscribe("d", after=ids[9])
            x = wire.next("reset")
            equal((x["reason"], x["missing"]), ("trimmed", [1, 15]))
            equal(wire.entries(1)[0]["seq"], 16)


def resumed(server, name, after):
    """[missing range, or None; the first entry's seq, or None at the tail] of a reader that goes on there."""
    with Wire(server) as wire:
        wire.subscribe(name, after=after)
        x, missing = wire.next(), None
        while x["op"] == "reset":
            equal(x["reason"], "trimmed")
            # It may be trimmed further meanwhile.
            expect(missing is None or x["missing"][0] == missing[1] + 1, "what is missing", missing, x)
            missing = [(missing or x["missing"])[0], x["missing"][1]]
            x = wire.next()
        if x["op"] == "live":
            return missing, None
        equal(x["op"], "entry", x)
        return missing, x["seq"]


def readers_resume_while_their_place_is_trimmed():
    rng = random.Random(SEED)
    told = 0
    with redis_server("stream-node-max-entries 1") as store, serve_on(store.address) as server, Wire(server) as keeper:
        for i in range(20):
            name, ids = f"room/{i}", []
            keeper.subscribe(name, after="start")  # the conversation and its ring stay in memory
            ids += [store.add(name, str(n)) for n in range(30)]
            eventually(lambda name=name: info(server, name)["last"] == 30, "all is there")
            ended = threading.Event()

            def grow_and_shrink(name=name, ids=ids, ended=ended, order=random.Random(rng.random())):
                own = redis.Redis(port=store.port)
                while len(ids) < 200 and not ended.is_set():
                    if order.random() < 0.3:
                        own.xtrim(f"stream:conversation:{name}", maxlen=order.randrange(1, 30), approximate=False)
                    else:
                        ids.append(post(server, name, {"payload": 0}).json()["id"])
                own.close()

            trouble = threading.Thread(target=grow_and_shrink)
            trouble.start()
            try:
                for _ in range(20):
                    at = rng.randrange(1, len(ids) + 1)
                    by_id = rng.random() < 0.6
                    missing, first = resumed(server, name, ids[at - 1] if by_id else at)
                    told += missing is not None
                    if missing is None:
                        expect(first in (at + 1, None), "it goes on behind its place", at, first, by_id)
                        continue
                    # An id that was trimmed has no place any more: everything that is gone is named.
                    expect(missing[0] == at + 1 or by_id and missing[0] == 1, "what is missing", at, missing, by_id)
                    expect(missing[1] > at or by_id and missing[1] == at, "what is missing", at, missing, by_id)
                    expect(first in (missing[1] + 1, None), "it goes on behind what is missing", missing, first)
            finally:
                ended.set()
                trouble.join()
            keeper.ask(op="unsubscribe", conversation=name)
            keeper.held = []
    expect(told > 50, "nothing was trimmed in front of a reader", told)


def fork(server, name, source, at=None):
    fields = {"Stream-Forked-From": f"/v1/stream/{source}"}
    if at is not None:
        fields["Stream-Fork-Offset"] = at
    return request(server, "PUT", f"/v1/stream/{name}", headers=fields)


def forks_share_what_their_source_has_and_go_on_by_themselves():
    with redis_server() as store, serve_on(store.address) as server, Wire(server) as wire:
        publish(server, "s", 1, 2)
        store.add("s", "3")
        at = f"{2:016}_{info(server, 's')['epoch']}_{log_of(server, 's')[1]['id']}"
        equal(fork(server, "f", "s", at).status, 201)
        equal(fork(server, "f", "s", at).status, 200, "again")
        equal(fork(server, "deep", "f").status, 201)
        equal(fork(server, "x", "none").status, 404)
        wire.subscribe("f", after="start")
        equal([x["payload"] for x in wire.until_live("f")], [1, 2])
        store.add("f", '"raw"')
        equal([(x["seq"], x["payload"]) for x in wire.entries(1)], [(3, "raw")])
        equal(wire.publish("f", 4)["seq"], 4)
        equal(wire.entries(1)[0]["seq"], 4)
        publish(server, "s", 4)
        publish(server, "deep", "d")
        equal([x["payload"] for x in log_of(server, "deep")], [1, 2, "d"])
        equal([x["payload"] for x in log_of(server, "s")], [1, 2, 3, 4])
        equal([x["id"] for x in log_of(server, "f")[:2]], [x["id"] for x in log_of(server, "s")[:2]])
        # A position in the source is one in its forks.
        equal(request(server, "GET", f"/v1/stream/f?offset={at}").json(), ["raw", 4])
        # What was trimmed from the source is not in them either, and they say so.
        store.client.xtrim("stream:conversation:s", maxlen=3, approximate=False)
        with Wire(server) as late:
            late.subscribe("f", after=0)
            x = late.next("reset")
            equal((x["reason"], x["missing"]), ("trimmed", [1, 1]))
            equal([x["seq"] for x in late.until_live("f")], [2, 3, 4])
        # It stays for them.
        equal(request(server, "DELETE", "/v1/stream/s").status, 204)
        equal(request(server, "GET", "/v1/stream/s?offset=-1").status, 410)
        equal(request(server, "PUT", "/v1/stream/s").status, 409)
        equal(fork(server, "x", "s").status, 409)
        equal(post(server, "s", {"payload": 5}).code(), "gone")
        equal([x["payload"] for x in log_of(server, "f")], [2, "raw", 4])
        equal(request(server, "DELETE", "/v1/stream/f").status, 204)
        equal([x["payload"] for x in log_of(server, "deep")], [2, "d"])
        done = subprocess.run([CONFAB, "check", f"--redis.address={store.address}"], capture_output=True, text=True, check=False)
        equal(done.returncode, 0, done.stdout + done.stderr)
        equal(request(server, "DELETE", "/v1/stream/deep").status, 204)
        equal(store.client.keys("stream:conversation:*") + store.client.keys("confab:forks:*"), [])
        equal(request(server, "PUT", "/v1/stream/s").status, 201)


def a_fork_is_reset_when_its_source_lost_what_it_shares():
    with redis_server() as store, serve_on(store.address) as server, Wire(server) as wire:
        publish(server, "s", 1, 2)
        equal(fork(server, "f", "s").status, 201)
        publish(server, "f", "own")
        wire.subscribe("f", after="start")
        wire.until_live("f")
        # Nobody follows the source, or asks for it.
        store.client.delete("stream:conversation:s")
        equal(wire.next("reset")["reason"], "epoch")
        # What it shared is named as missing.
        x = wire.next("reset")
        equal((x["reason"], x["missing"]), ("trimmed", [1, 2]))
        equal([(x["seq"], x["payload"]) for x in wire.until_live("f")], [(3, "own")])
        equal(wire.publish("f", 4)["seq"], 4)
        equal(wire.entries(1)[0]["seq"], 4)


def what_redis_cannot_do_is_refused_with_a_reason():
    with redis_server() as store, serve_on(store.address) as server:
        publish(server, "c", 1)
        refused = subprocess.run([CONFAB, "serve", "--net.port=0", "--redis.role=log", f"--redis.address={store.address}",
                                  "--store.retention=* 0 0 1000"], capture_output=True, text=True, check=False)
        expect(refused.returncode != 0 and "redis.role = log" in refused.stderr, "retention by bytes", refused)
        closed = request(server, "POST", "/v1/stream/c", headers={"Stream-Closed": "true",
                                                                  "Content-Type": "application/json"})
        expect(closed.status in (200, 204), "closing", closed)
        store.add("c", "2")
        equal(post(server, "c", {"payload": 3}).code(), "closed")
        equal([x["payload"] for x in log_of(server, "c")], [1])


def cursors_and_deletion_work_as_elsewhere():
    with redis_server() as store, serve_on(store.address) as server:
        publish(server, "c", 1, 2, 3)
        with Wire(server, "?client=phone") as wire:
            wire.subscribe("c", after="start")
            wire.entries(3)
            wire.until_live("c")
            wire.send(op="ack", conversation="c", seq=2)
            cursor = eventually(lambda: store.client.get("client:sync:anonymous:phone:c"), "the cursor")
            expect(b'"last_seq":2' in cursor, "the cursor", cursor)
            expect(store.client.ttl("client:sync:anonymous:phone:c") > 29 * 86400, "its ttl")
        with Wire(server, "?client=phone") as wire:
            equal(wire.subscribe("c")["after"], 2)
            equal([x["seq"] for x in wire.entries(1)], [3])
            wire.until_live("c")
            equal(request(server, "DELETE", "/v1/conversations/c").status, 204)
            equal(wire.next("reset")["reason"], "deleted")
            equal(store.client.exists("stream:conversation:c", "confab:log:c"), 0)
            store.add("c", "7")
            x = wire.next()
            x = wire.next() if x["op"] == "live" else x
            equal((x["op"], x["seq"], x["payload"]), ("entry", 1, 7))


def the_logs_are_proved_whole():
    def check(store):
        done = subprocess.run([CONFAB, "check", f"--redis.address={store.address}"], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    with redis_server() as store:
        with serve_on(store.address, "--redis.maxlen=50") as server, Wire(server, "?client=phone") as wire:
            for n in range(200):
                store.add("a", str(n), pointer=False)
                wire.publish("a", n)
                equal(post(server, "b", {"payload": n, "producer": "p", "producer_seq": n + 1}).status, 201)
            request(server, "POST", "/v1/stream/b", headers={"Stream-Closed": "true", "Content-Type": "application/json"})
        status, text = check(store)
        equal((status, text.splitlines()[-1].split(":", 2)[-1].split(",")[0], text.count("\n")), (0, " 2 conversations", 1))
        store.client.xdel("stream:conversation:a", store.client.xrevrange("stream:conversation:a", count=1)[0][0])
        status, text = check(store)
        expect(status == 1 and "XDEL" in text, "a defect", text)
        store.kill()
        status, text = check(store)
        expect(status == 2 and "Redis" in text, "Redis cannot be asked", status, text)
        neither = subprocess.run([CONFAB, "check"], capture_output=True, text=True, check=False)
        expect(neither.returncode == 2 and "--redis.address" in neither.stderr, "neither is named", neither)


def health_says_what_holds():
    with redis_server("appendonly yes", "appendfsync always") as store, serve_on(store.address) as server:
        def settings():
            return ready(server).json().get("log", "")
        equal(ready(server).status, 200)
        eventually(lambda: 'appendfsync "always"' in settings(), "the settings in force")
        store.client.config_set("appendfsync", "everysec")
        eventually(lambda: 'appendfsync "everysec"' in settings(), "the settings in force")
        publish(server, "c", 1)
        for on, off in ((("maxmemory", 1), ("maxmemory", 0)),
                        (("min-replicas-to-write", 1), ("min-replicas-to-write", 0))):
            store.client.config_set(*on)
            eventually(lambda: ready(server).status == 503, "not ready where nothing can be written")
            equal([x["payload"] for x in log_of(server, "c")], [1], "what is there can be read")
            store.client.config_set(*off)
            eventually(lambda: ready(server).status == 200, "ready again, though nobody published")
        store.kill()
        eventually(lambda: ready(server).status == 503, "not ready without Redis")
        store.start()
        eventually(lambda: ready(server).status == 200, "ready again")


if __name__ == "__main__":  # the producers import this, too
    run(old_producers_are_heard_with_and_without_a_pointer, everybody_sees_the_streams_of_four_producers,
        published_and_added_are_one_order_for_all, a_reader_behind_what_was_trimmed_is_told,
        a_reader_resumes_at_the_id_that_xadd_gave, readers_resume_while_their_place_is_trimmed,
        forks_share_what_their_source_has_and_go_on_by_themselves, a_fork_is_reset_when_its_source_lost_what_it_shares, what_redis_cannot_do_is_refused_with_a_reason,
        cursors_and_deletion_work_as_elsewhere, the_logs_are_proved_whole, health_says_what_holds)
