"""`confab nodes`: the leases in a real Redis as a table and as JSON, and what it says when there is nothing to show."""

import contextlib
import json
import socket
import subprocess
import tempfile

from redis_support import redis_server
from support import CONFAB, Server, Wire, equal, eventually, expect, run


def nodes(*arguments):
    done = subprocess.run([CONFAB, "nodes", *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout, done.stderr


def lease(store, incarnation, rest, left_ms=30_000):
    """As a node writes it: its deadline by Redis's clock, then the rest."""
    seconds, micros = store.client.time()
    store.client.hset("confab:nodes", incarnation, f"{seconds * 1000 + micros // 1000 + left_ms} {rest}")


def live_nodes_are_an_aligned_table():
    with redis_server() as store:
        lease(store, "b2c3d4e5f6a7b8c9", "10.0.0.2 7400 0.1.0 1 confab 12000 310 104 http://10.0.0.2:8080")
        lease(store, "a1", "::1 7401 0.2.0 2 other 3 4 5 - fields of a later version")
        lease(store, "dead", "10.0.0.3 7400 0.1.0 1 confab 1 2 3 -", left_ms=-1)
        status, text, errors = nodes(f"--redis.address={store.address}")
        equal((status, errors), (0, ""))
        lines = text.splitlines()
        equal(len(lines), 3)
        equal(lines[0].split(), ["INCARNATION", "ADDRESS", "VERSION", "PROTOCOL", "CLUSTER", "CLIENTS", "CONNECTIONS",
                                 "CONVERSATIONS", "HOMES", "LEASE", "LEFT"])
        first, second = (line.split() for line in lines[1:])
        equal(first[:-2], ["a1", "[::1]:7401", "0.2.0", "2", "other", "-", "3", "4", "5"])
        equal(second[:-2], ["b2c3d4e5f6a7b8c9", "10.0.0.2:7400", "0.1.0", "1", "confab", "http://10.0.0.2:8080",
                            "12000", "310", "104"])
        expect(second[-1] == "s" and 0 < float(second[-2]) <= 30, "the lease left", second)
        # Texts begin where their title does, numbers end there.
        expect(lines[0].index("VERSION") == lines[1].index("0.2.0") == lines[2].index("0.1.0"), "aligned", text)
        expect(lines[0].index("HOMES") + 5 == lines[1].index(" 5 ") + 2 == lines[2].index("104") + 3, "aligned", text)
        equal(store.client.hlen("confab:nodes"), 3, "whoever looks changes nothing")


def live_nodes_are_json():
    with redis_server() as store:
        lease(store, "a1", "10.0.0.2 7400 0.1.0 1 confab 12000 310 104 http://10.0.0.2:8080")
        lease(store, "b2", 'h"1\\ 7401 0.2.0 2 other 3 4 5 -')
        store.client.hset("confab:nodes", "x", "garbage")
        status, text, errors = nodes(f"--redis.address={store.address}", "--json")
        equal(status, 0)
        expect("1 rows of confab:nodes are no leases" in errors, "garbage is told", errors)
        seen = json.loads(text)
        left = [x.pop("lease_left_ms") for x in seen["nodes"]]
        expect(all(0 < x <= 30_000 for x in left), "the leases left", left)
        equal(seen, {"nodes": [
            {"incarnation": "a1", "address": "10.0.0.2", "port": 7400, "version": "0.1.0", "protocol": 1,
             "cluster": "confab", "client_url": "http://10.0.0.2:8080", "connections": 12000, "conversations": 310,
             "homes": 104},
            {"incarnation": "b2", "address": 'h"1\\', "port": 7401, "version": "0.2.0", "protocol": 2,
             "cluster": "other", "client_url": "", "connections": 3, "conversations": 4, "homes": 5}],
            "unreadable": 1})


def no_nodes_are_no_error():
    with redis_server() as store:
        equal(nodes(f"--redis.address={store.address}"), (0, "no live nodes\n", ""))
        equal(nodes(f"--redis.address={store.address}", "--json"), (0, '{"nodes":[],"unreadable":0}\n', ""))


@contextlib.contextmanager
def free_port():
    """Held for a server that sets SO_REUSEADDR, as in `support.Server`."""
    with socket.socket() as placeholder:
        placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        placeholder.bind(("127.0.0.1", 0))
        yield placeholder.getsockname()[1]


def node(store, port, *options):
    return Server(":memory:", "--redis.role=log", f"--redis.address={store.address}", f"--cluster.port={port}",
                  "--cluster.lease_ms=2000", *options)


def servers_are_listed_with_what_they_carry_until_they_end():
    with redis_server() as store, free_port() as first_port, free_port() as second_port, \
            node(store, first_port) as first:
        def listed():
            status, text, errors = nodes(f"--redis.address={store.address}", "--json")
            equal((status, errors), (0, ""))
            return {x["port"]: x for x in json.loads(text)["nodes"]}

        seen = eventually(lambda: listed().get(first_port), "the first node is listed")
        for name, wanted in {"address": "127.0.0.1", "version": "0.1.0", "cluster": "confab",
                             "client_url": f"http://127.0.0.1:{first.port}"}.items():
            equal(seen[name], wanted, name)
        expect(len(seen["incarnation"]) == 16 and 0 < seen["lease_left_ms"] <= 2000, "its lease", seen)
        with Wire(first):
            eventually(lambda: listed()[first_port]["connections"] == 1, "its connection is counted")
        eventually(lambda: listed()[first_port]["connections"] == 0, "and no longer than it lasts")
        with node(store, second_port) as second:
            eventually(lambda: set(listed()) == {first_port, second_port}, "both are listed")
            second.kill()
            eventually(lambda: set(listed()) == {first_port}, "its lease runs out")
            second.start()
            eventually(lambda: set(listed()) == {first_port, second_port}, "it is back")
            second.stop()
            equal(set(listed()), {first_port}, "a planned end gives the lease up")


def a_redis_that_cannot_be_asked_is_status_1():
    with redis_server() as store, tempfile.NamedTemporaryFile("w") as password, \
            tempfile.NamedTemporaryFile("w") as options:
        store.client.config_set("requirepass", "sesame")
        status, text, errors = nodes(f"--redis.address={store.address}")
        expect(status == 1 and text == "" and "NOAUTH" in errors, "without its password", status, text, errors)
        print("sesame", file=password, flush=True)
        print(f"[redis]\naddress = {store.address}\npassword_file = {password.name}", file=options, flush=True)
        equal(nodes("--config-file", options.name), (0, "no live nodes\n", ""))
        # The command line wins.
        equal(nodes("--config-file", options.name, "--redis.database=99")[0], 1)
        store.kill()
        status, text, errors = nodes("--config-file", options.name, "--json")
        expect(status == 1 and text == "" and errors.startswith("confab nodes: Redis: "), "away", status, text, errors)
    with redis_server() as store:
        store.client.set("confab:nodes", "a string")
        status, text, errors = nodes(f"--redis.address={store.address}")
        expect(status == 1 and "WRONGTYPE" in errors, "a key of another type", status, text, errors)


def wrong_usage_is_status_2():
    for arguments, text in (
        ([], "--redis.address: has no value"),
        (["--redis.address=nowhere"], "--redis.address: nowhere"),
        (["--redis.address=h:1", "--redis.usr=x"], "--redis.usr: no such option; did you mean redis.user?"),
        (["--config-file=/nonexistent.ini"], "/nonexistent.ini: cannot be read"),
        (["--redis.address=h:1", "extra"], "extra: no such option"),
    ):
        answer = nodes(*arguments)
        expect(answer[0] == 2 and text in answer[2], arguments, answer)
    status, text, _ = nodes("--help")
    expect(status == 0 and "--redis.address" in text and "--json" in text and "--net.port" not in text, "help", text)


run(live_nodes_are_an_aligned_table, live_nodes_are_json, no_nodes_are_no_error,
    servers_are_listed_with_what_they_carry_until_they_end,
    a_redis_that_cannot_be_asked_is_status_1, wrong_usage_is_status_2)
