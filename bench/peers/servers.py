"""Starts the servers that bench/side_by_side measures: on loopback, on core 0, in a scratch directory.

Each is set up as its own documentation recommends for speed; the reason stands beside the setting. None keeps a
limit that the load would meet, so that nothing is dropped that its protocol would have delivered.
"""

import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
SERVER_CORE = 0
START_S = 15
STOP_S = 10


class Failed(Exception):
    """A server could not be started, or ended by itself."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The processes of one server, and the port that the load connects to."""

    def __init__(self, directory):
        self.directory = directory
        self.processes = []
        self.port = 0
        directory.mkdir(parents=True)

    def pids(self):
        return [process.pid for process in self.processes]

    def run(self, name, command, **more):
        """Starts a process on the server's core; what it prints goes to NAME.out."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

        def prepare():
            os.sched_setaffinity(0, {SERVER_CORE})
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        with open(self.directory / f"{name}.out", "wb") as out:
            process = subprocess.Popen([str(x) for x in command], stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, preexec_fn=prepare, cwd=self.directory, **more)
        self.processes.append(process)
        return process

    def said(self, name):
        return (self.directory / f"{name}.out").read_text(errors="replace")

    def await_port(self, port, name):
        """Until somebody listens there."""
        end = time.monotonic() + START_S
        while True:
            if self.processes[-1].poll() is not None:
                raise Failed(f"{name} ended at its start: {self.said(name)[-400:]}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise Failed(f"{name} does not listen after {START_S} s: {self.said(name)[-400:]}") from None
                time.sleep(0.05)

    def await_line(self, name):
        """Until it says where it listens. @returns the port."""
        end = time.monotonic() + START_S
        while True:
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.said(name))
            if found:
                return int(found.group(1))
            if self.processes[-1].poll() is not None or time.monotonic() > end:
                raise Failed(f"{name} did not start: {self.said(name)[-400:]}")
            time.sleep(0.05)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_confab(server, build, line):
    server.run("confab", [build / "confab", "serve", "--net.port=0", f"--store.directory={server.directory / 'data'}"])
    server.port = server.await_line("confab")


def start_limit(server, build, line):
    # Where receipts are the matter it syncs before it answers, as Confab does; elsewhere it has only memory.
    log = [f"--log={server.directory}"] if line.startswith("publish") else []
    server.run("limit", [build / "bench/confab_limit", "--port=0", "--seconds=600", *log])
    server.port = server.await_line("limit")


def start_redis(server, durable):
    port = free_port()
    server.run("redis", ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", server.directory,
                         "--save", "",
                         # The load comes from many addresses of the loopback network.
                         "--protected-mode", "no", "--tcp-backlog", 4096, "--maxclients", 15000,
                         # A receipt after the fsync; without a log: nothing is written at all.
                         "--appendonly", "yes" if durable else "no", "--appendfsync", "always",
                         # A rewrite of the file would fall into one run and not into the other.
                         "--auto-aof-rewrite-percentage", 0,
                         # By default a subscriber that is 32 MiB behind is disconnected.
                         "--client-output-buffer-limit", "pubsub", 0, 0, 0])
    server.await_port(port, "redis")
    return port


def start_nchan(server, build, line, redis_port=None):
    server.port = free_port()
    text = (HERE / "nginx.conf").read_text()
    upstream = f"upstream log {{ nchan_redis_server redis://127.0.0.1:{redis_port}; }}" if redis_port else ""
    for name, value in {"DIR": server.directory, "PORT": server.port, "REDIS_UPSTREAM": upstream,
                        "REDIS_PASS": "nchan_redis_pass log;" if redis_port else ""}.items():
        text = text.replace(f"@{name}@", str(value))
    path = server.directory / "nginx.conf"
    path.write_text(text)
    server.run("nginx", ["nginx", "-p", server.directory, "-c", path])
    server.await_port(server.port, "nginx")


def start_nchan_redis(server, build, line):
    redis_port = start_redis(server, durable=True)
    start_nchan(server, build, line, redis_port)
    prove_redis_has_it(server.port, redis_port)


def prove_redis_has_it(port, redis_port):
    """Where its configuration does not reach, nchan uses its own memory, silently: that is not what is measured."""
    publisher = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S)
    end = time.monotonic() + START_S
    while True:  # it connects to Redis in its own time
        publisher.request("POST", "/pub?id=probe", "1")
        answer = publisher.getresponse()
        answer.read()
        if answer.status in (201, 202):
            break
        if time.monotonic() > end:
            raise Failed(f"nchan does not take entries for Redis: status {answer.status}")
        time.sleep(0.05)
    with socket.create_connection(("127.0.0.1", redis_port), START_S) as connection:
        connection.sendall(b"DBSIZE\r\n")
        said = connection.recv(100)
    if not re.fullmatch(rb":[1-9]\d*\r\n", said):
        raise Failed(f"nchan has a receipt for what Redis does not have: {said!r}")


def create_stream(port):
    """JetStream's stream `load` over `load.>`, on file: what its documentation calls durable."""
    stream = {"name": "load", "subjects": ["load.>"], "retention": "limits", "storage": "file", "max_consumers": -1,
              "max_msgs": -1, "max_bytes": -1, "discard": "old", "num_replicas": 1,
              # Two minutes, its default: the time in which a retry is recognised.
              "duplicate_window": 120_000_000_000}
    text = json.dumps(stream).encode()
    with socket.create_connection(("127.0.0.1", port), START_S) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nSUB answer 1\r\nPUB $JS.API.STREAM.CREATE.load answer %d\r\n'
                           % len(text) + text + b"\r\n")
        said = b""
        while b'"config"' not in said:
            part = connection.recv(65536)
            said += part
            if not part or b'"error"' in said:
                raise Failed(f"nats: no stream: {said[-400:]!r}")


def start_nats(server, build, line, jetstream=True):
    server.port, plain = free_port(), free_port()
    path = server.directory / "nats.conf"
    log = f'jetstream {{ store_dir: "{server.directory}/jetstream" }}' if jetstream else ""
    # No compression: it costs CPU and memory per connection, and nobody else's readers have it.
    path.write_text(f'listen: "127.0.0.1:{plain}"\nmax_connections: 20000\n{log}\n'
                    f'websocket {{ listen: "127.0.0.1:{server.port}", no_tls: true, compression: false }}\n'
                    # A reader that is a second behind at full speed is not yet a slow one.
                    'write_deadline: "30s"\nmax_pending: 256MB\n')
    server.run("nats", ["nats-server", "-c", path])
    server.await_port(plain, "nats")
    server.await_port(server.port, "nats")
    if jetstream:
        create_stream(plain)


def start_nats_core(server, build, line):
    start_nats(server, build, line, jetstream=False)


def start_mosquitto(server, build, line):
    server.port = free_port()
    path = server.directory / "mosquitto.conf"
    path.write_text(f"listener {server.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
                    # In memory, without a log line per connection: its manual's advice for load.
                    "persistence false\nlog_type error\nlog_type warning\nconnection_messages false\n"
                    # Small packets leave at once (its manual: lower latency, more packets).
                    "set_tcp_nodelay true\n"
                    # By default what a slow reader cannot take is dropped beyond 1,000.
                    "max_queued_messages 0\nmax_inflight_messages 0\n")
    server.run("mosquitto", ["mosquitto", "-c", path])
    server.await_port(server.port, "mosquitto")


def start_redis_pubsub(server, build, line):
    server.port = start_redis(server, durable=False)


def start_redis_streams(server, build, line):
    server.port = start_redis(server, durable=True)


def start_socketio(server, build, line):
    server.run("socketio", ["node", HERE / "socketio/server.mjs", 0], env={**os.environ, "NODE_ENV": "production"})
    server.port = server.await_line("socketio")


START = {
    "limit": start_limit,
    "confab": start_confab,
    "nchan": start_nchan,
    "nchan-redis": start_nchan_redis,
    "nats": start_nats,
    "nats-core": start_nats_core,
    "mosquitto": start_mosquitto,
    "mosquitto-qos1": start_mosquitto,
    "redis-pubsub": start_redis_pubsub,
    "redis-streams": start_redis_streams,
    "socketio": start_socketio,
}
