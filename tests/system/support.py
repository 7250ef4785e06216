"""What the system tests share: a server, a client that keeps its promises, a raw WebSocket, HTTP, a runner.

Every wait here has a generous bound; none of them decides what is right.
"""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

CONFAB = os.environ["CONFAB"]
SEED = int(os.environ.get("CONFAB_SEED") or random.SystemRandom().randrange(1 << 32))
# A machine under load, or a build with sanitizers.
PATIENCE_S = int(os.environ.get("CONFAB_PATIENCE_S", "60"))
STDERR_LINES_SHOWN = 40


class Skipped(Exception):
    """The machine does not allow what the test needs."""


def expect(condition, what, *seen):
    if not condition:
        raise AssertionError(f"{what}: {', '.join(repr(x)[:2000] for x in seen)}")


def equal(seen, wanted, what=""):
    if seen != wanted:
        raise AssertionError(f"{what}\n  seen   {seen!r:.3000}\n  wanted {wanted!r:.3000}")


def eventually(claim, what, patience_s=PATIENCE_S):
    """Waits until `claim()` is true, and returns its value."""
    deadline = time.monotonic() + patience_s
    while True:
        value = claim()
        if value:
            return value
        expect(time.monotonic() < deadline, f"not within {patience_s} s: {what}", value)
        time.sleep(0.02)


def run(*tests):
    """Runs each test, by the names on the command line if there are some, and ends the process with the outcome."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20000), hard), hard))
    print(f"CONFAB_SEED={SEED}", flush=True)
    chosen = sys.argv[1:]
    failures = []
    skipped = 0
    for test in tests:
        if chosen and test.__name__ not in chosen:
            continue
        begin = time.monotonic()
        try:
            if asyncio.iscoroutinefunction(test):
                asyncio.run(test())
            else:
                test()
            word = "ok"
        except Skipped as why:
            skipped += 1
            word = f"SKIPPED ({why})"
        except Exception as why:  # the other tests go on
            traceback.print_exc(file=sys.stdout)
            failures.append(f"{test.__name__}: {type(why).__name__}: {why}"[:2000])
            word = "FAILED"
        print(f"{word} {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    # Once more, and last: whoever reads only the end of a long output learns why.
    for x in failures:
        print(x)
    print(f"{len(failures)} failed, {skipped} skipped; CONFAB_SEED={SEED}", flush=True)
    sys.exit(1 if failures else 0)


@contextlib.contextmanager
def scratch():
    """A directory that is removed afterwards."""
    path = tempfile.mkdtemp(prefix="confab-test-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Server:
    """A server process on a port that stays the same over restarts.

    As a context manager it starts it, ends it with SIGTERM, expects status 0 and a clean `confab check`, and shows its
    stderr if the test failed.
    """

    def __init__(self, directory, *options, program=CONFAB, environment=None):
        self.directory = directory
        self.options = options
        self.program = program
        self.environment = environment
        self.process = None
        self.starts = 0
        self.wires = []
        self.stderr_path = os.path.join(tempfile.gettempdir(), f"confab-test-stderr-{os.getpid()}-{id(self)}")
        # Held as long as the server may come back: a bound port is given to nobody else, and the server, which sets
        # SO_REUSEADDR too, may listen on it.
        self.placeholder = socket.socket()
        self.placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.placeholder.bind(("127.0.0.1", 0))
        self.port = self.placeholder.getsockname()[1]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        for wire in self.wires:  # so that the drain has nobody to wait for
            wire.socket.close()
        try:
            if kind is None and self.running():
                self.stop()
                if self.directory != ":memory:":
                    self.check()
        except AssertionError:
            kind = AssertionError
            raise
        finally:
            self.close(show=kind is not None and kind is not Skipped)

    def start(self):
        expect(not self.running(), "runs already")
        self.starts += 1
        with open(self.stderr_path, "a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [self.program, "serve", "--net.address=127.0.0.1", f"--net.port={self.port}",
                 f"--store.directory={self.directory}", *self.options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **(self.environment or {})})
        try:
            line = self.read_line()
            equal(line, f"listening on http://127.0.0.1:{self.port}", "the line on stdout")
        except AssertionError:
            self.close(show=True)
            raise

    def read_line(self):
        deadline = time.monotonic() + PATIENCE_S
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            expect(ready, "no line on stdout", text)
            byte = os.read(self.process.stdout.fileno(), 1)
            expect(byte, "stdout ended; stderr", self.stderr()[-2000:])
            text += byte
        return text.decode().rstrip("\n")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, which):
        expect(self.running(), "ended by itself; stderr", self.stderr()[-2000:])
        self.process.send_signal(which)

    def wait(self):
        """Its exit status."""
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as why:
            raise AssertionError(f"still runs after {PATIENCE_S} s") from why
        self.process.stdout.close()
        return status

    def kill(self):
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self):
        self.signal(signal.SIGTERM)
        status = self.wait()
        expect(status == 0, "exit status after SIGTERM; stderr", status, self.stderr()[-2000:])

    def restart(self):
        self.kill()
        self.start()

    def close(self, show=False):
        if self.running():
            self.process.kill()
            self.wait()
        if show:
            lines = self.stderr().splitlines()
            print(f"--- stderr of the server, {len(lines)} lines, the last ones:")
            print("\n".join(lines[-STDERR_LINES_SHOWN:]), flush=True)
        self.placeholder.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.stderr_path)

    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check(self, directory=None):
        """`confab check` finds nothing. Returns its summary."""
        done = subprocess.run([CONFAB, "check", directory or self.directory], capture_output=True, text=True,
                              timeout=2 * PATIENCE_S, stdin=subprocess.DEVNULL, check=False)
        expect(done.returncode == 0, "confab check", done.returncode, done.stdout, done.stderr)
        return done.stdout

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


# --- HTTP


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json()["code"]

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


def name_segment(conversation):
    return urllib.parse.quote(conversation, safe="")


def request(server, method, path, body=None, headers=()):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, path, body=body,
                           headers={**({} if body is None else {"Content-Type": "application/json"}), **dict(headers)})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def post(server, conversation, body, headers=()):
    return request(server, "POST", f"/v1/conversations/{name_segment(conversation)}/entries", body, headers)


def publish(server, conversation, *payloads):
    """Appends each as an entry; returns the last receipt."""
    batch = []
    size = 0
    for i, x in enumerate(payloads, 1):
        batch.append({"payload": x})
        size += len(json.dumps(x)) + 20
        if i == len(payloads) or len(batch) == 500 or size > 500_000:
            answer = post(server, conversation, batch)
            expect(answer.status == 201, "POST", answer)
            batch = []
            size = 0
    return answer.json()[-1]


def page(server, conversation, after="start", limit=1000):
    answer = request(server, "GET", f"/v1/conversations/{name_segment(conversation)}/entries"
                                    f"?after={urllib.parse.quote(str(after))}&limit={limit}")
    expect(answer.status == 200, "GET entries", answer)
    return answer.json()


def log_of(server, conversation):
    """All entries, read page by page; dense from `first` on."""
    entries = []
    got = page(server, conversation)
    expected = got["first"]
    while True:
        for x in got["entries"]:
            equal(x["seq"], expected, f"{conversation}: a hole in the log")
            expected += 1
        entries += got["entries"]
        if not got["entries"] or entries[-1]["seq"] >= got["last"]:
            equal(expected - 1, got["last"], f"{conversation}: pages end before `last`")
            return entries
        got = page(server, conversation, entries[-1]["seq"])


def info(server, conversation):
    answer = request(server, "GET", f"/v1/conversations/{name_segment(conversation)}")
    expect(answer.status == 200, "GET info", answer)
    return answer.json()


def ready(server):
    return request(server, "GET", "/readyz")


# --- a raw WebSocket


class Closed(Exception):
    """The peer closed: with a close frame (code), or without one (None)."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code


class Wire:
    """A blocking WebSocket that does exactly what it is told, also what no good client does."""

    def __init__(self, server, query="", receive_buffer=None, headers=()):
        server.wires.append(self)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", server.port))
        self.buffer = b""
        self.refs = 0
        self.held = []
        self.live = {}  # conversation -> the last seq that came, since it was live
        lines = [f"GET /v1/ws{query} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        head = self.until(b"\r\n\r\n")
        expect(head.startswith(b"HTTP/1.1 101 "), "the handshake's answer", head)
        self.hello = self.receive()
        equal(self.hello["op"], "hello", "the first frame")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def reset(self):
        """Ends the connection without a word; what is on its way is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise Closed()
        self.buffer += data

    def until(self, end):
        while end not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(end, 1)
        return head + end

    def exactly(self, n):
        while len(self.buffer) < n:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    @staticmethod
    def frame_bytes(payload, opcode=1, fin=True):
        n = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        if n < 126:
            head += bytes([0x80 | n])
        elif n < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", n)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", n)
        mask = os.urandom(4)
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "big") if n else 0
        return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(n, "big")

    def send_frame(self, payload, opcode=1, fin=True):
        self.socket.sendall(self.frame_bytes(payload, opcode, fin))

    def send_text(self, text):
        self.send_frame(text.encode() if isinstance(text, str) else text)

    def send(self, **members):
        self.send_text(json.dumps(members))

    def receive_frame(self):
        """(opcode, payload); the server neither fragments nor masks."""
        first, second = self.exactly(2)
        expect(first & 0x80 and not second & 0x80, "a fragment or a mask from the server", first, second)
        n = second
        if n == 126:
            n, = struct.unpack("!H", self.exactly(2))
        elif n == 127:
            n, = struct.unpack("!Q", self.exactly(8))
        return first & 0x0F, self.exactly(n)

    def receive_text(self):
        """The next data frame; pings are answered, and do not prolong the wait."""
        deadline = time.monotonic() + PATIENCE_S
        for _ in range(100000):
            opcode, payload = self.receive_frame()
            expect(opcode == 1 or time.monotonic() < deadline, "no frame but pings", PATIENCE_S)
            if opcode == 1:
                if not self.live_again(json.loads(payload)):
                    return payload
                continue
            if opcode == 8:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())
            if opcode == 9:
                self.send_frame(payload, 10)
        raise AssertionError("100000 frames and none to look at among them")

    def live_again(self, x):
        """A second `live`, which may come after any lag that needed the log: checked here, and not shown."""
        name = x.get("conversation")
        if x["op"] in ("subscribed", "unsubscribed", "reset"):
            self.live.pop(name, None)
        elif x["op"] == "entry" and name in self.live:
            self.live[name] = x["seq"]
        elif x["op"] == "live":
            if name in self.live:
                equal(x["seq"], self.live[name], f"live again: {x}")
                return True
            self.live[name] = x["seq"]
        return False

    def receive(self):
        return json.loads(self.receive_text())

    def next(self, op=None, conversation=None):
        """The next frame, which must be of this op."""
        x = self.held.pop(0) if self.held else self.receive()
        if op is not None:
            expect(x["op"] == op, f"a frame {op} is due", x)
        if conversation is not None:
            equal(x.get("conversation"), conversation)
        return x

    def ask(self, **members):
        """Sends with a ref of its own, and returns the frame with that ref; others stay for `next`."""
        self.refs += 1
        ref = f"r{self.refs}"
        self.send(ref=ref, **members)
        for _ in range(100000):
            x = self.receive()
            if x.get("ref") == ref:
                return x
            self.held.append(x)
        raise AssertionError("no answer among 100000 frames")

    def subscribe(self, conversation, **members):
        """Subscribes; returns `subscribed`."""
        x = self.ask(op="subscribe", conversation=conversation, **members)
        equal(x["op"], "subscribed", str(x))
        return x

    def publish(self, conversation, payload, **members):
        """Publishes; returns the receipt."""
        x = self.ask(op="publish", conversation=conversation, payload=payload, **members)
        equal(x["op"], "published", str(x))
        return x

    def refused(self, code, **members):
        """Asks, and is refused with this code."""
        x = self.ask(**members)
        expect(x["op"] == "error" and x["code"] == code, f"error {code} is due", x)
        expect(x["message"] and isinstance(x["retry"], bool), "an error says why", x)
        return x

    def entries(self, n, conversation=None):
        """The next n frames, all of them entries, dense."""
        got = [self.next("entry", conversation) for _ in range(n)]
        for a, b in zip(got, got[1:]):
            equal(b["seq"], a["seq"] + 1, "dense")
        return got

    def until_live(self, conversation):
        """The frames of a replay, without the `live` that ends it; its seq is the last one's."""
        got = []
        for _ in range(1000000):
            x = self.next(conversation=conversation)
            if x["op"] == "live":
                return got
            got.append(x)
        raise AssertionError("never live")

    def silent(self):
        """Nothing more is on its way: what was sent before this ping's answer has come."""
        x = self.ask(op="ping")
        equal(x["op"], "pong")
        equal(self.held, [], "nothing was to come")

    def close(self, code=1000):
        self.send_frame(struct.pack("!H", code), 8)


# --- a client as docs/protocol.md asks for


class Follow:
    """What one client knows of one conversation, and the check of every frame."""

    def __init__(self, conversation, after="start"):
        self.conversation = conversation
        self.start = after
        self.epoch = None
        self.seq = 0
        self.id = None
        self.entries = []
        self.resets = []
        self.closed = False
        self.state = "off"

    def request(self):
        self.state = "asked"
        if self.epoch is None:
            return {"op": "subscribe", "conversation": self.conversation, "after": self.start}
        x = {"op": "subscribe", "conversation": self.conversation, "after": self.seq}
        if self.epoch:
            x["epoch"] = self.epoch
        if self.id:
            x["id"] = self.id
        return x

    def take(self, x):
        op = x["op"]
        where = f"{self.conversation} at {self.seq} ({self.state}): {x!r:.300}"
        if op == "subscribed":
            expect(self.state == "asked", "subscribed, unasked", where)
            if self.epoch is None:
                self.seq = x["after"]
                self.state = "on"
            elif x["after"] == self.seq and self.epoch in (x["epoch"], ""):
                # An epoch that began while we followed is told by the next `subscribed` only; the id was checked.
                self.state = "on"
            else:
                self.state = "reset is due"
            self.epoch = x["epoch"]
        elif op == "entry":
            expect(self.state == "on", "an entry before its `subscribed`", where)
            equal(x["seq"], self.seq + 1, "order: " + where)
            expect(self.id is None or id_of(x["id"]) > id_of(self.id), "ids rise", self.id, where)
            self.seq, self.id = x["seq"], x["id"]
            self.entries.append(x)
        elif op == "reset":
            expect(self.state in ("on", "reset is due"), "a reset before its `subscribed`", where)
            self.resets.append(x)
            self.state = "on"
            self.epoch = x["epoch"]
            self.id = None
            if x["reason"] == "trimmed":
                equal(x["missing"][0], self.seq + 1, "trimmed: " + where)
                expect(x["missing"][1] >= x["missing"][0], "an empty range", where)
                self.seq = x["missing"][1]
            else:
                expect(x["reason"] in ("epoch", "deleted"), "reason", where)
                self.seq = 0
        elif op == "live":
            expect(self.state == "on", "live before its `subscribed`", where)
            equal(x["seq"], self.seq, "live: " + where)
        elif op == "closed":
            equal(x["seq"], self.seq, "closed: " + where)
            self.closed = True
        else:
            raise AssertionError("unexpected: " + where)


def id_of(text):
    ms, n = text.split("-")
    return int(ms), int(n)


class Client:
    """Follows and publishes over any number of connections; a broken promise ends it with an AssertionError.

    `drop()` ends the connection in progress; it comes back by itself until `stop()`.
    """

    window = 32  # publishes without an answer

    def __init__(self, server, name, rng, conversations=(), after="start", named=True):
        import websockets  # not every test needs it
        self.websockets = websockets
        self.server = server
        self.name = name
        self.rng = rng
        self.query = f"?client={urllib.parse.quote(name)}" if named else ""
        self.follows = {x: Follow(x, after) for x in conversations}
        self.numbers = {}
        self.drafts = []  # without a receipt, in order: [conversation, number, payload, sent]
        self.receipts = {}  # (conversation, number) -> (receipt, payload)
        self.errors = []
        self.connections = 0
        self.socket = None
        self.stopping = False
        self.changed = asyncio.Event()
        self.retry_due = False
        self.turn = 0  # rises with each failure

    def start(self):
        self.task = asyncio.ensure_future(self.live())
        # `fail` shows it; without this asyncio would, for each client.
        self.task.add_done_callback(lambda x: x.cancelled() or x.exception())
        return self

    def fail(self):
        """Raises what ended this client, if something did."""
        if self.task.done():
            self.task.result()

    async def stop(self):
        self.stopping = True
        deadline = time.monotonic() + PATIENCE_S
        while not self.task.done():
            self.drop()  # again and again: it may be in the middle of connecting
            await asyncio.wait([self.task], timeout=0.1)
            expect(self.task.done() or time.monotonic() < deadline, f"{self.name} does not end", self.status())
        self.task.result()

    def note(self):
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, claim, what, patience_s=2 * PATIENCE_S):
        """Waits until `claim()` holds; fails with the client."""
        deadline = time.monotonic() + patience_s
        while not claim():
            if self.task.done():
                self.task.result()
                raise AssertionError(f"{self.name} has ended before: {what}")
            expect(time.monotonic() < deadline, f"{self.name}: not within {patience_s} s: {what}", self.status())
            changed = self.changed
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), 0.5)

    def status(self):
        return {"drafts": self.drafts[:5], "at": {x.conversation: (x.seq, x.state) for x in self.follows.values()},
                "connected": self.socket is not None, "errors": self.errors[-3:]}

    def drop(self, how="cut"):
        """`cut`: a reset without a word; `close`: a close frame, as a page that is left."""
        if self.socket is None:
            return
        if how == "cut":
            raw = self.socket.transport.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.transport.abort()
        else:
            asyncio.ensure_future(self.leave(self.socket))

    async def leave(self, made):
        with contextlib.suppress(self.websockets.ConnectionClosed, OSError):
            await made.close()

    def publish(self, conversation, payload):
        """Queues a draft, which is sent until it has a receipt. Returns its number."""
        number = self.numbers.get(conversation, 0) + 1
        self.numbers[conversation] = number
        self.drafts.append([conversation, number, payload, False])
        if self.socket is not None:
            asyncio.ensure_future(self.pump())
        return number

    async def pump(self):
        """Sends what is due, in order."""
        made = self.socket
        if self.retry_due or made is None:
            return
        turn = self.turn
        with contextlib.suppress(self.websockets.ConnectionClosed):
            for draft in self.drafts[:self.window]:
                if self.socket is not made or self.turn != turn:
                    return  # the next connection, or what follows a failure, begins anew, in order
                if not draft[3]:
                    draft[3] = True
                    await made.send(json.dumps(
                        {"op": "publish", "ref": [draft[0], draft[1]], "conversation": draft[0], "payload": draft[2],
                         "producer": self.name, "producer_seq": draft[1]}))

    async def live(self):
        failures = 0
        while not self.stopping:
            try:
                made = await self.websockets.connect(
                    f"ws://127.0.0.1:{self.server.port}/v1/ws{self.query}", compression=None, open_timeout=PATIENCE_S,
                    close_timeout=2, ping_interval=None, max_size=None, max_queue=None)
            except (OSError, EOFError, asyncio.TimeoutError, self.websockets.InvalidHandshake,
                    self.websockets.InvalidMessage):
                failures += 1
                await asyncio.sleep(self.rng.uniform(0, min(0.5, 0.02 * 2 ** min(failures, 5))))
                continue
            failures = 0
            self.connections += 1
            self.socket = made
            try:
                await self.session()
            except (self.websockets.ConnectionClosed, OSError):
                pass
            finally:
                self.socket = None
                made.transport.abort()
                for x in self.follows.values():
                    x.state = "off"
                for x in self.drafts:
                    x[3] = False
                self.retry_due = False
                self.note()

    async def session(self):
        for x in self.follows.values():
            await self.socket.send(json.dumps(x.request()))
        await self.pump()
        first = True
        async for text in self.socket:
            x = json.loads(text)
            if first:
                equal(x["op"], "hello", "the first frame")
                if self.query:
                    equal(x["client"], self.name)
            else:
                await self.take(x)
            first = False
            self.note()

    async def take(self, x):
        op = x["op"]
        if op == "published":
            await self.answered(x)
        elif op == "error" and "ref" in x:
            await self.failed(x)
        elif op == "error":
            raise AssertionError(f"{self.name}: {x}")
        elif op == "goodbye":
            pass
        else:
            expect(x.get("conversation") in self.follows, f"{self.name}: of a conversation not followed", x)
            self.follows[x["conversation"]].take(x)

    def find(self, ref):
        for i, draft in enumerate(self.drafts):
            if draft[:2] == ref:
                return i
        raise AssertionError(f"{self.name}: an answer to what was not asked: {ref}")

    async def answered(self, x):
        i = self.find(x["ref"])
        equal(x["conversation"], self.drafts[i][0], "whose receipt")
        expect(self.drafts[i][3], "a receipt before the publish", x)
        draft = self.drafts.pop(i)
        self.receipts[draft[0], draft[1]] = (x, draft[2])
        await self.go_on()

    async def failed(self, x):
        """A retriable error, or a gap behind one: all that is unanswered goes again, in order, when all is answered."""
        i = self.find(x["ref"])
        self.errors.append(x)
        behind_a_failure = x["code"] == "producer_gap" and self.retry_due
        expect(x["retry"] or behind_a_failure, f"{self.name}: a final error", x,
               [y for y in self.errors if y["conversation"] == x["conversation"]],
               [y for (of, _), (y, _) in self.receipts.items() if of == x["conversation"]])
        self.drafts[i][3] = False
        self.retry_due = True
        self.turn += 1
        await self.go_on()

    async def go_on(self):
        """Behind an answer, of whichever kind: sends what is due; after a failure only when nothing is on its way."""
        if self.retry_due:
            if any(y[3] for y in self.drafts):
                return
            made = self.socket
            await asyncio.sleep(0.1)
            if self.socket is not made:
                return
            self.retry_due = False
        await self.pump()


class Patient(Client):
    """Subscribes again when a subscription could not be read: the log is away for a while."""

    async def take(self, x):
        if x["op"] == "error" and "ref" not in x and x["retry"] and x.get("conversation") in self.follows:
            follow, made = self.follows[x["conversation"]], self.socket
            follow.state = "off"
            await asyncio.sleep(0.1)
            if self.socket is made:
                with contextlib.suppress(self.websockets.ConnectionClosed):
                    await made.send(json.dumps(follow.request()))
            return
        await super().take(x)


@contextlib.contextmanager
def served(*options, **more):
    """A server on an empty directory; see Server."""
    with scratch() as directory, Server(os.path.join(directory, "data"), *options, **more) as server:
        yield server
