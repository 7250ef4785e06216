"""HTTP as people expect it: raw sockets against a running server (DESIGN §11)."""

import json
import os
import re
import socket
import threading
import time

from support import (PATIENCE_S, Wire, equal, eventually, expect, info, log_of, page, post, publish, request, run, served)

ENTRIES = "/v1/conversations/c/entries"


class Raw:
    """A connection whose bytes the test writes itself; answers are read one by one."""

    def __init__(self, server, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", server.port))
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, method, path, body=None, **fields):
        """`fields` with `_` for `-`; `body` gets its length unless there is a framing."""
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n"
        if body is not None and "Transfer_Encoding" not in fields:
            head += f"Content-Length: {len(body)}\r\n"
        for name, value in fields.items():
            head += f"{name.replace('_', '-')}: {value}\r\n"
        self.send(head.encode() + b"\r\n" + (body or "").encode())

    def chunk(self, text):
        self.send(f"{len(text.encode()):x}\r\n{text}\r\n")

    def more(self):
        data = self.socket.recv(1 << 16)
        expect(data, "the server closed before its answer was whole", self.held)
        self.held += data

    def until(self, end):
        while end not in self.held:
            self.more()
        text, self.held = self.held.split(end, 1)
        return text

    def head(self):
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        expect(lines[0].startswith("HTTP/1.1 "), "a status line", lines)
        self.fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.fields[name.lower()] = value.strip()
        return int(lines[0].split()[1])

    def exactly(self, n):
        while len(self.held) < n:
            self.more()
        data, self.held = self.held[:n], self.held[n:]
        return data

    def next_chunk(self):
        n = int(self.until(b"\r\n"), 16)
        data = self.exactly(n)
        equal(self.exactly(2), b"\r\n", "the end of a chunk")
        return data.decode()

    def answer(self, headless=False):
        """The next answer: status and body as text."""
        status = self.head()
        if headless or status in (204, 304) or 100 <= status < 200:
            return status, ""
        if self.fields.get("transfer-encoding") == "chunked":
            body = ""
            while piece := self.next_chunk():
                body += piece
            return status, body
        return status, self.exactly(int(self.fields["content-length"])).decode()

    def ended(self):
        """Nothing more comes."""
        try:
            return self.socket.recv(1 << 16) == b"" and not self.held
        except ConnectionResetError:
            return True


def healthy(server):
    equal(request(server, "GET", "/healthz").json(), {"status": "ok"})


def draft(x):
    return json.dumps({"payload": x}) + "\n"


# --- requests and answers


def pipelined_requests_are_answered_in_order_one_at_a_time():
    with served() as server, Raw(server) as x:
        for i in range(200):
            x.ask("POST", ENTRIES, draft(i))
            x.ask("GET", f"{ENTRIES}?after={i}")
        for i in range(200):
            status, body = x.answer()
            equal((status, json.loads(body)["seq"]), (201, i + 1))
            status, body = x.answer()
            equal([e["payload"] for e in json.loads(body)["entries"]], [i])


def what_is_pipelined_is_bounded_and_nothing_of_it_lost():
    with served() as server, Raw(server, receive_buffer=4096) as x:
        publish(server, "c", *["y" * 2000] * 20)
        n = 2000  # their answers are 80 MB; the requests alone more than the server buffers
        def ask():
            for i in range(n):
                x.ask("GET", f"{ENTRIES}?after=0&n={i}")
        asking = threading.Thread(target=ask)
        before = server.memory_kib()
        asking.start()
        time.sleep(0.5)
        expect(server.memory_kib() - before < 16 * 1024, "one answer is held, not all", before, server.memory_kib())
        for _ in range(n):
            status, body = x.answer()
            equal((status, len(json.loads(body)["entries"])), (200, 20))
        asking.join()


def a_request_may_come_byte_by_byte():
    with served() as server, Raw(server) as x:
        text = (f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "6;a=b\r\n{\"payl\r\n6\r\noad\":1\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        for c in text:
            x.send(c)
        equal(x.answer()[0], 201)
        equal(x.answer(), (200, '{"status":"ok"}'))


def http_1_0_closes_unless_it_asks_otherwise():
    with served() as server:
        with Raw(server) as x:
            x.send("GET /healthz HTTP/1.0\r\n\r\n")
            equal(x.answer(), (200, '{"status":"ok"}'))
            equal(x.fields["connection"], "close")
            expect(x.ended(), "the connection ends")
        with Raw(server) as x:
            for _ in range(2):
                x.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                equal(x.answer(), (200, '{"status":"ok"}'))
                equal(x.fields["connection"], "keep-alive")


def smuggling_shapes_are_refused_and_the_connection_closed():
    second = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    post_line = f"POST {ENTRIES} HTTP/1.1\r\n"
    with served() as server:
        for status, text in [
                (400, post_line + "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                (400, post_line + "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
                (400, post_line + "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
                (400, post_line + "Host: a\r\nContent-Length: 0, 0\r\n\r\n"),
                (400, post_line + "Host: a\r\nContent-Length : 0\r\n\r\n"),
                (400, post_line + "Host: a\r\nA: b\r\n c\r\n\r\n"), (400, post_line + "Host: a\r\nA: b\rc\r\n\r\n"),
                (400, "GET /healthz HTTP/1.1\nHost: a\n\n"), (400, post_line + "Host: a\nContent-Length: 0\r\n\r\n"),
                (501, post_line + "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
                (501, post_line + "Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
                (400, post_line + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"),
                (400, post_line + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"),
                (400, f"POST {ENTRIES} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                (400, "GET /healthz HTTP/1.1\r\n\r\n"), (400, "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
                (505, "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n"), (400, "\x16\x03\x01\x02")]:
            with Raw(server) as x:
                x.send(text + second)
                seen, body = x.answer()
                equal((seen, json.loads(body)["status"], x.fields["connection"]), (status, status, "close"), text)
                expect(x.ended(), "the request behind it is not answered", text, x.held)
        equal(page(server, "c")["last"], 0)


def sizes_have_their_own_refusals():
    with served("--net.frame_bytes=4096") as server:
        for status, text in [
                (414, f"GET /{'a' * 8200} HTTP/1.1\r\nHost: a\r\n\r\n"), (414, f"GET /{'a' * 9000}"),
                (431, f"GET / HTTP/1.1\r\nHost: a\r\nA: {'a' * 17000}"),
                (431, "GET / HTTP/1.1\r\nHost: a\r\n" + "A: b\r\n" * 101 + "\r\n"),
                (413, f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\n\r\n"),
                (413, f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n{'a' * 4097}\r\n")]:
            with Raw(server) as x:
                x.send(text)
                seen, body = x.answer()
                equal((seen, json.loads(body)["code"]), (status, "frame_too_large"), text[:60])
                expect(x.ended(), "closed", text[:60])
        healthy(server)


def every_error_says_what_to_do():
    with served() as server:
        for method, path, status in [("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/v1/ws", 426),
                                     ("GET", ENTRIES + "?wait=61", 400), ("GET", "/v1/conversations/c", 404)]:
            answer = request(server, method, path)
            problem = answer.json()
            equal((answer.status, problem["status"]), (status, status), path)
            equal(answer.headers["Content-Type"], "application/problem+json")
            for member in ("type", "title", "code", "detail", "help"):
                expect(problem[member], member, problem)


def head_is_get_without_a_body():
    with served() as server, Raw(server) as x:
        publish(server, "c", 1)
        for path in ("/", "/healthz", "/readyz", "/v1/conversations/c", ENTRIES, "/v1/conversations/none", ENTRIES + "?wait=5"):
            x.ask("GET", path.removesuffix("?wait=5"))
            status, body = x.answer()
            fields = dict(x.fields)
            x.ask("HEAD", path)
            equal(x.answer(headless=True)[0], status, path)
            for each in (fields, x.fields):
                each.pop("date")
            equal(x.fields, fields, path)
        x.ask("HEAD", "/v1/conversations/c/events")
        equal((x.answer(headless=True)[0], x.fields["content-type"]), (200, "text/event-stream"))


def options_tells_the_methods():
    with served() as server, Raw(server) as x:
        for path, allow in [("*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"), ("/", "GET, HEAD, OPTIONS"),
                            (ENTRIES, "GET, HEAD, POST, OPTIONS"), ("/v1/conversations/c", "GET, HEAD, PATCH, DELETE, OPTIONS")]:
            x.ask("OPTIONS", path)
            equal((x.answer()[0], x.fields["allow"]), (204, allow), path)
        x.ask("OPTIONS", "/nothing")
        equal(x.answer()[0], 404)
        x.ask("PUT", ENTRIES, "{}")
        equal((x.answer()[0], x.fields["allow"]), (405, "GET, HEAD, POST, OPTIONS"))


def listed_origins_may_read_and_write_and_others_may_not():
    with served("--net.origins=https://friend.example") as server, Raw(server) as x:
        x.ask("OPTIONS", ENTRIES, Origin="https://friend.example", Access_Control_Request_Method="POST",
              Access_Control_Request_Headers="content-type")
        equal(x.answer()[0], 204)
        equal(x.fields["access-control-allow-origin"], "https://friend.example")
        expect("POST" in x.fields["access-control-allow-methods"], "POST", x.fields)
        expect("Idempotency-Key" in x.fields["access-control-allow-headers"], "its headers", x.fields)
        x.ask("POST", ENTRIES, draft(1), Origin="https://friend.example")
        equal((x.answer()[0], x.fields["access-control-allow-origin"], x.fields["vary"]), (201, "https://friend.example", "Origin"))
        x.ask("POST", ENTRIES, draft(2), Origin="https://evil.example")
        status, body = x.answer()
        equal((status, json.loads(body)["code"]), (403, "forbidden"))
        x.ask("GET", ENTRIES, Origin="https://evil.example")
        equal((x.answer()[0], "access-control-allow-origin" in x.fields, x.fields["vary"]), (200, False, "Origin"))
        x.ask("GET", "/v1/conversations/c/events", Origin="https://friend.example")
        equal((x.head(), x.fields["access-control-allow-origin"]), (200, "https://friend.example"))
        equal(page(server, "c")["last"], 1)


def expect_100_continue_comes_before_the_body_or_a_refusal_instead():
    with served("--net.frame_bytes=4096") as server:
        with Raw(server) as x:
            x.send(f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\nExpect: 100-Continue\r\n\r\n")
            equal(x.answer()[0], 100)
            x.send('{"payload":1}')
            equal(x.answer()[0], 201)
        for status, fields in [(413, "Content-Length: 5000"), (415, "Content-Length: 5\r\nContent-Type: text/plain"),
                               (403, "Content-Length: 5\r\nOrigin: http://evil"), (404, None)]:
            with Raw(server) as x:
                x.send(f"POST {ENTRIES if fields else '/nothing'} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       f"{fields or 'Content-Length: 5'}\r\n\r\n")
                equal(x.answer()[0], status)
        with Raw(server) as x:
            x.ask("POST", ENTRIES, "{}", Expect="something")
            equal(x.answer()[0], 417)


# --- waiting


def a_poll_is_answered_as_soon_as_an_entry_is_there():
    with served() as server:
        publish(server, "c", 1)
        polls = [Raw(server) for _ in range(50)]
        for x in polls:
            x.ask("GET", ENTRIES + "?after=1&wait=60")
        with Raw(server) as before:
            before.ask("GET", ENTRIES + "?after=0&wait=60")
            equal([e["payload"] for e in json.loads(before.answer()[1])["entries"]], [1], "what is there is not waited for")
        publish(server, "c", 2)
        for x in polls:
            status, body = x.answer()
            got = json.loads(body)
            equal((status, got["after"], got["last"], [e["payload"] for e in got["entries"]]), (200, 1, 2, [2]))
            x.ask("GET", ENTRIES + "?after=2&wait=60")
        publish(server, "c", *range(3, 203))
        for x in polls:
            got = json.loads(x.answer()[1])
            expect(1 <= len(got["entries"]) <= 100, "a page", got)
            equal(got["entries"][0]["seq"], 3)
            x.socket.close()


def a_poll_that_nothing_comes_for_ends_with_an_empty_page():
    with served() as server, Raw(server) as x:
        publish(server, "c", 1)
        for path, last in ((ENTRIES, 1), ("/v1/conversations/none/entries", 0)):
            begin = time.monotonic()
            x.ask("GET", path + "?after=now&wait=1")
            status, body = x.answer()
            got = json.loads(body)
            equal((status, got["last"], got["entries"]), (200, last, []))
            expect(time.monotonic() - begin >= 0.9, "not before its time", body)


def a_poll_reads_what_the_ring_does_not_hold_and_goes_on_without_gap():
    with served("--net.ring_entries=10") as server, Raw(server) as x:
        publish(server, "c", *range(1, 501))
        after = 0
        while after < 500:
            x.ask("GET", f"{ENTRIES}?after={after}&limit=70&wait=5")
            got = json.loads(x.answer()[1])
            expect(0 < len(got["entries"]) <= 70, "a page", got)
            equal([e["seq"] for e in got["entries"]], list(range(after + 1, after + 1 + len(got["entries"]))))
            after = got["entries"][-1]["seq"]


def a_poll_hears_of_close_delete_and_another_log():
    with served() as server, Raw(server) as x:
        publish(server, "c", 1, 2)
        epoch = info(server, "c")["epoch"]
        x.ask("GET", f"{ENTRIES}?after=2&wait=60")
        request(server, "PATCH", "/v1/conversations/c", {"closed": True})
        got = json.loads(x.answer()[1])
        equal((got["closed"], got["entries"]), (True, []))
        publish(server, "d", 1, 2)
        x.ask("GET", "/v1/conversations/d/entries?after=2&wait=60")
        time.sleep(0.3)  # either order is right; this one is the interesting one
        request(server, "DELETE", "/v1/conversations/d")
        got = json.loads(x.answer()[1])
        equal((got["reset"]["reason"], got["after"], got["entries"]), ("deleted", 0, []))
        x.ask("GET", f"{ENTRIES}?after={2:016d}_x.1_1-0&wait=60")
        got = json.loads(x.answer()[1])
        equal((got["reset"]["reason"], got["epoch"], len(got["entries"])), ("epoch", epoch, 2))


def a_poll_whose_client_has_gone_ends_and_pipelining_goes_on_behind_one():
    with served() as server, Raw(server) as x:
        publish(server, "c", 1)
        x.ask("GET", ENTRIES + "?after=1&wait=1")
        x.ask("GET", "/healthz")
        equal(json.loads(x.answer()[1])["entries"], [])
        equal(x.answer()[1], '{"status":"ok"}')
        with Raw(server) as half:
            half.ask("GET", ENTRIES + "?after=1&wait=60")
            half.socket.shutdown(socket.SHUT_WR)
            equal(json.loads(half.answer()[1])["entries"], [])
            expect(half.ended(), "closed")


# --- bodies of lines


def each_line_is_visible_as_it_arrives():
    with served() as server, Wire(server) as reader, Raw(server) as x:
        reader.subscribe("c", after="start")
        reader.next("live")
        x.ask("POST", ENTRIES, Content_Type="application/x-ndjson", Transfer_Encoding="chunked", Accept="application/x-ndjson")
        for i in range(1, 21):
            text = draft(i)
            x.chunk(text[:5])
            x.chunk(text[5:])
            equal(reader.next("entry")["payload"], i, "while the body goes on")
            if i == 1:
                equal((x.head(), x.fields["content-type"]), (200, "application/x-ndjson"))
            got = json.loads(x.next_chunk())
            equal((got["line"], got["seq"], got["duplicate"]), (i, i, False))
        x.chunk('{"payload":21}')  # the last line needs no end
        x.send("0\r\n\r\n")
        equal(json.loads(x.next_chunk())["seq"], 21)
        equal(x.next_chunk(), "")


def a_body_of_lines_is_answered_with_an_array():
    with served() as server, Raw(server) as x:
        n = 3000
        x.ask("POST", ENTRIES, "".join(draft(i) for i in range(1, n + 1)), Content_Type="application/x-ndjson; charset=utf-8")
        status, body = x.answer()
        equal(status, 201)
        equal([(r["line"], r["seq"]) for r in json.loads(body)], [(i, i) for i in range(1, n + 1)])
        equal([e["payload"] for e in log_of(server, "c")], list(range(1, n + 1)))
        x.ask("GET", "/healthz")
        equal(x.answer()[0], 200, "the connection goes on")


def a_bad_line_is_named_and_what_came_before_stays():
    with served() as server, Raw(server) as x:
        x.ask("POST", ENTRIES, draft(1) + "\n" + draft(3) + "nonsense\n" + draft(5), Content_Type="application/x-ndjson")
        status, body = x.answer()
        problem = json.loads(body)
        equal((status, problem["code"], problem["line"]), (400, "bad_request", 4))
        expect(problem["detail"].startswith("line 4: "), "the line", problem)
        equal([(r["line"], r["seq"]) for r in problem["receipts"]], [(1, 1), (3, 2)])
        equal([e["payload"] for e in log_of(server, "c")], [1, 3])
    with served() as server, Raw(server) as x:
        x.ask("POST", ENTRIES, Content_Type="application/x-ndjson", Transfer_Encoding="chunked", Accept="application/x-ndjson")
        x.chunk(draft(1))
        equal((x.head(), json.loads(x.next_chunk())["seq"]), (200, 1))
        x.chunk("{}\n")
        problem = json.loads(x.next_chunk())
        equal((problem["code"], problem["line"]), ("bad_request", 2))
        equal(x.next_chunk(), "")
        request(server, "PATCH", "/v1/conversations/c", {"closed": True})
        answer = post(server, "c", draft(1), {"Content-Type": "application/x-ndjson"})
        equal((answer.status, answer.code(), answer.json()["receipts"]), (409, "closed", []))


def a_body_that_breaks_off_keeps_what_was_acknowledged():
    with served() as server:
        with Raw(server) as x:
            x.ask("POST", ENTRIES, Content_Type="application/x-ndjson", Transfer_Encoding="chunked", Accept="application/x-ndjson")
            for i in range(1, 6):
                x.chunk(draft(i))
                if i == 1:
                    x.head()
                equal(json.loads(x.next_chunk())["seq"], i)
            x.chunk('{"payload":6}')  # no line end, and no end of the body
        healthy(server)
        equal([e["payload"] for e in log_of(server, "c")], [1, 2, 3, 4, 5])


def a_key_makes_each_line_safe_to_send_again():
    with served() as server, Raw(server) as x:
        def send(lines, key='"k-1"'):
            x.ask("POST", ENTRIES, "".join(lines), Content_Type="application/x-ndjson", Idempotency_Key=key)
            status, body = x.answer()
            return status, json.loads(body)
        equal(send([draft(1), draft(2)])[0], 201)
        status, got = send([draft(1), draft(2), draft(3)])
        equal((status, [(r["seq"], r["duplicate"]) for r in got]), (201, [(1, True), (2, True), (3, False)]))
        status, got = send([draft(1), draft(2)])
        equal((status, [r["duplicate"] for r in got]), (200, [True, True]))
        status, got = send([draft(1), draft("other")])
        equal((status, got["code"], got["line"]), (422, "idempotency_mismatch", 2))
        for bad in ('"', '"a', 'a"b', '""', "a b"):
            equal(send([draft(1)], bad)[0], 400, bad)
        equal([e["payload"] for e in log_of(server, "c")], [1, 2, 3])


def a_producer_of_lines_is_held_back_while_its_receipts_are_not_read():
    with served() as server, Raw(server, receive_buffer=4096) as x:
        x.ask("POST", ENTRIES, Content_Type="application/x-ndjson", Transfer_Encoding="chunked", Accept="application/x-ndjson")
        before = server.memory_kib()
        sent = 0
        x.socket.settimeout(1)
        lines = "".join(draft("z" * 100) for _ in range(100))
        try:
            while sent < 3000:
                x.chunk(lines)
                sent += 1
        except TimeoutError:
            pass
        expect(sent < 3000, "the server stops reading", sent)
        expect(server.memory_kib() - before < 48 * 1024, "and holds little", before, server.memory_kib())
        healthy(server)


# --- lists and cursors


def conversations_are_listed_by_name_page_by_page():
    with served() as server:
        names = sorted([f"room/{i}" for i in range(1, 30)] + ["a", "room", "roomier", "z"])
        for name in names:
            publish(server, name, 1)
        request(server, "DELETE", "/v1/conversations/z")
        names.remove("z")
        def listed(query):
            answer = request(server, "GET", "/v1/conversations" + query)
            equal(answer.status, 200, query)
            return [x["conversation"] for x in answer.json()["conversations"]], answer.json()["more"]
        equal(listed(""), (names, False))
        equal(listed("?prefix=room%2F"), ([x for x in names if x.startswith("room/")], False))
        equal(listed("?prefix=room&after=room%2F9&limit=1"), (["roomier"], False))
        equal(listed("?prefix=none"), ([], False))
        seen, after, more = [], "", True
        while more:
            page_of, more = listed(f"?limit=7&after={after.replace('/', '%2F')}")
            seen += page_of
            after = page_of[-1]
        equal(seen, names)


def a_cursor_is_read_moved_forward_and_removed():
    with served() as server:
        path = "/v1/conversations/c/cursors/phone%201"
        equal(request(server, "GET", path).code(), "not_found")
        publish(server, "c", 1, 2, 3)
        epoch = info(server, "c")["epoch"]
        answer = request(server, "PUT", path, {"seq": 2, "epoch": epoch})
        equal((answer.status, answer.json()["seq"], answer.json()["client"]), (200, 2, "phone 1"))
        equal(request(server, "PUT", path, {"seq": 1, "epoch": epoch}).json()["seq"], 2, "never back")
        with Wire(server, "?client=phone%201") as x:
            x.subscribe("c", after="saved")
            equal(x.next("entry")["seq"], 3)
        equal(request(server, "DELETE", path).status, 204)
        equal(request(server, "GET", path).status, 404)
        equal(request(server, "PUT", path, {"seq": 2}).code(), "bad_request")


def the_descriptions_name_what_is_there():
    with served() as server:
        description = request(server, "GET", "/openapi.json").json()
        equal(description["openapi"], "3.1.0")
        publish(server, "c", 1)
        for template, item in description["paths"].items():
            path = template.replace("{name}", "c").replace("{stream}", "c").replace("{client}", "phone")
            methods = {x.upper() for x in item if x in ("get", "head", "post", "put", "patch", "delete", "options")}
            allow = request(server, "OPTIONS", path).headers["Allow"].split(", ")
            equal(set(allow), methods, path)
        codes = description["components"]["schemas"]["Code"]["enum"]
        source = os.path.join(os.path.dirname(__file__), "..", "..", "src", "model", "error.cpp")
        with open(source, encoding="utf-8") as x:
            named = set(re.findall(r'return "(\w+)";', x.read())) - {"unknown", "moved"}
        equal(set(codes), named, "every code is described")
        protocol = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "protocol.md")
        with open(protocol, encoding="utf-8") as x:
            text = x.read()
        equal([x for x in sorted(named) if f"| `{x}` |" not in text], [], "every code is documented")
        frames = request(server, "GET", "/asyncapi.json").json()
        equal(set(frames["components"]["messages"]["error"]["payload"]["properties"]["code"]["enum"]), named)


# --- time


def half_requests_and_slow_senders_end_within_the_handshake_time():
    with served("--net.handshake_ms=1000") as server, Wire(server) as other:
        other.subscribe("c")
        other.next("live")
        texts = ["", "G", "GET / HTTP/1.1\r\n", f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
                 f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
                 f"POST {ENTRIES} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{{",
                 "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /h"]
        slow = [Raw(server) for _ in texts]
        for x, text in zip(slow, texts):
            x.send(text)
        ended = {}
        def look():
            for x, text in zip(slow, texts):
                if text in ended:
                    continue
                try:
                    x.socket.settimeout(0.02)
                    if text:
                        x.send("a")
                    data = x.socket.recv(1 << 16)
                    x.held += data
                    if not data:
                        ended[text] = x.held
                except TimeoutError:
                    pass
                except OSError:
                    ended[text] = x.held
            return len(ended) == len(texts)
        eventually(look, "all of them end")
        for text, got in ended.items():
            expect(not text or b"HTTP/1.1 408 " in got or b"HTTP/1.1 400 " in got, "they are told", text, got)
        for x in slow:
            x.socket.close()
        other.publish("c", 1)
        equal(other.next("entry")["seq"], 1)


run(*[x for name, x in list(globals().items())
      if callable(x) and getattr(x, "__module__", "") == "__main__" and name[0].islower() and name not in ("healthy", "draft")])
