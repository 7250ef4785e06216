"""Reconnect races: the same producers and the same drops, delivered by each of the naive ways and by Confab."""

import asyncio
import json
import random
import threading
import time

import redis

import naive
from redis_support import redis_server
from support import PATIENCE_S, Client, served


def produce(port, name, count, seed, pace_s):
    """Entries with pointers, a history list and a PUBLISH each: what every way of delivering needs."""
    client = redis.Redis(port=port)
    adds = naive.TwoAdds(client, seed)
    for n in range(count):
        payload = json.dumps({"n": n})
        adds.add(name, payload)
        client.xadd(naive.stream("other"), {"payload": payload})
        client.rpush(f"history:{name}", payload)
        client.publish(f"live:{name}", payload)
        time.sleep(pace_s)
    client.close()


def disturb(readers, seed, until):
    rng = random.Random(seed)
    while not until.is_set():
        time.sleep(rng.random() * 0.05)
        rng.choice(readers).dropped.set()


def race_naive(kind, count, readers, seed, pace_s=0.001):
    """(lost, repeated) over all readers."""
    with redis_server() as server:
        made = [kind(server.port, "race", seed + i) for i in range(readers)]
        for x in made:
            x.start()
        for x in made:
            x.following.wait(PATIENCE_S)
        until = threading.Event()
        disturber = threading.Thread(target=disturb, args=(made, seed, until))
        disturber.start()
        produce(server.port, "race", count, seed, pace_s)
        until.set()
        disturber.join()
        # Each has a last quiet connection in which it could get what is left.
        settled, before = time.monotonic() + 2, None
        while time.monotonic() < settled:
            now = [len(x.received) for x in made]
            if now != before:
                settled, before = max(settled, time.monotonic() + 0.5), now
            time.sleep(0.05)
        for x in made:
            x.ended.set()
        for x in made:
            x.join(PATIENCE_S)
        totals = [naive.lost_and_repeated(x.received, count) for x in made]
        return sum(x for x, _ in totals), sum(x for _, x in totals)


def race_confab(count, readers, seed, pace_s=0.001):
    """(lost, repeated): old-style producers into Redis, clients of Confab in role bridge that drop likewise."""

    async def follow(confab, port):
        rng = random.Random(seed)
        clients = [Client(confab, f"c{i}", random.Random(seed + i), ["race"]).start() for i in range(readers)]
        for x in clients:
            await x.until(lambda: x.follows["race"].state != "off", "following")
        until = asyncio.Event()

        async def drops():
            while not until.is_set():
                await asyncio.sleep(rng.random() * 0.05)
                rng.choice(clients).drop("cut" if rng.random() < 0.8 else "close")

        task = asyncio.ensure_future(drops())
        await asyncio.to_thread(produce, port, "race", count, seed, pace_s)
        until.set()
        await task
        deadline = time.monotonic() + PATIENCE_S
        while any(x.follows["race"].seq < count for x in clients) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        received = [[y["payload"]["n"] for y in x.follows["race"].entries] for x in clients]
        for x in clients:
            await x.until(lambda: x.socket is not None, "connected")
            await x.stop()
        return received

    with redis_server() as server, served(f"--redis.address={server.address}", "--redis.reconcile_ms=200") as confab:
        received = asyncio.run(follow(confab, server.port))
    totals = [naive.lost_and_repeated(x, count) for x in received]
    return sum(x for x, _ in totals), sum(x for _, x in totals)
