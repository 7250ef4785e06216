"""The protocol of docs/protocol.md on a real server: every op, every form of `after`, every error.

After each refusal the same connection is used again: an error leaves everything else working.
"""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
import urllib.parse

from support import (CONFAB, PATIENCE_S, Closed, Server, Wire, equal, eventually, expect, info, log_of, page, post,
                     publish, ready, request, run, scratch, served)

BAD_NAMES = ["", "a b", "a/", "/a", "a//b", ".", "..", "a/../b", "__ds", "__ds/x", "n" * 257, "ü", "a%b", "a\u0000b", "a?b"]
GOOD_NAMES = ["a", "n" * 256, "A-Z_0:9.@", "a/b/c", "...", "a/__ds", "__dsx", "-"]

BAD_AFTERS = ["", "x", "-1", "1.5", "1e3", " 1", "1 ", "+1", "0x1", "last:", "last:-1", "last:x", "last:1.0", "Start", "NOW",
              "9007199254740992", "18446744073709551616", "1698249600123-", "-0", "1-2-3", "1_2", "41_k3f9",
              "41_k3f9_1-0", "0000000000000041_k3f9_x", "0000000000000041__1-0x", "start ", "null"]


# --- subscribe and its errors


def good_names_are_taken_and_bad_ones_refused():
    with served() as server, Wire(server) as wire:
        for name in GOOD_NAMES:
            equal(wire.publish(name, 1)["seq"], 1)
            equal(wire.subscribe(name, after=0)["last"], 1)
            equal(wire.next("entry", name)["payload"], 1)
            wire.next("live", name)
            equal(info(server, name)["conversation"], name)
        for name in BAD_NAMES:
            for op in ("subscribe", "unsubscribe"):
                wire.refused("bad_name", op=op, conversation=name)
            wire.refused("bad_name", op="publish", conversation=name, payload=1)
            wire.refused("bad_name", op="ack", conversation=name, seq=1)
            if name not in ("", ".", ".."):
                answer = post(server, name, {"payload": 1})
                expect(answer.status == 400 and answer.code() == "bad_name", name, answer)
        answer = request(server, "GET", "/v1/conversations/%2E%2E/entries")
        expect(answer.status == 400 and answer.code() == "bad_name", "..", answer)
        for missing in ({}, {"conversation": None}, {"conversation": 1}, {"conversation": ["a"]}):
            wire.refused("bad_request", op="subscribe", **missing)
        wire.silent()


def every_bad_after_is_refused():
    with served() as server, Wire(server) as wire:
        publish(server, "c", 1, 2, 3)
        for after in BAD_AFTERS:
            answer = request(server, "GET", "/v1/conversations/c/entries?after=" + urllib.parse.quote(after))
            expect(answer.status == 400 and answer.code() == "bad_after", "HTTP " + after, answer)
            wire.refused("bad_after", op="subscribe", conversation="c", after=after)
            # An empty Last-Event-ID is none (a browser that had no id yet), and so is one that is sent as spaces.
            answer = request(server, "GET", "/v1/conversations/c/events?after=" + urllib.parse.quote(after))
            expect(answer.status == 400 and answer.code() == "bad_after", "events " + after, answer)
        for after in ("-1", "1.5", "1e3", "9007199254740992", "1e400", "true", "{}", "[1]", "[]"):
            wire.refs += 1
            wire.send_text('{"op":"subscribe","ref":%d,"conversation":"c","after":%s}' % (wire.refs, after))
            x = wire.next("error")
            expect(x["code"] == "bad_after" and x["ref"] == wire.refs, "number " + after, x)
        for path in ("entries", "events"):
            answer = request(server, "GET", f"/v1/conversations/c/{path}?after=saved")
            expect(answer.status == 400 and answer.code() == "bad_after", "saved over HTTP", answer)
        answer = request(server, "GET", "/v1/conversations/c/events", headers={"Last-Event-ID": "nonsense"})
        expect(answer.status == 400 and answer.code() == "bad_after", "Last-Event-ID", answer)
        wire.refused("bad_request", op="subscribe", conversation="c", after=1, epoch=7)
        wire.refused("bad_request", op="subscribe", conversation="c", after=1, epoch="not one!")
        wire.refused("bad_request", op="subscribe", conversation="c", after=1, id="nonsense")
        wire.refused("bad_request", op="subscribe", conversation="c", after=1, id=1)
        equal(wire.subscribe("c", after=2)["unread"], 1)
        equal(wire.next("entry")["seq"], 3)
        wire.next("live")
        wire.silent()


def every_form_of_after_starts_where_it_says():
    with served() as server:
        publish(server, "c", *range(1, 11))
        entries = log_of(server, "c")
        epoch = info(server, "c")["epoch"]
        position = f"{4:016}_{epoch}_{entries[3]['id']}"
        ms, n = entries[6]["id"].split("-")
        forms = [(0, 0), ("0", 0), (4, 4), ("4", 4), (10, 10), ("start", 0), ("now", 10), ("last:0", 10), ("last:3", 7),
                 ("last:10", 0), ("last:11", 0), ("last:9007199254740991", 0), (position, 4),
                 (entries[6]["id"], 7), (f"{ms}-{int(n) + (1 << 20)}", 10 if entries[9]["id"].startswith(ms) else None),
                 ("0-0", 0), ("1-0", 0), ("9007199254740991-0", 10)]
        with Wire(server) as wire:
            for after, start in forms:
                if start is None:
                    continue
                x = wire.subscribe("c", after=after)
                equal((x["after"], x["first"], x["last"], x["unread"], x["epoch"]), (start, 1, 10, 10 - start, epoch), str(after))
                equal([y["seq"] for y in wire.entries(10 - start, "c")], list(range(start + 1, 11)), str(after))
                equal(wire.next("live")["seq"], 10)
                got = page(server, "c", after)
                equal((got["after"], [y["seq"] for y in got["entries"]]), (start, list(range(start + 1, 11))), str(after))
                expect("reset" not in got, str(after), got)
                if start < 10:
                    with Events(server, "c", after) as events:
                        equal(events.next()["id"].split("_")[0], f"{start:016}", str(after))
                        equal(events.next()["data"]["seq"], start + 1, str(after))
            # Checks that agree.
            x = wire.subscribe("c", after=4, epoch=epoch, id=entries[3]["id"])
            equal((x["after"], wire.next("entry")["seq"]), (4, 5))
            wire.entries(5)
            wire.next("live")
            wire.silent()
        with Wire(server, "?conversation=c&after=last:2") as wire:
            equal(wire.next("subscribed")["after"], 8)
            wire.entries(2)
            wire.next("live")
        with Wire(server, "?conversation=c") as wire:
            equal(wire.next("subscribed")["after"], 10, "without a client id the default is now")
            wire.next("live")
        with Wire(server, "?conversation=c&client=me") as wire:
            equal(wire.next("subscribed")["after"], 0, "with one it is saved, else start")
            wire.entries(10)
            wire.next("live")
        equal(page(server, "nobody")["entries"], [])
        x = page(server, "nobody")
        equal((x["epoch"], x["first"], x["last"], x["after"]), ("", 1, 0, 0))


def handshake_parameters_are_checked():
    with served() as server:
        def handshake(query):
            return request(server, "GET", "/v1/ws" + query, headers={
                "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        for query, code in (("?conversation=a%20b", "bad_name"), ("?conversation=c&after=x", "bad_after"), ("?client=", "bad_request"),
                            ("?client=~x", "bad_request"), ("?client=" + "c" * 129, "bad_request"),
                            ("?client=%ff", "bad_request"), ("?client=%zz", "bad_request")):
            answer = handshake(query)
            expect(answer.status == 400 and answer.code() == code, query, answer)
        answer = request(server, "GET", "/v1/ws")
        expect(answer.status == 426 and answer.code() == "bad_request", "no handshake", answer)
        answer = request(server, "GET", "/v1/ws", headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Origin": "http://evil.example",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        expect(answer.status == 403, "a page of another origin", answer)
        with Wire(server, "?client=" + urllib.parse.quote("Jörg \"x\" 東")) as wire:
            equal((wire.hello["client"], wire.hello["user"]), ('Jörg "x" 東', "anonymous"))
            equal(wire.hello["heartbeat_ms"], 25000)
            expect(wire.hello["server"].startswith("confab/"), "hello", wire.hello)
        with Wire(server) as a, Wire(server) as b:
            expect(a.hello["client"] != b.hello["client"] and a.hello["client"].startswith("~"), "made up ids", a.hello)


def a_position_of_another_log_is_reset():
    with served() as server, Wire(server) as wire:
        publish(server, "c", *range(1, 6))
        entries = log_of(server, "c")
        epoch = info(server, "c")["epoch"]
        other_id = "1-7"
        for members in ({"after": 6}, {"after": 9007199254740991}, {"after": 6, "epoch": epoch},
                        {"after": 2, "epoch": "zzzz.1"}, {"after": 5, "epoch": "zzzz.1"}, {"after": 2, "id": other_id},
                        {"after": 5, "id": other_id}, {"after": 2, "epoch": epoch, "id": other_id},
                        {"after": f"{2:016}_{epoch}_{other_id}"}, {"after": f"{2:016}_zzzz.1_{entries[1]['id']}"},
                        {"after": f"{6:016}_{epoch}_{entries[4]['id']}"}):
            x = wire.subscribe("c", **members)
            equal((x["after"], x["last"], x["epoch"]), (0, 5, epoch), str(members))
            x = wire.next("reset", "c")
            equal((x["reason"], x["epoch"]), ("epoch", epoch), str(members))
            equal([y["seq"] for y in wire.entries(5)], [1, 2, 3, 4, 5], str(members))
            wire.next("live")
            if "id" not in members and "epoch" not in members:
                got = page(server, "c", members["after"])
                equal((got["after"], got["reset"]["reason"], len(got["entries"])), (0, "epoch", 5), str(members))
                with Events(server, "c", members["after"]) as events:
                    expect(events.next()["id"].startswith("0" * 16), str(members))
                    x = events.next()
                    equal((x["event"], x["data"]["reason"]), ("reset", "epoch"), str(members))
                    equal(events.next()["data"]["seq"], 1)
        wire.silent()
        # A conversation that is not there any more is another log too.
        x = wire.subscribe("gone", after=3, epoch=epoch)
        equal((x["after"], x["first"], x["last"], x["epoch"]), (0, 1, 0, ""))
        equal(wire.next("reset", "gone")["epoch"], "")
        equal(wire.next("live", "gone")["seq"], 0)
        wire.publish("gone", "first")
        equal(wire.held.pop(0)["seq"] if wire.held else wire.next("entry", "gone")["seq"], 1)
        wire.silent()


def subscribing_creates_nothing_and_the_first_epoch_is_no_reset():
    with served() as server, Wire(server) as wire, Wire(server) as other:
        x = wire.subscribe("new", after="start")
        equal((x["epoch"], x["first"], x["last"], x["after"], x["unread"]), ("", 1, 0, 0, 0))
        equal(wire.next("live", "new")["seq"], 0)
        equal(request(server, "GET", "/v1/conversations/new").status, 404)
        for n in (1, 2):
            other.publish("new", n)
            equal(wire.next("entry", "new")["seq"], n)
        wire.silent()


# --- frames


def a_malformed_frame_is_an_error_and_nothing_more():
    with served("--net.frame_bytes=65536", "--net.payload_bytes=4096") as server, Wire(server) as wire:
        def error(code):
            x = wire.next("error")
            equal(x["code"], code, str(x))
            return x
        for text in ("", "{", "nonsense", "[]", "1", "null", '"x"', '{"op":"ping"', '{"op":"ping"}}', "{'op':'ping'}",
                     '{"op":"ping",}', '{"op":"ping","ref":01}', '{"op":1}', "{}", '{"op":null}', '{"ref":1}', "[" * 5000,
                     '{"a":' * 2000 + "1" + "}" * 2000):
            wire.send_text(text)
            error("bad_request")
        wire.send_text(b'{"op":"ping","ref":"' + b"r" * 256 + b'"}')
        error("bad_request")
        for op in ("sub", "", "PING", "signal", "entry", "op", "presence", "hello"):
            expect(wire.refused("unknown_op", op=op, conversation="c")["retry"] is False, op)
        wire.send_frame(b'{"op":"ping","ref":1}', opcode=2)
        expect("text" in error("bad_request")["message"], "binary")
        equal(wire.ask(op="ping", more={"unknown": ["members", None]})["op"], "pong")
        equal(wire.ask(op="publish", conversation="c")["code"], "bad_request", "without a payload")
        for members in ({"kind": ""}, {"kind": "k" * 65}, {"kind": 1}, {"message": "m" * 129}, {"message": 1}):
            wire.refused("bad_request", op="publish", conversation="c", payload=1, **members)
        for members in ({"producer": "", "producer_seq": 1}, {"producer": "~a", "producer_seq": 1}, {"producer": "=a", "producer_seq": 1},
                        {"producer": "p" * 129, "producer_seq": 1}, {"producer": 1, "producer_seq": 1}, {"producer": "p"},
                        {"producer_seq": 1}, {"producer_epoch": 1}, {"producer": "p", "producer_seq": -1},
                        {"producer": "p", "producer_seq": 1.5}, {"producer": "p", "producer_seq": "1"},
                        {"producer": "p", "producer_seq": 1 << 53}, {"producer": "p", "producer_seq": 1, "producer_epoch": 1 << 32}):
            wire.refused("bad_producer", op="publish", conversation="c", payload=1, **members)
        # At the limit, and one byte beyond.
        equal(wire.publish("c", "x" * 4094)["seq"], 1)
        wire.refused("payload_too_large", op="publish", conversation="c", payload="x" * 4095)
        wire.send_text(json.dumps({"op": "ping", "ref": 5, "x": ""}).replace('""', '"' + "x" * (65536 - 33) + '"').encode()[:65536])
        x = wire.next()
        expect(x["op"] in ("pong", "error") and x.get("code") != "frame_too_large", "65536 bytes", x)
        for size in (65537, 70000, 400000):
            wire.send_text("x" * size)
            expect("65536" in error("frame_too_large")["message"], "names the limit")
        wire.send_frame(b"x" * 40000, fin=False)
        for _ in range(20):
            wire.send_frame(b"x" * 4000, opcode=0, fin=False)
        wire.send_frame(b"x", opcode=0)
        error("frame_too_large")
        equal(wire.publish("c", 2)["seq"], 2)
        wire.silent()


def frames_beyond_the_protocol_end_the_connection_only():
    with served() as server, Wire(server) as other:
        other.subscribe("c")
        other.next("live")
        for frame in (bytes([0x81, 0x02]) + b"{}", bytes([0xC1, 0x80, 0, 0, 0, 0]), bytes([0x83, 0x80, 0, 0, 0, 0]),
                      bytes([0x80, 0x80, 0, 0, 0, 0]), bytes([0x09, 0x80, 0, 0, 0, 0]), Wire.frame_bytes(b"\xff\xfe"),
                      bytes([0x89, 0xFE, 0, 126, 0, 0, 0, 0]) + b"x" * 126, bytes([0x81, 0xFF]) + b"\xff" * 12,
                      Wire.frame_bytes(b"\x00", 8), Wire.frame_bytes(b'{"op":"pi', fin=False) + Wire.frame_bytes(b"{}")):
            with Wire(server) as wire:
                wire.socket.sendall(frame)
                try:
                    wire.receive()
                    raise AssertionError(f"{frame!r:.40} was answered")
                except (Closed, ConnectionResetError) as end:
                    expect(getattr(end, "code", None) in (None, 1002, 1007, 1009), "close code", frame[:20], end)
        other.publish("c", 1)
        equal(other.held.pop(0)["seq"] if other.held else other.next("entry")["seq"], 1)
        other.silent()


def fragmented_and_large_frames_are_whole():
    with served() as server, Wire(server, "?client=a") as wire:
        wire.subscribe("c", after="start")
        wire.next("live")
        text = json.dumps({"op": "publish", "ref": 1, "conversation": "c", "payload": "é東" * 1000}, ensure_ascii=False).encode()
        pieces = [text[i:i + 7] for i in range(0, len(text), 7)]  # also within a character
        for i, piece in enumerate(pieces):
            wire.send_frame(piece, opcode=0 if i else 1, fin=i == len(pieces) - 1)
            if i == 3:
                wire.send_frame(b"in between", 9)
                equal(wire.receive_frame(), (10, b"in between"))
        got = {wire.next()["op"], wire.next()["op"]}
        equal(got, {"published", "entry"})
        # Byte by byte over TCP.
        for byte in Wire.frame_bytes(b'{"op":"ping","ref":"slow"}'):
            wire.socket.sendall(bytes([byte]))
        equal(wire.next("pong")["ref"], "slow")
        # Each length encoding, at its borders.
        for size in (1, 125 - 60, 125, 126, 127, 65535, 65536, 200000, 262142):
            payload = "x" * size
            wire.publish("c", payload)
            entry = wire.held.pop(0) if wire.held else wire.next("entry")
            equal(entry["payload"], payload, str(size))
        wire.silent()


def payloads_are_kept_byte_for_byte():
    payloads = ['"\\u00e9 é \\ud83d\\ude00 😀 \\/ \\b\\f\\n\\r\\t \\" \\\\"', "12345678901234567890123456789", "1.0", "1e2", "-0",
                "-0.0", "1E+2", "0.1000000000000000055511151231257827", '{"b":1,"a":2,"b":3}', '{ "spaced" :  [ 1 , 2 ] }',
                "[]", "{}", "null", "true", "false", '""', '"\\u0000"', '"\\u2028\\u2029"', '"</script>"', "[[[[[[[[]]]]]]]]",
                '{"op":"entry","seq":1}', '"' + "\\\\" * 1000 + '"', "1" + "0" * 400, '"data: x\\n\\nevent: live"']
    with served() as server, Wire(server) as wire, Wire(server) as live:
        live.subscribe("c", after=0)
        live.next("live")
        for i, text in enumerate(payloads):
            wire.send_text('{"op":"publish","ref":%d,"conversation":"c","payload":%s,"kind":"k\\"é"}' % (i, text))
            equal(wire.next("published")["seq"], i + 1, text)
            raw = live.receive_text().decode()
            expect(raw.endswith('"payload":' + text + "}"), "live: " + text, raw)
            equal(json.loads(raw)["kind"], 'k"é')
        n = len(payloads)
        for text in payloads:
            answer = post(server, "c", '{"payload":%s}' % text)
            expect(answer.status == 201, text, answer)
        body = request(server, "GET", "/v1/conversations/c/entries").body.decode()
        for text in payloads:
            expect(body.count('"payload":' + text + "}") == 2, "page: " + text, body)
        wire.subscribe("c", after=0)
        for i, text in enumerate(payloads * 2):
            raw = wire.receive_text().decode()
            expect(raw.endswith('"payload":' + text + "}"), "replay: " + text, raw)
        with Events(server, "c", n) as events:
            events.next()
            for text in payloads:
                raw = events.next_raw()
                expect('"payload":' + text + "}" in raw, "event: " + text, raw)
        # What is not JSON in UTF-8 is refused.
        for body in (b'{"payload":"\xff"}', b'{"payload":"\xed\xa0\x80"}', b'{"payload":NaN}', b'{"payload":1}x', b"", b'{"payload":"\t"}',
                     b'\xef\xbb\xbf{"payload":', b'{"payload":"\\ud800\\x"}'):
            answer = post(server, "c", body)
            expect(answer.status == 400 and answer.code() == "bad_request", repr(body), answer)
        equal(info(server, "c")["last"], 2 * n)


# --- the life of a subscription


def a_second_subscribe_on_a_connection_replaces_the_first():
    with served() as server, Wire(server) as wire:
        publish(server, "c", *range(1, 4))
        wire.subscribe("c", after=0)
        wire.entries(3)
        wire.next("live")
        wire.subscribe("c", after=1)
        equal([x["seq"] for x in wire.entries(2)], [2, 3])
        wire.next("live")
        publish(server, "c", 4)
        equal(wire.next("entry")["seq"], 4)
        wire.silent()
        # Many at once: each is answered, and from the last `subscribed` on there is one stream.
        for i in range(20):
            wire.send(op="subscribe", ref=i, conversation="c", after=i % 4)
        answered = set()
        seqs = None
        while len(answered) < 20 or seqs != 4:
            x = wire.next()
            if "ref" in x:
                expect(x["op"] == "subscribed" or x["code"] == "superseded", "an answer", x)
                answered.add(x["ref"])
                if x["op"] == "subscribed":
                    seqs = x["after"]
            elif x["op"] == "entry":
                equal(x["seq"], seqs + 1, str(x))
                seqs += 1
        equal(answered, set(range(20)))
        x = wire.next("live")
        wire.silent()


def unsubscribe_ends_it_and_other_subscriptions_go_on():
    with served() as server, Wire(server) as wire:
        for name in ("a", "b"):
            wire.subscribe(name)
            wire.next("live", name)
        equal(wire.ask(op="unsubscribe", conversation="a")["op"], "unsubscribed")
        publish(server, "a", 1)
        publish(server, "b", 1)
        wire.next("entry", "b")
        wire.refused("not_subscribed", op="unsubscribe", conversation="a")
        wire.refused("not_subscribed", op="unsubscribe", conversation="never")
        wire.refused("not_subscribed", op="ack", conversation="a", seq=1)
        wire.silent()
        equal(wire.subscribe("a", after=0)["last"], 1)
        wire.next("entry", "a")
        wire.next("live", "a")
        wire.silent()


def subscriptions_have_a_limit():
    with served("--net.subscriptions=3") as server, Wire(server) as wire:
        for name in ("a", "b", "c"):
            wire.subscribe(name)
            wire.next("live", name)
        x = wire.refused("too_many_subscriptions", op="subscribe", conversation="d")
        equal(x["retry"], False)
        wire.subscribe("b")
        wire.next("live", "b")
        equal(wire.ask(op="unsubscribe", conversation="a")["op"], "unsubscribed")
        wire.subscribe("d")
        wire.next("live", "d")
        wire.silent()


def the_same_client_elsewhere_supersedes():
    with served() as server, Wire(server, "?client=me") as old, Wire(server, "?client=me") as new, Wire(server, "?client=you") as you:
        for wire in (old, you, new):
            wire.subscribe("c", after="now")
            wire.next("live")
        x = old.next("unsubscribed", "c")
        equal(x["reason"], "superseded")
        publish(server, "c", 1)
        for wire in (new, you):
            equal(wire.next("entry")["seq"], 1)
        old.refused("not_subscribed", op="ack", conversation="c", seq=1)
        for wire in (old, new, you):
            wire.silent()
        old.subscribe("c", after=0)
        old.entries(1)
        old.next("live")
        equal(new.next("unsubscribed")["reason"], "superseded")
        new.silent()


def acks_move_the_cursor_and_never_back():
    with served() as server:
        publish(server, "c", *range(1, 6))
        with Wire(server, "?client=me") as wire:
            wire.refused("not_subscribed", op="ack", conversation="c", seq=1)
            wire.subscribe("c", after=0)
            wire.entries(5)
            wire.next("live")
            wire.refused("bad_ack", op="ack", conversation="c", seq=6)
            wire.refused("bad_ack", op="ack", conversation="c", seq=(1 << 53) - 1)
            for bad in ({}, {"seq": -1}, {"seq": "1"}, {"seq": 1 << 53}, {"seq": None}, {"seq": 1.5}):
                wire.refused("bad_request", op="ack", conversation="c", **bad)
            for seq in (3, 2, 0):
                x = wire.ask(op="ack", conversation="c", seq=seq)
                equal((x["op"], x["seq"]), ("acked", seq))
            wire.send(op="ack", conversation="c", seq=1)
            wire.silent()
        for members, start in (({}, 3), ({"after": "saved"}, 3), ({"after": "now"}, 5)):
            with Wire(server, "?client=me") as wire:
                equal(wire.subscribe("c", **members)["after"], start, str(members))
        with Wire(server, "?client=other") as wire:
            equal(wire.subscribe("c", after="saved")["after"], 0)
        server.restart()
        with Wire(server, "?client=me") as wire:
            equal(wire.subscribe("c", after="saved")["after"], 3, "after kill -9")
            equal([x["seq"] for x in wire.entries(2)], [4, 5])


def a_cursor_belongs_to_its_epoch():
    with served() as server:
        publish(server, "c", 1, 2, 3)
        with Wire(server, "?client=me") as wire:
            wire.subscribe("c", after=0)
            wire.entries(3)
            wire.next("live")
            wire.ask(op="ack", conversation="c", seq=3)
        equal(request(server, "DELETE", "/v1/conversations/c").status, 204)
        publish(server, "c", 1, 2, 3, 4)
        with Wire(server, "?client=me") as wire:
            equal(wire.subscribe("c", after="saved")["after"], 0, "deleted with its conversation")


# --- close and delete


def a_closed_conversation_tells_everybody():
    with served() as server, Wire(server) as wire, Events(server, "c", "start") as events:
        wire.publish("c", 1)
        wire.subscribe("c", after=0)
        wire.entries(1)
        wire.next("live")
        for body in ("", "[]", "{}", '{"closed":false}', '{"closed":1}', "{"):
            answer = request(server, "PATCH", "/v1/conversations/c", body)
            expect(answer.status == 400 and answer.code() == "bad_request", body, answer)
        for _ in range(2):
            answer = request(server, "PATCH", "/v1/conversations/c", {"closed": True})
            expect(answer.status == 200 and answer.json()["closed"] is True, "PATCH", answer)
        equal(wire.next("closed", "c")["seq"], 1)
        x = wire.refused("closed", op="publish", conversation="c", payload=2)
        equal(x["retry"], False)
        wire.refused("closed", op="publish", conversation="c", payload=2, producer="p", producer_seq=1)
        answer = post(server, "c", {"payload": 2})
        expect(answer.status == 409 and answer.code() == "closed", "POST", answer)
        wire.silent()
        wire.subscribe("c", after=0)
        wire.entries(1)
        wire.next("live")
        equal(wire.next("closed")["seq"], 1)
        wire.silent()
        last = None
        for _ in range(10):
            x = events.next()
            last = x.get("id", last)
            if x["event"] == "closed":
                break
        equal(x["event"], "closed")
        equal(events.next(), None, "the stream ends")
        for where, headers in (("", {"Last-Event-ID": last}), ("?after=now", {}), ("?after=1", {})):
            answer = request(server, "GET", "/v1/conversations/c/events" + where, headers=headers)
            expect(answer.status == 204 and answer.body == b"", where, answer)
        with Events(server, "c", "start") as again:
            equal([(again.next() or {}).get("event") for _ in range(5)], ["", "", "live", "closed", None])
        equal(info(server, "c")["closed"], True)
        wire.publish("other", 1)
        server.restart()
        equal(info(server, "c")["closed"], True, "after kill -9")
        expect(post(server, "c", {"payload": 2}).code() == "closed", "after kill -9")
    with served() as server:
        # One that was never written to is there, closed and empty, or is not found: never half.
        answer = request(server, "PATCH", "/v1/conversations/empty", {"closed": True})
        expect(answer.status in (200, 404), "PATCH of nothing", answer)
        if answer.status == 200:
            equal(request(server, "GET", "/v1/conversations/empty/events").status, 204)
            equal(info(server, "empty")["last"], 0)


def a_publish_retried_after_the_close_has_its_receipt():
    with served() as server, Wire(server) as wire:
        x = wire.publish("c", 1, producer="p", producer_seq=1)
        request(server, "PATCH", "/v1/conversations/c", {"closed": True})
        y = wire.publish("c", 1, producer="p", producer_seq=1)
        equal((y["seq"], y["id"], y["duplicate"]), (x["seq"], x["id"], True))


def a_deleted_conversation_resets_and_begins_anew():
    with served() as server, Wire(server, "?client=w") as wire, Wire(server) as other:
        publish(server, "c", 1, 2, 3)
        old = info(server, "c")["epoch"]
        wire.subscribe("c", after=0)
        wire.entries(3)
        wire.next("live")
        other.publish("c", 4, producer="p", producer_seq=40)
        wire.next("entry")
        equal(request(server, "DELETE", "/v1/conversations/c").status, 204)
        equal(wire.next("reset", "c")["reason"], "deleted")
        x = wire.next()
        equal((x["op"], x["seq"]), ("live", 0))
        wire.silent()
        equal(request(server, "GET", "/v1/conversations/c").status, 404)
        equal(page(server, "c")["entries"], [])
        equal(other.publish("c", "new", producer="p", producer_seq=40)["seq"], 1, "its producers are gone too")
        new = info(server, "c")["epoch"]
        expect(new != old, "a new epoch", old, new)
        equal(wire.next("entry", "c")["seq"], 1)
        wire.silent()
        x = other.subscribe("c", after=1, epoch=old)
        equal((x["after"], other.next("reset")["reason"]), (0, "epoch"))
        equal(page(server, "c", f"{1:016}_{old}_1-0")["reset"]["reason"], "epoch")
        answer = request(server, "DELETE", "/v1/conversations/never")
        expect(answer.status in (204, 404), "DELETE of nothing", answer)
        server.restart()
        equal((info(server, "c")["epoch"], info(server, "c")["last"]), (new, 1), "after kill -9")
        # Closed, deleted: open again.
        request(server, "PATCH", "/v1/conversations/c", {"closed": True})
        request(server, "DELETE", "/v1/conversations/c")
        equal(post(server, "c", {"payload": 1}).status, 201)


# --- publishing


def a_producer_is_numbered_without_gaps():
    with served() as server, Wire(server) as wire:
        def again(seq, number, **members):
            x = wire.publish("c", "other text", producer="p", producer_seq=number, **members)
            equal((x["seq"], x["duplicate"]), (seq, True), f"number {number}")
        equal(wire.publish("c", 1, producer="p", producer_seq=7)["seq"], 1, "any first number")
        equal(wire.publish("c", 2, producer="p", producer_seq=8)["seq"], 2)
        for number in (10, 11, (1 << 53) - 1):
            x = wire.refused("producer_gap", op="publish", conversation="c", payload=1, producer="p", producer_seq=number)
            equal((x["expected"], x["retry"]), (9, False))
        wire.refused("payload_too_large", op="publish", conversation="c", payload="x" * 262143, producer="p", producer_seq=9)
        equal(wire.publish("c", 3, producer="p", producer_seq=9)["seq"], 3, "a refused one does not use up its number")
        again(3, 9)
        again(1, 7)
        again(2, 8)
        for number in range(10, 30):
            wire.publish("c", number, producer="p", producer_seq=number)
        wire.publish("c", "between")
        wire.publish("c", "between", producer="q", producer_seq=1)
        again(4, 10)
        again(1, 7)
        equal(wire.publish("other", 1, producer="p", producer_seq=1)["seq"], 1, "per conversation")
        for _ in range(2):
            server.restart()
            break
    with served() as server:
        with Wire(server) as wire:
            receipts = {n: wire.publish("c", n, producer="p", producer_seq=n) for n in range(5, 45)}
        server.restart()
        with Wire(server) as wire:
            for n in (44, 43, 5, 20, 44):
                x = wire.publish("c", n, producer="p", producer_seq=n)
                equal((x["seq"], x["id"], x["duplicate"]), (receipts[n]["seq"], receipts[n]["id"], True), "after kill -9")
            x = wire.refused("producer_gap", op="publish", conversation="c", payload=1, producer="p", producer_seq=46)
            equal(x["expected"], 45)
            wire.refused("producer_old", op="publish", conversation="c", payload=1, producer="p", producer_seq=4)
            equal(wire.publish("c", 1, producer="p", producer_seq=45)["duplicate"], False)
        equal(info(server, "c")["last"], 41)


def a_producer_epoch_fences():
    with served() as server, Wire(server) as wire:
        def put(number, epoch, **members):
            return wire.ask(op="publish", conversation="c", payload=1, producer="p", producer_seq=number, producer_epoch=epoch, **members)
        equal(put(5, 0)["seq"], 1)
        equal(put(1, 2)["seq"], 2, "a higher epoch starts at any number")
        for number in (6, 5, 2):
            x = put(number, 1)
            equal((x["code"], x["retry"]), ("producer_epoch", False))
        equal(wire.ask(op="publish", conversation="c", payload=1, producer="p", producer_seq=6)["code"], "producer_epoch")
        equal(put(3, 2)["code"], "producer_gap")
        equal(put(2, 2)["seq"], 3)
        server.restart()
    with served() as server:
        for restart in (False, True):
            with Wire(server) as wire:
                answer = post(server, "c", {"payload": 1, "producer": "p", "producer_seq": 1, "producer_epoch": 3})
                equal(answer.status, 200 if restart else 201)
                answer = post(server, "c", {"payload": 1, "producer": "p", "producer_seq": 2, "producer_epoch": 2})
                expect(answer.status == 403 and answer.code() == "producer_epoch", "fenced", answer)
                answer = post(server, "c", {"payload": 1, "producer": "p", "producer_seq": 3, "producer_epoch": 3})
                expect(answer.status == 409 and answer.code() == "producer_gap" and answer.json()["expected"] == 2, "gap", answer)
            server.restart()


def pipelined_publishes_are_all_answered_in_order():
    n = 1000
    with served() as server, Wire(server) as wire, Wire(server) as reader:
        reader.subscribe("c", after=0)
        reader.next("live")
        # Without a producer each is on its own; both kinds in one stream, far beyond 64 and 1 MiB.
        plain = b"".join(Wire.frame_bytes(json.dumps(
            {"op": "publish", "ref": n + i, "conversation": "c", "payload": "x" * 5000}).encode()) for i in range(500))
        first = Wire.frame_bytes(json.dumps({"op": "publish", "ref": "first", "conversation": "c", "payload": 1, "producer": "p",
                                             "producer_seq": 1}).encode())
        numbered = first + b"".join(Wire.frame_bytes(json.dumps(
            {"op": "publish", "ref": i, "conversation": "c", "payload": i, "producer": "p", "producer_seq": i}).encode())
            for i in range(2, n + 1))
        import threading
        sender = threading.Thread(target=lambda: wire.socket.sendall(numbered + plain))
        sender.start()
        answers = [wire.next("published") for _ in range(n + 500)]
        sender.join(PATIENCE_S)
        equal([x["ref"] for x in answers], ["first", *range(2, n + 1), *range(n, n + 500)])
        equal([x["seq"] for x in answers], list(range(1, n + 501)))
        reader.entries(n + 500)
        # The same once more, as after a lost connection: nothing new. Receipts are kept for the last 256 numbers.
        wire.socket.sendall(numbered)
        got = {x["ref"]: x for x in (wire.next() for _ in range(n))}
        equal(set(got), {"first", *range(2, n + 1)})
        got[1] = got.pop("first")
        for i, x in got.items():
            if i <= n - 256 and x["op"] == "error":
                equal((x["code"], x["retry"]), ("producer_old", False))
            else:
                equal((x["op"], x["seq"], x["duplicate"]), ("published", i, True))
        wire.silent()
        equal(info(server, "c")["last"], n + 500)


def a_producers_drafts_stay_in_order_while_their_conversation_is_created():
    """The first one is looked up, another client's creates the conversation, and the second one arrives meanwhile."""
    with served() as server, Wire(server) as wire:
        for i in range(100):
            name = f"c{i}"
            wire.socket.sendall(b"".join(Wire.frame_bytes(json.dumps(
                {"op": "publish", "ref": ref, "conversation": name, "payload": ref, **members}).encode()) for ref, members in (
                    ("p1", {"producer": "p", "producer_seq": 1}), ("unnumbered", {}), ("p2", {"producer": "p", "producer_seq": 2}))))
            answers = {x["ref"]: x for x in (wire.next() for _ in range(3))}
            equal({x["op"] for x in answers.values()}, {"published"}, str(answers))
            equal([x["payload"] for x in log_of(server, name) if "producer" in x], ["p1", "p2"])


def equal_drafts_in_flight_share_one_entry():
    with served() as server:
        wires = [Wire(server) for _ in range(8)]
        for n in range(1, 21):
            for wire in wires:
                wire.send(op="publish", ref=n, conversation="c", payload=n, producer="p", producer_seq=n)
            got = [wire.next("published") for wire in wires]
            equal({(x["seq"], x["id"]) for x in got}, {(n, got[0]["id"])})
            equal(sorted(x["duplicate"] for x in got), [False] + [True] * 7)
        for wire in wires:
            wire.socket.close()
        equal([x["payload"] for x in log_of(server, "c")], list(range(1, 21)))


def a_batch_is_all_or_nothing():
    with served() as server, Wire(server) as wire:
        wire.subscribe("c", after=0)
        wire.next("live")
        answer = post(server, "c", [{"payload": x} for x in range(1, 1001)])
        equal(answer.status, 201)
        receipts = answer.json()
        equal([x["seq"] for x in receipts], list(range(1, 1001)))
        equal([(x["seq"], x["id"]) for x in wire.entries(1000)], [(x["seq"], x["id"]) for x in receipts])
        for body, code in (([], "batch_too_large"), ([{"payload": 1}] * 1001, "batch_too_large"), ([{"payload": 1}, {}], "bad_request"),
                           ([{"payload": 1}, 2], "bad_request"), ([{"payload": 1}, {"payload": 2, "kind": ""}], "bad_request"),
                           ([{"payload": 1}, {"payload": "x" * 262143}], "payload_too_large"), ([[{"payload": 1}]], "bad_request"),
                           ([{"payload": 1}, {"payload": 2, "producer": "p", "producer_seq": 1}], "bad_producer")):
            answer = post(server, "c", body)
            expect(answer.status in (400, 413) and answer.code() == code, code, answer)
        batch = [{"payload": "a", "producer": "p", "producer_seq": 1}, {"payload": "b"}, {"payload": "c"}]
        answer = post(server, "c", batch)
        equal((answer.status, [x["seq"] for x in answer.json()]), (201, [1001, 1002, 1003]))
        again = post(server, "c", batch)
        equal((again.status, [x["seq"] for x in again.json()], {x["duplicate"] for x in again.json()}),
              (200, [1001, 1002, 1003], {True}))
        equal([x["id"] for x in again.json()], [x["id"] for x in answer.json()])
        answer = post(server, "c", [{"payload": "d", "producer": "p", "producer_seq": 3}, {"payload": "e"}])
        expect(answer.status == 409 and answer.code() == "producer_gap", "gap", answer)
        answer = post(server, "c", [{"payload": "d", "producer": "p", "producer_seq": 2}])
        equal(answer.json()[0]["seq"], 1004, "one number per array")
        equal([x["payload"] for x in wire.entries(4)], ["a", "b", "c", "d"])
        wire.silent()
        server.restart()
        again = post(server, "c", batch)
        expect(again.status == 200, "an older batch after kill -9", again)
        equal([x["seq"] for x in again.json()], [1001, 1002, 1003])
        equal(info(server, "c")["last"], 1004)


def an_idempotency_key_is_used_once():
    with served() as server:
        body = '{"payload": {"text": "once"}}'
        one = post(server, "c", body, {"Idempotency-Key": "k1"})
        equal((one.status, one.json()["duplicate"]), (201, False))
        for _ in range(2):
            again = post(server, "c", body, {"Idempotency-Key": "k1"})
            equal((again.status, again.json()), (200, {**one.json(), "duplicate": True}))
            other = post(server, "c", '{"payload": 2}', {"Idempotency-Key": "k1"})
            expect(other.status == 422 and other.code() == "idempotency_mismatch" and not other.json()["retry"], "other body", other)
            server.restart()
        batch = '[{"payload":1},{"payload":2}]'
        first = post(server, "c", batch, {"Idempotency-Key": "k2"})
        second = post(server, "c", batch, {"Idempotency-Key": "k2"})
        equal(([x["seq"] for x in first.json()], [x["seq"] for x in second.json()], second.status), ([2, 3], [2, 3], 200))
        equal(post(server, "elsewhere", body, {"Idempotency-Key": "k1"}).json()["seq"], 1, "per conversation")
        answer = post(server, "c", body, {"Idempotency-Key": "k" * 121})
        expect(answer.status == 400 and answer.code() == "bad_producer", "121 bytes", answer)
        answer = post(server, "c", {"payload": 1, "producer": "p", "producer_seq": 1}, {"Idempotency-Key": "k"})
        expect(answer.status == 400 and answer.code() == "bad_producer", "with a producer", answer)
        # A refused one leaves the key free.
        equal(post(server, "c", {"nothing": 1}, {"Idempotency-Key": "k3"}).status, 400)
        equal(post(server, "c", body, {"Idempotency-Key": "k3"}).status, 201)
        equal(info(server, "c")["last"], 4)
        for x in log_of(server, "c"):
            expect("producer" not in x, "a key is no producer", x)


def entries_show_what_was_published():
    with served() as server, Wire(server) as wire:
        began = int(time.time() * 1000) - 60_000
        receipt = wire.publish("c", [1], kind="chunk", message="m1", producer="p", producer_seq=3)
        x, = log_of(server, "c")
        equal({k: v for k, v in x.items() if k != "time"},
              {"seq": 1, "id": receipt["id"], "sender": "anonymous", "kind": "chunk", "message": "m1", "producer": "p",
               "producer_seq": 3, "payload": [1]})
        expect(began < x["time"] < began + 3600_000, "time", x)
        wire.publish("c", None)
        x = log_of(server, "c")[1]
        equal(sorted(x), ["id", "kind", "payload", "sender", "seq", "time"])
        equal((x["kind"], x["payload"]), ("message", None))
        wire.subscribe("c", after=1)
        y = wire.next("entry")
        equal({k: v for k, v in y.items() if k not in ("op", "conversation")}, x)
        # The ref is repeated as it was sent.
        for ref in ('1', '"é\\u00e9"', '[1, 2]', '{"a": 1}', "null", "1.50", '"' + "r" * 254 + '"'):
            wire.next("live") if wire.held and wire.held[0]["op"] == "live" else None
            wire.send_text('{"op":"ping","ref":%s}' % ref)
            text = wire.receive_text().decode()
            if '"live"' in text:
                text = wire.receive_text().decode()
            expect(text == '{"op":"pong","ref":%s}' % ref, "ref", ref, text)


# --- EventSource


class Events:
    """A text/event-stream, read as a browser does."""

    def __init__(self, server, conversation, after=None, last_id=None):
        self.socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        query = "" if after is None else "?after=" + urllib.parse.quote(str(after))
        more = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        self.socket.sendall(f"GET /v1/conversations/{urllib.parse.quote(conversation, safe='')}/events{query} HTTP/1.1\r\n"
                            f"Host: 127.0.0.1\r\nAccept: text/event-stream\r\n{more}\r\n".encode())
        self.buffer = b""
        self.head = self.until(b"\r\n\r\n").decode()
        expect(self.head.startswith("HTTP/1.1 200 "), "an event stream", self.head)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def until(self, end):
        while end not in self.buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                expect(not self.buffer, "ends within an event", self.buffer)
                return b""
            self.buffer += data
        part, self.buffer = self.buffer.split(end, 1)
        return part

    def next_raw(self):
        """The next block that is more than comments; empty at the end."""
        for _ in range(10000):
            raw = self.until(b"\n\n").decode()
            if not raw or any(line and not line.startswith(":") for line in raw.split("\n")):
                return raw
        raise AssertionError("10000 comments")

    def next(self):
        """{"event", "data", "id", …} or None at the end."""
        raw = self.next_raw()
        if not raw:
            return None
        x = {"event": ""}
        data = []
        for line in raw.split("\n"):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "data":
                data.append(value)
            elif key:
                x[key] = value
        if data:
            x["data"] = json.loads("\n".join(data))
        return x


def event_streams_resume_by_their_last_id():
    with served("--net.heartbeat_ms=1000", "--net.idle_ms=5000") as server:
        publish(server, "c", *range(1, 301))
        seen = []
        last = None
        for round_number in range(6):
            with Events(server, "c", "start" if last is None else 250, last) as events:
                equal("data" in events.next(), False, "an id-only event comes first")
                for _ in range(45):
                    x = events.next()
                    if x["event"] == "live":
                        break
                    equal(x["event"], "")
                    seen.append(x["data"]["seq"])
                    last = x["id"]
                    equal(int(last.split("_")[0]), x["data"]["seq"])
            if round_number == 2:
                server.restart()
        equal(seen, list(range(1, 271)))
        with Events(server, "c", None, last) as events:
            lower = events.head.lower()
            for text in ("content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"):
                expect(text in lower, text, events.head)
            equal(re.fullmatch(r"\d+", events.next()["retry"]) is not None, True)
            equal([events.next()["data"]["seq"] for _ in range(30)], list(range(271, 301)))
            x = events.next()
            equal((x["event"], x["data"]["seq"]), ("live", 300))
            resume = x["id"]
            publish(server, "c", 301)
            equal(events.next()["data"]["seq"], 301)
            # A heartbeat keeps it, although a browser says nothing for longer than net.idle_ms.
            deadline = time.monotonic() + 7
            while time.monotonic() < deadline:
                equal(events.until(b"\n\n"), b":", "a heartbeat")
            publish(server, "c", 302)
            equal(events.next()["data"]["seq"], 302)
        with Events(server, "c", None, resume) as events:
            events.next()
            equal([events.next()["data"]["seq"] for _ in range(2)], [301, 302], "by the id of `live`")
        with Events(server, "c") as events:
            events.next()
            x = events.next()
            equal((x["event"], x["data"]["seq"]), ("live", 302), "the default is now")
            request(server, "DELETE", "/v1/conversations/c")
            x = events.next()
            equal((x["event"], x["data"]["reason"]), ("reset", "deleted"))
            publish(server, "c", "new")
            x = events.next()
            if x["event"] == "live":
                x = events.next()
            equal(x["data"]["payload"], "new")
            # What the id says now is a place in the new log.
            publish(server, "c", "second")
            events.next()
            with Events(server, "c", None, x["id"]) as again:
                again.next()
                equal(again.next()["data"]["payload"], "second")
        with Events(server, "unborn", "start") as events:
            first = events.next()
            equal(events.next()["event"], "live")
            with Events(server, "unborn", None, first["id"]) as again:
                again.next()
                equal(again.next()["event"], "live")
                publish(server, "unborn", 1)
                equal(again.next()["data"]["seq"], 1)
            equal(events.next()["data"]["seq"], 1)


# --- HTTP


def http_refuses_with_status_and_code():
    with served("--net.frame_bytes=4096", "--net.payload_bytes=1024") as server:
        c = "/v1/conversations/c"
        cases = [
            ("GET", "/nothing", 404, "not_found", None, {}), ("GET", "/v1", 404, "not_found", None, {}),
            ("GET", "/v1/conversations/c/other", 404, "not_found", None, {}),
            ("GET", "/v1/conversations/c/entries/1", 404, "not_found", None, {}),
            ("GET", "/v1/conversations/a/b/c", 404, "not_found", None, {}),
            ("GET", c, 404, "not_found", None, {}),
            ("POST", "/", 405, "unsupported", "{}", {}), ("POST", "/healthz", 405, "unsupported", "{}", {}),
            ("DELETE", c + "/entries", 405, "unsupported", None, {}), ("PUT", c + "/entries", 405, "unsupported", "{}", {}),
            ("POST", c + "/events", 405, "unsupported", "{}", {}), ("POST", c, 405, "unsupported", "{}", {}),
            ("POST", c + "/entries", 413, "frame_too_large", '{"payload":"' + "x" * 5000 + '"}', {}),
            ("POST", c + "/entries", 413, "payload_too_large", '{"payload":"' + "x" * 2000 + '"}', {}),
            ("POST", c + "/entries", 415, "unsupported", "{}", {"Content-Type": "text/plain"}),
            ("POST", c + "/entries", 415, "unsupported", "<x/>", {"Content-Type": "application/xml"}),
            ("POST", c + "/entries", 400, "bad_request", "{", {}), ("POST", c + "/entries", 400, "bad_request", "", {}),
            ("POST", c + "/entries", 400, "bad_request", '{"payloads":1}', {}), ("POST", c + "/entries", 400, "bad_request", "1", {}),
            ("POST", c + "/entries", 403, "forbidden", '{"payload":1}', {"Origin": "http://evil.example"}),
            ("POST", c + "/entries", 403, "forbidden", '{"payload":1}', {"Origin": "null"}),
            ("GET", c + "/entries?limit=0", 400, "bad_request", None, {}), ("GET", c + "/entries?limit=1001", 400, "bad_request", None, {}),
            ("GET", c + "/entries?limit=x", 400, "bad_request", None, {}), ("GET", c + "/entries?limit=", 400, "bad_request", None, {}),
            ("GET", "/v1/conversations/%zz/entries", 400, "bad_request", None, {}), ("GET", "/%", 400, "bad_request", None, {}),
            ("GET", "/healthz", 431, "frame_too_large", None, {"X-Long": "x" * 17000}),
        ]
        for method, path, status, code, body, headers in cases:
            answer = request(server, method, path, body, headers)
            expect(answer.status == status, f"{method} {path} {status}", answer)
            expect(answer.headers["Content-Type"] == "application/problem+json", path, answer.headers)
            problem = answer.json()
            equal((problem["status"], problem["code"], problem["type"]), (status, code, "about:blank"), path)
            expect(problem["title"] and problem["detail"] and isinstance(problem["retry"], bool), path, problem)
            equal("Allow" in answer.headers, status == 405, path)
            equal(request(server, "GET", "/healthz").json(), {"status": "ok"}, path)
        equal(page(server, "c")["last"], 0, "none of them appended anything")
        same = f"http://127.0.0.1:{server.port}"
        equal(post(server, "c", {"payload": 1}, {"Origin": same}).status, 201, "a page of this server may write")
        equal(post(server, "c", {"payload": 1}, {"Content-Type": "application/json; charset=utf-8"}).status, 201)
        answer = request(server, "HEAD", "/v1/conversations/c")
        equal((answer.status, answer.body), (200, b""))
        answer = request(server, "GET", "/")
        expect(answer.status == 200 and answer.headers["Content-Type"].startswith("text/html"), "/", answer.headers)
        equal(ready(server).status, 200)
        equal(request(server, "GET", "/v1/conversations/a%2Fb/entries").status, 200)


def raw_http(server, data, patience_s=PATIENCE_S):
    """Sends bytes and reads until the server closes its side."""
    with socket.create_connection(("127.0.0.1", server.port), patience_s) as x:
        x.sendall(data)
        got = b""
        while True:
            more = x.recv(1 << 16)
            if not more:
                return got
            got += more


def broken_requests_are_answered_and_closed():
    with served() as server:
        for data in (b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                     b"POST /v1/conversations/c/entries HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                     b"POST /v1/conversations/c/entries HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST /v1/conversations/c/entries HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
                     b"POST /v1/conversations/c/entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, b"GET / HTTP/1.1\r\n" + b"A: b\x00c\r\n\r\n"):
            got = raw_http(server, data)
            expect(got.startswith(b"HTTP/1.1 400 ") and b'"code":"bad_request"' in got, "400", data, got)
        for data in (b"", b"GET / HT", b"POST /v1/conversations/c/entries HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"payl"):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as x:
                x.sendall(data)
        # Requests that may not be smuggled: both lengths at once.
        got = raw_http(server, b"POST /v1/conversations/c/entries HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        expect(b'"status":"ok"' not in got, "a smuggled request was answered", got)
        equal(page(server, "c")["last"], 0)


def connections_are_kept_alive_and_requests_pipelined():
    with served() as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as x:
        def req(method, path, body=b"", close=False):
            return (f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n").encode() + body
        n = 40
        data = b"".join(req("POST", "/v1/conversations/c/entries", b'{"payload":%d}' % i) + req("GET", "/v1/conversations/c")
                        for i in range(1, n + 1))
        chunked = (b"POST /v1/conversations/c/entries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n7\r\n{\"paylo\r\n6\r\nad\":1}\r\n0\r\n\r\n")
        x.sendall(data + chunked + req("GET", "/v1/conversations/none") + req("GET", "/healthz", close=True))
        got = b""
        while True:
            more = x.recv(1 << 16)
            if not more:
                break
            got += more
        answers = got.split(b"HTTP/1.1 ")[1:]
        equal(len(answers), 2 * n + 3)
        for i in range(n):
            post_answer, info_answer = answers[2 * i], answers[2 * i + 1]
            expect(post_answer.startswith(b"201 ") and b'"seq":%d,' % (i + 1) in post_answer, "POST", post_answer)
            expect(info_answer.startswith(b"200 ") and b'"last":%d,' % (i + 1) in info_answer, "GET sees it", info_answer)
        expect(b'"seq":%d,' % (n + 1) in answers[2 * n], "chunked", answers[2 * n])
        expect(answers[2 * n + 1].startswith(b"404 "), "an error keeps the connection", answers[2 * n + 1])
        expect(b'"status":"ok"' in answers[2 * n + 2], "the last one", answers[2 * n + 2])


def expect_100_continue_is_answered_or_harmless():
    with served() as server, socket.create_connection(("127.0.0.1", server.port), 10) as x:
        x.sendall(b"POST /v1/conversations/c/entries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n")
        # curl waits a second for it, and then sends the body.
        x.settimeout(1)
        got = b""
        try:
            got = x.recv(1 << 16)
        except TimeoutError:
            pass
        x.settimeout(PATIENCE_S)
        x.sendall(b'{"payload":1}')
        while b'"seq":1' not in got:
            more = x.recv(1 << 16)
            expect(more, "an answer", got)
            got += more


def a_slow_header_is_cut_and_nobody_else():
    with served("--net.handshake_ms=1000") as server, Wire(server) as wire:
        wire.subscribe("c")
        wire.next("live")
        slow = [socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) for _ in range(20)]
        slow[1].sendall(b"POST /v1/conversations/c/entries HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        ended = set()
        deadline = time.monotonic() + PATIENCE_S
        for i, x in enumerate(slow):
            x.settimeout(0.01)
        while len(ended) < len(slow) and time.monotonic() < deadline:
            for i, x in enumerate(slow):
                if i in ended:
                    continue
                try:
                    if i > 0:
                        x.send(b"G" if i == 2 else b"x")
                    if not x.recv(4096):
                        ended.add(i)
                except (TimeoutError, BlockingIOError):
                    pass
                except OSError:
                    ended.add(i)
            time.sleep(0.02)
        equal(len(ended), len(slow), "all of them end, also those that go on sending byte by byte")
        for x in slow:
            x.close()
        wire.publish("c", 1)
        equal(wire.held.pop(0)["seq"] if wire.held else wire.next("entry")["seq"], 1)
        wire.silent()


def silent_connections_are_pinged_and_dead_ones_cut():
    with served("--net.heartbeat_ms=500", "--net.idle_ms=2500") as server, Wire(server) as good, Wire(server) as dead:
        equal(good.hello["heartbeat_ms"], 500)
        pings = 0
        deadline = time.monotonic() + PATIENCE_S
        good.socket.settimeout(0.2)
        ended = False
        dead.socket.settimeout(0.05)
        while not (ended and pings >= 4) and time.monotonic() < deadline:
            try:
                opcode, payload = good.receive_frame()
                equal(opcode, 9, "only pings")
                good.send_frame(payload, 10)
                pings += 1
            except TimeoutError:
                pass
            try:
                if not ended and not dead.socket.recv(4096):
                    ended = True
            except TimeoutError:
                pass
            except OSError:
                ended = True
        expect(ended and pings >= 4, "the silent one is cut, the other one pinged", ended, pings)
        good.socket.settimeout(PATIENCE_S)
        good.silent()


def connections_have_limits():
    with served("--net.connections_per_address=5") as server:
        wires = [Wire(server) for _ in range(5)]
        answer = request(server, "GET", "/healthz")
        expect(answer.status == 503 and answer.code() == "overloaded", "the sixth", answer)
        for wire in wires:
            wire.silent()
        wires.pop().socket.close()
        eventually(lambda: request(server, "GET", "/healthz").status == 200, "a place is free again")
        for wire in wires:
            wire.silent()
            wire.socket.close()


# --- start and end


def start(*arguments):
    return subprocess.run([CONFAB, "serve", *arguments], capture_output=True, text=True, timeout=PATIENCE_S,
                          stdin=subprocess.DEVNULL, check=False)


def what_cannot_start_says_why():
    with served() as server, scratch() as other:
        done = start(f"--net.port={server.port}", f"--store.directory={other}/d")
        expect(done.returncode == 1 and "another process listens there" in done.stderr and str(server.port) in done.stderr,
               "port in use", done)
        done = start("--net.port=0", f"--store.directory={server.directory}")
        expect(done.returncode == 1 and f"in use by process {server.process.pid}" in done.stderr and "choose another" in done.stderr,
               "directory in use", done)
        done = subprocess.run([CONFAB, "check", server.directory], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        expect(done.returncode == 2 and "in use by process" in done.stderr, "check of a running one", done)
        file = os.path.join(other, "file")
        with open(file, "w", encoding="utf-8") as x:
            x.write("not a directory")
        done = start("--net.port=0", f"--store.directory={file}")
        expect(done.returncode == 1 and file in done.stderr, "a file instead of a directory", done)
        done = start("--net.port=0", "--store.directory=/proc/confab")
        expect(done.returncode == 1 and "/proc/confab" in done.stderr and "choose" in done.stderr, "not writable", done)
        junk = os.path.join(other, "junk")
        os.mkdir(junk)
        with open(os.path.join(junk, "confab.db"), "w", encoding="utf-8") as x:
            x.write("this is no database " * 100)
        done = start("--net.port=0", f"--store.directory={junk}")
        expect(done.returncode == 1 and done.stderr and "confab.db" in done.stderr or junk in done.stderr, "no database", done)
        publish(server, "c", 1)
    # A version from the future.
    with scratch() as directory:
        with Server(directory) as server:
            publish(server, "c", 1)
            server.stop()
            import sqlite3
            database = sqlite3.connect(os.path.join(directory, "confab.db"))
            version = database.execute("SELECT value FROM store WHERE key = 'schema'").fetchone()[0]
            database.execute("UPDATE store SET value = 9999 WHERE key = 'schema'")
            database.commit()
            database.close()
            done = start("--net.port=0", f"--store.directory={directory}")
            expect(done.returncode == 1 and "run the newer confab" in done.stderr, "a newer version", done)
            database = sqlite3.connect(os.path.join(directory, "confab.db"))
            database.execute("UPDATE store SET value = ? WHERE key = 'schema'", [version])
            database.commit()
            database.close()
            server.start()
            equal(info(server, "c")["last"], 1, "untouched")


def a_directory_without_rights_is_refused():
    """As root nothing is refused, so another user tries."""
    with scratch() as directory:
        os.chmod(directory, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        def nobody():
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
        os.mkdir(os.path.join(directory, "data"), 0o555)
        done = subprocess.run([CONFAB, "serve", "--net.port=0", f"--store.directory={directory}/data"], capture_output=True,
                              text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False, preexec_fn=nobody, cwd="/")
        expect(done.returncode == 1 and "cannot be written" in done.stderr and "choose another" in done.stderr, "not writable", done)


def a_free_port_is_picked_and_told():
    with scratch() as directory:
        process = subprocess.Popen([CONFAB, "serve", "--net.port=0", f"--store.directory={directory}/d"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = process.stdout.readline().strip()
            port = int(re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)", line).group(1))
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S):
                pass
            process.send_signal(signal.SIGINT)
            equal(process.wait(PATIENCE_S), 0, "SIGINT drains as well")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def sigterm_drains():
    with served("--net.drain_ms=8000") as server:
        publish(server, "c", *range(1, 11))
        readers = [Wire(server) for _ in range(10)]
        for wire in readers:
            wire.subscribe("c", after=0)
            wire.entries(10)
            wire.next("live")
        events = Events(server, "c", "start")
        writer = Wire(server)
        n = 200
        writer.socket.sendall(b"".join(Wire.frame_bytes(json.dumps(
            {"op": "publish", "ref": i, "conversation": "c", "payload": i, "producer": "p", "producer_seq": i}).encode())
            for i in range(1, n + 1)))
        writer.next("published")
        idle = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        receipts = [1]
        refused = []
        goodbye = None
        try:
            while True:
                x = writer.next()
                expect(goodbye is None, "goodbye is the last frame", x)
                if x["op"] == "published":
                    receipts.append(x["ref"])
                elif x["op"] == "goodbye":
                    goodbye = x
                else:
                    expect(x["op"] == "error" and x["code"] == "draining" and x["retry"], "draining", x)
                    refused.append(x["ref"])
        except Closed as end:
            equal(end.code, 1012)
        equal(goodbye["reason"], "draining")
        k = len(receipts)
        equal(receipts, list(range(1, k + 1)), "what was taken has its receipt")
        equal(refused, list(range(k + 1, k + len(refused) + 1)), "and the rest none")
        writer.close(1012)
        writer.socket.close()
        delays = []
        for wire in readers:
            try:
                while True:
                    x = wire.next()
                    if x["op"] == "goodbye":
                        delays.append(x["reconnect_ms"])
                    else:
                        equal(x["op"], "entry")
            except Closed as end:
                equal(end.code, 1012)
            wire.close(1012)
            wire.socket.close()
        equal(len(delays), 10)
        expect(len(set(delays)) > 1 and all(isinstance(x, int) and 0 <= x <= 60000 for x in delays), "spread", delays)
        got = []
        while (x := events.next()) is not None:
            got.append(x)
        equal([x["data"]["seq"] for x in got if x["event"] == "" and "data" in x], list(range(1, len(got) - 2)))
        expect("retry" in got[-1], "it is told when to come back", got[-1])
        events.socket.close()
        idle.close()
        equal(server.wait(), 0, "exit status")
        expect(time.monotonic() - begin < 8, "within net.drain_ms", time.monotonic() - begin)
        server.start()
        entries = log_of(server, "c")
        equal([x["payload"] for x in entries], list(range(1, 11)) + list(range(1, k + 1)), "every receipt is in the log")


def a_client_that_does_not_read_cannot_hold_up_the_drain():
    with served("--net.drain_ms=1500") as server:
        stuck = Wire(server, receive_buffer=4096)
        publish(server, "c", *["x" * 50000] * 40)
        stuck.send(op="subscribe", conversation="c", after=0)
        eventually(lambda: len(stuck.socket.recv(1, socket.MSG_PEEK)) == 1, "its replay begins")
        begin = time.monotonic()
        server.signal(signal.SIGTERM)
        equal(server.wait(), 0)
        expect(time.monotonic() - begin < 30, "ends although nobody reads", time.monotonic() - begin)
        stuck.socket.close()
        server.check()


def a_second_sigterm_ends_at_once():
    with served("--net.drain_ms=120000") as server:
        stuck = Wire(server, receive_buffer=4096)
        publish(server, "c", *["x" * 50000] * 40)
        stuck.send(op="subscribe", conversation="c", after=0)
        eventually(lambda: len(stuck.socket.recv(1, socket.MSG_PEEK)) == 1, "its replay begins")
        server.signal(signal.SIGTERM)
        eventually(lambda: "draining" in server.stderr(), "the drain")
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        equal(server.wait(), 1)
        stuck.socket.close()
        server.check()


# --- retention


def a_reader_behind_retention_is_told_what_is_missing():
    with served("--store.retention=room:* - 50 -, other - - 20KiB") as server:
        with Wire(server) as kept, Wire(server) as wire:
            kept.subscribe("room:1", after=0)
            kept.next("live")
            publish(server, "room:1", *range(1, 201))
            publish(server, "free", *range(1, 201))
            equal([x["seq"] for x in kept.entries(200)], list(range(1, 201)), "who follows misses nothing")
            eventually(lambda: info(server, "room:1")["first"] == 151, "trimmed to 50")
            equal(info(server, "free")["first"], 1)
            for after, missing in ((0, [1, 150]), (3, [4, 150]), (149, [150, 150])):
                x = wire.subscribe("room:1", after=after)
                equal((x["after"], x["first"], x["last"]), (after, 151, 200))
                x = wire.next("reset", "room:1")
                equal((x["reason"], x["missing"], x["epoch"]), ("trimmed", missing, info(server, "room:1")["epoch"]))
                equal([y["seq"] for y in wire.entries(50)], list(range(151, 201)))
                wire.next("live")
                got = page(server, "room:1", after)
                equal((got["reset"], got["entries"][0]["seq"]), ({"reason": "trimmed", "missing": missing}, 151))
                with Events(server, "room:1", after) as events:
                    events.next()
                    x = events.next()
                    equal((x["event"], x["data"]["missing"]), ("reset", missing))
                    equal(int(x["id"].split("_")[0]), 150)
                    equal(events.next()["data"]["seq"], 151)
            for after, start in (("start", 150), (150, 150), ("last:50", 150), ("last:100", 150), ("last:5", 195), ("now", 200)):
                equal(wire.subscribe("room:1", after=after)["after"], start, str(after))
                wire.entries(200 - start)
                wire.next("live")
            # What stood behind an id that is forgotten cannot be known: all that is missing is announced.
            equal(wire.subscribe("room:1", after="1-0")["after"], 0)
            equal(wire.next("reset", "room:1")["missing"], [1, 150])
            wire.entries(50)
            wire.next("live")
            wire.silent()
            publish(server, "other", *["x" * 1000] * 100)
            eventually(lambda: 1 < info(server, "other")["first"] < 100, "trimmed by bytes")
        server.restart()
        equal((info(server, "room:1")["first"], len(log_of(server, "room:1"))), (151, 50), "after kill -9")
        with Wire(server) as wire:
            wire.publish("room:1", 1)
            equal(info(server, "room:1")["last"], 201)


def a_slow_reader_overtaken_by_retention_is_told_where_it_stands():
    with served("--store.retention=* - 100 -", "--net.ring_entries=16") as server:
        slow = Wire(server, receive_buffer=4096)
        slow.subscribe("c", after=0)
        slow.next("live")
        for _ in range(6):
            publish(server, "c", *["x" * 2000] * 400)
        eventually(lambda: info(server, "c")["first"] == 2301, "trimmed")
        at = 0
        resets = 0
        while at < 2400:
            x = slow.next()
            if x["op"] == "entry":
                equal(x["seq"], at + 1)
                at += 1
            elif x["op"] == "reset":
                equal((x["reason"], x["missing"][0]), ("trimmed", at + 1))
                at = x["missing"][1]
                resets += 1
            else:
                equal(x["op"], "live")
        expect(resets >= 1, "it was behind", resets)
        slow.socket.close()


def an_idle_conversation_comes_back():
    with served("--store.passivate_ms=100") as server, Wire(server, "?client=w") as wire:
        for n in range(1, 6):
            equal(wire.publish("c", n, producer="p", producer_seq=n)["seq"], n)
            time.sleep(0.35)
            x = wire.publish("c", n, producer="p", producer_seq=n)
            equal((x["seq"], x["duplicate"]), (n, True))
            equal(info(server, "c")["last"], n)
        wire.subscribe("c", after=0)
        wire.entries(5)
        wire.next("live")
        time.sleep(0.35)
        wire.publish("c", 6, producer="p", producer_seq=6)
        equal((wire.held.pop(0) if wire.held else wire.next("entry"))["seq"], 6)
        wire.silent()


def memory_only_works_the_same():
    with Server(":memory:") as server, Wire(server) as wire:
        wire.subscribe("c", after=0)
        wire.next("live")
        publish(server, "c", 1, 2)
        wire.entries(2)
        equal(wire.publish("d", 1, producer="p", producer_seq=1)["seq"], 1)
        equal(wire.publish("d", 1, producer="p", producer_seq=1)["duplicate"], True)
        epoch = info(server, "c")["epoch"]
        server.restart()
        with Wire(server) as again:
            equal(again.subscribe("c", after=2, epoch=epoch)["after"], 0)
            equal(again.next("reset")["reason"], "epoch")


run(good_names_are_taken_and_bad_ones_refused, every_bad_after_is_refused, every_form_of_after_starts_where_it_says,
    handshake_parameters_are_checked, a_position_of_another_log_is_reset,
    subscribing_creates_nothing_and_the_first_epoch_is_no_reset, a_malformed_frame_is_an_error_and_nothing_more,
    frames_beyond_the_protocol_end_the_connection_only, fragmented_and_large_frames_are_whole,
    payloads_are_kept_byte_for_byte, a_second_subscribe_on_a_connection_replaces_the_first,
    unsubscribe_ends_it_and_other_subscriptions_go_on, subscriptions_have_a_limit, the_same_client_elsewhere_supersedes,
    acks_move_the_cursor_and_never_back, a_cursor_belongs_to_its_epoch, a_closed_conversation_tells_everybody,
    a_publish_retried_after_the_close_has_its_receipt, a_deleted_conversation_resets_and_begins_anew,
    a_producer_is_numbered_without_gaps, a_producer_epoch_fences, pipelined_publishes_are_all_answered_in_order,
    a_producers_drafts_stay_in_order_while_their_conversation_is_created,
    equal_drafts_in_flight_share_one_entry, a_batch_is_all_or_nothing, an_idempotency_key_is_used_once,
    entries_show_what_was_published, event_streams_resume_by_their_last_id, http_refuses_with_status_and_code,
    broken_requests_are_answered_and_closed, connections_are_kept_alive_and_requests_pipelined,
    expect_100_continue_is_answered_or_harmless, a_slow_header_is_cut_and_nobody_else,
    silent_connections_are_pinged_and_dead_ones_cut, connections_have_limits, what_cannot_start_says_why,
    a_directory_without_rights_is_refused, a_free_port_is_picked_and_told, sigterm_drains,
    a_client_that_does_not_read_cannot_hold_up_the_drain, a_second_sigterm_ends_at_once,
    a_reader_behind_retention_is_told_what_is_missing, a_slow_reader_overtaken_by_retention_is_told_where_it_stands,
    an_idle_conversation_comes_back, memory_only_works_the_same)
