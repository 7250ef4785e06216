"""A disk that fails under a running server: full, failing at fsync, hanging.

Publishers get an error, nobody sees the entry, also not after a kill -9 right behind the failure, and appends work again
when the cause is gone. The full disk is a small tmpfs; the other faults come from confab_faulty, the same program on a
SQLite VFS that fails on command.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time

from support import (CONFAB, PATIENCE_S, Server, Skipped, Wire, equal, eventually, expect, info, log_of, page, post, ready,
                     run, scratch)

FAULTY = os.environ.get("CONFAB_FAULTY") or os.path.join(os.path.dirname(CONFAB), "tests", "confab_faulty")
# A draft without an outcome is answered so soon.
DEADLINE = "--net.publish_deadline_ms=300"
ERRORS = ("store_failed", "append_unknown")


class Publisher:
    """One draft after the other; remembers what was answered. A draft that failed for good is another one next time."""

    def __init__(self, server, conversation):
        self.server = server
        self.conversation = conversation
        self.wire = Wire(server)
        self.number = 1
        self.tries = 0
        self.receipts = {}  # number -> (receipt, payload)
        self.failed = []  # payloads that nobody will ever see
        self.unknown = None  # the payload of the current number, of which nobody knows

    def again(self):
        """On a new connection."""
        self.wire.socket.close()
        self.wire = Wire(self.server)

    def publish(self, size=10):
        """Returns the code of its failure, or None."""
        if self.unknown is None:
            self.tries += 1
        payload = self.unknown or {"number": self.number, "try": self.tries, "filler": "x" * size}
        x = self.wire.ask(op="publish", conversation=self.conversation, payload=payload, producer="p", producer_seq=self.number)
        if x["op"] == "published":
            self.receipts[self.number] = (x, payload)
            self.number += 1
            self.unknown = None
            return None
        expect(x["op"] == "error" and x["code"] in ERRORS and x["retry"] is True and x["message"], "a failed append", x)
        if x["code"] == "store_failed":
            self.failed.append(payload)
            self.unknown = None
        else:
            self.unknown = payload
        return x["code"]

    def until_well(self, what):
        eventually(lambda: self.publish() is None, what)

    def verify(self):
        """The log has what was acknowledged, once, and nothing of what failed."""
        entries = [x for x in log_of(self.server, self.conversation) if x.get("producer") == "p"]
        seen = {x["producer_seq"]: x for x in entries}
        equal(len(seen), len(entries), "a number is in the log twice")
        for number, (receipt, payload) in self.receipts.items():
            x = seen.pop(number, None)
            expect(x is not None, "acknowledged and not in the log", number, receipt)
            equal((x["seq"], x["id"], x["payload"]), (receipt["seq"], receipt["id"], payload))
        if self.unknown is not None:
            seen.pop(self.number, None)
        equal(seen, {}, "in the log, although the publisher was told that it failed")
        for x in entries:
            expect(x["payload"] not in self.failed, "a failed draft is in the log", x)


class Reader:
    """Follows from the start; what it gets must be what the publisher has receipts for."""

    def __init__(self, server, conversation):
        self.conversation = conversation
        self.wire = Wire(server)
        self.seq = 0
        self.wire.subscribe(conversation, after=0)
        for x in self.wire.until_live(conversation):
            self.took(x)

    def took(self, x):
        equal((x["op"], x["seq"]), ("entry", self.seq + 1))
        self.seq = x["seq"]
        self.last = x

    def sees_no_more_than(self, seq):
        while self.seq < seq:
            self.took(self.wire.next("entry", self.conversation))
        self.wire.silent()


def unready(server, *words):
    """/readyz is 503, for a reason with one of these words in it."""
    answer = ready(server)
    if answer.status == 200:
        return False
    expect(answer.status == 503 and answer.code() == "overloaded" and answer.json()["retry"], "/readyz", answer)
    expect(any(x in answer.json()["detail"] for x in words), f"/readyz names one of {words}", answer)
    return True


# --- full


@contextlib.contextmanager
def small_disk(kib):
    with scratch() as top:
        path = os.path.join(top, "disk")
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=700", "confab-test", path],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False) if os.geteuid() == 0 else None
        if done is None or done.returncode != 0:
            raise Skipped("a small tmpfs cannot be mounted here: " + ("not root" if done is None else done.stderr.strip()))
        try:
            yield path
        finally:
            if subprocess.run(["umount", path], timeout=PATIENCE_S, check=False).returncode != 0:
                subprocess.run(["umount", "-l", path], timeout=PATIENCE_S, check=False)


def fill(path):
    """Writes a file until the disk takes no more."""
    with open(path, "wb", buffering=0) as file:
        for block in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                for _ in range(1 << 16):
                    file.write(b"b" * block)


def a_full_disk_fails_appends_and_heals_without_a_restart():
    with small_disk(24 << 10) as disk:
        ballast = os.path.join(disk, "ballast")
        with open(ballast, "wb") as file:
            file.write(b"b" * (16 << 20))
        with Server(os.path.join(disk, "data"), DEADLINE) as server:
            publisher = Publisher(server, "c")
            equal(publisher.publish(), None)
            reader = Reader(server, "c")
            code = None
            for _ in range(4000):
                code = publisher.publish(8000)
                if code:
                    break
            expect(code, "the disk is not full after 4000 publishes of 8 kB")
            print(f"  full after {publisher.number} publishes: {code}")
            # What is left is used up too.
            in_a_row = 0
            for _ in range(400):
                in_a_row = in_a_row + 1 if publisher.publish(2000) else 0
                if in_a_row == 5 and unready(server, "disk full"):
                    break
                in_a_row = min(in_a_row, 4)
            expect(unready(server, "disk full"), "/readyz", ready(server))
            # Everybody is told, and reading goes on.
            answer = post(server, "c", {"payload": "over HTTP" + "x" * 20000})
            expect(answer.status == 503 and answer.code() in ERRORS, "POST", answer)
            over_http_failed = answer.code() == "store_failed"
            answer = post(server, "never seen", {"payload": 1})
            expect(answer.status == 400, "a bad name is a bad name", answer)
            x = publisher.wire.ask(op="publish", conversation="new", payload="x" * 20000)
            expect(x["op"] == "error" and x["code"] in ERRORS, "a new conversation", x)
            reader.sees_no_more_than(publisher.number - 1)
            equal(page(server, "c", "last:1")["entries"][0]["seq"], publisher.number - 1)
            Reader(server, "c").sees_no_more_than(publisher.number - 1)
            publisher.verify()
            before = publisher.number
            # The cause goes away.
            os.remove(ballast)
            publisher.until_well("appends work again")
            eventually(lambda: ready(server).status == 200, "/readyz is 200 again")
            for _ in range(50):
                equal(publisher.publish(2000), None)
            last = info(server, "c")["last"]
            reader.sees_no_more_than(last)
            publisher.verify()
            expect(publisher.number > before + 50, "published", before, publisher.number)
            if over_http_failed:
                expect(not any("over HTTP" in str(x["payload"]) for x in log_of(server, "c")), "what failed over HTTP")
            # Full again; kill -9 right behind the failure.
            for _ in range(3):
                fill(ballast)
                codes = []
                for _ in range(100):
                    codes.append(publisher.publish(50000))
                    if codes[-1]:
                        break
                expect(codes[-1], "the disk is full", codes[-5:])
                server.kill()
                copy = os.path.join(os.path.dirname(disk), "copy")
                shutil.copytree(server.directory, copy)
                server.check(copy)
                shutil.rmtree(copy)
                os.remove(ballast)
                server.start()
                publisher.again()
                publisher.verify()
                Reader(server, "c").sees_no_more_than(info(server, "c")["last"])
                equal(publisher.publish(), None)
                publisher.verify()


def a_server_does_not_start_on_a_full_disk_without_saying_why():
    with small_disk(4 << 10) as disk:
        ballast = os.path.join(disk, "ballast")
        fill(ballast)
        done = subprocess.run([CONFAB, "serve", "--net.port=0", f"--store.directory={disk}/data"], capture_output=True, text=True,
                              timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False)
        expect(done.returncode == 1 and ("disk full" in done.stderr or "No space left" in done.stderr), "start", done)


# --- failing and hanging fsync


class Disk:
    """What confab_faulty is told."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "fault")
        self.set("ok")

    def set(self, word):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(word)
        os.replace(self.path + ".new", self.path)


@contextlib.contextmanager
def faulty(*options):
    expect(os.access(FAULTY, os.X_OK), "not built: cmake --build build/release --target confab_faulty", FAULTY)
    with scratch() as directory:
        disk = Disk(directory)
        with Server(os.path.join(directory, "data"), *(options or [DEADLINE]), program=FAULTY,
                    environment={"CONFAB_FAULT_FILE": disk.path}) as server:
            try:
                yield server, disk
            finally:
                disk.set("ok")


def a_failing_fsync_fails_appends_and_heals():
    with faulty() as (server, disk):
        publisher = Publisher(server, "c")
        for _ in range(5):
            equal(publisher.publish(), None)
        reader = Reader(server, "c")
        for after_that in ("restart", "heal"):
            last = publisher.number - 1
            disk.set("fsync")
            for _ in range(3):
                expect(publisher.publish() in ERRORS, "fails")
            expect(unready(server, "I/O error"), "/readyz", ready(server))
            answer = post(server, "c", {"payload": "over HTTP"})
            expect(answer.status == 503 and answer.code() in ERRORS, "POST", answer)
            answer = post(server, "new", {"payload": "over HTTP"})
            expect(answer.status == 503 and answer.code() in ERRORS, "POST", answer)
            reader.sees_no_more_than(last)
            Reader(server, "c").sees_no_more_than(last)
            equal(page(server, "c")["last"], last)
            if after_that == "restart":
                server.kill()
                disk.set("ok")
                server.start()
                equal(info(server, "c")["last"], last, "not after kill -9 and restart either")
                publisher.again()
                reader = Reader(server, "c")
                reader.sees_no_more_than(last)
            disk.set("ok")
            publisher.until_well("appends work again")
            eventually(lambda: ready(server).status == 200, "/readyz is 200 again")
            reader.sees_no_more_than(info(server, "c")["last"])
            publisher.verify()


def a_commit_that_fails_once_does_not_come_back():
    """Its frames are in the WAL; without a fence behind them a crash would bring them back."""
    for end in ("kill", "go on"):
        with faulty() as (server, disk):
            publisher = Publisher(server, "c")
            for _ in range(3):
                equal(publisher.publish(), None)
            reader = Reader(server, "c")
            disk.set("fsync-once")
            equal(publisher.publish(), "store_failed", "the fence made it final")
            expect(not os.path.exists(disk.path), "the fault struck")
            reader.sees_no_more_than(3)
            if end == "kill":
                server.kill()
                server.start()
                publisher.again()
                reader = Reader(server, "c")
                reader.sees_no_more_than(3)
            publisher.verify()
            equal(publisher.publish(), None, "its number is free")
            equal(ready(server).status, 200)
            publisher.verify()
            reader.sees_no_more_than(4)


def failing_drafts_in_flight_leave_no_hole():
    """64 drafts of two producers on one connection when fsync fails: what fails, fails as a whole tail of each producer."""
    with faulty() as (server, disk), Wire(server) as wire:
        wire.publish("c", 0)
        reader = Reader(server, "c")
        due = {"p": 2, "q": 2}
        receipts = {(x, 1): wire.publish("c", [x, 1], producer=x, producer_seq=1) for x in due}
        for word in ("fsync-once", "fsync", "fsync-once", "ok"):
            disk.set(word)
            sent = []
            for i in range(60):
                producer = "pq"[i % 2]
                number = due[producer] + i // 2
                sent.append((producer, number))
                wire.send(op="publish", ref=[producer, number], conversation="c", payload=[producer, number], producer=producer,
                          producer_seq=number)
            failed = {"p": [], "q": []}
            for _ in sent:
                x = wire.next()
                producer, number = x["ref"]
                if x["op"] == "published":
                    receipts[producer, number] = x
                    due[producer] = max(due[producer], number + 1)
                else:
                    expect(x["code"] in (*ERRORS, "producer_gap"), "failed", x)
                    failed[producer].append(number)
            disk.set("ok")
            for producer, numbers in failed.items():
                numbers.sort()
                expect(not numbers or due[producer] == numbers[0], "published behind a failed number", producer, due, numbers)
            # Retried with the same numbers and payloads until all are in.
            for producer in "pq":
                for number in failed[producer]:
                    for _ in range(200):
                        x = wire.ask(op="publish", conversation="c", payload=[producer, number], producer=producer, producer_seq=number)
                        if x["op"] == "published":
                            break
                        expect(x["retry"], "the retry", x, word, failed)
                        time.sleep(0.02)
                    equal(x["op"], "published", f"retried: {x}")
                    receipts[producer, number] = x
                    due[producer] = number + 1
        log = {(x["producer"], x["producer_seq"]): x for x in log_of(server, "c") if "producer" in x}
        equal(len(log), 242)
        equal(info(server, "c")["last"], 243, "each once")
        for key, x in receipts.items():
            equal((log[key]["seq"], log[key]["payload"]), (x["seq"], list(key)))
        reader.sees_no_more_than(243)


def a_hanging_disk_is_told_at_the_deadline_and_the_retry_has_its_receipt():
    with faulty("--net.publish_deadline_ms=1500") as (server, disk):
        publisher = Publisher(server, "c")
        equal(publisher.publish(), None)
        reader = Reader(server, "c")
        disk.set("hang")
        equal(publisher.publish(), "append_unknown")
        reader.sees_no_more_than(1)
        eventually(lambda: unready(server, "hangs"), "/readyz tells")
        equal(publisher.publish(), "append_unknown", "the same once more")
        answer = post(server, "c", {"payload": "unnumbered"}, {"Idempotency-Key": "k"})
        expect(answer.status == 503 and answer.code() == "append_unknown", "POST", answer)
        # Reading goes on.
        reader.sees_no_more_than(1)
        equal(len(page(server, "c")["entries"]), 1)
        Reader(server, "c").sees_no_more_than(1)
        disk.set("ok")
        publisher.until_well("the retry has its receipt")
        equal(publisher.number, 3)
        answer = eventually(lambda: (lambda x: x if x.status in (200, 201) else None)(
            post(server, "c", {"payload": "unnumbered"}, {"Idempotency-Key": "k"})), "the retry over HTTP")
        eventually(lambda: ready(server).status == 200, "/readyz is 200 again")
        equal(info(server, "c")["last"], 3, "each once")
        reader.sees_no_more_than(3)
        publisher.verify()
        # Killed while it hangs.
        disk.set("hang")
        equal(publisher.publish(), "append_unknown")
        reader.sees_no_more_than(3)
        server.kill()
        disk.set("ok")
        server.start()
        publisher.again()
        publisher.until_well("the retry has its receipt")
        equal(info(server, "c")["last"], 4, "once")
        publisher.verify()


def the_first_number_of_a_producer_is_not_skipped_when_it_fails():
    """Two drafts of a new producer on their way; the first one fails. The second one is not its beginning."""
    with faulty() as (server, disk), Wire(server) as wire:
        wire.publish("c", 0)
        disk.set("fsync-once")
        wire.refused("store_failed", op="publish", conversation="c", payload="one", producer="p", producer_seq=1)
        x = wire.ask(op="publish", conversation="c", payload="two", producer="p", producer_seq=2)
        expect(x["op"] == "error" and x["code"] == "producer_gap" and x["expected"] == 1,
               "the second one, which was on its way; the retry of the first one then gets",
               x, wire.ask(op="publish", conversation="c", payload="one", producer="p", producer_seq=1))
        equal(wire.publish("c", "one", producer="p", producer_seq=1)["seq"], 2)
        equal(wire.publish("c", "two", producer="p", producer_seq=2)["seq"], 3)


def a_hanging_disk_does_not_keep_the_process():
    """A drain waits for the disk as long as it may; a second signal ends at once all the same."""
    with faulty(DEADLINE, "--net.drain_ms=1000") as (server, disk):
        publisher = Publisher(server, "c")
        equal(publisher.publish(), None)
        disk.set("hang")
        equal(publisher.publish(), "append_unknown")
        server.signal(signal.SIGTERM)
        eventually(lambda: "draining" in server.stderr(), "the drain")
        time.sleep(2)  # beyond the drain
        if server.running():
            server.signal(signal.SIGTERM)
        status = server.wait()
        expect(status != 0, "it did not end well", status)
        disk.set("ok")
        server.start()
        publisher.again()
        publisher.until_well("the retry has its receipt")
        equal(info(server, "c")["last"], 2)
        publisher.verify()


def writes_that_fail_as_on_a_full_disk_fail_appends_and_heal():
    """As on the small tmpfs, also where none can be mounted."""
    with faulty() as (server, disk):
        publisher = Publisher(server, "c")
        equal(publisher.publish(), None)
        reader = Reader(server, "c")
        disk.set("full")
        for _ in range(2):
            expect(publisher.publish() in ERRORS, "fails")
        expect(unready(server, "disk full"), "/readyz", ready(server))
        reader.sees_no_more_than(1)
        server.kill()
        disk.set("ok")
        server.start()
        publisher.again()
        equal(info(server, "c")["last"], 1)
        disk.set("full")
        expect(publisher.publish() in ERRORS, "fails")
        disk.set("ok")
        publisher.until_well("appends work again")
        eventually(lambda: ready(server).status == 200, "/readyz is 200 again")
        publisher.verify()


run(a_full_disk_fails_appends_and_heals_without_a_restart, a_server_does_not_start_on_a_full_disk_without_saying_why,
    a_failing_fsync_fails_appends_and_heals, a_commit_that_fails_once_does_not_come_back,
    failing_drafts_in_flight_leave_no_hole, the_first_number_of_a_producer_is_not_skipped_when_it_fails,
    a_hanging_disk_is_told_at_the_deadline_and_the_retry_has_its_receipt,
    a_hanging_disk_does_not_keep_the_process, writes_that_fail_as_on_a_full_disk_fail_appends_and_heal)
