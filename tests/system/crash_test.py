"""200 clients in 20 conversations, all of them dropping and resuming, while the server is killed with -9 again and again.

At the end each client's sequence equals the log, every receipt is in the log at its seq, no publish is in it twice, and
`confab check` is clean, also on a copy of what a kill -9 left.
"""

import asyncio
import os
import random
import shutil

from support import SEED, Client, Server, equal, expect, log_of, run, scratch

CONVERSATIONS = 20
CLIENTS = 200
KILLS = 6
PUBLISHERS = 80
# Per publisher: it goes on until the last kill, but not beyond this.
PUBLISHES_MAX = 500
PAUSE_S = 0.4


async def disturb(client, rng, until):
    """Drops the client's connection at random moments: in a replay, in a publish, right behind its connect."""
    while not until.is_set():
        await asyncio.sleep(rng.choice((0.0, 0.01, 0.05, 0.3, 1.0)) * rng.random() * 2)
        if client.task.done():
            return  # what ended it is shown by whoever waits for it
        how = rng.random()
        if how < 0.25:
            # In the middle of a replay, or of whatever comes next.
            at = sum(x.seq for x in client.follows.values())
            for _ in range(50):
                if client.socket is not None and sum(x.seq for x in client.follows.values()) > at:
                    break
                await asyncio.sleep(0.002)
        client.drop("close" if how > 0.85 else "cut")


async def chat(client, rng, conversations, until):
    """Publishes to its conversations, more than can be answered at once, and with payloads of many sizes."""
    for n in range(PUBLISHES_MAX):
        if until.is_set():
            return
        conversation = rng.choice(conversations)
        filler = "x" * rng.choice((0, 1, 20, 200, 2000, 20000 if rng.random() < 0.1 else 5))
        client.publish(conversation, {"from": client.name, "n": n, "to": conversation, "filler": filler})
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 2 * PAUSE_S)
        await client.until(lambda: len(client.drafts) < 3 * client.window, "drafts are answered")


def verify(server, clients, names):
    logs = {x: log_of(server, x) for x in names}
    where = {}
    for name, entries in logs.items():
        for x in entries:
            if "producer" not in x:
                continue
            key = name, x["producer"], x["producer_seq"]
            expect(key not in where, "a publish is in the log twice", key, where.get(key), x)
            where[key] = x
            equal(x["payload"]["to"], name, "an entry of another conversation")
    receipts = 0
    for client in clients:
        equal(client.drafts, [], f"{client.name}: unanswered")
        for (name, number), (receipt, payload) in client.receipts.items():
            receipts += 1
            entry = where.get((name, client.name, number))
            expect(entry is not None, f"{client.name}: acknowledged and not in the log", name, number, receipt)
            equal((entry["seq"], entry["id"], entry["payload"]), (receipt["seq"], receipt["id"], payload), client.name)
        for name, follow in client.follows.items():
            equal(follow.resets, [], f"{client.name}: a reset without cause")
            equal([(x["seq"], x["id"]) for x in follow.entries], [(x["seq"], x["id"]) for x in logs[name]],
                  f"{client.name} in {name}: the sequence is not the log")
            for x, y in zip(follow.entries, logs[name]):
                equal(x["payload"], y["payload"], f"{client.name} in {name}: payload")
    equal(receipts, len(where), "receipts and numbered entries")
    return sum(len(x) for x in logs.values()), receipts


async def nothing_is_lost_or_doubled_over_kills_and_drops():
    rng = random.Random(SEED)
    names = [f"room/{i}" for i in range(CONVERSATIONS)]
    with scratch() as top, Server(os.path.join(top, "data"), "--store.passivate_ms=500") as server:
        clients = []
        tasks = []
        until = asyncio.Event()
        for i in range(CLIENTS):
            own = [names[i % CONVERSATIONS]]
            if i % 10 == 0:  # some follow several
                own += rng.sample([x for x in names if x not in own], 2)
            client = Client(server, f"c{i}", random.Random(rng.random()), own, named=i % 3 != 0).start()
            clients.append(client)
            tasks.append(asyncio.ensure_future(disturb(client, random.Random(rng.random()), until)))
        chats = [asyncio.ensure_future(chat(x, random.Random(rng.random()), list(x.follows) + [rng.choice(names)], until))
                 for x in rng.sample(clients, PUBLISHERS)]
        for i in range(KILLS):
            await asyncio.sleep(0.5 + rng.random() * 2)
            for client in clients:
                client.fail()
            await asyncio.to_thread(server.kill)
            copy = os.path.join(top, f"copy-{i}")
            shutil.copytree(server.directory, copy)
            await asyncio.sleep(rng.random() * 0.3)
            await asyncio.to_thread(server.start)
            checked = await asyncio.to_thread(server.check, copy)
            shutil.rmtree(copy)
            print(f"  kill {i + 1}: {checked.strip().removeprefix(copy)}", flush=True)
        until.set()
        await asyncio.gather(*chats, *tasks)
        # A last kill, with nobody dropping any more: all come back by themselves.
        await asyncio.to_thread(server.restart)
        for client in clients:
            await client.until(lambda: not client.drafts, "every draft has its receipt")
        logs = {x: await asyncio.to_thread(log_of, server, x) for x in names}
        for client in clients:
            await client.until(lambda: all(x.seq >= len(logs[y]) for y, x in client.follows.items()), "everything has come")
        entries, receipts = await asyncio.to_thread(verify, server, clients, names)
        connections = sum(x.connections for x in clients)
        errors = sum(len(x.errors) for x in clients)
        print(f"  {entries} entries, {receipts} receipts, {connections} connections, {errors} errors retried, "
              f"{server.starts - 1} kills", flush=True)
        expect(server.starts > 5 and connections > 3 * CLIENTS, "there was trouble enough", server.starts, connections)
        equal(receipts, sum(sum(x.numbers.values()) for x in clients), "all that was published")
        for client in clients:
            await client.stop()


run(nothing_is_lost_or_doubled_over_kills_and_drops)
