"""A real redis-server for the system tests: on a free loopback port, in a scratch directory, killed and started at will."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import redis

from support import PATIENCE_S, expect, scratch


class Redis:
    """Its port stays the same over restarts; what it remembers after a kill, its settings decide."""

    def __init__(self, directory, *settings):
        self.directory = directory
        self.settings = settings
        self.process = None
        # Held as long as it may come back, as `support.Server` does: Redis sets SO_REUSEADDR, too.
        self.placeholder = socket.socket()
        self.placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.placeholder.bind(("127.0.0.1", 0))
        self.port = self.placeholder.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE_S)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.client.close()
        if self.running():
            self.process.kill()
            self.process.wait()
        self.placeholder.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        expect(not self.running(), "runs already")
        with open(os.path.join(self.directory, "redis.conf"), "w", encoding="ascii") as file:
            print(f"bind 127.0.0.1\nport {self.port}\ndir {self.directory}\nsave \"\"\nlogfile redis.log\n"
                  "enable-debug-command local", *self.settings, sep="\n", file=file)
        self.process = subprocess.Popen(["redis-server", os.path.join(self.directory, "redis.conf")],
                                        stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(redis.ConnectionError):  # BusyLoadingError is one of them
                self.client.ping()
                return
            expect(self.running() and time.monotonic() < deadline, "redis-server does not answer")
            time.sleep(0.02)

    def kill(self):
        """kill -9."""
        expect(self.running(), "redis-server ended by itself")
        self.process.kill()
        self.process.wait()
        self.client.close()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def add(self, conversation, payload, pointer=True, **fields):
        """As an old-style producer does it: the entry, then its pointer. Returns the entry's id."""
        stream = f"stream:conversation:{conversation}"
        entry = self.client.xadd(stream, {"payload": payload, **fields})
        if pointer:
            self.client.xadd("stream:fanout:all-conversations",
                             {"conversation_id": conversation, "stream_key": stream, "entry_id": entry})
        return entry.decode()


    def later_ids(self):
        """From now on ids are given that none of the streams had before, also when these are deleted."""
        begin = self.client.time()
        while self.client.time() < (begin[0], begin[1] + 1000):
            pass


@contextlib.contextmanager
def redis_server(*settings):
    with scratch() as directory, Redis(directory, *settings) as started:
        yield started


class Proxy:
    """Stands before a Redis: leads to another one when told, and cuts connections in the middle of a reply."""

    def __init__(self, target):
        self.target = target
        # So many bytes of replies pass; then every connection ends. None: no end.
        self.cut_after = None
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.pairs = []
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.drop_all()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            threading.Thread(target=self.pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, True), daemon=True).start()

    def pump(self, source, sink, replies):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if replies and self.cut_after is not None:
                    if len(data) > self.cut_after:
                        sink.sendall(data[:self.cut_after])
                        self.cut_after = None
                        self.cuts += 1
                        break
                    self.cut_after -= len(data)
                sink.sendall(data)
        for x in (source, sink):
            with contextlib.suppress(OSError):
                x.shutdown(socket.SHUT_RDWR)

    def drop_all(self):
        for pair in self.pairs:
            for x in pair:
                with contextlib.suppress(OSError):
                    x.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def lead_to(self, port):
        self.target = port
        self.drop_all()
