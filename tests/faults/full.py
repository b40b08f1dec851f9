# SPDX-License-Identifier: ISC
"""Disks that are full: file systems of so many sizes between what the store has and what
it needs, on tmpfs and, in a file, ext4. The command says that the disk is full, the
store is as it was, and with room the same command does the work. Needs the right to
mount.

    full.py SIZES          so many sizes of each
"""

import os
import random
import shutil
import subprocess
import sys

import common
from common import Failed, HERE

ROOM = 64 << 20


def call(*words):
    """Did that work?"""
    return subprocess.run([str(w) for w in words], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


class Place:
    """A file system at ./place."""

    def __init__(self, kind):
        self.kind, self.path = kind, HERE / "place"
        self.path.mkdir(exist_ok=True)

    def mount(self, n_bytes):
        """Of this size. ext4: of ROOM, with all but so much taken by a file."""
        if self.kind == "tmpfs":
            return call("mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", self.path)
        image = HERE / "ext4"
        with open(image, "wb") as f:
            f.truncate(ROOM)
        return (call("mkfs.ext4", "-q", "-F", "-m", "0", image) and
                call("mount", "-o", "loop", image, self.path))

    def fill(self, n_bytes):
        """Leaves so much."""
        if self.kind == "tmpfs":
            return
        left = os.statvfs(self.path)
        with open(self.path / "filler", "wb") as f:
            os.posix_fallocate(f.fileno(), 0, left.f_bavail * left.f_frsize - n_bytes)

    def grow(self):
        """Room for all."""
        if self.kind == "tmpfs":
            return call("mount", "-o", f"remount,size={ROOM}", self.path)
        (self.path / "filler").unlink()
        return True

    def umount(self):
        """Away with it."""
        return call("umount", self.path)


class Full:
    """The second command, with the store of the first."""

    def __init__(self, dump):
        self.commands, self.dump = common.work()[:2], dump
        self.sums, self.copies = common.steps(self.commands, dump, HERE / "whole")
        self.n_before, self.n_after = (self.size(c) for c in self.copies[1:])

    @staticmethod
    def size(store):
        """Of all files, in whole pages."""
        return sum(-(-p.stat().st_size // 4096) * 4096 + 4096 for p in store.rglob("*"))

    def one(self, place, room):
        """True when that was not enough room."""
        store = place.path / "s"
        common.copy(self.copies[1], store)
        place.fill(room)
        status, text = self.commands[1].run(store)
        if status == 0 and self.dump(store) == self.sums[2]:
            return False
        said = [line for line in text.splitlines() if line.startswith("saedb-index: ")]
        if status != 1 or len(said) != 1 or not ("full" in said[0] or "space" in said[0]):
            raise Failed(f"{place.kind}, {room} bytes: it ends with {status}: {text}")
        if self.dump(store) != self.sums[1]:
            raise Failed(f"{place.kind}, {room} bytes: {self.dump(store)}")
        if not place.grow():
            raise Failed("it cannot be made larger")
        common.go_on(self.commands, 1, self.sums, self.dump, store)
        return True

    def all(self, kind, n):
        """n sizes."""
        place, n_full, choose = Place(kind), 0, random.Random(common.SEED)
        for i in range(n):
            room = (self.n_after - self.n_before) * (i + choose.random()) / n
            room = int(room) // 4096 * 4096
            if not place.mount(self.n_before + room):
                return f"full disks # SKIP {kind} cannot be mounted"
            try:
                n_full += self.one(place, room)
            finally:
                place.umount()
        if n_full < n // 2:
            raise Failed(f"{kind}: only {n_full} of {n} were full")
        return f"{n_full} disks that are full: {kind}"


def main():
    """Both kinds."""
    n, tap = int(sys.argv[1]), common.Tap()
    full = Full(common.Dumper())
    tap.run([lambda: full.all("tmpfs", n), lambda: full.all("ext4", n)])
    shutil.rmtree(HERE / "place", ignore_errors=True)


if __name__ == "__main__":
    main()
