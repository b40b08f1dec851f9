# SPDX-License-Identifier: ISC
"""MessagePack and MessagePack-RPC with the standard library alone, for tests."""
import select
import socket
import struct


def pack(v):
    if v is None:
        return b"\xc0"
    if v is True or v is False:
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if 0 <= v < 128:
            return bytes([v])
        if -32 <= v < 0:
            return struct.pack("b", v)
        return b"\xcf" + struct.pack(">Q", v) if v >= 0 else b"\xd3" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str):
        b = v.encode("utf-8", "surrogateescape")
        return b"\xdb" + struct.pack(">I", len(b)) + b
    if isinstance(v, (bytes, bytearray)):
        return b"\xc6" + struct.pack(">I", len(v)) + bytes(v)
    if isinstance(v, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))
    if isinstance(v, dict):
        return b"\xdf" + struct.pack(">I", len(v)) + b"".join(
            pack(k) + pack(x) for k, x in v.items())
    raise TypeError(type(v))


class Short(Exception):
    """More bytes are needed."""


_FIXED = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
          0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}


def _take(b, at, n):
    if at + n > len(b):
        raise Short
    return b[at:at + n], at + n


def _length(b, at, fmt):
    raw, at = _take(b, at, struct.calcsize(fmt))
    return struct.unpack(fmt, raw)[0], at


def _many(b, at, n):
    out = []
    for _ in range(n):
        v, at = unpack(b, at)
        out.append(v)
    return out, at


def unpack(b, at=0):
    """One value from b at an offset: (value, offset behind it)."""
    head, at = _take(b, at, 1)
    c = head[0]
    if c < 0x80 or c >= 0xE0:
        return (c if c < 0x80 else c - 256), at
    if c < 0x90:
        flat, at = _many(b, at, 2 * (c & 15))
        return dict(zip(flat[::2], flat[1::2])), at
    if c < 0xA0:
        return _many(b, at, c & 15)
    if c < 0xC0:
        raw, at = _take(b, at, c & 31)
        return raw.decode(), at
    if c in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[c], at
    if c in _FIXED:
        return _length(b, at, _FIXED[c])
    if c in (0xC4, 0xC5, 0xC6):
        n, at = _length(b, at, (">B", ">H", ">I")[c - 0xC4])
        return _take(b, at, n)
    if c in (0xD9, 0xDA, 0xDB):
        n, at = _length(b, at, (">B", ">H", ">I")[c - 0xD9])
        raw, at = _take(b, at, n)
        return raw.decode(), at
    if c in (0xDC, 0xDD):
        n, at = _length(b, at, (">H", ">I")[c - 0xDC])
        return _many(b, at, n)
    if c in (0xDE, 0xDF):
        n, at = _length(b, at, (">H", ">I")[c - 0xDE])
        flat, at = _many(b, at, 2 * n)
        return dict(zip(flat[::2], flat[1::2])), at
    raise ValueError("byte 0x%02x" % c)


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error.get("message"))
        self.error = error
        self.name = error.get("name")
        self.argument = error.get("argument")


class Client:
    """A connection: to a Unix socket's path, or a (host, port)."""

    def __init__(self, where, timeout=60):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(where)
        self.buf = b""
        self.id = 0

    def send(self, raw):
        self.sock.sendall(raw)

    def request(self, method, params=(), id=None):
        if id is None:
            self.id += 1
            id = self.id
        self.send(pack([0, id, method, list(params)]))
        return id

    def _more(self):
        """Waits for bytes and takes all that are there; False at the end."""
        got = self.sock.recv(1 << 20)
        parts = [self.buf, got]
        while got and select.select([self.sock], [], [], 0)[0]:
            got = self.sock.recv(1 << 20)
            parts.append(got)
        self.buf = b"".join(parts)
        return len(parts[1]) > 0

    def receive(self):
        """The next message; None at the end of the connection."""
        while True:
            try:
                v, at = unpack(self.buf)
                self.buf = self.buf[at:]
                return v
            except Short:
                if not self._more():
                    return None

    def call(self, method, *params, **named):
        id = self.request(method, [named] if named else params)
        kind, got, error, result = self.receive()
        assert kind == 1 and got == id, (kind, got, id)
        if error is not None:
            raise RpcError(error)
        return result

    def close(self):
        self.sock.close()
