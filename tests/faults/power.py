# SPDX-License-Identifier: ISC
"""Power loss: what a disk may hold after the power went at any moment, made from a log
of all calls (disk.c). What was synced is there. Of the rest, each 4 KiB block of a file
is as it was at some moment since, perhaps torn between sectors of 512 bytes; of the
changes of each directory since it was synced, the first few are there.

    power.py IMAGES        so many images; FAULTS_SEED for others
"""

import os
import pathlib
import random
import shutil
import sys

import common
from common import Failed, HERE

BLOCK, SECTOR = 4096, 512
AGAIN = 40  # one image in so many is gone on with
EMPTY = "sum 2d06800538d394c2"  # XXH3 of nothing: a store without runs


class Inode:
    """A file: what is on the disk, and per block what is not there yet."""

    def __init__(self, is_dir=False):
        self.is_dir = is_dir
        self.disk = bytearray()
        self.pending = {}  # block: [(offset, bytes)], oldest first
        self.lost = {}  # the same, of blocks whose sync failed: clean, and not there
        self.changes = []  # of a directory: indexes into the list of all

    def write(self, at, data, through):
        """One write; through: it is synced by itself."""
        while data:
            block = at // BLOCK
            n = min(len(data), (block + 1) * BLOCK - at)
            pieces = self.pending.setdefault(block, self.lost.pop(block, []))
            pieces.append((at, data[:n]))
            if through:
                self.settle(self.disk, self.pending.pop(block))
            at, data = at + n, data[n:]

    @staticmethod
    def settle(disk, pieces):
        """These are on the disk now. None instead of bytes: the file is cut there."""
        for at, data in pieces:
            if data is None:
                del disk[at:]
                continue
            if len(disk) < at:
                disk.extend(bytes(at - len(disk)))
            disk[at:at + len(data)] = data

    def cut(self, n):
        """Cut short: seen as one change of its last block."""
        for block in [b for b in self.pending if b > n // BLOCK]:
            del self.pending[block]
        self.pending.setdefault(n // BLOCK, []).append((n, None))

    def sync(self):
        """All of it is on the disk."""
        for pieces in self.pending.values():
            self.settle(self.disk, pieces)
        self.pending.clear()

    def lose(self):
        """A sync failed: what it was to write is taken for written."""
        for block, pieces in self.pending.items():
            self.lost[block] = self.lost.get(block, []) + pieces
        self.pending.clear()

    def after(self, choose, share):
        """The file after power loss; of each block a share of the changes."""
        disk = bytearray(self.disk)
        for pieces in self.pending.values():
            n = sum(choose.random() < share for _ in pieces)
            if n == 0:
                continue
            self.settle(disk, pieces[:n - 1])
            at, data = pieces[n - 1]
            if data is None or choose.random() > 0.2:
                self.settle(disk, [(at, data)])
                continue
            for sector in range(at // SECTOR, (at + len(data) - 1) // SECTOR + 1):
                if choose.random() < 0.5:
                    a, b = max(at, sector * SECTOR), min(at + len(data), (sector + 1) * SECTOR)
                    self.settle(disk, [(a, data[a - at:b - at])])
        return disk


class Disk:
    """The files below one directory, from the log."""

    def __init__(self, root, without=()):
        self.root = str(root)
        self.without = without  # kinds of syncs that do nothing
        self.names = {self.root: Inode(True)}
        self.fds = {}
        self.changes = []  # [durable, inodes of directories, name gone, name new, inode]

    def change(self, gone, new, inode):
        """One change of a directory, or of two."""
        dirs = {id(d): d for d in (self.names[os.path.dirname(n)] for n in (gone, new) if n)}
        for d in dirs.values():
            d.changes.append(len(self.changes))
        self.changes.append([False, list(dirs.values()), gone, new, inode])

    def do(self, op, a, b, data):
        """One line of the log."""
        getattr(self, "do_" + op)(a, b, data)

    def do_open(self, fd, flags, data):
        name = data.decode()
        if flags & 1:
            self.names[name] = Inode()
            self.change(None, name, self.names[name])
        elif flags & 2:
            self.names[name].cut(0)
        self.fds[fd] = self.names[name], bool(flags & 4)
        self.names[name].is_dir |= os.path.isdir(name)

    def do_close(self, fd, _b, _data):
        self.fds.pop(fd, None)

    def do_write(self, fd, at, data):
        inode, through = self.fds[fd]
        inode.write(at, data, through and "through" not in self.without)

    def do_cut(self, fd, n, _data):
        self.fds[fd][0].cut(n)

    def do_sync(self, fd, _b, _data):
        inode, _ = self.fds[fd]
        if inode.is_dir:
            for i in () if "dir" in self.without else inode.changes:
                self.changes[i][0] = True
            inode.changes = [] if "dir" not in self.without else inode.changes
        elif "file" not in self.without:
            inode.sync()

    def do_lost(self, fd, _b, _data):
        if not self.fds[fd][0].is_dir:
            self.fds[fd][0].lose()

    def do_mkdir(self, _a, _b, data):
        name = data.decode()
        self.names[name] = Inode(True)
        self.change(None, name, self.names[name])

    def do_unlink(self, _a, _b, data):
        name = data.decode()
        self.change(name, None, self.names.pop(name))

    do_rmdir = do_unlink

    def do_rename(self, _a, _b, data):
        old, new = data.decode().split("\0")
        inode = self.names[old]
        self.change(old, new, inode)
        for name in [n for n in self.names if n == old or n.startswith(old + "/")]:
            self.names[new + name[len(old):]] = self.names.pop(name)

    def after(self, choose, share):
        """{path below the root: bytes, None of a directory} after power loss."""
        keep = {}
        for _, dirs, *_ in self.changes:
            for d in dirs:
                if id(d) not in keep:
                    n = sum(choose.random() < share for _ in d.changes)
                    keep[id(d)] = set(d.changes[:n])
        entries = {}  # (id of the directory, name): inode
        for i, (durable, dirs, gone, new, inode) in enumerate(self.changes):
            if not durable and not all(i in keep[id(d)] for d in dirs):
                continue
            if gone:
                entries.pop((id(dirs[0]), os.path.basename(gone)), None)
            if new:
                entries[id(dirs[-1]), os.path.basename(new)] = inode
        tree = {}
        for (parent, name), inode in entries.items():
            tree.setdefault(parent, []).append((name, inode))
        out, todo = {}, [("", self.names[self.root])]
        while todo:
            path, d = todo.pop()
            for name, inode in tree.get(id(d), ()):
                at = f"{path}/{name}"
                out[at] = None if inode.is_dir else inode.after(choose, share)
                if inode.is_dir:
                    todo.append((at, inode))
        return out


def read_log(path):
    """(op, number, number, bytes) for each line."""
    raw = pathlib.Path(path).read_bytes()
    at = 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        op, a, b, n = raw[at:end].split()
        n = int(n)
        yield op.decode(), int(a), int(b), raw[end + 1:end + 1 + n]
        at = end + n + 2


def lay(image, root):
    """An image as files."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, data in sorted(image.items()):
        if data is None:
            os.mkdir(f"{root}{path}")
        else:
            with open(f"{root}{path}", "wb", buffering=0) as f:
                f.write(data)


def ack(log, n):
    """The command before has ended."""
    with open(log, "ab") as f:
        f.write(b"ack %d 0 0\n\n" % n)


def logged(commands, log, root):
    """Runs them all with the log."""
    shutil.rmtree(root, ignore_errors=True)
    pathlib.Path(log).write_bytes(b"")
    root.mkdir()
    env = {"LD_PRELOAD": common.module("disk"), "DISK_DIR": str(root), "DISK_LOG": str(log)}
    for i, command in enumerate(commands):
        status, text = command.run(root / "s", env)
        if status != 0:
            raise Failed(f"command {i + 1} with a log ends with {status}: {text}")
        ack(log, i + 1)


class Power:
    """Images at random moments of one log."""

    def __init__(self, commands, dump):
        self.commands, self.dump = commands, dump
        self.sums, _ = common.steps(commands, dump, HERE / "straight")
        self.log, self.root = HERE / "log", HERE / "logged"
        logged(commands, self.log, self.root)
        if dump(self.root / "s") != self.sums[-1]:
            raise Failed("with a log the store is another")
        self.calls = list(read_log(self.log))

    def look(self, done, image, resume):
        """Is this image what it may be? done: commands that had ended."""
        at = HERE / "image"
        lay(image, at)
        now = self.dump(at / "s")
        have = next((i for i in (done, done + 1)
                     if i < len(self.sums) and self.sums[i] == now), None)
        if have is None and done == 0 and (now == EMPTY or now.startswith("error ")):
            have = 0
        if have is None:
            raise Failed(f"after command {done}: {now}")
        if resume:
            common.go_on(self.commands, have, self.sums, self.dump, at / "s")

    def images(self, n, seed, without=()):
        """n images; the number of those that are bad, the first one's fault, and how
        many were gone on with."""
        choose = random.Random(seed)
        moments = sorted(choose.randrange(len(self.calls)) + 1 for _ in range(n))
        disk, done, at, bad, first, n_again = Disk(self.root, without), 0, 0, 0, None, 0
        for moment in moments:
            while at < moment:
                op, a, b, data = self.calls[at]
                at += 1
                if op == "ack":
                    done = a
                    disk.fds.clear()
                else:
                    disk.do(op, a, b, data)
            resume = not without and choose.randrange(AGAIN) == 0
            n_again += resume
            try:
                self.look(done, disk.after(choose, choose.choice((0, 0.3, 0.7, 0.95, 1))), resume)
            except Failed as e:
                bad += 1
                first = first or f"power lost at call {at} of {len(self.calls)} (seed {seed}): {e}"
                if not without:
                    shutil.copytree(HERE / "image", HERE / f"bad{bad}", dirs_exist_ok=True)
        return bad, first, n_again


def main():
    """Images of all commands; then the same must fail without each kind of sync."""
    n, tap = int(sys.argv[1]), common.Tap()
    power = Power(common.work(), common.Dumper())

    def whole():
        bad, first, again = power.images(n, common.SEED)
        if bad:
            raise Failed(f"{bad} of {n} images: {first}")
        return f"{n} images of {len(power.calls)} calls, {again} of them gone on with"

    def without(*kinds):
        bad, first, _ = power.images(max(n // 10, 60), common.SEED, kinds)
        if not bad:
            raise Failed(f"the images are as good without syncs of: {' '.join(kinds)}")
        print(f"# {bad} bad: {first}")
        return f"the test fails without syncs of: {' '.join(kinds)}"

    tap.run([whole, lambda: without("file", "through", "dir"), lambda: without("file"),
             lambda: without("dir")])


if __name__ == "__main__":
    main()
