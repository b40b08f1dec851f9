# SPDX-License-Identifier: ISC
"""hostile.py SOCKET PID PORT: what broken and hostile clients do to a saedbd that
serves the small store. After each of them it must still answer."""
import os
import random
import socket
import struct
import sys
import threading
import time

import mp

PATH, PID, PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MIB = 1 << 20
random.seed(7)


def connect(timeout=20):
    return mp.Client(PATH, timeout)


def alive():
    c = connect()
    assert c.call("server.ping")["generation"] >= 2
    c.close()


def rss_bytes():
    with open("/proc/%d/status" % PID) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def until_end(c):
    """All messages until the daemon closes the connection."""
    got = []
    try:
        while (m := c.receive()) is not None:
            got.append(m)
    except ConnectionResetError:
        pass
    return got


def refused(name, raw, what):
    """One error with the id 0, then the end."""
    c = connect()
    c.send(raw)
    got = until_end(c)
    assert len(got) == 1 and got[0][:2] == [1, 0] and got[0][3] is None, (what, got)
    assert got[0][2]["name"] == name, (what, got)
    c.close()
    alive()


def request(method="server.ping", params=(), id=1):
    return mp.pack([0, id, method, list(params)])


def test_claims():
    """Five bytes that claim much."""
    for tag in (0xC6, 0xDB, 0xDD, 0xDF):
        refused("limit", bytes([tag]) + b"\xff\xff\xff\xff", hex(tag))
    refused("limit", b"\xc9\xff\xff\xff\xff\x00", "ext 32")
    refused("limit", b"\x94\x00\x01\xa1m\xdd\x40\x00\x00\x00", "in params")
    refused("limit", b"\xdb" + struct.pack(">I", MIB), "one byte too large")
    refused("limit", b"\xdd" + struct.pack(">I", 100000), "one value too many")
    refused("limit", b"\x91" * 17, "too deep")
    refused("limit", b"\x94\x00\x01\xa1m" + b"\x91" * 40 + b"\xc0", "deep params")


def test_not_messagepack():
    refused("bad_format", b"\xc1", "never used")
    refused("bad_format", b"\x94\x00\x01\xc1", "in a request")
    refused("bad_format", b"\xc1" * 5000, "much of it")
    c = connect()
    c.send(request() + b"\xc1" + request(id=2))
    got = until_end(c)
    assert [m[1] for m in got] == [1, 0], got


def test_largest():
    """A frame of exactly 1 MiB is served; its string is an argument like others."""
    head = b"\x94\x00\x07\xabfeature.get\x91\xdb"
    n = MIB - len(head) - 4
    c = connect()
    c.send(head + struct.pack(">I", n) + b"x" * n)
    m = c.receive()
    assert m[1] == 7 and m[2]["name"] == "bad_argument" and m[2]["argument"] == "feature"
    assert c.call("server.ping")
    values = b"\x94\x00\x08\xadfeature.many\x92".replace(b"\xad", b"\xac")
    c.send(values + b"\xdd" + struct.pack(">I", 99000) + b"\xc0" * 99000 + b"\xc0")
    m = c.receive()
    assert m[1] == 8 and m[2]["argument"] == "features", m


def test_no_request():
    """MessagePack, but no request: an error, and the connection goes on."""
    c = connect()
    for bad, id in ((5, 0), (None, 0), ({}, 0), ([], 0), ([9], 0), (["0", 1, "m", []], 0),
                    ([0, 77], 77), ([0, 77, "server.ping"], 77), ([0, 77, 5, []], 77),
                    ([0, 77, "server.ping", 5], 77), ([0, -1, "m", []], 0),
                    ([0, 1 << 32, "m", []], 0), ([0, 1.5, "m", []], 0),
                    ([1, 5, None, 6], 5), ([0, 78, "server.ping", [], 1], 78)):
        c.send(mp.pack(bad))
        m = c.receive()
        assert m[0] == 1 and m[1] == id and m[2]["name"] == "bad_format", (bad, m)
        assert c.call("server.ping")
    c.send(b"\x94\x00\x4f\xabserver.ping\x91\xd4\x01\x00")
    m = c.receive()
    assert m[2]["name"] == "bad_format" and "extension" in m[2]["message"], m
    assert c.call("server.ping")
    c.send(request(id=0) + request(id=(1 << 32) - 1))
    assert [c.receive()[1] for _ in range(2)] == [0, (1 << 32) - 1]
    c.send(mp.pack(5) * 1000)
    assert len(until_end(c)) == 16
    http = connect()
    http.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + request())
    assert len(until_end(http)) <= 16


def test_truncated():
    """A request cut short anywhere, with either half of the connection closed."""
    whole = request("feature.get", ["alpha/1"])
    for n in range(len(whole)):
        c = connect()
        c.send(whole[:n])
        if n % 2:
            c.sock.shutdown(socket.SHUT_WR)
            assert until_end(c) == [], n
        c.close()
    alive()


def test_half_closed():
    for method, params in (("server.ping", []), ("feature.list", ["alpha"])):
        c = connect()
        c.send(b"".join(request(method, params, i) for i in range(200)))
        c.sock.shutdown(socket.SHUT_WR)
        got = until_end(c)
        assert sorted(m[1] for m in got) == list(range(200)), (method, len(got))
        assert all(m[2] is None for m in got)


def test_wrong_types():
    """Every parameter of every method, with everything it should not be."""
    c = connect()
    wrong = [None, True, -1, 0, 1 << 40, (1 << 64) - 1, -(1 << 63), 0.5, float("nan"),
             float("inf"), "", "x", "\0", "alpha/1", "x" * 5000, b"", b"\xff\xff", [], [[]],
             [None], {}, {"a": 1}, ["alpha/1", 5], [{}], [{"feature": 5}]]
    base = {"feature": "alpha/1", "sae": "alpha", "run": 1, "document": "doc-1",
            "token": "x", "window": 1, "text": "t", "query": "bridge", "id": 10 ** 9,
            "image": "0" * 64, "features": ["alpha/1"], "labels": [], "vector": [1.0] * 8}
    n = {"ok": 0}
    for m in c.call("server.methods")["methods"]:
        need = {p["name"]: base[p["name"]] for p in m["params"] if p["required"]}
        for p in m["params"]:
            for v in wrong:
                if m["name"] == "label.set" and p["name"] in ("author", "text", "source"):
                    continue
                try:
                    c.call(m["name"], **{**need, p["name"]: v})
                    n["ok"] += 1
                except mp.RpcError as e:
                    n[e.name] = n.get(e.name, 0) + 1
                    assert e.name in ("bad_argument", "missing_argument", "not_found",
                                      "limit"), (m["name"], p["name"], v, e.error)
        for params in ([None] * 30, [{}], [{"nothing": 1}], [{1: 2}], [[]], [{"": ""}]):
            try:
                c.call(m["name"], *params)
            except mp.RpcError as e:
                assert e.name in ("bad_argument", "missing_argument", "not_found"), e.error
    assert n["bad_argument"] > 500 and n["missing_argument"] > 10, n


def test_bytewise():
    """One byte at a time is slow, but whole in time."""
    c = connect()
    for b in request("feature.get", ["alpha/1"], 5):
        c.send(bytes([b]))
        time.sleep(0.002)
    assert c.receive()[1] == 5


def test_pipelined():
    c = connect()
    c.send(b"".join(request(id=i) for i in range(1000)))
    assert [c.receive()[1] for _ in range(1000)] == list(range(1000))
    c.send(b"".join(request("feature.list", [{"sae": "alpha", "limit": 1}], i)
                    if i % 3 == 0 else request("feature.get", ["alpha/%d" % (i % 40)], i)
                    for i in range(1000)))
    got = [c.receive() for _ in range(1000)]
    assert sorted(m[1] for m in got) == list(range(1000))
    assert all(m[2] is None for m in got)


def test_out_of_order():
    """A slow request does not hold up a quick one behind it."""
    c = connect()
    for _ in range(20):
        vector = {"vector": [1.0] * 8, "sae": "alpha", "k": 1000}
        c.send(b"".join(request("vector.neighbors", [vector], i) for i in range(8)))
        c.send(request(id=99))
        order = [c.receive()[1] for _ in range(9)]
        assert sorted(order) == [0, 1, 2, 3, 4, 5, 6, 7, 99]
        if order[-1] != 99:
            return
    raise AssertionError("20 times the quick one came last")


def test_never_reads():
    """Asks and asks, and takes no answer: it is no longer listened to."""
    before = rss_bytes()
    sent = []

    def push(method, params):
        c = connect(2)
        raw = b"".join(request(method, params, i) for i in range(200))
        try:
            for _ in range(5000):
                c.send(raw)
            raise AssertionError("everything was read: %s" % method)
        except (socket.timeout, BrokenPipeError, ConnectionResetError):
            sent.append(method)
        alive()
        c.close()

    work = [threading.Thread(target=push, args=a) for a in (
        ("server.methods", []), ("feature.list", [{"sae": "alpha", "limit": 1000}]),
        ("feature.get", ["alpha/1"]))]
    for t in work:
        t.start()
    for t in work:
        t.join()
    assert len(sent) == 3, sent
    grown = rss_bytes() - before
    assert grown < 200 * MIB, grown


def test_notifications():
    c = connect()
    c.send(mp.pack([2, "server.ping", []]) + mp.pack([2, "server.nothing", []]) +
           mp.pack([2, "feature.get", [7]]) + mp.pack([2, "feature.list", ["alpha"]]) +
           mp.pack([2, "label.set", ["alpha/11", "by notification"]]) + request(id=3))
    assert c.receive()[1] == 3
    for _ in range(100):
        if c.call("feature.get", "alpha/11")["label"] == "by notification":
            return
        time.sleep(0.05)
    raise AssertionError("the notification was not carried out")


def test_garbage():
    whole = [request("feature.get", ["alpha/1"]), request("feature.list", [{"sae": "alpha"}]),
             request("label.search", [{"query": "gate", "limit": 3}]),
             request("vector.neighbors", [b"\0" * 32, "alpha"]),
             request("feature.neighbors", [{"feature": "alpha/3", "sae": ["beta", "alpha"],
                                            "of": "encoder", "metric": "ip", "alive": True,
                                            "features": ["beta/1", "alpha/2"], "k": 9}])]
    for i in range(400):
        raw = bytearray(random.choice(whole) if i % 2 else random.randbytes(random.randrange(200)))
        for _ in range(random.randrange(4)):
            if raw:
                raw[random.randrange(len(raw))] = random.randrange(256)
        c = connect()
        try:
            c.send(bytes(raw))
            c.sock.shutdown(socket.SHUT_WR)
            until_end(c)
        except (BrokenPipeError, ConnectionResetError):
            pass
        c.close()
        if i % 50 == 0:
            alive()


def test_gone_before_the_answer():
    for _ in range(100):
        c = connect()
        c.send(b"".join(request("feature.list", ["alpha"], i) for i in range(10)))
        c.close()
    alive()


def test_too_many():
    many, busy = [], 0
    for _ in range(270):
        c = connect()
        many.append(c)
        try:
            c.call("server.ping")
        except mp.RpcError as e:
            assert e.name == "busy", e.error
            busy += 1
        except (AssertionError, TypeError, BrokenPipeError, ConnectionResetError):
            busy += 1
    for c in many:
        c.close()
    assert 10 <= busy <= 30, busy
    for _ in range(50):
        try:
            alive()
            return
        except Exception:
            time.sleep(0.1)
    alive()


def test_tcp():
    c = mp.Client(("127.0.0.1", PORT), 20)
    info = c.call("server.info")
    assert info["read_only"] is True
    for method, params in (("label.set", ["alpha/1", "x"]), ("label.delete", [1]),
                           ("label.import", [[]])):
        try:
            c.call(method, *params)
            raise AssertionError(method)
        except mp.RpcError as e:
            assert e.name == "denied", e.error
    assert c.call("feature.get", "alpha/1")["index"] == 1


def main():
    loris = connect()
    loris.send(request()[:-1])
    deaf = connect()
    began = time.monotonic()
    tests = [f for name, f in sorted(globals().items()) if name.startswith("test_")]
    for f in tests:
        f()
        alive()
        print("ok - %s: %s" % (f.__name__, (f.__doc__ or "").split("\n")[0]))
        sys.stdout.flush()
    loris.sock.settimeout(45)
    assert until_end(loris) == []
    took = time.monotonic() - began
    assert 25 < took < 45, took
    print("ok - a request that never ends is cut off after %.0f s" % took)
    assert deaf.call("server.ping")
    print("ok - an idle connection is not")
    os.kill(PID, 0)


main()
