"""redis.role = log and old Pub/Sub: what others PUBLISH is appended by one node, and each entry is published once."""

import itertools
import json
import random
import threading
import time

from cluster_support import Cluster, Node
from redis_support import redis_server
from support import PATIENCE_S, SEED, Server, Wire, equal, eventually, expect, log_of, publish, run

CHANNELS = ("--redis.pubsub_in=chat:stream:*", "--redis.pubsub_out=conversation:{name}")
ROOMS = [f"room/{i}" for i in range(12)]


def serve_on(store, *options):
    return Server(":memory:", "--redis.role=log", f"--redis.address={store.address}", "--redis.reconcile_ms=200",
                  *CHANNELS, *options)


class OldConsumer:
    """Listens on the channels of all conversations."""

    def __init__(self, store):
        self.channels = store.client.pubsub()
        self.channels.psubscribe("conversation:*")
        equal(self.channels.get_message(timeout=PATIENCE_S)["type"], "psubscribe")
        self.heard = {}
        self.count = 0

    def until(self, count, patience_s=PATIENCE_S):
        """Everything that was heard when it is so much, by conversation, in order."""
        deadline = time.monotonic() + patience_s
        while self.count < count and time.monotonic() < deadline:
            self.more(0.1)
        expect(self.count >= count, f"{count} messages", self.count, {x: len(y) for x, y in self.heard.items()})
        return self.heard

    def more(self, wait_s):
        x = self.channels.get_message(timeout=wait_s)
        if x is None:
            return False
        said = json.loads(x["data"])
        equal(x["channel"].decode(), "conversation:" + said["conversation"])
        self.heard.setdefault(said["conversation"], []).append(said)
        self.count += 1
        return True

    def nothing_more(self, wait_s=0.5):
        expect(not self.more(wait_s), "nothing more is said", self.heard)


class OldProducer:
    """Publishes all the time, from a thread: one number after the other."""

    def __init__(self, store, rate=500):
        self.store = store
        self.rate = rate
        self.rng = random.Random(SEED)
        self.published = {x: [] for x in ROOMS}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def work(self):
        n = 0
        while not self.over.is_set():
            n += 1
            name = self.rng.choice(ROOMS)
            if self.store.client.publish(f"chat:stream:{name}", json.dumps({"heard": n})) > 0:
                self.published[name].append(n)
            time.sleep(1 / self.rate)


def numbers(server, name, what="heard"):
    return [x["payload"][what] for x in log_of(server, name) if what in x["payload"]]


PROBES = itertools.count(1)


def until_heard(store, node):
    """Whoever should append does so: the list of nodes has come around."""
    names = [f"probe/{i}" for i in range(20)]

    def all_take():
        n = next(PROBES)
        for x in names:
            store.client.publish(f"chat:stream:{x}", json.dumps({"probe": n}))
        time.sleep(0.1)
        return all(numbers(node, x, "probe")[-1:] == [n] for x in names)
    eventually(all_take, "the nodes listen")


def one_node_hears_and_speaks_each_once():
    with redis_server() as store, serve_on(store) as server, Wire(server) as wire:
        old = OldConsumer(store)
        wire.subscribe("room/1", after="start")
        wire.until_live("room/1")
        eventually(lambda: store.client.publish("chat:stream:a b", "no name") == 1, "Confab listens")
        for i in range(200):
            store.client.publish("chat:stream:room/1", json.dumps({"n": i}))
        store.client.publish("chat:stream:room/1", b"\xff")
        entries = wire.entries(201, "room/1")
        equal([x["payload"] for x in entries], [*({"n": i} for i in range(200)), {"base64": "/w=="}])
        store.add("room/1", '"added"', sender_id="ann", kind="note")
        publish(server, "room/1", "published", "and this")
        # Nobody follows these: one has a pointer, the other one was published.
        store.add("quiet/1", "1")
        publish(server, "quiet/2", 2)
        entries += wire.entries(3, "room/1")
        heard = old.until(206)
        old.nothing_more()
        equal(heard["room/1"], [{"conversation": "room/1", **{k: v for k, v in x.items() if k not in ("op", "conversation")}}
                                for x in entries])
        equal([(x["seq"], x["payload"]) for x in heard["quiet/1"] + heard["quiet/2"]], [(1, 1), (1, 2)])
        equal([x["payload"] for x in log_of(server, "room/1")], [x["payload"] for x in entries])


def what_has_no_pointer_is_published_when_it_is_found():
    with redis_server() as store, serve_on(store) as server:
        old = OldConsumer(store)
        publish(server, "c", 1)
        old.until(1)
        old.nothing_more()
        store.add("c", "2", pointer=False)
        old.nothing_more()
        # In the order of the stream.
        publish(server, "c", 3)
        equal([x["payload"] for x in old.until(3)["c"]], [1, 2, 3])
        with Wire(server) as wire:
            wire.subscribe("c")
            store.add("c", "4", pointer=False)
            equal([(x["seq"], x["payload"]) for x in old.until(4)["c"]], [(n, n) for n in (1, 2, 3, 4)])


def what_was_added_before_is_not_published_unless_it_is_new():
    with redis_server() as store:
        past = int(time.time() * 1000) - 3_600_000
        for i in range(3):
            store.client.xadd("stream:conversation:c", {"payload": str(i)}, id=f"{past + i}-0")
        with serve_on(store, "--redis.import=all") as server:
            old = OldConsumer(store)
            # Pointers of before its group was made, once for ever, are read by nobody.
            eventually(lambda: store.client.exists("stream:fanout:all-conversations"), "it reads pointers")
            store.add("c", '"new"')
            equal([(x["seq"], x["payload"]) for x in old.until(1)["c"]], [(4, "new")])
        # It goes on where it was.
        store.add("c", '"meanwhile"')
        with serve_on(store) as server:
            equal([(x["seq"], x["payload"]) for x in old.until(2)["c"]][1:], [(5, "meanwhile")])
            publish(server, "c", "again")
            equal([x["payload"] for x in old.until(3)["c"]], ["new", "meanwhile", "again"])
            store.client.delete("stream:conversation:c")
            store.later_ids()
            store.add("c", '"another stream"')
            equal(old.until(4)["c"][-1]["payload"], "another stream")
            store.client.flushall()
            store.later_ids()
            store.add("c", '"another Redis"')
            publish(server, "c", "goes on")
            equal([x["payload"] for x in old.until(6)["c"]][-2:], ["another Redis", "goes on"])
            old.nothing_more()


def two_nodes_append_what_they_hear_once():
    with redis_server() as store, Cluster(store, 2, *CHANNELS) as cluster:
        first = cluster.nodes[0]
        until_heard(store, first)
        wires = []
        for node in cluster.nodes:
            wires.append(Wire(node))
            for name in ROOMS:
                wires[-1].subscribe(name, after="start")
                wires[-1].until_live(name)
        with OldProducer(store) as producer:
            time.sleep(1)
        for name in ROOMS:
            eventually(lambda name=name: numbers(first, name) == producer.published[name], name)
        for wire in wires:
            seen = {x: [] for x in ROOMS}
            for _ in range(sum(map(len, producer.published.values()))):
                x = wire.next("entry")
                seen[x["conversation"]].append(x["payload"]["heard"])
                equal(x["seq"], len(seen[x["conversation"]]), "dense")
            equal(seen, producer.published)
            wire.silent()
        # Both had a share.
        expect(len({cluster.home_of(name) for name in ROOMS}) == 2, "the rooms are at home at both")


def nodes_come_and_go_and_each_message_is_appended_once():
    with redis_server() as store, Cluster(store, 2, *CHANNELS) as cluster:
        first = cluster.nodes[0]
        until_heard(store, cluster.nodes[0])
        with OldProducer(store) as producer:
            for turn in range(3):
                third = Node(store, 2 + turn, "--cluster.lease_ms=2000", *CHANNELS)
                third.start()
                time.sleep(1.5)
                third.stop()
                third.close()
                time.sleep(0.5)
        for name in ROOMS:
            eventually(lambda name=name: len(numbers(first, name)) >= len(producer.published[name]), name)
            equal(numbers(first, name), producer.published[name], name)


def behind_a_node_that_died_nothing_is_appended_twice_and_the_other_one_takes_over():
    with redis_server() as store, Cluster(store, 2, *CHANNELS) as cluster:
        first, second = cluster.nodes
        until_heard(store, cluster.nodes[0])
        mine = cluster.homed_at(first, 1, "room")[0]
        with OldProducer(store) as producer:
            time.sleep(0.5)
            second.kill()
            until_heard(store, first)
            taken_over = sum(map(len, producer.published.values()))
            time.sleep(0.5)
        for name in ROOMS:
            last = producer.published[name][-1:]
            got = eventually(lambda name=name, last=last: (x := numbers(first, name))[-1:] == last and x, name)
            equal(len(set(got)), len(got), f"{name}: once")
            expect(set(got) <= set(producer.published[name]), name, got)
            late = [n for n in producer.published[name] if n > taken_over + 5]
            equal([n for n in got if n > taken_over + 5], late, f"{name}: all since it was taken over")
            if cluster.home_of(name) is first and name == mine:
                equal(got, producer.published[name], f"{name} has never moved")


def two_nodes_publish_each_entry_once_in_order():
    rng = random.Random(SEED)
    with redis_server() as store, Cluster(store, 2, *CHANNELS) as cluster:
        old = OldConsumer(store)
        count = 0
        begin = time.monotonic()
        while time.monotonic() < begin + 4:
            name = rng.choice(ROOMS)
            if rng.random() < 0.5:
                publish(rng.choice(cluster.nodes), name, {"own": count})
            else:
                store.add(name, json.dumps({"added": count}))
            count += 1
        heard = old.until(count)
        old.nothing_more()
        for name in ROOMS:
            log = log_of(cluster.nodes[0], name)
            equal([(x["seq"], x["id"], x["payload"]) for x in heard.get(name, [])],
                  [(x["seq"], x["id"], x["payload"]) for x in log], name)
        # One dies: what it has not published is, by the other one, in the same order.
        cluster.nodes[1].kill()
        for n in range(60):
            name = rng.choice(ROOMS)
            if n % 2:
                store.add(name, json.dumps({"added": count}))
            else:
                publish(cluster.nodes[0], name, {"own": count})
            count += 1
        heard = old.until(count, 2 * PATIENCE_S)
        old.nothing_more()
        for name in ROOMS:
            equal([x["seq"] for x in heard[name]], list(range(1, len(log_of(cluster.nodes[0], name)) + 1)), name)


if __name__ == "__main__":
    run(one_node_hears_and_speaks_each_once, what_has_no_pointer_is_published_when_it_is_found,
        what_was_added_before_is_not_published_unless_it_is_new, two_nodes_append_what_they_hear_once,
        nodes_come_and_go_and_each_message_is_appended_once,
        behind_a_node_that_died_nothing_is_appended_twice_and_the_other_one_takes_over,
        two_nodes_publish_each_entry_once_in_order)
