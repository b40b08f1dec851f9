# SPDX-License-Identifier: ISC
"""A daemon for a store: the one that serves it, or one of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional

from .errors import ConnectionLost, Error, NotFound, Timeout
from .wire import Connection

IDLE_SECONDS = 20  # it ends by itself if we are killed


def find_daemon() -> str:
    """saedbd: $SAEDBD, on PATH, beside the saedb command, or in sbin."""
    given = os.environ.get("SAEDBD")
    if given:
        if not os.access(given, os.X_OK):
            raise NotFound(f"$SAEDBD is {given}, which cannot be run")
        return given
    places: List[str] = []
    client = shutil.which("saedb")
    if client:
        here = Path(client).resolve().parent
        places += [str(here), str(here.parent / "sbin")]
    places += ["/usr/local/sbin", "/usr/sbin"]
    path = os.environ.get("PATH", os.defpath)
    found = shutil.which("saedbd", path=os.pathsep.join([path, *places]))
    if found is None:
        raise NotFound("saedbd is not to be found; set $SAEDBD to where it is")
    return found


class LocalDaemon:
    """A saedbd of our own on a private socket. stop() ends it."""

    def __init__(self, store: Path, start_s: float = 60.0) -> None:
        self._dir = tempfile.mkdtemp(prefix="saedb.")
        self.socket = os.path.join(self._dir, "sock")
        self._process: Optional[subprocess.Popen[bytes]] = None
        try:
            self._start(store, start_s)
        except BaseException:
            self.stop()
            raise

    def _start(self, store: Path, start_s: float) -> None:
        log = os.path.join(self._dir, "log")
        command = [find_daemon(), "--store", str(store), "--socket", self.socket]
        command += ["--idle-exit", str(IDLE_SECONDS)]
        with open(log, "wb") as err:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )
        deadline = time.monotonic() + start_s
        while time.monotonic() < deadline:
            try:
                connection = Connection(self.socket, 10.0)
                connection.call("server.ping")
                connection.close()
                return
            except Error:
                if self._process.poll() is not None:
                    raise ConnectionLost(self._last_words(store, log)) from None
            time.sleep(0.02)
        raise Timeout(f"{store}: saedbd did not answer within {start_s:.0f} s")

    @staticmethod
    def _last_words(store: Path, log: str) -> str:
        text = Path(log).read_text(errors="replace").strip()
        last = (
            text.splitlines()[-1] if text else "saedbd ended at once and said nothing"
        )
        for head in ("saedbd: ", "error: "):  # without the time, name and level
            before, found, rest = last.partition(head)
            last = rest if found and len(before) < 40 else last
        return last if str(store) in last else f"{store}: {last}"

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if not sys.is_finalizing():
            shutil.rmtree(self._dir, ignore_errors=True)


def join(store: Path, timeout: Optional[float]) -> Optional[Connection]:
    """The daemon that serves the store on its usual socket, or None."""
    path = store / "saedbd.sock"
    if not path.exists():
        return None
    try:
        return Connection(str(path), timeout)
    except Error:
        return None
