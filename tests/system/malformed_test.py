"""Malformed requests by the thousand: a clear 4xx or 5xx or a closed connection, no crash, and nobody else disturbed.

CONFAB_SEED repeats a run; CONFAB_MALFORMED sets how many requests (10,000 by default).
"""

import os
import random
import re
import select
import socket

from support import PATIENCE_S, SEED, Wire, equal, expect, info, log_of, publish, request, run, served

COUNT = int(os.environ.get("CONFAB_MALFORMED") or 10_000)
AT_ONCE = 50

PATHS = ["/", "/healthz", "/readyz", "/v1/ws", "/v1/conversations/m", "/v1/conversations/m/entries", "/v1/conversations/m/events",
         "/v1/conversations/m%2Fn/entries", "/v1/conversations", "/nothing", "*",
         "/v1/stream/m", "/v1/stream/m/n", "/v1/stream/", "/v1/stream/__ds/x", "/v1/stream/m/../n", "http://a/healthz"]
QUERIES = ["", "?after=", "?after=%ff", "?after=-1", "?after=99999999999999999999", "?limit=0", "?limit=x", "?wait=x", "?wait=61",
           "?after=0000000000000001_e.1_x", "?%zz", "?after=start&after=now", "?client=%00", "?&&==&", "?prefix=%ff",
           "?offset=-1", "?offset=", "?offset=a,b&live=sse", "?offset=-1&live=x", "?offset=9999999999999999_9999999999999999",
           "?offset=0000000000000009_e.1_1-0&live=long-poll", "?live=sse", "?offset=now&offset=now", "?offset=-1&cursor=%00"]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "G\x00T", "", "get", "A" * 40]
FIELDS = ["Host: a", "Host: a", "Host:", "Host: a b", "Content-Length: 5", "Content-Length: -5", "Content-Length: 5, 5", "Content-Length: 1e3",
          "Content-Length: 18446744073709551616", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked",
          "Connection: close", "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Expect: 100-continue", "Expect: x", "Accept: text/event-stream", "Accept: ;q=,",
          "Accept: application/x-ndjson", "Content-Type: application/json", "Content-Type: application/x-ndjson", "Content-Type: \xff",
          "Content-Encoding: gzip", "Idempotency-Key: \"", "Idempotency-Key: \"a\"", "Last-Event-ID: x", "Origin: http://evil", "Origin: null",
          "Stream-TTL: -1", "Stream-TTL: 1e9", "Stream-TTL: 99999999999999999999", "Stream-Expires-At: 2026-02-30T00:00:00Z",
          "Stream-Closed: true", "Stream-Closed: \xff", "Stream-Seq: " + "9" * 300, "Stream-Seq: 1", "Producer-Id: ~x", "Producer-Id: p",
          "Producer-Epoch: 4294967296", "Producer-Epoch: 0", "Producer-Seq: 01", "Producer-Seq: 0", "Stream-Forked-From: /v1/stream/m",
          "Stream-Forked-From: ../m", "Stream-Fork-Offset: 0000000000000000_0000000000000000", "Stream-Fork-Offset: x",
          "Stream-Fork-Sub-Offset: 9007199254740991", "If-None-Match: W/\"", "Content-Type: text/plain", "Content-Type: a/b/c; \x7f",
          "Folded: a\r\n b", "Bare: a\rb", "Nul: a\x00b", "NoColon", ": empty", "Space : a", "Long: " + "x" * 5000, "\xff\xfe: a"]
BODIES = ["", "{}", "{\"payload\":1}", "{\"payload\":1}\n{\"payload\":2}\n", "nonsense\n", "[" * 600, "[]", "\xff\xfe", "{\"payload\":\"\\ud800\"}",
          "5\r\nabcde\r\n0\r\n\r\n", "5\r\nabc", "zz\r\n", "ffffffffffffffffffff\r\n", "0\r\n\r\n", "1;" + "x" * 400, "{\"payload\":1e99999999999}",
          "{\"payload\":1,\"producer\":\"~x\",\"producer_seq\":1}", "\r\n\r\n\r\n", "\x16\x03\x01", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
LINE_ENDS = ["\r\n"] * 8 + ["\n", "\r", "\r\n\r\n"]


STREAM_FIELDS = [x for x in FIELDS if x.startswith(("Stream-", "Producer-", "If-None", "Content-Type", "Expect", "Accept", "Origin: null"))]
STREAM_BODIES = ["", "x", "[]", "[1,[2],{\"a\":3}]", "[1,", "{\"payload\":1}", "\xff\x00", "[" * 600, "0", " \n[1]\n", "1 2", "[[[]]]", "x" * 3000]


def hostile_to_streams(rng):
    """A request whose head is sound, so that what it says to a stream is looked at."""
    body = rng.choice(STREAM_BODIES).encode("latin-1")
    method = rng.choice(["PUT", "PUT", "POST", "POST", "GET", "GET", "HEAD", "DELETE", "OPTIONS", "PATCH"])
    query = rng.choice([x for x in QUERIES if x.startswith("?offset")] + ["", ""])
    lines = [f"{method} /v1/stream/h/{rng.randrange(20)}{query} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}"]
    if rng.random() < 0.7:
        lines.append(f"Content-Type: {rng.choice(['application/json', 'text/plain', 'image/png'])}")
    names = {x.split(":")[0] for x in lines}
    for x in rng.choices(STREAM_FIELDS, k=rng.randrange(5)):
        if x.split(":")[0] not in names or rng.random() < 0.05:
            lines.append(x)
            names.add(x.split(":")[0])
    text = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return text[:rng.randrange(len(text) + 1)] if rng.random() < 0.05 else text


def malformed(rng):
    """A request with something, or most of it, wrong."""
    if rng.random() < 0.5:
        return hostile_to_streams(rng)
    end = rng.choice(LINE_ENDS)
    version = rng.choice(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.", "http/1.1", ""])
    lines = [f"{rng.choice(METHODS)} {rng.choice(PATHS)}{rng.choice(QUERIES)} {version}"]
    lines += rng.choices(FIELDS, k=rng.randrange(7))
    text = (end.join(lines) + end + end + rng.choice(BODIES)).encode("latin-1")
    how = rng.randrange(6)
    if how == 0:  # cut somewhere
        text = text[:rng.randrange(len(text) + 1)]
    elif how == 1 and text:  # bytes exchanged
        data = bytearray(text)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        text = bytes(data)
    elif how == 2:  # noise
        text = rng.randbytes(rng.randrange(1, 200))
    elif how == 3:  # twice, one behind the other
        text += text
    return text


def every_malformed_request_ends_and_nobody_else_is_disturbed():
    rng = random.Random(SEED)
    with served("--net.handshake_ms=1500", "--net.idle_ms=3000", "--net.heartbeat_ms=1000", "--net.connections=500") as server, \
            Wire(server) as other:
        other.subscribe("calm", after="start")
        other.next("live")
        seen = {}
        for begin in range(0, COUNT, AT_ONCE):
            batch = {}
            for _ in range(min(AT_ONCE, COUNT - begin)):
                x = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
                text = malformed(rng)
                try:
                    x.sendall(text)
                    # Those that stay open and silent are http_test.py's.
                    x.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # refused while it was sent
                x.setblocking(False)
                batch[x] = (text, b"")
            while batch:
                readable, _, _ = select.select(list(batch), [], [], PATIENCE_S)
                expect(readable, "every connection ends", [text for text, _ in batch.values()][:3])
                for x in readable:
                    text, got = batch[x]
                    try:
                        data = x.recv(1 << 16)
                    except OSError:
                        data = b""
                    if data and len(got) < 1 << 20:
                        batch[x] = (text, got + data)
                        continue
                    del batch[x]
                    x.close()
                    expect(not got or re.match(rb"HTTP/1\.1 [1-5]\d\d ", got), "an answer is HTTP", text, got)
                    expect(b"HTTP/1.1 500" not in got, "no fault of the server's", text, got)
                    status = got[9:12].decode() or "closed"
                    seen[status] = seen.get(status, 0) + 1
            if begin % 1000 == 0:
                publish(server, "calm", begin)
                equal(other.next("entry")["payload"], begin, "others go on")
        print(f"seed {SEED}: {COUNT} requests: {dict(sorted(seen.items()))}", flush=True)
        expect(seen.get("400", 0) > COUNT // 10, "they are malformed", seen)
        equal(request(server, "GET", "/healthz").json(), {"status": "ok"})
        equal(len(log_of(server, "calm")), info(server, "calm")["last"])
        expect(seen.get("201", 0) > 5 and seen.get("204", 0) > COUNT // 200, "some streams were made and used", seen)
        log_of(server, "m")
        expect(server.running(), "the server runs")


run(every_malformed_request_ends_and_nobody_else_is_disturbed)
