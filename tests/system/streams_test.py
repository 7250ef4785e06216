"""Streams beside conversations, and what of them a kill -9 must not undo (DESIGN §11, docs/decisions/0009-streams.md)."""

import http.client
import json
import os
import random
import socket
import threading
import time

from support import PATIENCE_S, SEED, Server, Wire, equal, eventually, expect, info, publish, request, run, scratch, served

KILLS = 8
WRITERS = 6
JSON = {"Content-Type": "application/json"}


def put(server, name, body=None, **fields):
    return request(server, "PUT", f"/v1/stream/{name}", body, headers_of(fields))


def append(server, name, body=None, **fields):
    return request(server, "POST", f"/v1/stream/{name}", body, headers_of(fields))


def headers_of(fields):
    return {name.replace("_", "-"): value for name, value in fields.items()}


def read(server, name, offset="-1", **fields):
    return request(server, "GET", f"/v1/stream/{name}?offset={offset}", headers=headers_of(fields))


def head(server, name):
    return request(server, "HEAD", f"/v1/stream/{name}")


def a_stream_is_a_conversation_with_the_same_seqs():
    with served() as server, Wire(server) as wire:
        equal(put(server, "a/b", "[]", **JSON).status, 201)
        wire.subscribe("a/b", after="start")
        wire.next("live")
        equal(append(server, "a/b", '[{"x":1},{"x":2}]', **JSON).status, 204)
        equal([wire.next("entry")["payload"] for _ in range(2)], [{"x": 1}, {"x": 2}])
        wire.publish("a/b", {"x": 3})
        equal(wire.next("entry")["seq"], 3)
        got = read(server, "a/b")
        equal(got.json(), [{"x": 1}, {"x": 2}, {"x": 3}])
        expect(got.headers["Stream-Next-Offset"].startswith("0000000000000003_"), "the offset holds the seq",
               got.headers["Stream-Next-Offset"])
        # Created by a chat, read as a stream.
        publish(server, "room", "hello")
        equal(read(server, "room").json(), ["hello"])
        # A position of one is one of the other.
        equal(read(server, "a/b", f"{'2':0>16}_{info(server, 'a/b')['epoch']}_0-0").json(), [{"x": 3}])


def text_and_bytes_arrive_at_websockets():
    with served() as server, Wire(server) as wire:
        put(server, "t", "häl\nlo", Content_Type="text/plain; charset=utf-8")
        put(server, "b", b"\x00\xff", Content_Type="image/png")
        wire.subscribe("t", after="start")
        equal(wire.next("entry")["payload"], "häl\nlo")
        wire.next("live")
        wire.subscribe("b", after="start")
        equal(wire.next("entry", "b")["payload_base64"], "AP8=")
        equal(read(server, "b").body, b"\x00\xff")


def a_closed_stream_tells_every_reader():
    with served() as server, Wire(server) as wire:
        put(server, "c", "1", **JSON)
        wire.subscribe("c", after="start")
        equal(wire.next("entry")["payload"], 1)
        wire.next("live")
        equal(append(server, "c", "2", Stream_Closed="true", **JSON).status, 204)
        equal(wire.next("entry")["payload"], 2)
        equal(wire.next("closed")["seq"], 2)
        late = append(server, "c", "3", **JSON)
        equal((late.status, late.code(), late.headers["Stream-Closed"]), (409, "closed", "true"))
        body = request(server, "GET", "/v1/stream/c?offset=-1&live=sse").body.decode()
        expect(body.endswith('"upToDate":true,"streamClosed":true}\n\n'), "the connection ends behind it", body)


def a_place_that_is_gone_is_410_with_the_first_one_that_is_there():
    with scratch() as top, Server(os.path.join(top, "data"), "--store.retention=t* - 5 -") as server:
        put(server, "t", "[1,2,3,4,5,6,7,8]", **JSON)
        eventually(lambda: info(server, "t")["first"] == 4, "retention keeps five")
        epoch = info(server, "t")["epoch"]
        equal(read(server, "t").json(), [4, 5, 6, 7, 8], "without an offset it begins with what is there")
        for offset in (f"{'1':0>16}_{epoch}_0-0", "0000000000000000_0000000000000000", f"{'3':0>16}_other.1_0-0"):
            for live in ("", "&live=long-poll", "&live=sse"):
                gone = read(server, "t", offset + live)
                equal((gone.status, gone.code()), (410, "position_gone"), offset + live)
                equal(read(server, "t", gone.headers["Stream-Next-Offset"]).json(), [4, 5, 6, 7, 8])
        # Deleted and made anew: an offset of the old one is not one of the new one.
        old = read(server, "t").headers["Stream-Next-Offset"]
        equal(request(server, "DELETE", "/v1/stream/t").status, 204)
        for live in ("", "&live=long-poll", "&live=sse"):
            equal(read(server, "t", old + live).status, 404)
        put(server, "t", "[1,2,3]", **JSON)
        equal(read(server, "t", old).status, 410)


def a_live_reader_hears_of_a_deletion():
    with served() as server:
        put(server, "d", "[1]", **JSON)
        offset = read(server, "d").headers["Stream-Next-Offset"]
        answers = {}
        threads = [threading.Thread(target=lambda live=live: answers.update({live: read(server, "d", f"{offset}&live={live}")}))
                   for live in ("long-poll", "sse")]
        for x in threads:
            x.start()
        time.sleep(0.3)  # either way the answers are the same: they wait, or come late
        equal(request(server, "DELETE", "/v1/stream/d").status, 204)
        for x in threads:
            x.join()
        equal(answers["long-poll"].status, 404)
        # It had begun, and then ends; or it came late.
        expect(answers["sse"].status in (200, 404), "events", answers["sse"])


def a_slow_reader_of_events_gets_everything_in_order():
    rng = random.Random(SEED)
    payloads = ["x" * rng.choice((1, 10, 700, 9000)) + f"\n{i}" for i in range(600)]
    with scratch() as top, Server(os.path.join(top, "data"), "--net.sndbuf_bytes=4608") as server:
        put(server, "slow", Content_Type="text/plain")
        for i, x in enumerate(payloads[:500]):
            equal(append(server, "slow", x, Content_Type="text/plain").status, 204, i)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(PATIENCE_S)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(b"GET /v1/stream/slow?live=sse&offset=-1 HTTP/1.1\r\nHost: a\r\n\r\n")
            text = b""
            # Behind by pages first, then live; each read is a small part of what waits.
            for x in payloads[500:]:
                text += reader.recv(rng.randrange(1, 3000))
                equal(append(server, "slow", x, Content_Type="text/plain").status, 204)
            appended = append(server, "slow", Stream_Closed="true")
            while data := reader.recv(rng.randrange(1, 30000)):
                text += data
        events = [x.split("\n") for x in text.decode().split("\r\n\r\n", 1)[1].split("\n\n") if x]
        got = ["\n".join(line.removeprefix("data:") for line in x[1:]) for x in events if x[0] == "event: data"]
        equal(got, payloads)
        controls = [json.loads(x[1].removeprefix("data:")) for x in events if x[0] == "event: control"]
        equal([x[0] for x in events[:1000:2]], ["event: data"] * 500, "a control event behind each data event")
        expect(all(x["streamNextOffset"] < y["streamNextOffset"] for x, y in zip(controls[:599], controls[1:600])), "offsets rise")
        equal((controls[-1]["streamNextOffset"], controls[-1]["streamClosed"]), (appended.headers["Stream-Next-Offset"], True))


class Writer:
    """Creates streams, appends with rising Stream-Seq, closes with a last entry; remembers what was acknowledged."""

    def __init__(self, server, name, rng):
        self.server = server
        self.name = name
        self.rng = rng
        self.until = threading.Event()
        self.streams = {}
        self.failure = None
        self.thread = threading.Thread(target=self.write, daemon=True)

    def write(self):
        try:
            n = 0
            while not self.until.is_set():
                self.stream(f"{self.name}/{n}")
                n += 1
        except Exception as why:  # shown by whoever waits
            self.failure = why

    def ask(self, known, ask, good):
        """Asks until there is an answer. Returns it, and whether it was the first attempt that was answered."""
        first = True
        while True:
            try:
                answer = ask()
                if answer.status != 503:
                    expect(answer.status in good, f"{known}: an answer", answer, first)
                    return answer, first
            except (OSError, http.client.HTTPException):
                if self.until.is_set():
                    raise
            first = False
            time.sleep(0.01)

    def stream(self, name):
        # In the test's eyes, before it is asked for: what may be there at a kill.
        known = self.streams[name] = {"asked": [], "acked": 0, "created": False, "closing": False, "closed": False}
        ttl = str(self.rng.randrange(1000, 9000))
        known["ttl"] = ttl
        answer, first = self.ask(name, lambda: put(self.server, name, '["first"]', Stream_TTL=ttl, **JSON), (200, 201))
        expect(answer.status == 201 or not first, "created once", answer)
        known["created"] = True
        for i in range(self.rng.randrange(1, 12)):
            if self.until.is_set():
                return
            known["asked"].append(i)
            answer, first = self.ask(name, lambda i=i: append(self.server, name, json.dumps([i, i]), Stream_Seq=f"{i:04}", **JSON),
                                     (204, 409))
            if answer.status == 409:
                # It was appended by an attempt whose answer the kill took.
                equal((answer.code(), first), ("stream_seq", False), name)
            known["acked"] = i + 1
        known["closing"] = True
        fields = {"Stream_Closed": "true", "Producer_Id": "w", "Producer_Epoch": "0", "Producer_Seq": "0", **JSON}
        answer, first = self.ask(name, lambda: append(self.server, name, '"last"', **fields), (200, 204))
        expect(answer.status == 200 or not first, "closed once", answer)
        equal(answer.headers["Stream-Closed"], "true")
        known["closed"] = True


def verify(server, writers):
    seen = {"created": 0, "appends": 0, "closed": 0}
    for x in writers:
        for name, known in x.streams.items():
            top = head(server, name)
            if not known["created"] and top.status == 404:
                continue
            equal(top.status, 200, name)
            equal(top.headers["Stream-TTL"], known["ttl"], f"{name}: its lifetime came with it")
            got = read(server, name).json()
            equal(got[:1], ["first"], f"{name}: its first entry came with it")
            seen["created"] += 1
            closed = top.headers["Stream-Closed"] == "true"
            last = got[-1:] == ["last"]
            equal(closed, last, f"{name}: closed with its last entry or not at all")
            expect(known["closing"] or not closed, f"{name}: nobody asked to close it")
            expect(closed or not known["closed"], f"{name}: its end was acknowledged")
            entries = got[1:-1] if last else got[1:]
            whole = len(entries) // 2
            equal(entries, [i for i in range(whole) for _ in range(2)], f"{name}: appends as a whole, in order, once")
            expect(known["acked"] <= whole <= len(known["asked"]), f"{name}: what was acknowledged", known, entries)
            if whole and not closed:
                again = append(server, name, "0", Stream_Seq=f"{whole - 1:04}", **JSON)
                equal((again.status, again.code()), (409, "stream_seq"), f"{name}: the last Stream-Seq is known")
            seen["appends"] += whole
            seen["closed"] += closed
    return seen


def creation_stream_seq_and_closing_survive_kills():
    rng = random.Random(SEED)
    with scratch() as top, Server(os.path.join(top, "data"), "--store.passivate_ms=300") as server:
        seen = {}
        for i in range(KILLS):
            writers = [Writer(server, f"r{i}/w{j}", random.Random(rng.random())) for j in range(WRITERS)]
            for x in writers:
                x.thread.start()
            for _ in range(2):
                time.sleep(0.2 + 0.8 * rng.random())
                server.restart()
            time.sleep(0.1)
            for x in writers:
                x.until.set()
            server.restart()
            for x in writers:
                x.thread.join()
                if x.failure and not isinstance(x.failure, (OSError, http.client.HTTPException)):
                    raise x.failure
            for key, value in verify(server, writers).items():
                seen[key] = seen.get(key, 0) + value
        print(f"  {seen}, {server.starts - 1} kills", flush=True)
        expect(min(seen.values()) > KILLS, "there was something to lose", seen)


run(a_stream_is_a_conversation_with_the_same_seqs, text_and_bytes_arrive_at_websockets, a_closed_stream_tells_every_reader,
    a_place_that_is_gone_is_410_with_the_first_one_that_is_there, a_live_reader_hears_of_a_deletion,
    a_slow_reader_of_events_gets_everything_in_order,
    creation_stream_seq_and_closing_survive_kills)
