"""Several nodes are one server: while they are killed, hang, are cut off from each other and from Redis, or meet strangers.

CONFAB_CLUSTER_S and CONFAB_CLUSTER_CLIENTS lengthen the cases with load: 300 and 300 are the long run. The node's whole
stderr goes to CONFAB_CLUSTER_LOGS, a directory, when a case fails.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import threading
import time

from cluster_support import HOWS, LEASE_MS, Cluster, Load, Node, stream_of
from redis_support import redis_server
from support import (CONFAB, PATIENCE_S, SEED, Client, Patient, Wire, equal, eventually, expect, info, log_of, post, ready, request,
                     run, scratch)

# Of each case with load.
SECONDS = float(os.environ.get("CONFAB_CLUSTER_S", "5"))
CLIENTS = int(os.environ.get("CONFAB_CLUSTER_CLIENTS", "60"))
CONVERSATIONS = 60
NEXT = os.environ.get("CONFAB_NEXT") or os.path.join(os.path.dirname(CONFAB), "tests", "confab_next")
WRITERS = 20
FAILOVERS = 20 if SECONDS >= 100 else 3
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
            equal([(x["seq"], x["id"]) for x in got], [(x["seq"], x["id"]) for x in log], "one order for all")


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


def forks_are_the_same_on_every_node():
    with redis_server() as store, Cluster(store, 3, "--redis.reconcile_ms=200") as cluster:
        def ask(which, method, name, **fields):
            return request(cluster.nodes[which % 3], method, f"/v1/stream/{name}",
                           headers={k.replace("_", "-"): v for k, v in fields.items()}).status
        wires = [Wire(x) for x in cluster.nodes]
        for i in range(6):
            source, fork = f"s{i}", f"f{i}"
            equal(post(cluster.nodes[i % 3], source, [{"payload": 1}, {"payload": 2}]).status, 201)
            equal(ask(i + 1, "PUT", fork, Stream_Forked_From=f"/v1/stream/{source}"), 201)
            for wire in wires:
                wire.subscribe(fork, after="start")
                equal([x["payload"] for x in wire.until_live(fork)], [1, 2])
            receipts = [wire.ask(op="publish", conversation=fork, payload=n) for n, wire in enumerate(wires)]
            store.add(fork, "9", pointer=False)
            for wire in wires:
                got = wire.entries(4, fork)
                equal([x["seq"] for x in got], [3, 4, 5, 6])
                equal(ids(got)[:3], [x["id"] for x in receipts])
            # Deleted at one node, gone at all; its fork goes on, and lets its name go at another.
            equal(ask(i + 2, "DELETE", source), 204)
            for which in range(3):
                equal(ask(which, "GET", f"{source}?offset=-1"), 410)
                equal(post(cluster.nodes[which], source, {"payload": 3}).code(), "gone")
                equal([x["payload"] for x in log_of(cluster.nodes[which], fork)], [1, 2, 0, 1, 2, 9])
            if i % 2 == 0:
                store.client.delete(f"stream:conversation:{source}")
                for wire in wires:
                    equal(without_live(wire)["reason"], "epoch")
                    x = without_live(wire)
                    equal((x["op"], x["missing"]), ("reset", [1, 2]))
                    equal([x["payload"] for x in wire.until_live(fork)], [0, 1, 2, 9])
                equal(len({info(x, fork)["epoch"] for x in cluster.nodes}), 1, "one epoch")
            equal(ask(i, "DELETE", fork), 204)
            for which in range(3):
                equal(post(cluster.nodes[which], source, {"payload": "anew"}).json()["seq"], which + 1)
            for wire in wires:
                equal(without_live(wire)["reason"], "deleted")
                wire.ask(op="unsubscribe", conversation=fork)
                wire.held = []


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


async def under(trouble, count=3, relays=False, options=(), turns=3, **more):
    """Runs `trouble(cluster, load, rng, more)` again and again under load, and checks everything afterwards."""
    rng = random.Random(SEED)
    names = [f"room/{i}" for i in range(CONVERSATIONS)]
    with redis_server() as store, Cluster(store, count, "--store.passivate_ms=2000", *options,
                                          relays=relays) as cluster:
        load = Load(cluster, rng, names, CLIENTS, WRITERS, **more)
        await asyncio.sleep(0.5)
        deadline = time.monotonic() + SECONDS
        times = 0
        while time.monotonic() < deadline or times < turns:
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


def a_node_that_is_cut_off_sends_its_clients_away():
    with redis_server() as store, Cluster(store, 3, "--net.drain_ms=500", relays=True) as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        for wire in wires:
            wire.subscribe("c", after="start")
            wire.until_live("c")
        # Redis is away for all: nowhere it is better.
        for x in cluster.nodes:
            x.redis.cut("refuse")
        time.sleep(LEASE_MS / 1000 + 12)
        for wire in wires:
            wire.silent()
        for x in cluster.nodes:
            x.redis.heal()
        cluster.until_whole()
        cut, *others = cluster.nodes
        cut.redis.cut("refuse")
        time.sleep(LEASE_MS / 1000 + 9)
        equal(wires[0].next("goodbye")["reason"], "draining")
        expect(ready(cut).status == 503, "it says that it is not ready")
        cut.redis.heal()
        cluster.until_whole()
        for wire in wires[1:]:
            receipt = wire.publish("c", "they are still here")
            for x in wires[1:]:
                equal(x.next("entry", "c")["seq"], receipt["seq"])
        # It serves again, and nobody is sent away any more.
        eventually(lambda: ready(cut).status == 200, "it is ready")
        with Wire(cut) as again:
            eventually(lambda: again.ask(op="subscribe", conversation="c", after="start")["op"] == "subscribed",
                       "its writer has connected again")
            again.entries(2)
            again.until_live("c")
            time.sleep(2)
            again.silent()


async def nothing_is_lost_while_nodes_are_upgraded():
    """One after the other, as docs/operations.md says, to a version that says more over links; and back."""
    async def trouble(cluster, load, rng, times):
        node = cluster.nodes[times % 3]
        await asyncio.to_thread(node.stop)  # expects status 0
        node.program = NEXT if times < 3 else CONFAB
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(cluster.until_whole)
        if times == 2:
            equal([x.program for x in cluster.nodes], [NEXT] * 3)
        await asyncio.sleep(rng.random())
    await under(trouble, turns=6)


# --- two homes, and a log that changed


class Pair:
    """Two nodes that cannot reach each other: each is the home of everything, as far as it knows."""

    def __init__(self, cluster):
        self.cluster = cluster

    def part(self, how):
        for x in self.cluster.nodes:
            x.links.cut(how)
        eventually(lambda: not any(x.linked() for x in self.cluster.nodes), "the links are down")

    def meet(self):
        for x in self.cluster.nodes:
            x.links.heal()
        self.cluster.until_whole()


async def two_homes_make_one_order():
    rng = random.Random(SEED)
    names = [f"room/{i}" for i in range(4)]
    with redis_server() as store, Cluster(store, 2, relays=True) as cluster:
        pair = Pair(cluster)
        fixed = [[Client(x, f"{kind}{x.which}", random.Random(rng.random()), names).start() for x in cluster.nodes]
                 for kind in ("a", "b")]
        writers = [x for y in fixed for x in y]
        for how in HOWS:
            for parted in (False, True, False):
                if parted:
                    await asyncio.to_thread(pair.part, how)
                for n in range(100):
                    for x in writers:
                        x.publish(rng.choice(names), {"w": x.name, "n": n, "how": how, "parted": parted})
                    if rng.random() < 0.5:
                        await asyncio.to_thread(store.add, rng.choice(names), f'{{"raw":{n}}}', rng.random() < 0.5)
                    await asyncio.sleep(0.005)
                if not parted and how == HOWS[0]:
                    continue
                for x in writers:
                    await x.until(lambda x=x: not x.drafts, "both homes take everything")
            await asyncio.to_thread(pair.meet)
        for x in writers:
            await x.until(lambda x=x: not x.drafts, "all is answered")
        for name in names:
            log = await asyncio.to_thread(the_one_log, cluster, name)
            where = {(x["producer"], x["producer_seq"]): x for x in log if "producer" in x}
            equal(len(where), sum("producer" in x for x in log), "a publish is in the log twice")
            for x in writers:
                await x.until(lambda x=x: x.follows[name].seq == len(log), "all is there")
                equal([(y["seq"], y["id"]) for y in x.follows[name].entries], [(y["seq"], y["id"]) for y in log], x.name)
                equal(x.follows[name].resets, [], x.name)
                own = {n: y for (of, n), y in x.receipts.items() if of == name}
                equal(sorted(own), list(range(1, len(own) + 1)))
                for n, (receipt, payload) in own.items():
                    entry = where.pop((x.name, n))
                    equal((entry["seq"], entry["id"], entry["payload"]), (receipt["seq"], receipt["id"], payload))
            equal(where, {}, "entries without a receipt")
        for x in writers:
            await x.stop()


def a_producer_may_be_retried_at_the_other_of_two_homes():
    with redis_server() as store, Cluster(store, 2, relays=True) as cluster:
        pair = Pair(cluster)
        for how in HOWS:
            pair.part(how)
            wires = [Wire(x) for x in cluster.nodes]
            for i in range(4):
                name = f"{how}/{i}"
                near, far = (wires[i % 2], wires[1 - i % 2])
                for n in range(1, 11):
                    first = near.publish(name, n, producer="p", producer_seq=n)
                    again = far.publish(name, n, producer="p", producer_seq=n)
                    equal((first["seq"], first["duplicate"]), (n, False))
                    equal((again["seq"], again["id"], again["duplicate"]), (n, first["id"], True))
                    near, far = far, near
                # Both at once.
                for n in range(11, 41):
                    for wire in wires:
                        wire.send(op="publish", ref=n, conversation=name, payload=n, producer="p", producer_seq=n)
                    got = [wire.next("published") for wire in wires]
                    equal({(x["seq"], x["id"]) for x in got}, {(n, got[0]["id"])})
                    equal(sorted(x["duplicate"] for x in got), [False, True])
                # An older number, and one too far, at either.
                for wire in wires:
                    x = wire.publish(name, 3, producer="p", producer_seq=3)
                    equal((x["seq"], x["duplicate"]), (3, True))
                    equal(wire.refused("producer_gap", op="publish", conversation=name, payload=0, producer="p",
                                       producer_seq=42)["expected"], 41)
                # A home that knows less than the log, and an entry between that is no publish.
                store.add(name, '"raw"')
                equal([wires[(i + n) % 2].publish(name, n, producer="p", producer_seq=n)["seq"]
                       for n in range(41, 51)], list(range(42, 52)))
                equal([x["payload"] for x in the_one_log(cluster, name)],
                      list(range(1, 41)) + ["raw"] + list(range(41, 51)))
            pair.meet()
            for wire in wires:
                wire.publish(f"{how}/0", 51, producer="p", producer_seq=51)


def a_deletion_at_one_of_two_homes_is_a_reset_for_all():
    with redis_server() as store, Cluster(store, 2, "--redis.reconcile_ms=300", relays=True) as cluster:
        pair = Pair(cluster)
        pair.part("refuse")
        wires = [Wire(x) for x in cluster.nodes]
        for wire in wires:
            wire.subscribe("c", after="start")
            wire.until_live("c")
        for n in range(1, 7):
            wires[n % 2].ask(op="publish", conversation="c", payload=n)
        for wire in wires:
            equal([x["payload"] for x in wire.entries(6)], list(range(1, 7)))
        equal(request(cluster.nodes[0], "DELETE", "/v1/conversations/c").status, 204)
        # The other one appends before it has heard of it.
        receipt = post(cluster.nodes[1], "c", {"payload": "anew"}).json()
        equal(receipt["seq"], 1)
        for wire in wires:
            x = without_live(wire)
            expect(x["op"] == "reset" and x["reason"] in ("deleted", "epoch"), "a reset", x)
            x = without_live(wire)
            if x["op"] == "reset":  # deleted, then another epoch
                x = without_live(wire)
            equal((x["op"], x["seq"], x["id"], x["payload"]), ("entry", 1, receipt["id"], "anew"))
        pair.meet()
        for wire in wires:
            wire.held = []
        equal([x["payload"] for x in the_one_log(cluster, "c")], ["anew"])


def a_client_resumes_at_a_node_that_has_not_heard_yet():
    """The node knows the conversation as one that does not exist: only the log can tell."""
    with redis_server() as store, Cluster(store, 2, "--redis.reconcile_ms=3600000", relays=True) as cluster:
        pair = Pair(cluster)
        pair.part("refuse")
        near, far = cluster.nodes
        for i in range(20):
            name = f"room/{i}"
            with Wire(far) as waiting, Wire(far) as wire:
                waiting.subscribe(name, after="start")
                waiting.until_live(name)
                receipts = post(near, name, [{"payload": n} for n in (1, 2, 3)]).json()
                epoch = info(near, name)["epoch"]
                at = {"after": 2, "epoch": epoch, "id": receipts[1]["id"]} if i % 2 else {"after": receipts[1]["id"]}
                x = wire.subscribe(name, **at)
                equal((x["after"], x["epoch"]), (2, epoch), f"{name} after {at}")
                equal([x["seq"] for x in wire.entries(1, name)], [3])


def a_refused_first_number_is_not_overtaken_by_the_second():
    """A producer that nobody knows may begin with any number: not with the one behind a refused one."""
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 1, "--redis.reconnect_ms=50", relays=True) as cluster:
        node, = cluster.nodes
        for i in range(40):
            name = f"room/{i}"
            with Wire(node) as wire:
                wire.publish(name, "it is there")
                node.redis.cut("refuse")
                healing = threading.Timer(rng.random() * 0.1, node.redis.heal)
                healing.start()
                deadline = time.monotonic() + PATIENCE_S
                due = [1, 2]
                while due:
                    for n in due:
                        wire.send(op="publish", ref=n, conversation=name, payload=n, producer="p", producer_seq=n)
                    answers = [wire.next() for _ in due]
                    done = [x["ref"] for x in answers if x["op"] == "published"]
                    expect(done in ([], [1], due), f"{name}: 2 has overtaken 1", answers)
                    due = [n for n in due if n not in done]
                    expect(time.monotonic() < deadline, "never taken", answers)
                healing.join()
                eventually(lambda: ready(node).status == 200, "Redis is back")
                equal([x["payload"] for x in log_of(node, name)], ["it is there", 1, 2])


async def a_log_that_went_back_resets_everybody():
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 3, "--redis.reconcile_ms=300") as cluster:
        readers = [Patient(x, f"r{x.which}{i}", random.Random(rng.random()), ["c"]).start()
                   for x in cluster.nodes for i in range(3)]
        number = 0
        for turn in range(4):
            for n in range(10):
                number += 1
                equal((await asyncio.to_thread(post, cluster.nodes[n % 3], "c", {"payload": number})).status, 201)
                if n == 5:
                    store.client.save()
            before = stream_of(store, "c")
            for x in readers:
                await x.until(lambda x=x: x.follows["c"].seq == len(before), "all is there")
            resets = [len(x.follows["c"].resets) for x in readers]
            if turn % 2 == 0:
                await asyncio.to_thread(store.kill)
                await asyncio.to_thread(store.start)
            else:
                store.client.flushall()
            lost = len(before) - len(stream_of(store, "c"))
            expect(lost > 0, "nothing was lost")
            # Others are faster than the nodes: not so far, just as far, and farther than the tail was.
            for _ in range(max(1, lost + turn - 1)):
                number += 1
                store.add("c", str(number), pointer=rng.random() < 0.5)
            stream = [i for i, _ in stream_of(store, "c")]
            for x, seen in zip(readers, resets):
                await x.until(lambda x=x, seen=seen: len(x.follows["c"].resets) > seen, "a reset")
                await x.until(lambda x=x: x.follows["c"].seq == len(stream), "all is there again")
                expect(x.follows["c"].resets[-1]["reason"] in ("epoch", "deleted"), "why", x.follows["c"].resets)
                equal(ids(x.follows["c"].entries[-len(stream):]), stream, "what is there now")
            epochs = {(await asyncio.to_thread(info, x, "c"))["epoch"] for x in cluster.nodes}
            equal(len(epochs), 1, "one epoch")
            await asyncio.to_thread(the_one_log, cluster, "c")
        for x in readers:
            await x.stop()


# --- homes that leave


async def a_home_that_ends_moves_its_conversations_first():
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 3) as cluster:
        for turn in range(3):
            leaving = cluster.nodes[turn]
            staying = [x for x in cluster.nodes if x is not leaving]
            names = cluster.homed_at(leaving, 10, f"turn{turn}") + cluster.homed_at(staying[0], 3, f"turn{turn}")
            readers = [Client(x, f"r{x.which}", random.Random(rng.random()), names).start() for x in staying]
            writers = [Client(x, f"w{x.which}", random.Random(rng.random())).start() for x in staying]
            bare = Client(staying[0], "bare", random.Random(rng.random()), names[:1]).start()
            # It is published to while its home ends, without a number of its own.
            posts, over = [], asyncio.Event()

            async def post_on(names=names, at=staying[1], posts=posts, over=over):
                while not over.is_set():
                    name = names[len(posts) % len(names)]
                    posts.append((name, await asyncio.to_thread(post, at, name, {"payload": {"post": len(posts)}})))
                    await asyncio.sleep(0.01)
            poster = asyncio.ensure_future(post_on())
            stopping = None
            for n in range(400):
                for x in writers:
                    x.publish(rng.choice(names), {"w": x.name, "n": n})
                await asyncio.sleep(0.005)
                if n == 100:
                    stopping = asyncio.ensure_future(asyncio.to_thread(leaving.stop))  # expects status 0
            await stopping
            over.set()
            await poster
            for x in writers:
                await x.until(lambda x=x: not x.drafts, "all is answered")
                equal(x.errors, [], f"{x.name}: no error")
                equal(x.connections, 1, x.name)
            for name, x in posts:
                expect(x.status == 201, "a POST while the home ends", name, x)
            for name in names:
                log = await asyncio.to_thread(the_one_log, cluster, name)
                equal(len(log), sum(x == name for y in writers for x, _ in y.receipts) + sum(x == name for x, _ in posts))
                for x in readers:
                    await x.until(lambda x=x, name=name, log=log: x.follows[name].seq == len(log), "all is there")
                    equal(ids(x.follows[name].entries), ids(log))
                    equal((x.follows[name].resets, x.connections), ([], 1))
            for x in readers + writers + [bare]:
                await x.stop()
            leaving.start()
            await asyncio.to_thread(cluster.until_whole)


def a_node_that_comes_back_at_its_address_is_linked_once():
    """While the lease of the killed one still lives, the others try to reach it there, and find its successor."""
    with redis_server() as store, Cluster(store, 3) as cluster:
        for turn in range(4):
            back = cluster.nodes[turn % 3]
            back.restart()
            cluster.until_whole()  # the killed one's lease has run out
            for x in cluster.nodes:
                for y in cluster.nodes:
                    if x is not y:
                        ups, downs = (x.life().count(f" link to {y.incarnation()}: {how}") for how in ("up", "down"))
                        equal((ups, downs), (1, 0), f"turn {turn}: node {x.which}'s link to node {y.which}")
            with Wire(back) as wire:
                for i in range(9):
                    wire.publish(f"turn{turn}/{i}", "by way of it")


async def failover_is_measured():
    """A figure for people: from kill -9 of the home to the first delivery through the new one."""
    rng = random.Random(SEED)
    took = []
    with redis_server() as store, Cluster(store, 3, lease_ms=None) as cluster:
        for turn in range(FAILOVERS):
            home = cluster.nodes[turn % 3]
            staying = [x for x in cluster.nodes if x is not home]
            name, = cluster.homed_at(home, 1, f"turn{turn}")
            reader = Client(staying[0], f"r{turn}", random.Random(rng.random()), [name]).start()
            writer = Client(staying[1], f"w{turn}", random.Random(rng.random())).start()
            writer.publish(name, "before")
            await reader.until(lambda x=reader, name=name: x.follows[name].seq == 1, "it is there")
            await asyncio.sleep(rng.random())
            begin = time.monotonic()
            await asyncio.to_thread(home.kill)
            writer.publish(name, "meanwhile")
            await reader.until(lambda x=reader, name=name: x.follows[name].seq == 2, "it is delivered")
            took.append(time.monotonic() - begin)
            for x in (reader, writer):
                await x.stop()
            home.start()
            await asyncio.to_thread(cluster.until_whole)
    took.sort()
    print(f"  failover: p50 {took[len(took) // 2] * 1000:.0f} ms, worst of {len(took)}: {took[-1] * 1000:.0f} ms")



# --- strangers at the cluster's port


def own_log(node):
    """Lines that people see: not the debug ones."""
    return [x for x in node.stderr().splitlines() if " debug " not in x]


def works(cluster, wires, name, payload):
    """What is published at each node is seen at each."""
    for i, by in enumerate(wires):
        by.ask(op="publish", conversation=name, payload=[payload, i])
    for wire in wires:
        equal(sorted(x["payload"][1] for x in wire.entries(len(wires), name)), list(range(len(wires))))


def basp_header(kind, length, version=3):
    """Of CAF's protocol between nodes: type, two that are reserved, flags, length, data, source, destination."""
    return struct.pack("!BBBBIQQQ", kind, 0, 0, 0, length, version if kind == 0 else 0, 0, 0)


def strangers_at_the_cluster_port_change_nothing():
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 2) as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        for wire in wires:
            wire.subscribe("c", after="start")
            wire.until_live("c")
        works(cluster, wires, "c", "before")
        links = [x.linked() for x in cluster.nodes]
        said = {
            "http": b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a browser\r\n\r\n",
            "short": b"GET",
            "zeroes": bytes(4096),
            "ones": b"\xff" * 4096,
            "server": basp_header(0, 20) + bytes(20),
            "heartbeat": basp_header(5, 0) * 100,
        }
        for i in range(40):
            said[f"random {i}"] = rng.randbytes(rng.choice((1, 20, 31, 32, 33, 500, 70_000)))
        for node in cluster.nodes:
            lines = len(own_log(node))
            silent = [socket.create_connection(("127.0.0.1", node.cluster_port)) for _ in range(100)]
            for what, data in said.items():
                with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as stranger:
                    with contextlib.suppress(ConnectionError):
                        stranger.sendall(data)
                    if what in ("http", "ones", "zeroes"):
                        with contextlib.suppress(ConnectionError):
                            while stranger.recv(1 << 16):  # it ends the connection
                                pass
                expect(node.running(), f"{what}: the node has ended", node.stderr()[-1000:])
            works(cluster, wires, "c", "meanwhile")
            for x in silent:
                x.close()
            works(cluster, wires, "c", "afterwards")
            expect(len(own_log(node)) - lines <= 1, "more than one line for all of them", own_log(node)[lines:])
        equal([x.linked() for x in cluster.nodes], links, "the links are the same")
        equal([x.life().count(" link to ") for x in cluster.nodes], [1, 1], "and never were down")


def a_stranger_at_the_cluster_port_is_logged_once():
    with redis_server() as store, Cluster(store, 2) as cluster:
        node = cluster.nodes[0]
        lines = len(own_log(node))
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as stranger:
                stranger.sendall(b"\xff" * 32)
                with contextlib.suppress(ConnectionError):
                    while stranger.recv(1 << 16):
                        pass
        said = eventually(lambda: own_log(node)[lines:], "a line that tells of it", patience_s=10)
        equal(len(said), 1, "once")


def an_empty_hello_at_the_cluster_port_does_not_end_the_node():
    with redis_server() as store, Cluster(store, 2) as cluster:
        for node in cluster.nodes:
            for kind in range(256):
                with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as stranger:
                    with contextlib.suppress(ConnectionError):
                        stranger.sendall(basp_header(kind, 0))
                        stranger.shutdown(socket.SHUT_WR)
                        while stranger.recv(1 << 16):
                            pass
                expect(node.running(), "the node has ended", kind, node.stderr()[-1000:])
        cluster.until_whole()


def a_stranger_at_the_cluster_port_does_not_get_memory():
    with redis_server() as store, Cluster(store, 2) as cluster:
        node = cluster.nodes[0]
        before = node.memory_kib()
        for length in (0x0fffffff, 0x7fffffff):
            with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as stranger:
                stranger.sendall(basp_header(1, length) + bytes(1000))  # a client's hello of that length begins
                time.sleep(0.5)  # it shows nothing when it reads: the more time, the more it would have taken
                expect(node.running(), "the node has ended", node.stderr()[-1000:])
                expect(node.memory_kib() - before < 100_000, "memory for a stranger", length, before, node.memory_kib())


def a_silent_stranger_at_the_cluster_port_is_disconnected():
    with redis_server() as store, Cluster(store, 2) as cluster:
        links = [x.linked() for x in cluster.nodes]
        for said in (b"", b"x" * 31, basp_header(1, 1000)):
            with socket.create_connection(("127.0.0.1", cluster.nodes[0].cluster_port), timeout=PATIENCE_S) as stranger:
                stranger.sendall(said)
                with contextlib.suppress(ConnectionError):
                    while stranger.recv(1 << 16):
                        pass
        equal([x.linked() for x in cluster.nodes], links, "the links are the same")
        equal([x.life().count(" link to ") for x in cluster.nodes], [1, 1], "and never were down")


def a_node_of_another_cluster_is_left_out():
    with redis_server() as store, Cluster(store, 2) as cluster:
        wires = [Wire(x) for x in cluster.nodes]
        stranger = Node(store, 2, f"--cluster.lease_ms={LEASE_MS}", "--cluster.name=other")
        try:
            stranger.start()
            for node in cluster.nodes:
                eventually(lambda node=node: "is left out: it is of cluster other" in node.stderr(), "it is told")
                eventually(lambda node=node: node.incarnation() in stranger.stderr(), "by the other one, too")
            for wire in [*wires, Wire(stranger)]:
                wire.subscribe("c", after="start")
                wire.until_live("c")
            every = [*wires, *stranger.wires]
            for n in range(5):
                works(cluster, every, "c", n)
                time.sleep(LEASE_MS / 2000)
            for node in [*cluster.nodes, stranger]:
                others = 1 if node is not stranger else 2
                equal(node.stderr().count("is left out"), others, "once for each")
            equal(stranger.linked(), set())
            equal([len(x.linked()) for x in cluster.nodes], [1, 1])
            equal(len(the_one_log(cluster, "c")), 15)
            for wire in stranger.wires:
                wire.socket.close()
            stranger.stop()
        finally:
            stranger.close()


class Authority:
    """Signs certificates, by the openssl command."""

    def __init__(self, directory, name):
        self.directory = os.path.join(directory, name)
        os.mkdir(self.directory)
        self.name = name
        self.certificate, self.key = self.path("ca.pem"), self.path("ca.key")
        with open(self.path("ca.cnf"), "w", encoding="ascii") as file:
            file.write(f"""[ca]
default_ca = own
[own]
new_certs_dir = {self.directory}
database = {self.path("index.txt")}
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
""")
        with open(self.path("index.txt"), "w", encoding="ascii"):
            pass
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
                     "-days", "30", "-subj", f"/CN=authority {name}")

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=PATIENCE_S, check=False)
        expect(done.returncode == 0, "openssl", arguments, done.stderr)

    def issue(self, name, begin="20200101000000Z", end="20400101000000Z"):
        """The options of a node with a certificate of this authority."""
        key, request_of_it, certificate = (self.path(f"{name}.{x}") for x in ("key", "csr", "pem"))
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request_of_it, "-subj", f"/CN={name}")
        self.openssl("ca", "-batch", "-notext", "-config", self.path("ca.cnf"), "-cert", self.certificate, "-keyfile",
                     self.key, "-startdate", begin, "-enddate", end, "-in", request_of_it, "-out", certificate)
        return [f"--cluster.certificate={certificate}", f"--cluster.key={key}", f"--cluster.ca={self.certificate}"]


def nodes_with_certificates_refuse_those_without():
    with scratch() as directory, redis_server() as store:
        one, two = Authority(directory, "one"), Authority(directory, "two")
        with Cluster(store, 2, *one.issue("node")) as cluster:
            wires = [Wire(x) for x in cluster.nodes]
            for wire in wires:
                wire.subscribe("c", after="start")
                wire.until_live("c")
            works(cluster, wires, "c", "before")
            for node in cluster.nodes:
                with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as plain:
                    plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    with contextlib.suppress(ConnectionError):
                        while plain.recv(1 << 16):
                            pass
                refuses_a_client_without_a_certificate(node)
            unclear = []
            forged = two.issue("forged")
            forged[-1] = one.issue("unused")[-1]  # it would believe us
            for why, options in (("another authority", two.issue("other")),
                                 ("another authority that trusts ours", forged),
                                 ("expired", one.issue("old", end="20210101000000Z")),
                                 ("none at all", [])):
                lower = higher = False
                for _ in range(12):  # who connects is chance
                    stranger = Node(store, 2, "--log.level=debug", f"--cluster.lease_ms={LEASE_MS}", *options)
                    try:
                        stranger.start()
                        own = eventually(stranger.incarnation, "it has a lease")
                        for x in cluster.nodes:
                            eventually(lambda x=x, own=own: own in x.stderr(), "its lease is seen")
                        lower = lower or any(own < x.incarnation() for x in cluster.nodes)
                        higher = higher or any(own > x.incarnation() for x in cluster.nodes)
                        # Whoever connects says why it cannot.
                        said = eventually(lambda: [line for x in [*cluster.nodes, stranger] for line in own_log(x)
                                                   if (own in line or x is stranger) and "cannot be reached" in line],
                                          f"{why}: refused with a line in a log")
                        unclear += [(why, x) for x in said if "certificate" not in x]
                        works(cluster, wires, "c", why)
                        equal(stranger.linked(), set(), why)
                        for x in cluster.nodes:
                            expect(own not in x.linked(), why)
                        stranger.stop()
                    finally:
                        stranger.close()
                    if lower and higher:
                        break
                cluster.until_whole()
                works(cluster, wires, "c", "afterwards")
            ups = [x.life().count(": up") for x in cluster.nodes]
            equal((ups, unclear), ([1, 1], []), "the link never was down, and lines say what is wrong with a certificate")


def refuses_a_client_without_a_certificate(node):
    """Also one that speaks TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", node.cluster_port), timeout=PATIENCE_S) as plain:
        try:
            with context.wrap_socket(plain) as secure:  # TLS 1.3: the client learns it with its first read
                expect(secure.recv(1) == b"", "a byte for somebody without a certificate")
        except (ssl.SSLError, ConnectionError):
            pass



run(three_nodes_are_one_server, many_drafts_at_once_on_each_node_make_one_order,
    closing_and_deletion_are_seen_on_every_node, forks_are_the_same_on_every_node, a_retry_at_another_node_gets_the_first_receipt,
    cursors_work_from_every_node, nothing_is_lost_while_nodes_are_killed, nothing_is_lost_while_nodes_hang,
    nothing_is_lost_while_links_are_cut, nothing_is_lost_while_redis_is_cut_from_one_node,
    nothing_is_lost_while_a_node_is_cut_off_from_all, nothing_is_lost_while_nodes_are_upgraded,
    a_node_that_is_cut_off_sends_its_clients_away, two_homes_make_one_order,
    a_producer_may_be_retried_at_the_other_of_two_homes, a_deletion_at_one_of_two_homes_is_a_reset_for_all,
    a_client_resumes_at_a_node_that_has_not_heard_yet, a_refused_first_number_is_not_overtaken_by_the_second,
    a_log_that_went_back_resets_everybody, a_home_that_ends_moves_its_conversations_first,
    a_node_that_comes_back_at_its_address_is_linked_once, failover_is_measured,
    strangers_at_the_cluster_port_change_nothing,
    a_stranger_at_the_cluster_port_is_logged_once, an_empty_hello_at_the_cluster_port_does_not_end_the_node,
    a_stranger_at_the_cluster_port_does_not_get_memory,
    a_silent_stranger_at_the_cluster_port_is_disconnected, a_node_of_another_cluster_is_left_out,
    nodes_with_certificates_refuse_those_without)
