"""redis.role = log while Redis is killed, slow, full, read-only, cut off, rolled back: nothing that was acknowledged is
lost without a word, nothing is there twice, and Confab is never restarted."""

import asyncio
import contextlib
import glob
import os
import random
import re
import time

import redis

from redis_support import Proxy, Redis, redis_server
from support import (SEED, Client, Patient, Server, Wire, equal, eventually, expect, log_of, post, publish, ready, run,
                     scratch)

KILLS = 20
STOP_S = float(os.environ.get("CONFAB_REDIS_STOP_S", "30"))


def serve_on(address, *options):
    return Server(":memory:", "--redis.role=log", f"--redis.address={address}", "--redis.reconcile_ms=100",
                  "--redis.command_ms=1000", "--redis.reconnect_ms=200", *options)


def stream_of(client, conversation):
    return [i.decode() for i, _ in client.xrange(f"stream:conversation:{conversation}")]


class Load:
    """Readers that drop and resume, writers with numbers, and an old-style producer, on some conversations."""

    def __init__(self, server, store, rng, names):
        self.server, self.store, self.names, self.rng = server, store, names, rng
        self.readers = [Patient(server, f"r{i}", random.Random(rng.random()), names).start() for i in range(6)]
        self.writers = [Client(server, f"w{i}", random.Random(rng.random())).start() for i in range(4)]
        self.over = asyncio.Event()
        self.tasks = [asyncio.ensure_future(self.write(x)) for x in self.writers]
        self.tasks += [asyncio.ensure_future(self.disturb()), asyncio.ensure_future(self.produce())]

    async def write(self, client):
        n = 0
        while not self.over.is_set():
            n += 1
            name = self.rng.choice(self.names)
            client.publish(name, {"w": client.name, "n": n, "to": name})
            await asyncio.sleep(self.rng.random() * 0.02)
            await client.until(lambda: len(client.drafts) < 2 * client.window, "drafts are answered")

    async def produce(self):
        n = 0
        while not self.over.is_set():
            n += 1
            with contextlib.suppress(redis.RedisError):
                await asyncio.get_running_loop().run_in_executor(
                    None, lambda: self.store.add(self.rng.choice(self.names), f'{{"raw":{n}}}', pointer=n % 2 == 0))
            await asyncio.sleep(self.rng.random() * 0.05)

    async def disturb(self):
        while not self.over.is_set():
            await asyncio.sleep(self.rng.random() * 0.3)
            self.rng.choice(self.readers + self.writers).drop()

    async def end(self):
        """Everything is answered and seen, equals the streams, and was announced if it had to be."""
        self.over.set()
        await asyncio.gather(*self.tasks)
        for x in self.writers:
            await x.until(lambda x=x: not x.drafts, "all is answered")
        streams = {name: stream_of(self.store.client, name) for name in self.names}
        where = {}
        for name in self.names:
            entries = log_of(self.server, name)
            equal([x["id"] for x in entries], streams[name], "the log is the stream")
            for x in entries:
                if "w" in x["payload"]:
                    key = name, x["payload"]["w"], x["producer_seq"]
                    expect(key not in where, "a publish is in the log twice", key)
                    equal(x["payload"]["to"], name)
                    where[key] = x
        receipts = 0
        for x in self.writers:
            for (name, number), (receipt, payload) in x.receipts.items():
                receipts += 1
                entry = where.get((name, x.name, number))
                expect(entry is not None, "acknowledged and not in the log", x.name, name, number, receipt)
                equal((entry["seq"], entry["id"], entry["payload"]), (receipt["seq"], receipt["id"], payload))
        equal(receipts, len(where), "receipts and publishes in the log")
        for x in self.readers:
            for name, follow in x.follows.items():
                await x.until(lambda y=follow, name=name: y.seq == len(streams[name]), f"{name} is there")
                equal(follow.resets, [], "a reset without cause")
                equal([y["id"] for y in follow.entries], streams[name], f"{x.name} in {name}")
        for x in self.readers + self.writers:
            await x.stop()
        return receipts


async def under(trouble, *settings, before=None):
    """Runs `trouble(store, server, proxy, rng)` under load and checks everything afterwards."""
    rng = random.Random(SEED)
    with redis_server(*settings) as store, Proxy(store.port) as proxy, serve_on(proxy.address) as server:
        if before:
            before(store)
        load = Load(server, store, rng, ["room/a", "room/b", "c"])
        await asyncio.sleep(0.5)
        await trouble(store, server, proxy, rng)
        await asyncio.sleep(0.5)
        receipts = await load.end()
        expect(receipts > 50, "hardly anything was published", receipts)
        expect(server.starts == 1 and server.running(), "Confab was restarted")
        equal(ready(server).status, 200)


async def killed_again_and_again():
    async def trouble(store, server, proxy, rng):
        for _ in range(KILLS):
            await asyncio.sleep(0.05 + rng.random() * 0.3)
            store.kill()
            await asyncio.sleep(rng.random() * 0.2)
            await asyncio.get_running_loop().run_in_executor(None, store.start)
    await under(trouble, "appendonly yes", "appendfsync always")


async def stopped_for_longer_than_a_publish_waits():
    async def trouble(store, server, proxy, rng):
        store.pause()
        await asyncio.sleep(STOP_S)
        status = await asyncio.get_running_loop().run_in_executor(None, lambda: ready(server).status)
        equal(status, 503, "/readyz without Redis")
        store.go_on()
    await under(trouble)


async def slow_full_read_only_and_forgetful():
    async def trouble(store, server, proxy, rng):
        loop = asyncio.get_running_loop()
        client = store.client
        for _ in range(3):
            await loop.run_in_executor(None, lambda: client.execute_command("DEBUG", "SLEEP", "1.5"))
            client.script_flush()
            await asyncio.sleep(0.2)
            client.config_set("maxmemory", 1)
            await asyncio.sleep(0.3)
            client.config_set("maxmemory", 0)
            await asyncio.sleep(0.2)
            client.config_set("min-replicas-to-write", 1)
            await asyncio.sleep(0.3)
            client.config_set("min-replicas-to-write", 0)
            client.script_flush()
            await asyncio.sleep(0.2)
    await under(trouble)


async def cut_in_the_middle_of_replies():
    async def trouble(store, server, proxy, rng):
        for _ in range(60):
            proxy.cut_after = rng.choice((0, 1, 5, 40, 300, 3000))
            await asyncio.sleep(0.05)
        expect(proxy.cuts > 20, "hardly any cut", proxy.cuts)
        proxy.cut_after = None
    await under(trouble)


def shortened(directory, rng):
    """What a power cut leaves of the append-only file: it ends within one of the last entries of c."""
    path, = glob.glob(os.path.join(directory, "appendonlydir", "*.incr.aof"))
    with open(path, "rb") as file:
        added = [x.start() for x in re.finditer(rb"XADD\r\n\$\d+\r\nstream:conversation:c\r\n", file.read())]
    # An entry is longer than that. Pointers and acknowledgements behind it go too.
    os.truncate(path, rng.choice(added[-8:]) + rng.randrange(40))


async def each_loss_is_announced():
    """As after power cuts with appendfsync everysec: the end of the append-only file is gone."""
    rng = random.Random(SEED)
    with redis_server("appendonly yes", "appendfsync everysec") as store, serve_on(store.address) as server:
        readers = [Patient(server, f"r{i}", random.Random(rng.random()), ["c"]).start() for i in range(5)]
        number = 0
        for _ in range(6):
            for _ in range(rng.randrange(20, 60)):
                number += 1
                store.add("c", str(number))
                equal(post(server, "c", {"payload": number}).status, 201)
            top = len(stream_of(store.client, "c"))
            for x in readers:
                await x.until(lambda x=x: x.follows["c"].seq == top, "all is there")
            resets = [len(x.follows["c"].resets) for x in readers]
            before = stream_of(store.client, "c")
            store.kill()
            shortened(store.directory, rng)
            store.start()
            after = stream_of(store.client, "c")
            expect(after != before, "nothing was lost")
            # Others are faster than Confab, up to the same length and beyond.
            for _ in range(max(1, len(before) - len(after) + rng.randrange(-2, 3))):
                number += 1
                store.add("c", str(number))
            stream = stream_of(store.client, "c")
            for x, seen in zip(readers, resets):
                await x.until(lambda x=x, seen=seen: len(x.follows["c"].resets) > seen, "a reset")
                await x.until(lambda x=x: x.follows["c"].seq == len(stream), "all is there again")
                equal(x.follows["c"].resets[-1]["reason"], "epoch")
                equal([y["id"] for y in x.follows["c"].entries[-len(stream):]], stream, "what is there now")
        for x in readers:
            await x.stop()


def a_replica_that_was_behind_is_promoted():
    with scratch() as one, scratch() as two, Redis(one) as store, Redis(two, f"replicaof 127.0.0.1 {store.port}") as other, \
            Proxy(store.port) as proxy, serve_on(proxy.address) as server, Wire(server) as wire:
        def caught_up():
            return store.client.info("replication")["master_repl_offset"] == \
                other.client.info("replication")["slave_repl_offset"]
        publish(server, "c", 1, 2, 3)
        eventually(lambda: other.client.info("replication")["master_link_status"] == "up" and caught_up(), "the replica")
        wire.subscribe("c", after="start")
        wire.entries(3)
        wire.until_live("c")
        other.client.replicaof("NO", "ONE")
        publish(server, "c", 4, 5, 6)
        wire.entries(3)
        store.kill()
        for payload in ("7", "8", "9"):
            other.add("c", payload)
        proxy.lead_to(other.port)
        x = wire.next("reset")
        equal(x["reason"], "epoch")
        equal([(y["seq"], y["payload"]) for y in wire.entries(6)], [(1, 1), (2, 2), (3, 3), (4, 7), (5, 8), (6, 9)])
        # Read-only again: refused in clear, and healed.
        other.client.replicaof("127.0.0.1", 1)
        eventually(lambda: post(server, "c", {"payload": 10}).status == 503, "an append to a replica is refused")
        other.client.replicaof("NO", "ONE")
        eventually(lambda: post(server, "c", {"payload": 10}).status == 201, "appends work again")
        equal([y["payload"] for y in log_of(server, "c")], [1, 2, 3, 7, 8, 9, 10])


def a_stream_that_was_deleted_and_made_anew_is_another_log():
    with redis_server() as store, serve_on(store.address) as server, Wire(server) as wire:
        publish(server, "c", 1, 2, 3)
        epoch = wire.subscribe("c", after="start")["epoch"]
        wire.entries(3)
        wire.until_live("c")
        position = {"after": 3, "epoch": epoch, "id": stream_of(store.client, "c")[2]}
        pipe = store.client.pipeline(transaction=True)
        pipe.delete("stream:conversation:c")
        for n in (7, 8, 9):
            pipe.xadd("stream:conversation:c", {"payload": n})
        pipe.execute()
        equal(wire.next("reset")["reason"], "epoch")
        equal([(x["seq"], x["payload"]) for x in wire.entries(3)], [(1, 7), (2, 8), (3, 9)])
        with Wire(server) as late:
            late.subscribe("c", **position)
            equal(late.next("reset")["reason"], "epoch")
            equal([x["payload"] for x in late.entries(3)], [7, 8, 9])
        store.client.flushall()
        x = wire.next()
        x = wire.next() if x["op"] == "live" else x
        equal((x["op"], x["reason"]), ("reset", "deleted"))
        begin = time.monotonic()
        equal(post(server, "c", {"payload": 1}).status, 201)
        expect(time.monotonic() - begin < 30, "an append to a new log")
        equal([x["seq"] for x in log_of(server, "c")], [1])


if __name__ == "__main__":
    run(killed_again_and_again, stopped_for_longer_than_a_publish_waits, slow_full_read_only_and_forgetful,
        cut_in_the_middle_of_replies, each_loss_is_announced, a_replica_that_was_behind_is_promoted,
        a_stream_that_was_deleted_and_made_anew_is_another_log)
