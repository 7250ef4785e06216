"""What earlier systems only named: each scenario on a real server with real sockets."""

import asyncio
import json
import os
import random
import time

from support import (SEED, Client, Server, Wire, equal, eventually, expect, info, log_of, page, publish, run, scratch,
                     served)


def seqs(entries):
    return [x["seq"] for x in entries]


def has_the_log(server, client, conversation):
    """The client's sequence is the log's."""
    follow = client.follows[conversation]
    equal([(x["seq"], x["id"], x["payload"]) for x in follow.entries],
          [(x["seq"], x["id"], x["payload"]) for x in log_of(server, conversation)], client.name)
    equal(follow.resets, [], client.name)


async def no_loss_during_reconnect():
    rng = random.Random(SEED)
    with served() as server:
        publisher = Client(server, "publisher", rng).start()
        reader = Client(server, "reader", rng, ["c"]).start()
        for n in range(1, 601):
            publisher.publish("c", n)
            if n % 20 == 0:
                reader.drop(rng.choice(("cut", "close")))
                await asyncio.sleep(rng.random() * 0.02)
        await publisher.until(lambda: not publisher.drafts, "published")
        await reader.until(lambda: reader.follows["c"].seq == 600, "everything came")
        expect(reader.connections > 10, "it did reconnect", reader.connections)
        has_the_log(server, reader, "c")
        await reader.stop()
        await publisher.stop()


def offline_recovery_basic_flow():
    with served() as server:
        with Wire(server) as wire:
            wire.subscribe("c", after="start")
            wire.next("live")
            publish(server, "c", *range(1, 6))
            last = wire.entries(5)[-1]
            epoch = info(server, "c")["epoch"]
        publish(server, "c", *range(6, 11))  # nobody is there
        with Wire(server) as wire:
            x = wire.subscribe("c", after=last["seq"], epoch=epoch, id=last["id"])
            equal((x["after"], x["unread"]), (5, 5))
            equal([x["payload"] for x in wire.entries(5)], [6, 7, 8, 9, 10])
            equal(wire.next("live")["seq"], 10)
            publish(server, "c", 11)
            equal(wire.next("entry")["payload"], 11)
            wire.silent()


def recovery_without_earlier_state():
    with served() as server:
        publish(server, "c", *range(1, 2501))
        with Wire(server, "?client=fresh") as wire:
            x = wire.subscribe("c")  # its cursor, of which there is none: from the start
            equal((x["after"], x["unread"]), (0, 2500))
            equal([x["payload"] for x in wire.entries(2500)], list(range(1, 2501)))
            equal(wire.next("live")["seq"], 2500)
            wire.silent()
        with Wire(server) as wire:
            equal(wire.subscribe("c")["unread"], 0)  # without a client id: what comes from now on
            equal(wire.next("live")["seq"], 2500)
            wire.silent()


def several_clients_of_one_conversation_recover_independently():
    rng = random.Random(SEED)
    with served() as server:
        publish(server, "c", *range(1, 301))
        acked = {}
        for i in range(8):
            with Wire(server, f"?client=c{i}") as wire:
                wire.subscribe("c", after=0)
                wire.entries(300)
                wire.next("live")
                acked[i] = rng.randrange(1, 301)
                equal(wire.ask(op="ack", conversation="c", seq=acked[i])["op"], "acked")
        wires = {i: Wire(server, f"?client=c{i}") for i in acked}
        for i, wire in wires.items():
            equal(wire.subscribe("c", after="saved")["after"], acked[i])
        for i, wire in wires.items():
            got = wire.entries(300 - acked[i])
            equal(seqs(got), list(range(acked[i] + 1, 301)), f"c{i}")
            wire.next("live")
        # One of them goes; the others notice nothing.
        wires.pop(0).reset()
        publish(server, "c", 301)
        for wire in wires.values():
            equal(wire.next("entry")["seq"], 301)
            wire.silent()
            wire.socket.close()


def cursor_survives_restart_and_expires():
    with served("--store.cursor_ttl_s=3600") as server:
        publish(server, "c", 1, 2, 3)
        publish(server, "d", 1, 2, 3)
        with Wire(server, "?client=me") as wire:
            for name, seq in (("c", 2), ("d", 1)):
                wire.subscribe(name, after=0)
                wire.entries(3)
                wire.next("live")
                wire.ask(op="ack", conversation=name, seq=seq)
        for end in (server.kill, server.stop):
            end()
            server.start()
            with Wire(server, "?client=me") as wire:
                # One cursor per conversation: neither overwrites the other.
                equal(wire.subscribe("c", after="saved")["after"], 2)
                equal(wire.subscribe("d", after="saved")["after"], 1)
    with served("--store.cursor_ttl_s=1") as server:
        publish(server, "c", 1, 2, 3)
        with Wire(server, "?client=me") as wire:
            wire.subscribe("c", after=0)
            wire.entries(3)
            wire.next("live")
            wire.ask(op="ack", conversation="c", seq=2)
        time.sleep(2.5)
        with Wire(server, "?client=me") as wire:
            equal(wire.subscribe("c", after="saved")["after"], 0, "expired: from the start")
            wire.entries(3)
            wire.next("live")
            equal(wire.ask(op="ack", conversation="c", seq=3)["op"], "acked")
        with Wire(server, "?client=me") as wire:
            wire.subscribe("c", after="saved")


async def entry_published_between_history_and_subscription():
    """Readers come at every moment of a stream; what a page or the ring holds then depends on the moment."""
    rng = random.Random(SEED)
    with served("--net.ring_entries=4") as server:
        publisher = Client(server, "publisher", rng).start()
        readers = []
        for n in range(1, 1001):
            publisher.publish("c", n)
            if n % 10 == 0:
                readers.append(Client(server, f"r{n}", rng, ["c"], after=rng.choice(("start", 0, "last:5", "now"))).start())
                await asyncio.sleep(0)
            if n % 25 == 0:
                await asyncio.sleep(0.01)
        await publisher.until(lambda: not publisher.drafts, "published")
        for reader in readers:
            await reader.until(lambda: reader.follows["c"].seq == 1000, "everything came")
            got = seqs(reader.follows["c"].entries)
            equal(got, list(range(1001 - len(got), 1001)), reader.name)
            if reader.follows["c"].start in ("start", 0):
                equal(len(got), 1000, reader.name)
        for reader in readers:
            await reader.stop()
        await publisher.stop()


async def _100_fast_reconnects_while_a_producer_emits_every_50_ms():
    """A page is reloaded in the middle of an answer, again and again."""
    rng = random.Random(SEED)
    with served() as server:
        done = asyncio.Event()
        producer = Client(server, "producer", rng).start()

        async def answer():
            for n in range(1, 1201):  # at most a minute
                if done.is_set():
                    return
                producer.publish("answer", {"chunk": n})
                await asyncio.sleep(0.05)
        chunks = asyncio.ensure_future(answer())
        reader = Client(server, "page", rng, ["answer"]).start()
        for _ in range(100):
            await reader.until(lambda: reader.socket is not None, "it is back")
            before = reader.connections
            # Sometimes at once, sometimes when a few chunks have come.
            await asyncio.sleep(rng.choice((0, 0, 0.01, 0.06, 0.12)))
            reader.drop(rng.choice(("cut", "close")))
            await reader.until(lambda: reader.connections > before, "it is back")
        done.set()
        await chunks
        await producer.until(lambda: not producer.drafts, "published")
        last = producer.numbers["answer"]
        await reader.until(lambda: reader.follows["answer"].seq == last, "everything came")
        expect(reader.connections > 100 and last > 20, "reconnects and chunks", reader.connections, last)
        has_the_log(server, reader, "answer")
        equal([x["payload"]["chunk"] for x in reader.follows["answer"].entries], list(range(1, last + 1)))
        await reader.stop()
        await producer.stop()


async def _10_clients_connecting_at_once():
    rng = random.Random(SEED)
    with served() as server:
        publish(server, "c", *range(1, 1001))
        clients = [Client(server, f"c{i}", random.Random(rng.random()), ["c"]).start() for i in range(10)]
        for n in range(1001, 1011):
            clients[0].publish("c", n)
        for client in clients:
            await client.until(lambda: client.follows["c"].seq == 1010, "everything came")
            equal(client.connections, 1)
            has_the_log(server, client, "c")
        # All of them are gone and come back together.
        for _ in range(5):
            for client in clients:
                client.drop()
            number = clients[0].publish("c", "again")
            await clients[0].until(lambda: not clients[0].drafts, "published")
            seq = clients[0].receipts["c", number][0]["seq"]
            for client in clients:
                await client.until(lambda: client.follows["c"].seq == seq, "everything came")
        for client in clients:
            has_the_log(server, client, "c")
            await client.stop()


async def _1_000_connections_in_one_conversation():
    rng = random.Random(SEED)
    with served("--net.connections=5000") as server:
        clients = []
        for i in range(1000):
            clients.append(Client(server, f"c{i}", rng, ["c"], after="start").start())
            if i % 50 == 49:
                await clients[-1].until(lambda: clients[-1].follows["c"].state == "on", "connected")
        for client in clients:
            await client.until(lambda: client.follows["c"].state == "on", "connected")
        for n in range(1, 41):
            clients[n * 20].publish("c", n)
            if n % 5 == 0:
                await asyncio.sleep(0.05)
        for client in clients:
            await client.until(lambda: client.follows["c"].seq == 40, "everything came")
        log = [(x["seq"], x["id"], x["payload"]) for x in log_of(server, "c")]
        equal(len(log), 40)
        for client in clients:
            equal([(x["seq"], x["id"], x["payload"]) for x in client.follows["c"].entries], log, client.name)
            equal(client.connections, 1, "nobody was cut")
        for client in clients:
            client.stopping = True
            client.drop()
        await asyncio.gather(*(x.task for x in clients))


def load_balancer_moves_a_client_to_another_connection_while_the_old_one_is_half_dead():
    with served() as server:
        publish(server, "c", *range(1, 11))
        old = Wire(server, "?client=me", receive_buffer=4096)
        old.subscribe("c", after=0)
        old.entries(10)
        old.next("live")
        equal(old.ask(op="ack", conversation="c", seq=5)["op"], "acked")
        # From here on it takes nothing any more, and its path swallows what is sent.
        publish(server, "c", *["x" * 10000] * 200)
        with Wire(server, "?client=me") as new:
            x = new.subscribe("c", after="saved")
            equal((x["after"], x["last"]), (5, 210))
            equal(seqs(new.entries(205)), list(range(6, 211)))
            new.next("live")
            equal(new.ask(op="ack", conversation="c", seq=100)["op"], "acked")
            # What the old path still held comes late: it counts no more.
            for seq in (6, 10, 9, 150):
                old.send(op="ack", ref=f"late {seq}", conversation="c", seq=seq)
            # The new connection is the only one that gets what comes, once.
            for n in range(211, 221):
                publish(server, "c", n)
                equal(new.next("entry")["seq"], n)
            new.silent()
            # The old one wakes up: what it was sent before is in order, then it learns that it was replaced.
            at = 10
            superseded = False
            late = set()
            for _ in range(1000):
                x = old.next()
                if x["op"] == "entry":
                    expect(not superseded, "an entry behind `unsubscribed`", x)
                    equal(x["seq"], at + 1)
                    at = x["seq"]
                elif x["op"] == "unsubscribed":
                    equal(x["reason"], "superseded")
                    superseded = True
                elif x["op"] == "error":
                    expect(superseded and x["code"] == "not_subscribed", "a late ack is refused", x)
                    late.add(x["ref"])
                    if len(late) == 4:
                        break
                else:
                    equal(x["op"], "live")
            expect(superseded and at < 210 and len(late) == 4, "superseded in the middle of its replay", superseded, at, late)
            old.silent()
            publish(server, "c", 221)
            equal(new.next("entry")["seq"], 221)
            new.silent()
        old.reset()
        with Wire(server, "?client=me") as wire:
            equal(wire.subscribe("c", after="saved")["after"], 100, "the cursor is where the new connection left it")


run(no_loss_during_reconnect, offline_recovery_basic_flow, recovery_without_earlier_state,
    several_clients_of_one_conversation_recover_independently, cursor_survives_restart_and_expires,
    entry_published_between_history_and_subscription, _100_fast_reconnects_while_a_producer_emits_every_50_ms,
    _10_clients_connecting_at_once, _1_000_connections_in_one_conversation,
    load_balancer_moves_a_client_to_another_connection_while_the_old_one_is_half_dead)
