# SPDX-License-Identifier: ISC
"""MessagePack-RPC over a socket: bytes to and from a daemon."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import msgpack

from .errors import (
    BadArgument,
    BadFormat,
    ConnectionLost,
    Error,
    LimitExceeded,
    Timeout,
    from_wire,
)

REPLY_BYTES = 64 << 20
REQUEST_BYTES = 1 << 20
AHEAD = 32  # requests that wait for their answers at once


def _dial(address: str, timeout: Optional[float]) -> socket.socket:
    if address.startswith("tcp:"):
        host, colon, port = address[4:].rpartition(":")
        if not colon or not port.isdigit() or not host:
            raise BadArgument(f"{address}: expected tcp:HOST:PORT", "address")
        sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    path = address[5:] if address.startswith("unix:") else address
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _plain(value: Any) -> Any:
    """numpy's scalars and arrays as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent")


class Connection:
    """One connection. Threads may share it: requests go one at a time."""

    def __init__(self, address: str, timeout: Optional[float] = 60.0) -> None:
        self.address = address
        self.timeout = timeout
        self._lock = threading.Lock()
        self._last_id = 0
        self._sock: Optional[socket.socket]
        try:
            self._sock = _dial(address, timeout)
        except Error:
            raise
        except socket.timeout:
            raise Timeout(f"{address}: no connection in time") from None
        except (OSError, UnicodeError) as e:
            raise ConnectionLost(f"cannot connect to {address}: {e}") from e
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=False,
            max_buffer_size=REPLY_BYTES + 1024,
            unicode_errors="replace",
        )

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def call(self, method: str, params: Optional[Mapping[str, Any]] = None) -> Any:
        """One request and its answer. None among the parameters is as if absent."""
        return self.call_many([(method, params or {})])[0]

    def call_many(
        self, requests: Sequence[Tuple[str, Mapping[str, Any]]], errors: bool = False
    ) -> List[Any]:
        """Several requests at once; the answers in their order.

        The first error is raised, or with errors=True stands in its place.
        """
        out: List[Any] = []
        with self._lock:
            for i in range(0, len(requests), AHEAD):
                out.extend(self._batch(requests[i : i + AHEAD]))
        for answer in out:
            if isinstance(answer, Error) and not errors:
                raise answer
        return out

    def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """A request without an answer."""
        with self._lock:
            self._send(self._pack([2, method, self._params(params or {})]))

    @staticmethod
    def _params(params: Mapping[str, Any]) -> List[Any]:
        given = {k: v for k, v in params.items() if v is not None}
        return [given] if given else []

    @staticmethod
    def _pack(message: List[Any]) -> bytes:
        try:
            data: bytes = msgpack.packb(message, use_bin_type=True, default=_plain)
        except (TypeError, ValueError, OverflowError) as e:
            raise BadArgument(f"an argument cannot be sent: {e}") from e
        if len(data) > REQUEST_BYTES:
            raise LimitExceeded(
                f"the request has {len(data)} bytes; "
                f"the daemon takes at most {REQUEST_BYTES}"
            )
        return data

    def _batch(self, requests: Sequence[Tuple[str, Mapping[str, Any]]]) -> List[Any]:
        frames = []
        ids = []
        for method, params in requests:
            self._last_id = self._last_id % 0xFFFFFFFF + 1
            ids.append(self._last_id)
            frames.append(self._pack([0, self._last_id, method, self._params(params)]))
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        answers: Dict[int, Any] = {}
        # Small enough together for a socket's buffer, or one after the other.
        apart = sum(map(len, frames)) > 65536
        for frame, number in zip(frames, ids):
            self._send(frame)
            if apart:
                self._collect(answers, {number}, deadline)
        self._collect(answers, set(ids) - set(answers), deadline)
        return [answers[number] for number in ids]

    def _send(self, data: bytes) -> None:
        if self._sock is None:
            raise ConnectionLost("the connection is closed")
        try:
            self._sock.settimeout(self.timeout)
            self._sock.sendall(data)
        except OSError as e:
            # Half a request may be on its way: nothing can follow it.
            self._drop()
            if isinstance(e, socket.timeout):
                raise Timeout("the request could not be sent in time") from None
            raise ConnectionLost(f"the connection broke: {e}") from e

    def _collect(
        self, answers: Dict[int, Any], due: set[int], deadline: Optional[float]
    ) -> None:
        while due:
            for message in self._unpack():
                number, answer = self._read(message)
                if number in due:
                    answers[number] = answer
                    due.discard(number)
            if due:
                self._fill(deadline)

    def _unpack(self) -> List[Any]:
        try:
            return list(self._unpacker)
        except Exception as e:  # what msgpack raises for bytes that are not
            self._drop()
            raise BadFormat(f"an answer that cannot be read: {e}") from e

    def _read(self, message: Any) -> Tuple[int, Any]:
        if not isinstance(message, list) or len(message) != 4 or message[0] != 1:
            self._drop()
            raise BadFormat("an answer that is none")
        _, number, error, result = message
        if error is None:
            return number, result
        if number == 0 and self._last_id != 0:
            self._drop()
            raise from_wire(error)
        return number, from_wire(error)

    def _fill(self, deadline: Optional[float]) -> None:
        if self._sock is None:
            raise ConnectionLost("the connection is closed")
        left = None
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout("no answer in time")
        try:
            self._sock.settimeout(left)
            data = self._sock.recv(1 << 18)
        except socket.timeout:
            raise Timeout("no answer in time") from None
        except OSError as e:
            self._drop()
            raise ConnectionLost(f"the connection broke: {e}") from e
        if not data:
            self._drop()
            raise ConnectionLost("the daemon closed the connection")
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            self._drop()
            raise BadFormat("an answer of more than 64 MiB") from None
