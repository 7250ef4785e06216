"""`confab bench`: every scenario in small, defects that it must find, servers that it must not wait for."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading

from support import CONFAB, PATIENCE_S, Server, equal, expect, run, scratch

KEPT, BROKEN, USAGE, NOT_COMPLETED = 0, 1, 2, 3
# Small enough for seconds, large enough that everything happens.
SCENARIOS = {
    "fanout": ["--readers=20", "--rate=200", "--seconds=0.3"],
    "rooms": ["--conversations=20", "--readers=3", "--rate=200", "--seconds=0.3"],
    "tokens": ["--conversations=10", "--producers=3", "--rate=500", "--seconds=0.3"],
    "publish": ["--producers=3", "--conversations=2", "--drop-every=100", "--seconds=0.5"],
    "idle": ["--connections=100", "--conversations=10", "--seconds=0.2"],
    "storm": ["--readers=50", "--entries=300"],
    "lag": ["--readers=5", "--entries=3000", "--behind=2", "--seconds=0.2"],
    "stall": ["--readers=5", "--stalled=5", "--pause=0.5", "--seconds=0.2"],
    "churn": ["--readers=30", "--conversations=5", "--live=100", "--away=30", "--seconds=1"],
    "soak": ["--readers=15", "--conversations=3", "--producers=2", "--live=200", "--away=50", "--seconds=1"],
}


def start_bench(port, *arguments):
    return subprocess.Popen([CONFAB, "bench", f"--port={port}", "--seed=1", *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_bench(process, status):
    """Its stdout; it ends by itself, with that status."""
    try:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    except subprocess.TimeoutExpired as why:
        process.kill()
        raise AssertionError("confab bench hangs") from why
    expect(process.returncode == status, f"exit status {status}", process.returncode, out[-1500:], err[-500:])
    return out


def bench(port, *arguments, status=KEPT):
    return end_bench(start_bench(port, *arguments), status)


def every_scenario_runs_and_keeps_the_promises():
    with scratch() as directory, Server(f"{directory}/log") as server:
        running = {}
        for name, options in SCENARIOS.items():
            path = f"{directory}/{name}"
            running[name] = start_bench(server.port, f"--json={path}.json", f"--html={path}.html",
                                        f"--pid={server.process.pid}", f"--prefix=bench/{name}", name, *options)
            if len(running) % 3 == 0:  # a few at a time: the machine is small
                for process in running.values():
                    process.wait(2 * PATIENCE_S)
        for name, process in running.items():
            out = end_bench(process, KEPT)
            expect("\nKEPT: " in out, name, out)
            with open(f"{directory}/{name}.json", encoding="utf-8") as file:
                report = json.load(file)
            equal(report["scenario"], name)
            with open(f"{directory}/{name}.html", encoding="utf-8") as file:
                expect("<svg" in file.read(), f"{name}: charts")
            checked = re.search(r"([\d,]+) entries checked: 0 missing, 0 repeated, 0 reordered, 0 foreign", out)
            expect(checked, name, out)
            expect(name == "publish" or checked[1] != "0", f"{name}: entries", out)


def a_soak_survives_a_server_that_is_killed():
    with scratch() as directory, Server(f"{directory}/log") as server:
        command = (f"exec {CONFAB} serve --net.address=127.0.0.1 --net.port={server.port} "
                   f"--store.directory={directory}/log 2>/dev/null")
        process = start_bench(server.port, "soak", "--readers=15", "--conversations=3", "--producers=2", "--seconds=3",
                              "--kill-every=1", f"--kill={server.process.pid}", f"--restart={command}")
        out, err = process.communicate(timeout=2 * PATIENCE_S)
        last = re.search(r"the server runs on as process (\d+)", err)
        expect(last, "its last server", out, err)
        try:
            equal(process.returncode, KEPT, out + err)
            kills = re.search(r"^ *kills +(\d+)", out, re.MULTILINE)
            expect(kills and int(kills[1]) > 0, "kills", out)
        finally:
            if int(last[1]) != server.process.pid:
                os.kill(int(last[1]), signal.SIGKILL)


class DefectiveProxy:
    """Between bench and a server. `defect(frames)` gets each connection's entry frames and returns what to send instead."""

    def __init__(self, port, defect):
        self.port_behind = port
        self.make_defect = defect
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.pairs = {}
        self.done = False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()
        self.listener.close()

    def serve(self):
        poll = select.epoll()
        poll.register(self.listener, select.EPOLLIN)
        while not self.done:
            for fd, _ in poll.poll(0.1):
                if fd == self.listener.fileno():
                    client = self.listener.accept()[0]
                    behind = socket.create_connection(("127.0.0.1", self.port_behind))
                    self.pairs[client.fileno()] = (client, behind, None)
                    self.pairs[behind.fileno()] = (behind, client, Frames(self.make_defect()))
                    poll.register(client, select.EPOLLIN)
                    poll.register(behind, select.EPOLLIN)
                elif fd in self.pairs:
                    self.pass_on(poll, fd)
        for one, _, _ in self.pairs.values():
            one.close()

    def pass_on(self, poll, fd):
        one, other, frames = self.pairs[fd]
        try:
            data = one.recv(1 << 18)
            if data:
                other.sendall(frames.through(data) if frames else data)
                return
        except OSError:
            pass  # the end of this connection, as below
        for end in (one, other):
            del self.pairs[end.fileno()]
            poll.unregister(end)
            end.close()


class Frames:
    """A server's bytes; the frames with entries pass through the defect, all others as they are."""

    def __init__(self, defect):
        self.defect = defect
        self.rest = b""
        self.upgraded = None

    def through(self, data):
        if self.upgraded is None:
            self.upgraded = data.startswith(b"HTTP/1.1 101")
        if not self.upgraded:
            return data
        self.rest += data
        out = []
        if self.rest.startswith(b"HTTP/"):
            end = self.rest.find(b"\r\n\r\n") + 4
            if end < 4:
                return b""
            out.append(self.rest[:end])
            self.rest = self.rest[end:]
        at = 0
        while len(self.rest) - at >= 2:
            n, head = self.rest[at + 1], 2
            if n >= 126:
                head = 4 if n == 126 else 10
                n = int.from_bytes(self.rest[at + 2:at + head], "big")
            if len(self.rest) - at < head + n:
                break
            frame = self.rest[at:at + head + n]
            at += head + n
            is_entry = frame[head:].startswith(b'{"op":"entry"')
            out += self.defect(frame) if is_entry else [frame]
        self.rest = self.rest[at:]
        return b"".join(out)


def found(defect, arguments, wanted):
    """`defect` gives a fresh one per connection; bench says that a promise broke, how, and where."""
    with scratch() as directory, Server(f"{directory}/log") as server, DefectiveProxy(server.port, defect) as proxy:
        out = bench(proxy.port, *arguments, status=BROKEN)
        counts = re.search(r"entries checked: ([\d,]+) missing, ([\d,]+) repeated, ([\d,]+) reordered, ([\d,]+) foreign",
                           out)
        expect(counts and "BROKEN" in out, "the verdict", out)
        named = dict(zip(("missing", "repeated", "reordered", "foreign"), (int(x.replace(",", "")) for x in counts.groups())))
        equal(named, {"missing": 0, "repeated": 0, "reordered": 0, "foreign": 0} | wanted, out)
        expect(re.search(r"reader \d+", out) and "bench/" in out, "the first offender", out)


def one_entry_lost_in_ten_thousand_is_found():
    seen = 0

    def defect():
        def skip(frame):
            nonlocal seen
            seen += 1
            return [] if seen == 10_000 else [frame]
        return skip

    found(defect, ["fanout", "--readers=50", "--rate=200", "--seconds=1"], {"missing": 1})


def one_entry_repeated_after_a_resume_is_found():
    last = None
    repeated = False
    connections = 0

    def defect():
        nonlocal connections
        connections += 1
        first = True

        def repeat(frame):
            nonlocal last, first, repeated
            # The one reader and the publisher came first; whoever comes later resumes.
            again = first and connections > 2 and not repeated and last is not None
            first = False
            repeated = repeated or again
            before, last = last, frame
            return [before, frame] if again else [frame]
        return repeat

    found(defect, ["storm", "--readers=1", "--entries=20"], {"repeated": 1})


def two_entries_swapped_are_found():
    held = None
    seen = 0

    def defect():
        def swap(frame):
            nonlocal held, seen
            seen += 1
            if seen == 77:
                held = frame
                return []
            if held is not None:
                frames, held = [frame, held], None
                return frames
            return [frame]
        return swap

    found(defect, ["fanout", "--readers=1", "--rate=500", "--seconds=0.5"], {"reordered": 1})


def a_payload_of_somebody_else_is_found():
    seen = 0

    def defect():
        def alter(frame):
            nonlocal seen
            seen += 1
            return [frame[:-3] + b"y" + frame[-2:]] if seen == 33 else [frame]
        return alter

    found(defect, ["fanout", "--readers=1", "--rate=500", "--seconds=0.5"], {"missing": 1, "foreign": 1})


def a_server_that_is_down_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    out = bench(port, "fanout", status=NOT_COMPLETED)
    expect("NOT COMPLETED" in out and "refused" in out.lower(), "why", out)


def a_server_that_refuses_connections_is_told():
    with scratch() as directory, Server(f"{directory}/log", "--net.connections=10") as server:
        out = bench(server.port, "--patience=1", "fanout", "--readers=30", "--seconds=1", status=NOT_COMPLETED)
        expect("NOT COMPLETED" in out and "clients connect" in out, "why", out)


def a_server_that_stalls_is_told():
    with scratch() as directory, Server(f"{directory}/log") as server:
        process = start_bench(server.port, "--progress", "--patience=1", "fanout", "--readers=10", "--seconds=60")
        expect(" connections 11/11 " in process.stderr.readline() + process.stderr.readline(), "progress")
        server.signal(signal.SIGSTOP)
        try:
            out = end_bench(process, NOT_COMPLETED)
        finally:
            server.signal(signal.SIGCONT)
        expect("NOT COMPLETED: nothing has come" in out, "why", out)


def a_server_that_dies_is_told():
    for pid in (True, False):
        with scratch() as directory, Server(f"{directory}/log") as server:
            known = [f"--pid={server.process.pid}"] if pid else ["--patience=1"]
            process = start_bench(server.port, "--progress", *known, "fanout", "--readers=10", "--seconds=60")
            expect(" connections 11/11 " in process.stderr.readline() + process.stderr.readline(), "progress")
            server.kill()
            out = end_bench(process, NOT_COMPLETED)
            expect("has ended" in out if pid else "nothing has come" in out, "why", out)


def wrong_usage_is_told():
    for arguments in ([], ["unheard"], ["fanout", "--readers=0"], ["fanout", "--readers=1.5"], ["fanout", "--rate=x"],
                      ["fanout", "--unheard=1"], ["soak", "--kill=1"], ["--server=unheard", "fanout"]):
        bench(8080, *arguments, status=USAGE)
    bench(0, "fanout", status=USAGE)
    out = bench(8080, "--help")
    expect(all(name in out for name in SCENARIOS), "help", out)


if __name__ == "__main__":
    run(every_scenario_runs_and_keeps_the_promises,
        a_soak_survives_a_server_that_is_killed,
        one_entry_lost_in_ten_thousand_is_found,
        one_entry_repeated_after_a_resume_is_found,
        two_entries_swapped_are_found,
        a_payload_of_somebody_else_is_found,
        a_server_that_is_down_is_told_at_once,
        a_server_that_refuses_connections_is_told,
        a_server_that_stalls_is_told,
        a_server_that_dies_is_told,
        wrong_usage_is_told)
