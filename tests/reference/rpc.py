# SPDX-License-Identifier: ISC
"""MessagePack-RPC over a Unix socket, in thirty lines that share nothing with
saedb's own clients: what the reference comparison asks the daemon through."""

import pathlib
import socket
import subprocess
import tempfile
import time

import msgpack


class Rpc:
    """One connection. call() waits for its answer; many() pipelines."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 30)
        self.next_id = 0

    def _receive(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the daemon hung up")
            self.unpacker.feed(data)

    def many(self, method, list_of_params, depth=32):
        """Yields the results of one method for each map of params, in order."""
        waiting, done, sent = {}, {}, 0
        for turn in range(len(list_of_params)):
            while sent < len(list_of_params) and sent - turn < depth:
                self.next_id += 1
                waiting[self.next_id] = sent
                self.socket.sendall(msgpack.packb(
                    [0, self.next_id, method, [list_of_params[sent]]]))
                sent += 1
            while turn not in done:
                _, ident, error, result = self._receive()
                if error is not None:
                    raise RuntimeError(f"{method}: {error}")
                done[waiting.pop(ident)] = result
            yield done.pop(turn)

    def call(self, method, **params):
        """The result of one call."""
        return next(self.many(method, [params]))

    def pages(self, method, rows, **params):
        """All rows of a paged method."""
        cursor = None
        while True:
            page = self.call(method, cursor=cursor, **params)
            yield from page[rows]
            cursor = page.get("next")
            if not cursor:
                return


class Daemon:
    """saedbd on a private socket for the length of a with statement."""

    def __init__(self, saedbd, store):
        self.command, self.store = str(saedbd), str(store)

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="saedb-")
        path = pathlib.Path(self.directory.name) / "socket"
        self.process = subprocess.Popen(
            [self.command, "--store", self.store, "--socket", str(path)])
        for _ in range(600):
            try:
                return Rpc(path)
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("saedbd ended early") from None
                time.sleep(0.05)
        raise RuntimeError("saedbd does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.directory.cleanup()
