# SPDX-License-Identifier: ISC
"""Where shards go: a directory, a file, a pipe or a socket."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO, List, Optional, Sequence, Union

from .errors import BadArgument, BadFormat, ConnectionLost, Error

TargetLike = Union[str, "os.PathLike[str]", BinaryIO]
_REPLY_BYTES = 1 << 16


def _open_up(path: str, mode: int) -> None:
    """The rights that a new file has, which tempfile does not give."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, mode & ~mask)


class Target:
    """Takes shards one by one. close() makes them one stream, abort() none."""

    runs: List[int]
    model_dir: Optional[Path] = None  # where the model belongs, if anywhere

    def __init__(self) -> None:
        self.runs = []

    def write(self, number: int, pieces: Sequence[memoryview]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


class Directory(Target):
    """Written beside under another name, renamed when it is whole."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._keep = False
        if path.is_dir() and any(path.iterdir()):
            raise BadArgument(f"{path}: not empty; name another directory", "target")
        # What is beside "." or a link is beside what it stands for.
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        self._real = real
        self._part = Path(tempfile.mkdtemp(prefix=f".{real.name}.", dir=real.parent))
        _open_up(str(self._part), 0o777)
        self.model_dir = self._part / "model"

    def write(self, number: int, pieces: Sequence[memoryview]) -> None:
        with open(self._part / f"shard-{number:05d}.safetensors", "wb") as f:
            for p in pieces:
                f.write(p)

    def close(self) -> None:
        try:
            os.rename(self._part, self._real)
        except OSError as e:
            self._keep = True
            raise Error(
                f"{self._path}: {e.strerror}; the stream is whole in {self._part}"
            ) from e

    def abort(self) -> None:
        if not self._keep:
            shutil.rmtree(self._part, ignore_errors=True)


class File(Target):
    """One file, written beside and renamed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = Path(os.path.realpath(path))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd, self._part = tempfile.mkstemp(
            prefix=f".{self._path.name}.", dir=self._path.parent
        )
        self._file = os.fdopen(fd, "wb")
        _open_up(self._part, 0o666)

    def write(self, number: int, pieces: Sequence[memoryview]) -> None:
        for p in pieces:
            self._file.write(p)

    def close(self) -> None:
        self._file.close()
        os.replace(self._part, self._path)

    def abort(self) -> None:
        self._file.close()
        if os.path.exists(self._part):
            os.unlink(self._part)


class Pipe(Target):
    """A binary file: what is written cannot be taken back, only left unfinished."""

    def __init__(self, file: Any, owned: bool) -> None:
        super().__init__()
        self._file = file
        self._owned = owned

    def write(self, number: int, pieces: Sequence[memoryview]) -> None:
        try:
            for p in pieces:
                rest = p
                while rest.nbytes:  # a raw file may take a part
                    n = self._file.write(rest)
                    rest = rest[n:] if n is not None else rest[rest.nbytes :]
            self._file.flush()
        except BrokenPipeError as e:
            raise ConnectionLost("the program that reads the shards has ended") from e

    def close(self) -> None:
        if self._owned:
            self._file.close()

    def abort(self) -> None:
        try:
            self.close()
        except OSError:
            pass


class Socket(Target):
    """saedb-index's socket. Its answer, one line, is waited for."""

    def __init__(self, path: str, wait: float) -> None:
        super().__init__()
        self._path = path
        deadline = time.monotonic() + wait
        while True:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.connect(path)
                return
            except OSError as e:
                self._socket.close()
                late = time.monotonic() > deadline
                if late or not isinstance(e, (FileNotFoundError, ConnectionError)):
                    raise ConnectionLost(f"unix:{path}: {e.strerror or e}") from e
            time.sleep(0.05)

    def write(self, number: int, pieces: Sequence[memoryview]) -> None:
        try:
            for p in pieces:
                self._socket.sendall(p)
        except (BrokenPipeError, ConnectionResetError):
            self._answer()  # why it ended, if it says so
            raise ConnectionLost(f"unix:{self._path}: the reader has ended") from None

    def _answer(self) -> None:
        line = b""
        try:
            while b"\n" not in line and len(line) < _REPLY_BYTES:
                more = self._socket.recv(4096)
                if not more:
                    break
                line += more
        except ConnectionResetError:
            pass
        word, _, rest = line.decode(errors="replace").partition("\n")[0].partition(" ")
        if word == "error":
            raise Error(rest or "saedb-index gave no reason")
        if not line:
            raise ConnectionLost(
                f"unix:{self._path}: the reader ended without an answer"
            )
        if word != "ok" or not all(n.isdigit() for n in rest.split()):
            raise BadFormat(f"unix:{self._path}: not an answer: {line[:80]!r}")
        self.runs = [int(n) for n in rest.split()]

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
            self._answer()
        finally:
            self._socket.close()

    def abort(self) -> None:
        self._socket.close()


def open_target(target: TargetLike, wait: float) -> Target:
    """What a target's name means; see ShardWriter."""
    if hasattr(target, "write"):
        return Pipe(target, owned=False)
    name = os.fspath(target)
    if name == "-":
        if sys.stdout.isatty():
            raise BadArgument("shards are not written to a terminal", "target")
        sys.stdout.flush()
        # past Python's own buffer, which would complain again when Python ends
        return Pipe(open(os.dup(sys.stdout.fileno()), "wb", buffering=0), owned=True)
    if name.startswith("unix:"):
        return Socket(name[5:], wait)
    path = Path(name)
    if path.exists() and not path.is_dir():
        if not stat.S_ISREG(path.stat().st_mode):
            return Pipe(open(path, "wb", buffering=0), owned=True)
        return File(path)
    return File(path) if path.suffix == ".safetensors" else Directory(path)
