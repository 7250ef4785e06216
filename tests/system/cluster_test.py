"""Several nodes are one server: while they are killed, hang, are cut off from each other and from Redis, or meet strangers.

CONFAB_CLUSTER_S and CONFAB_CLUSTER_CLIENTS lengthen the cases with load: 300 and 300 are the long run. The node's whole
stderr goes to CONFAB_CLUSTER_LOGS, a directory, when a case fails.
"""

import asyncio
import json
import os
import random
import time

from cluster_support import HOWS, LEASE_MS, Cluster, Load, stream_of
from redis_support import redis_server
from support import (SEED, Client, Wire, equal, eventually, expect, info, log_of, page, post, request, run)

# Of each case with load.
SECONDS = float(os.environ.get("CONFAB_CLUSTER_S", "8"))
CLIENTS = int(os.environ.get("CONFAB_CLUSTER_CLIENTS", "60"))
CONVERSATIONS = 60
WRITERS = 20
# Longer than a lease, so that a node's part is taken over.
HANG_S = 1.5 * LEASE_MS / 1000


def ids(entries):
    return [x["id"] for x in entries]


def without_live(wire):
    """The next frame that is no `live`, which may or may not come again after a reset."""
    x = wire.next()
    while x["op"] == "live":
        x = wire.next()
    return x


def the_one_log(cluster, name):
    """What each node and Redis say: the same."""
    wanted = [(i, json.loads(x["payload"])) for i, x in stream_of(cluster.store, name)]
    for node in cluster.usable():
        entries = log_of(node, name)
        equal([(x["id"], x["payload"]) for x in entries], wanted, f"{name} at node {node.which}")
    return entries


# --- one server


def three_nodes_are_one_server():
    names = [f"room/{i}" for i in range(9)]
    with redis_server() as store, Cluster(store, 3, "--redis.reconcile_ms=3600000") as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        expect(len({cluster.home_of(x) for x in names}) > 1, "several homes")
        for name in names:
            for wire in wires:
                wire.subscribe(name, after="start")
                equal(wire.until_live(name), [])
            receipts = []
            for n in range(12):
                at = wires[n % 3]
                receipts.append(at.ask(op="publish", conversation=name, payload={"n": n}))
            receipts.append(post(cluster.nodes[1], name, {"payload": {"n": 12}}).json())
            for wire in wires:
                got = wire.entries(13, name)
                equal([x["payload"] for x in got], [{"n": n} for n in range(13)], name)
                equal([(x["seq"], x["id"]) for x in got], [(x["seq"], x["id"]) for x in receipts], name)
                wire.silent()
            equal(ids(the_one_log(cluster, name)), ids(receipts))
        for node in cluster.nodes:
            with Wire(node) as late:
                for name in names:
                    equal(late.subscribe(name, after="start")["last"], 13)
                    equal(ids(late.until_live(name)), [i for i, _ in stream_of(store, name)])
                late.silent()


def many_drafts_at_once_on_each_node_make_one_order():
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 3, "--redis.reconcile_ms=3600000") as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        readers = [Wire(x) for x in cluster.nodes]
        for x in readers:
            x.subscribe("c", after="start")
        for n in range(200):
            for i in rng.sample(range(3), 3):
                wires[i].send(op="publish", ref=n, conversation="c", payload={"by": i, "n": n}, producer=f"p{i}",
                              producer_seq=n + 1)
        receipts = {}
        for i, wire in enumerate(wires):
            for n in range(200):
                x = wire.next("published")
                equal(x["ref"], n, "receipts come in order")
                receipts[x["id"]] = (x["seq"], {"by": i, "n": n})
        log = the_one_log(cluster, "c")
        equal({x["id"]: (x["seq"], x["payload"]) for x in log}, receipts)
        for i in range(3):
            equal([x["payload"]["n"] for x in log if x["payload"]["by"] == i], list(range(200)), "a producer's order")
        for x in readers:
            got = []
            while len(got) < 600:
                frame = x.next()
                if frame["op"] == "entry":
                    got.append(frame)
            equal(got, readers[0].__dict__.setdefault("first", got), "one order for all")
            equal(ids(got), ids(log))


def closing_and_deletion_are_seen_on_every_node():
    with redis_server() as store, Cluster(store, 3, "--redis.reconcile_ms=3600000") as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        # The home, and others.
        for i in range(6):
            name, by = f"room/{i}", cluster.nodes[i % 3]
            for wire in wires:
                wire.subscribe(name, after="start")
                wire.until_live(name)
            equal(post(by, name, [{"payload": 1}, {"payload": 2}]).status, 201)
            for wire in wires:
                wire.entries(2, name)
            closed = request(by, "POST", f"/v1/stream/{name}", headers={"Stream-Closed": "true",
                                                                         "Content-Type": "application/json"})
            expect(closed.status in (200, 204), "closing", closed)
            for wire, node in zip(wires, cluster.nodes):
                equal(wire.next("closed", name)["seq"], 2)
                equal(post(node, name, {"payload": 3}).code(), "closed")
            equal(request(cluster.nodes[(i + 1) % 3], "DELETE", f"/v1/conversations/room%2F{i}").status, 204)
            for wire in wires:
                equal(wire.next("reset", name)["reason"], "deleted")
            receipt = post(cluster.nodes[(i + 2) % 3], name, {"payload": "anew"}).json()
            equal(receipt["seq"], 1)
            for wire in wires:
                x = without_live(wire)
                equal((x["op"], x["seq"], x["id"], x["payload"]), ("entry", 1, receipt["id"], "anew"))
            equal(len({info(x, name)["epoch"] for x in cluster.nodes}), 1, "one epoch")
            for wire in wires:
                equal([x for x in wire.held if x["op"] != "live"], [])
                wire.held = []
                wire.ask(op="unsubscribe", conversation=name)


def a_retry_at_another_node_gets_the_first_receipt():
    with redis_server() as store, Cluster(store, 3) as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        for i in range(6):
            name = f"room/{i}"
            first = wires[i % 3].publish(name, "a", producer="p", producer_seq=1)
            for wire in wires:
                again = wire.publish(name, "a", producer="p", producer_seq=1)
                equal((again["seq"], again["id"], again["duplicate"]), (first["seq"], first["id"], True))
            # Each goes on where another one stopped.
            for n in range(2, 8):
                equal(wires[n % 3].publish(name, n, producer="p", producer_seq=n)["seq"], n)
            for n in range(2, 8):
                x = wires[(n + 1) % 3].publish(name, n, producer="p", producer_seq=n)
                equal((x["seq"], x["duplicate"]), (n, True))
            for wire in wires:
                equal(wire.refused("producer_gap", op="publish", conversation=name, payload=0, producer="p",
                                   producer_seq=9)["expected"], 8)
            keyed = [post(x, name, {"payload": "k"}, {"Idempotency-Key": "k1"}).json() for x in cluster.nodes]
            equal([(x["seq"], x["id"]) for x in keyed], [(8, keyed[0]["id"])] * 3, "an idempotency key")
            equal(len(the_one_log(cluster, name)), 8)


def cursors_work_from_every_node():
    with redis_server() as store, Cluster(store, 3) as cluster:
        for i in range(3):
            name = f"room/{i}"
            post(cluster.nodes[i], name, [{"payload": n} for n in range(1, 11)])
            for step, acked in ((1, 4), (2, 7), (0, 9)):
                with Wire(cluster.nodes[(i + step) % 3], "?client=phone") as wire:
                    x = wire.subscribe(name, after="saved")
                    wire.entries(10 - x["after"])
                    wire.until_live(name)
                    equal(wire.ask(op="ack", conversation=name, seq=acked)["op"], "acked")
                with Wire(cluster.nodes[(i + step + 1) % 3], "?client=phone") as wire:
                    equal(wire.subscribe(name)["after"], acked)
                    equal([x["seq"] for x in wire.until_live(name)], list(range(acked + 1, 11)))
                with Wire(cluster.nodes[i], "?client=other") as wire:
                    equal(wire.subscribe(name)["after"], 0)


# --- trouble


async def under(trouble, count=3, relays=False, options=(), **more):
    """Runs `trouble(cluster, load, rng, more)` again and again under load, and checks everything afterwards."""
    rng = random.Random(SEED)
    names = [f"room/{i}" for i in range(CONVERSATIONS)]
    with redis_server() as store, Cluster(store, count, "--store.passivate_ms=2000", *options,
                                          relays=relays) as cluster:
        load = Load(cluster, rng, names, CLIENTS, WRITERS, **more)
        await asyncio.sleep(0.5)
        deadline = time.monotonic() + SECONDS
        times = 0
        while time.monotonic() < deadline or times < 3:
            await trouble(cluster, load, rng, times)
            times += 1
            load.fail()
        await asyncio.to_thread(cluster.until_whole)
        await asyncio.sleep(0.5)
        print(f"  {times} times: {await load.end()}", flush=True)
        expect(sum(len(x.receipts) for x in load.clients) > 50, "hardly anything was published")


async def nothing_is_lost_while_nodes_are_killed():
    async def trouble(cluster, load, rng, times):
        node = rng.choice(cluster.nodes)
        await asyncio.to_thread(node.kill)
        # Sometimes it is back before its lease has run out, sometimes long after.
        await asyncio.sleep(rng.choice((0, 0.3, 1.0, 1.5 * LEASE_MS / 1000)) * rng.random())
        await asyncio.to_thread(node.start)
        await asyncio.sleep(rng.choice((0, 1, 2)))
    await under(trouble)


async def nothing_is_lost_while_nodes_hang():
    async def trouble(cluster, load, rng, times):
        node = rng.choice(cluster.nodes)
        node.hang()
        await asyncio.sleep(0.1)
        # Some notice and go elsewhere; others wait, and find it again as it was.
        load.leave(node, share=0.7)
        await asyncio.sleep(HANG_S * (0.3 + rng.random()))
        node.go_on()
        await asyncio.sleep(rng.random() * 2)
    await under(trouble)


async def nothing_is_lost_while_links_are_cut():
    async def trouble(cluster, load, rng, times):
        # A link is made by one of its ends: all relays together isolate, one alone cuts some.
        chosen = rng.sample(cluster.nodes, rng.choice((1, 3)))
        for x in chosen:
            x.links.cut(HOWS[times % 2])
        await asyncio.sleep(rng.random() * 3)
        for x in chosen:
            x.links.heal()
        await asyncio.sleep(rng.random() * 2)
    await under(trouble, relays=True)


async def nothing_is_lost_while_redis_is_cut_from_one_node():
    async def trouble(cluster, load, rng, times):
        node = rng.choice(cluster.nodes)
        node.redis.cut(HOWS[times % 2])
        await asyncio.sleep(rng.random() * 2 * LEASE_MS / 1000)
        node.redis.heal()
        await asyncio.sleep(rng.random() * 2)
    await under(trouble, relays=True, options=("--redis.command_ms=1000", "--redis.reconnect_ms=300"))


async def nothing_is_lost_while_a_node_is_cut_off_from_all():
    async def trouble(cluster, load, rng, times):
        node = rng.choice(cluster.nodes)
        how = HOWS[times % 2]
        for x in cluster.nodes:
            x.links.cut(how)
        node.redis.cut(how)
        await asyncio.sleep(rng.random() * 2 * LEASE_MS / 1000)
        # In either order.
        first, then = rng.sample([[x.links for x in cluster.nodes], [node.redis]], 2)
        for x in first:
            x.heal()
        await asyncio.sleep(rng.random())
        for x in then:
            x.heal()
        await asyncio.sleep(rng.random() * 2)
    await under(trouble, relays=True, options=("--redis.command_ms=1000", "--redis.reconnect_ms=300"))


run(three_nodes_are_one_server, many_drafts_at_once_on_each_node_make_one_order,
    closing_and_deletion_are_seen_on_every_node, a_retry_at_another_node_gets_the_first_receipt,
    cursors_work_from_every_node, nothing_is_lost_while_nodes_are_killed, nothing_is_lost_while_nodes_hang,
    nothing_is_lost_while_links_are_cut, nothing_is_lost_while_redis_is_cut_from_one_node,
    nothing_is_lost_while_a_node_is_cut_off_from_all)
