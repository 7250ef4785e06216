"""/metrics: the figures move with what happens, and docs/operations.md says of each what it is good for."""

import os
import re

from redis_support import redis_server
from support import (Wire, equal, eventually, expect, log_of, post, publish, request, run, served)


def figures(server):
    """{name: figure}, with the label in the name where there is one."""
    answer = request(server, "GET", "/metrics")
    equal(answer.status, 200)
    equal(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.body.decode().splitlines()
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}


def documented():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "operations.md")
    with open(path, encoding="utf-8") as text:
        return set(re.findall(r"`(confab_\w+)(?:\{\w+\})?`", text.read()))


def every_figure_is_documented_and_every_documented_one_there():
    with served() as server:
        text = request(server, "GET", "/metrics").body.decode()
        names = re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.M)
        equal(sorted(set(names)), sorted(names), "each is told once")
        equal(set(names), documented())
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M):
            equal(name.endswith("_total"), kind == "counter", name)
        head = request(server, "HEAD", "/metrics")
        equal((head.status, head.body, head.headers["Content-Type"].split(";")[0]), (200, b"", "text/plain"))
        refused = request(server, "POST", "/metrics", b"")
        equal((refused.status, refused.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))


def what_clients_do_is_counted():
    with served("--net.connections=20") as server, Wire(server) as wire:
        before = figures(server)
        equal((before["confab_ready"], before["confab_log_writable"]), (1, 1))
        wire.subscribe("c", after="start")
        wire.until_live("c")
        publish(server, "c", 1, 2, 3)
        wire.entries(3)
        equal(post(server, "c", {"payload": 4, "producer": "p", "producer_seq": 1}).status, 201)
        equal(post(server, "c", {"payload": 4, "producer": "p", "producer_seq": 7}).code(), "producer_gap")
        equal(request(server, "GET", "/v1/conversations/none").status, 404)
        wire.next("entry")
        now = figures(server)
        equal(now["confab_subscriptions"], 1)
        expect(now["confab_connections"] >= 2, "the wire and this request", now)
        expect(now["confab_conversations"] >= 1, "c", now)
        equal(now["confab_published_entries_total"] - before["confab_published_entries_total"], 4)
        equal(now['confab_appends_refused_total{code="producer_gap"}'], 1)
        equal(now['confab_errors_total{code="producer_gap"}'], 1)
        equal(now['confab_errors_total{code="not_found"}'], 1)
        expect(now["confab_sent_bytes_total"] > before["confab_sent_bytes_total"] + 300, "bytes were sent", now)
        expect(0 < now["confab_cache_bytes"] < now["confab_cache_bytes_max"], "the cache", now)
        expect(now["confab_log_commits_total"] >= 2 and now["confab_log_commit_seconds_total"] > 0, "commits", now)
        wire.send(op="unsubscribe", conversation="c")
        wire.next("unsubscribed")
        eventually(lambda: figures(server)["confab_subscriptions"] == 0, "nothing is followed")


def what_the_bridge_does_is_counted():
    with redis_server() as store, served(f"--redis.address={store.address}", "--redis.reconnect_ms=200",
                                         "--redis.reconcile_ms=100") as server, Wire(server) as wire:
        wire.subscribe("c", after="start")
        wire.until_live("c")
        for n in range(3):
            store.add("c", str(n))
        store.client.xadd("stream:fanout:all-conversations", {"x": "y"})
        wire.entries(3)
        publish(server, "c", 3)

        def settled():
            now = figures(server)
            return (now["confab_copied_entries_total"] == 3 and now["confab_mirrored_entries_total"] == 1
                    and now["confab_pointers_refused_total"] == 1 and now["confab_pointers_read_total"] == 5
                    and now["confab_pointers_acknowledged_total"] == 5 and now["confab_pointers_under_way"] == 0
                    and now["confab_mirrors_behind"] == 0 and now["confab_looks_total"] > 0 and now)
        now = eventually(settled, "copies, mirrors and pointers are counted")
        equal(now["confab_published_entries_total"], 1)
        users = {x for x in now if x.startswith("confab_redis_up")}
        equal(users, {f'confab_redis_up{{user="{x}"}}' for x in ("copies", "mirrors", "pointers")})
        equal({now[x] for x in users}, {1})
        store.kill()
        publish(server, "c", 4)
        eventually(lambda: figures(server)["confab_mirrors_behind"] == 1, "a mirror that waits")
        eventually(lambda: figures(server)['confab_redis_up{user="mirrors"}'] == 0, "Redis is away")
        equal(figures(server)["confab_ready"], 1)
        store.start()
        eventually(lambda: figures(server)["confab_mirrors_behind"] == 0, "caught up")
        expect(len(log_of(server, "c")) >= 5, "the log")


def what_is_lost_from_a_stream_is_counted_as_a_gap():
    with redis_server() as store, served(f"--redis.address={store.address}", "--redis.import=all") as server:
        for n in range(10):
            store.add("c", str(n), pointer=False)
        store.client.xtrim("stream:conversation:c", maxlen=4, approximate=False)
        store.add("c", "10")
        eventually(lambda: figures(server)["confab_copied_entries_total"] == 5, "copied")
        equal(figures(server)["confab_copied_gaps_total"], 1)


if __name__ == "__main__":
    run(every_figure_is_documented_and_every_documented_one_there, what_clients_do_is_counted,
        what_the_bridge_does_is_counted, what_is_lost_from_a_stream_is_counted_as_a_gap)
