"""Several nodes on one Redis for the system tests, with relays that cut the links between them and the ways to Redis.

Each node has an address of its own, 127.0.0.K, at which a relay stands before its cluster port; one more stands before
Redis. Cut, a relay either ends its connections and refuses new ones, or swallows everything, as a lost network does.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import threading
import time

from support import (PATIENCE_S, Patient, Server, equal, eventually, expect, log_of)

LEASE_MS = 2000
# Bytes of connections that are swallowed stay in the kernel's buffers: they arrive when the relay is whole again.
HOWS = ("refuse", "swallow")


class Relay:
    """Listens on an address and leads to 127.0.0.1:target, until it is cut."""

    def __init__(self, host, port, target):
        self.target = target
        self.pairs = []
        self.lock = threading.Lock()
        self.flows = threading.Event()
        self.flows.set()
        self.refuses = False
        self.over = False
        self.listener = None
        self.place = (host, port)
        self.listen()
        self.place = self.listener.getsockname()
        self.address = f"{self.place[0]}:{self.place[1]}"

    def listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.place)
        self.listener.listen(128)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.lead, args=(near,), daemon=True).start()

    def lead(self, near):
        self.flows.wait()
        far = None
        with self.lock:
            if not self.refuses and not self.over:
                with contextlib.suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self.target), timeout=PATIENCE_S)
                    far.settimeout(None)
                    self.pairs.append((near, far))
        if far is None:
            end(near)
            return
        threading.Thread(target=self.pump, args=(far, near), daemon=True).start()
        self.pump(near, far)

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.flows.wait()
                sink.sendall(data)
        self.flows.wait()
        for x in (source, sink):
            with contextlib.suppress(OSError):
                x.shutdown(socket.SHUT_RDWR)

    def cut(self, how):
        """`refuse` or `swallow`."""
        if how == "swallow":
            self.flows.clear()
            return
        with self.lock:
            self.refuses = True
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.drop_all()

    def drop_all(self):
        for pair in self.pairs:
            for x in pair:
                end(x)
        self.pairs.clear()

    def heal(self):
        self.flows.set()
        if self.refuses:
            self.refuses = False
            self.listen()

    def close(self):
        self.over = True
        self.flows.set()
        self.cut("refuse")


def end(connection):
    """With a reset, so that no port is kept waiting."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def held_port(host="127.0.0.1"):
    """A port that nobody else gets, and the socket that holds it; see Server."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder.getsockname()[1], holder


class Node(Server):
    """One node of a cluster; its relays are None if the cluster has none."""

    def __init__(self, store, which, *options, relays=False):
        self.cluster_port, self.holder = held_port()
        self.links = self.redis = None
        self.which = which
        self.hung = False
        address, more = store.address, []
        if relays:
            host = f"127.0.0.{10 + which}"
            self.links = Relay(host, self.cluster_port, self.cluster_port)
            self.redis = Relay("127.0.0.1", 0, store.port)
            address, more = self.redis.address, [f"--cluster.advertise={host}"]
        super().__init__(":memory:", f"--redis.address={address}", "--redis.role=log",
                         f"--cluster.port={self.cluster_port}", *more, *options)

    def close(self, show=False):
        if self.hung and self.running():
            self.go_on()
        super().close(show)
        self.holder.close()
        for x in (self.links, self.redis):
            if x is not None:
                x.close()

    def hang(self):
        self.signal(signal.SIGSTOP)
        self.hung = True

    def go_on(self):
        self.signal(signal.SIGCONT)
        self.hung = False

    def usable(self):
        return self.running() and not self.hung

    def life(self):
        """What this incarnation has written."""
        return self.stderr().rpartition(", other nodes come to ")[2]

    def incarnation(self):
        found = re.search(r" info cluster: this node is ([0-9a-z]+)", self.life())
        return found and found[1]

    def linked(self):
        """Incarnations that this node has a link to."""
        up = set()
        for who, what in re.findall(r" link to ([0-9a-z]+): (up|down)", self.life()):
            (up.add if what == "up" else up.discard)(who)
        return up


class Cluster:
    """Nodes that start and end together. As a context manager it expects status 0 of those that still run."""

    def __init__(self, store, count, *options, relays=False, lease_ms=LEASE_MS):
        self.store = store
        lease = [] if lease_ms is None else [f"--cluster.lease_ms={lease_ms}"]
        self.nodes = [Node(store, i, "--log.level=debug", *lease, *options, relays=relays) for i in range(count)]

    def __enter__(self):
        try:
            for x in self.nodes:
                x.start()
            self.until_whole()
        except BaseException:
            self.close(show=True)
            raise
        return self

    def __exit__(self, kind, value, trace):
        show = kind is not None
        try:
            if kind is None:
                for x in self.nodes:
                    for wire in x.wires:
                        wire.socket.close()
                    if x.running():
                        x.stop()
        except AssertionError:
            show = True
            raise
        finally:
            self.close(show)

    def close(self, show):
        kept = os.environ.get("CONFAB_CLUSTER_LOGS")
        for i, x in enumerate(self.nodes):
            if show and kept:
                with open(os.path.join(kept, f"node-{i}.log"), "w", encoding="utf-8") as file:
                    file.write(x.stderr())
            x.close(show)

    def whole(self):
        """Each node that runs has links to all others that run, and to no other."""
        nodes = [x for x in self.nodes if x.usable()]
        here = {x.incarnation() for x in nodes}
        return None not in here and all(x.linked() >= here - {x.incarnation()} for x in nodes) and \
            {x.decode() for x in self.store.client.hkeys("confab:nodes")} == here

    def until_whole(self):
        eventually(self.whole, "the nodes are one cluster")

    def usable(self):
        return [x for x in self.nodes if x.usable()]

    def home_of(self, conversation):
        """By the rule of src/model/placement: a node that counts differently is of another protocol."""
        name = hash_of(conversation)
        return max(self.usable(), key=lambda x: mixed(hash_of(x.incarnation()) ^ name))

    def homed_at(self, node, count, prefix="at"):
        """Names of conversations whose home is that node."""
        names = (f"{prefix}/{i}" for i in range(100_000))
        found = []
        homes = {x: hash_of(x.incarnation()) for x in self.usable()}
        for name in names:
            own = hash_of(name)
            if max(homes, key=lambda x, own=own: mixed(homes[x] ^ own)) is node:
                found.append(name)
                if len(found) == count:
                    return found
        raise AssertionError("no such names")


WORD = (1 << 64) - 1


def mixed(x):
    x = ((x ^ (x >> 33)) * 0xff51afd7ed558ccd) & WORD
    x = ((x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53) & WORD
    return x ^ (x >> 33)


def hash_of(text):
    x = 0xcbf29ce484222325
    for byte in text.encode():
        x = ((x ^ byte) * 0x100000001b3) & WORD
    return mixed(x)


class Somewhere:
    """Stands for a server to one client: each connection goes to a node that is there, by chance."""

    def __init__(self, cluster, rng):
        self.cluster = cluster
        self.rng = rng
        self.node = None

    @property
    def port(self):
        self.node = self.rng.choice(self.cluster.usable() or self.cluster.nodes)
        return self.node.port


def stream_of(store, conversation):
    """[(id, fields)] as Redis has it."""
    return [(i.decode(), {x.decode(): y.decode() for x, y in fields.items()})
            for i, fields in store.client.xrange(f"stream:conversation:{conversation}")]


class Load:
    """Clients that roam over all nodes, read, publish with numbers, drop and resume; and an old-style producer."""

    def __init__(self, cluster, rng, names, clients, writers, pause_s=0.2, raw=True):
        self.cluster, self.names, self.rng = cluster, names, rng
        self.over = asyncio.Event()
        self.clients = []
        self.added = 0
        for i in range(clients):
            own = [names[i % len(names)], names[0]] if i % len(names) else [names[0]]
            if i % 10 == 0:
                own += rng.sample([x for x in names if x not in own], min(2, len(names) - len(own)))
            mine = random.Random(rng.random())
            self.clients.append(Patient(Somewhere(cluster, mine), f"c{i}", mine, own, named=i % 3 != 0).start())
        self.writers = rng.sample(self.clients, writers)
        self.tasks = [asyncio.ensure_future(self.write(x, random.Random(rng.random()), pause_s)) for x in self.writers]
        self.tasks.append(asyncio.ensure_future(self.disturb(random.Random(rng.random()))))
        if raw:
            self.tasks.append(asyncio.ensure_future(self.produce(random.Random(rng.random()))))

    async def write(self, client, rng, pause_s):
        n = 0
        while not self.over.is_set():
            n += 1
            name = self.names[0] if rng.random() < 0.1 else rng.choice(self.names)
            filler = "x" * rng.choice((0, 1, 20, 200, 2000, 20000 if rng.random() < 0.1 else 5))
            client.publish(name, {"w": client.name, "n": n, "to": name, "filler": filler})
            if rng.random() < 0.8:
                await asyncio.sleep(rng.random() * 2 * pause_s)
            while len(client.drafts) > 2 * client.window and not self.over.is_set():
                client.fail()
                await asyncio.sleep(0.05)

    async def produce(self, rng):
        while not self.over.is_set():
            self.added += 1
            await asyncio.to_thread(self.cluster.store.add, rng.choice(self.names), f'{{"raw":{self.added}}}',
                                    pointer=rng.random() < 0.5)
            await asyncio.sleep(rng.random() * 0.1)

    async def disturb(self, rng):
        while not self.over.is_set():
            await asyncio.sleep(rng.random() * 0.1)
            rng.choice(self.clients).drop("close" if rng.random() < 0.15 else "cut")

    def leave(self, node, share=1.0):
        """Those connected to that node go elsewhere: all of them, or by chance a share."""
        for x in self.clients:
            if x.server.node is node and self.rng.random() < share:
                x.drop()

    def fail(self):
        for x in self.clients:
            x.fail()
            for name, follow in x.follows.items():
                expect(not follow.resets, f"{x.name} in {name}: a reset without cause", follow.resets, follow.seq,
                       follow.entries[-1:], "last connected to node", x.server.node.which, time.ctime())
        for x in self.tasks:
            if x.done():
                x.result()

    async def end(self):
        """Everything is answered and seen, and equals the streams on every node. Returns a summary."""
        self.over.set()
        await asyncio.gather(*self.tasks)
        for x in self.clients:
            await x.until(lambda x=x: not x.drafts, "all is answered")
        streams = {name: stream_of(self.cluster.store, name) for name in self.names}
        for x in self.clients:
            await x.until(lambda x=x: all(y.seq >= len(streams[z]) for z, y in x.follows.items()), "all is there")
        receipts = await asyncio.to_thread(self.verify, streams)
        equal(receipts, sum(sum(x.numbers.values()) for x in self.clients), "all that was published has its receipt")
        for x in self.clients:
            await x.stop()
        return (f"{sum(len(x) for x in streams.values())} entries, {receipts} receipts, "
                f"{sum(x.connections for x in self.clients)} connections of {len(self.clients)} clients, "
                f"{sum(len(x.errors) for x in self.clients)} errors retried")

    def verify(self, streams):
        where = {}
        for name, stream in streams.items():
            wanted = [(i, json.loads(x["payload"])) for i, x in stream]
            for node in self.cluster.usable():
                log = log_of(node, name)
                equal([(x["id"], x["payload"]) for x in log], wanted, f"{name} at node {node.which} and in Redis")
            seen = set()
            for x in log:
                if "w" not in x["payload"]:
                    continue
                key = name, x["payload"]["w"], x["producer_seq"]
                expect(key not in where, "a publish is in the log twice", key, where.get(key), x)
                content = x["payload"]["w"], x["payload"]["n"]
                expect(content not in seen, "a payload is in the log twice", x)
                seen.add(content)
                equal(x["payload"]["to"], name, "an entry of another conversation")
                where[key] = x
        receipts = 0
        for x in self.clients:
            for (name, number), (receipt, payload) in x.receipts.items():
                receipts += 1
                entry = where.get((name, x.name, number))
                expect(entry is not None, "acknowledged and not in the log", x.name, name, number, receipt)
                equal((entry["seq"], entry["id"], entry["payload"]), (receipt["seq"], receipt["id"], payload), x.name)
            for name, follow in x.follows.items():
                equal(follow.resets, [], f"{x.name} in {name}: a reset without cause")
                equal([(y["id"], y["payload"]) for y in follow.entries],
                      [(i, json.loads(y["payload"])) for i, y in streams[name]], f"{x.name} in {name}")
        equal(receipts, len(where), "receipts and publishes in the log")
        return receipts
