"""One conversation, read in every way there is, by readers that drop and resume: all end with the same sequence."""

import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time

import requests

from support import PATIENCE_S, SEED, Server, Wire, Closed, equal, expect, log_of, request, run, scratch

ENTRIES = 600
READERS_OF_EACH = 10
RESTARTS = 3
STREAM = "/v1/stream/room/1"
ROOM = "/v1/conversations/room%2F1"


class Dropped(Exception):
    """The connection ended, or the reader has had enough of it."""


class Reader:
    """Reads until it has what it wants, on as many connections as it takes; `way` tells how one is read."""

    def __init__(self, server, rng, wanted, drops=True):
        self.server = server
        self.rng = rng
        self.wanted = wanted
        self.drops = drops
        self.got = []
        self.place = None
        self.connections = 0
        self.failure = None
        self.thread = threading.Thread(target=self.read, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def read(self):
        deadline = time.monotonic() + 4 * PATIENCE_S
        try:
            while len(self.got) < self.wanted:
                expect(time.monotonic() < deadline, "everything comes", self.got[-3:])
                self.connections += 1
                # After so many entries it goes, wherever that is.
                self.patience = self.rng.choice((1, 3, 10, 40)) if self.drops else ENTRIES
                try:
                    self.connect()
                except (Dropped, OSError, http.client.HTTPException, Closed, requests.RequestException):
                    time.sleep(0.05 * self.rng.random())
        except Exception as why:  # shown by whoever waits
            self.failure = why

    def take(self, payload, place):
        self.got.append(payload)
        self.place = place
        self.patience -= 1
        if len(self.got) >= self.wanted or self.patience <= 0:
            raise Dropped

    def get(self, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            if answer.status >= 500:
                raise Dropped
            expect(answer.status in (200, 204), "a status", answer.status, path, answer.headers.items())
            yield answer
        finally:
            connection.close()

    def done(self):
        self.thread.join(5 * PATIENCE_S)
        expect(not self.thread.is_alive(), f"{type(self).__name__} ends", len(self.got))
        if self.failure:
            raise self.failure
        return self.got


def events(lines):
    """Parses an event stream: each event as its fields, the data joined."""
    event = {}
    for line in lines:
        line = line.decode() if isinstance(line, bytes) else line
        line = line.rstrip("\n")
        if not line:
            if event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name:
            event[name] = event[name] + "\n" + value if name == "data" and "data" in event else value


class OverWebSocket(Reader):
    def connect(self):
        with Wire(self.server) as wire:
            wire.subscribe("room/1", after=self.place if self.place is not None else "start")
            while True:
                x = wire.receive()
                if x["op"] == "entry":
                    self.take(x["payload"], x["seq"])
                else:
                    equal(x["op"], "live")


class OverStreamEvents(Reader):
    """A `data` event counts only with the `control` event behind it, which has its offset."""

    def connect(self):
        for answer in self.get(f"{STREAM}?live=sse&offset={self.place or '-1'}"):
            held = None
            for event in events(answer):
                data = json.loads(event["data"])
                if event["event"] == "data":
                    expect(held is None, "a control event behind each data event", held, event)
                    held = data
                elif held is not None:
                    equal(len(held), 1, "one entry in a data event")
                    self.take(held[0], data["streamNextOffset"])
                    held = None
                else:
                    self.place = data["streamNextOffset"]


class OverStreamPolls(Reader):
    def connect(self):
        for answer in self.get(f"{STREAM}?live=long-poll&offset={self.place or '-1'}"):
            entries = json.loads(answer.read() or b"[]") if answer.status == 200 else []
            self.got += entries
            self.place = answer.headers["Stream-Next-Offset"]


class OverEventSource(Reader):
    def connect(self):
        headers = {"Last-Event-ID": self.place} if self.place else {}
        for answer in self.get(f"{ROOM}/events?after=start", headers):
            for event in events(answer):
                if "data" in event and "event" not in event:
                    self.take(json.loads(event["data"])["payload"], event["id"])


class OverEntryPolls(Reader):
    def connect(self):
        limit = self.rng.choice((1, 7, 1000))
        for answer in self.get(f"{ROOM}/entries?wait=20&limit={limit}&after={self.place or 0}"):
            for x in json.loads(answer.read())["entries"]:
                self.got.append(x["payload"])
                self.place = x["seq"]


class OverRequests(Reader):
    """As a script does with Debian's python3-requests."""

    def connect(self):
        headers = {"Last-Event-ID": self.place} if self.place else {}
        with requests.get(f"http://127.0.0.1:{self.server.port}{ROOM}/events?after=start", headers=headers, stream=True,
                          timeout=PATIENCE_S) as answer:
            if answer.status_code >= 500:
                raise Dropped
            equal(answer.status_code, 200)
            for event in events(answer.iter_lines(chunk_size=1, decode_unicode=True)):
                if "data" in event and "event" not in event:
                    self.take(json.loads(event["data"])["payload"], event["id"])
        raise Dropped


class OverCurl(Reader):
    """curl -N, started again with the last id whenever it ends."""

    def connect(self):
        command = ["curl", "-sN", "--fail", f"http://127.0.0.1:{self.server.port}{ROOM}/events?after=start"]
        if self.place:
            command += ["-H", f"Last-Event-ID: {self.place}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as curl:
            try:
                for event in events(curl.stdout):
                    if "data" in event and "event" not in event:
                        self.take(json.loads(event["data"])["payload"], event["id"])
            finally:
                curl.kill()
        raise Dropped


def append(server, n, rng):
    """Entry n, by a producer of the stream or a publish to the conversation, until it has a receipt."""
    payload = {"n": n, "filler": "x" * rng.choice((0, 5, 300, 3000))}
    numbered = rng.random() < 0.5
    while True:
        try:
            if numbered:
                answer = request(server, "POST", STREAM, [payload],
                                 {"Producer-Id": f"p{n}", "Producer-Epoch": "0", "Producer-Seq": "0"})
                good = answer.status in (200, 204)
            else:
                answer = request(server, "POST", f"{ROOM}/entries", {"payload": payload}, {"Idempotency-Key": f'"k{n}"'})
                good = answer.status in (200, 201)
            if good:
                return payload
            expect(answer.status == 503, "an append", answer)
        except (OSError, http.client.HTTPException):
            pass  # the server is away
        time.sleep(0.02)


def fifty_readers_over_five_ways_have_one_sequence():
    rng = random.Random(SEED)
    with scratch() as top, Server(os.path.join(top, "data")) as server:
        equal(request(server, "PUT", STREAM, headers={"Content-Type": "application/json"}).status, 201)
        ways = (OverWebSocket, OverStreamEvents, OverStreamPolls, OverEventSource, OverEntryPolls)
        readers = [way(server, random.Random(rng.random()), ENTRIES).start() for _ in range(READERS_OF_EACH) for way in ways]
        written = [append(server, n, rng) for n in range(ENTRIES)]
        for x in readers:
            equal(x.done(), written, type(x).__name__)
        equal([x["payload"] for x in log_of(server, "room/1")], written, "the log")
        for way in ways:
            connections = sum(x.connections for x in readers if isinstance(x, way))
            print(f"  {way.__name__}: {connections} connections", flush=True)
            expect(connections > 5 * READERS_OF_EACH, "they dropped", way.__name__)


def readers_go_on_through_restarts():
    rng = random.Random(SEED)
    with scratch() as top, Server(os.path.join(top, "data"), "--net.drain_ms=200") as server:
        equal(request(server, "PUT", STREAM, headers={"Content-Type": "application/json"}).status, 201)
        ways = (OverCurl, OverRequests, OverStreamEvents, OverStreamPolls, OverEventSource)
        readers = [way(server, random.Random(rng.random()), ENTRIES, drops=False).start() for way in ways]
        written = []
        for part in range(2 * RESTARTS):
            for _ in range(ENTRIES // (2 * RESTARTS)):
                written.append(append(server, len(written), rng))
            server.signal(signal.SIGTERM if part % 2 == 0 else signal.SIGKILL)
            server.wait()
            server.start()
        for x in readers:
            equal(x.done(), written, type(x).__name__)
            expect(x.connections >= 2 * RESTARTS - 1, "it came back each time", type(x).__name__, x.connections)


run(fifty_readers_over_five_ways_have_one_sequence, readers_go_on_through_restarts)
