"""Two nodes on one Redis, redis.role = log, in one consumer group: one dies with pointers that it has not acknowledged, and
its clients go on at the other."""

import asyncio
import random
import signal
import time

from redis_support import redis_server
from support import SEED, Client, Server, equal, eventually, expect, log_of, publish, run

FANOUT = "stream:fanout:all-conversations"
GROUP = "confab"
CONVERSATIONS = ["room/a", "room/b", "c"]


def node(store, *options):
    return Server(":memory:", "--redis.role=log", f"--redis.address={store.address}", "--redis.reconcile_ms=200",
                  "--redis.reconnect_ms=200", *options)


def ids_of(store, conversation):
    return [i.decode() for i, _ in store.client.xrange(f"stream:conversation:{conversation}")]


def consumers(store):
    """{name: how many pointers it has not acknowledged}"""
    if not store.client.exists(FANOUT):
        return {}
    return {x["name"].decode(): x["pending"] for x in store.client.xinfo_consumers(FANOUT, GROUP)}


def pending(store):
    return store.client.xpending(FANOUT, GROUP)["pending"]


async def in_thread(what):
    return await asyncio.get_running_loop().run_in_executor(None, what)


async def another_node_takes_what_a_dead_one_has_not_acknowledged():
    rng = random.Random(SEED)
    with redis_server() as store, node(store, "--redis.claim_ms=1000") as first:
        own = eventually(lambda: len(consumers(store)) == 1 and set(consumers(store)), "the first joins")
        with node(store, "--redis.claim_ms=1000") as second:
            both = eventually(lambda: len(consumers(store)) == 2 and set(consumers(store)), "both have joined")
            doomed, = both - own
            clients = [Client(x, f"{name}{i}", random.Random(rng.random()), CONVERSATIONS).start()
                       for name, x in (("first", first), ("second", second)) for i in range(3)]
            writers = [Client(x, f"w{i}", random.Random(rng.random())).start() for i, x in enumerate((first, second))]
            over = asyncio.Event()

            async def produce():
                n = 0
                while not over.is_set():
                    n += 1
                    name = rng.choice(CONVERSATIONS)
                    await in_thread(lambda: store.add(name, f'{{"raw":{n}}}'))
                    for x in writers:
                        if len(x.drafts) < 2 * x.window:
                            x.publish(name, {"w": x.name, "n": n})
                    await asyncio.sleep(0.002)

            producer = asyncio.ensure_future(produce())
            await asyncio.sleep(1)
            # It holds still, so that what Redis gives it stays with it, and dies.
            for _ in range(20):
                second.signal(signal.SIGSTOP)
                await asyncio.sleep(0.3)
                if left := consumers(store)[doomed]:
                    break
                second.signal(signal.SIGCONT)
                await asyncio.sleep(0.1)
            expect(left > 0, "pointers are pending when it dies", consumers(store))
            await in_thread(second.kill)
            for x in clients + writers:
                x.server = first
            await asyncio.sleep(1)
            over.set()
            await producer
            for x in writers:
                await x.until(lambda x=x: not x.drafts, "all is answered")
            await in_thread(lambda: eventually(lambda: pending(store) == 0, "the first has claimed and acknowledged"))
            expect("were claimed" in first.stderr(), "it says so", first.stderr()[-500:])
            # A node that comes back, and one who reads from the beginning there.
            await in_thread(second.start)
            late = Client(second, "late", random.Random(rng.random()), CONVERSATIONS).start()
            streams = {name: ids_of(store, name) for name in CONVERSATIONS}
            for x in clients + [late]:
                for name, follow in x.follows.items():
                    await x.until(lambda y=follow, name=name: y.seq >= len(streams[name]), f"{name} is there")
                    equal(follow.resets, [], "a reset without cause")
                    equal([y["id"] for y in follow.entries], streams[name], f"{x.name} in {name}")
            where = {(x.name, name, n): (name, receipt["id"]) for x in writers for (name, n), (receipt, _) in x.receipts.items()}
            equal(len(set(where.values())), len(where), "each publish has an entry of its own")
            entries = {name: log_of(first, name) for name in CONVERSATIONS}
            published = [(y["payload"]["w"], name, y["producer_seq"]) for name, log in entries.items() for y in log
                         if "w" in y["payload"]]
            equal(sorted(published), sorted(where), "what was acknowledged is there, once")
            expect(sum(map(len, streams.values())) > 200, "hardly anything happened", streams)
            for x in clients + writers + [late]:
                await x.stop()


def consumers_that_are_long_gone_are_removed_and_living_ones_stay():
    options = ("--redis.claim_ms=1000", "--redis.gone_ms=2000")
    with redis_server() as store, node(store, *options) as server:
        with node(store, *options):
            own = eventually(lambda: len(consumers(store)) == 2 and set(consumers(store)), "both join")
            store.client.xgroup_createconsumer(FANOUT, GROUP, "old")
            eventually(lambda: "old" not in consumers(store), "it is removed")
            # There is nothing to read, for longer than that.
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                equal(set(consumers(store)), own)
                time.sleep(0.1)
        own = eventually(lambda: len(consumers(store)) == 1 and set(consumers(store)), "the second has gone")
        # What one that is gone has left is taken from it first.
        server.signal(signal.SIGSTOP)
        time.sleep(0.3)  # what it asked for last has ended by then
        store.add("c", "1")
        equal(len(store.client.xreadgroup(GROUP, "left", {FANOUT: ">"})[0][1]), 1)
        server.signal(signal.SIGCONT)
        eventually(lambda: set(consumers(store)) == own, "it is gone by now")
        equal(pending(store), 0)
        publish(server, "c", 2)
        equal([x["payload"] for x in log_of(server, "c")], [1, 2])


if __name__ == "__main__":
    run(another_node_takes_what_a_dead_one_has_not_acknowledged, consumers_that_are_long_gone_are_removed_and_living_ones_stay)
