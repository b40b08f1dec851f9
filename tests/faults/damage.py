# SPDX-License-Identifier: ISC
"""Damaged stores: each file cut short, at each boundary of 4 KiB and anywhere, and bits
flipped anywhere. Who reads must end with an error that names the file, or with the
answers that it would have given: never with a signal, never with others.

    damage.py cut N        each boundary, and N other places
    damage.py flip N       N flips of a bit
    damage.py resume N     either, N times, in what an interrupted command has left: the
                           same command must end with the store that it would have made
"""

import random
import re
import shutil
import sys

import common
from common import Failed, HERE

AGAIN = 50  # one damaged store in so many is read by each program, too
# Files whose damage may be seen by another's name: what the catalogue says of an object
# is compared with it.
CATALOGUE = "catalog.db"


class Damage:
    """One store with one damage at a time."""

    def __init__(self, dump):
        self.dump, self.store = dump, HERE / "damaged"
        sums, copies = common.steps(common.work()[:3], dump, HERE / "whole")
        self.sum, self.whole = sums[-1], copies[-1]
        common.copy(self.whole, self.store)
        self.files = sorted(p.relative_to(self.whole) for p in self.whole.rglob("*")
                            if p.is_file() and p.suffix != ".lock")
        self.choose = random.Random(common.SEED)
        self.found = 0

    def with_file(self, name, data):
        """The store with this instead of a file."""
        (self.store / name).write_bytes(data)
        for end in ("-journal", "-wal", "-shm"):
            (self.store / f"{name}{end}").unlink(missing_ok=True)

    def judge(self, name, what):
        """What a reader makes of it."""
        now = self.dump(self.store)
        if now.startswith("error "):
            self.found += 1
            names = str(name) in now or name.name == CATALOGUE and str(self.store) in now
            if not names:
                raise Failed(f"{name} {what}: the error does not name it: {now}")
        elif now != self.sum:
            raise Failed(f"{name} {what}: {now}")
        if self.choose.randrange(AGAIN) == 0:
            self.programs(name, what)

    def programs(self, name, what):
        """list and du end with a status, and so does an index (on a copy)."""
        common.copy(self.store, HERE / "tried")
        for command in (common.Command("list", "STORE", store_first=False),
                        common.Command("du", "STORE", store_first=False),
                        common.work()[0]):
            status, text = command.run(HERE / "tried")
            if status not in (0, 1) or re.search("Sanitizer|runtime error", text):
                raise Failed(f"{name} {what}: {command.arguments[:1]} ends with {status}: {text}")

    def cuts(self, n):
        """Each boundary of 4 KiB of each file, and n other places."""
        tried = 0
        places = [(name, at) for name in self.files
                  for at in range(0, (self.whole / name).stat().st_size, 4096)]
        for _ in range(n):
            name = self.choose.choice(self.files)
            places.append((name, self.choose.randrange((self.whole / name).stat().st_size)))
        for name, at in places:
            data = (self.whole / name).read_bytes()
            self.with_file(name, data[:at])
            self.judge(name, f"cut at {at}")
            self.with_file(name, data)
            tried += 1
        for name in self.files:
            (self.store / name).unlink()
            self.judge(name, "removed")
            shutil.copy(self.whole / name, self.store / name)
        if self.dump(self.store) != self.sum:
            raise Failed("the store does not come back")
        return f"{tried} cuts, {self.found} of them found at once"

    def flips(self, n):
        """n flips, each file as often as any other."""
        data = {name: (self.whole / name).read_bytes() for name in self.files}
        for i in range(n):
            name = self.files[i % len(self.files)]
            at, bit = self.choose.randrange(len(data[name])), self.choose.randrange(8)
            damaged = bytearray(data[name])
            damaged[at] ^= 1 << bit
            self.with_file(name, damaged)
            self.judge(name, f"with bit {bit} of byte {at} flipped")
            self.with_file(name, data[name])
        return f"{n} flips, {self.found} of them found, the others without effect"


class Left:
    """A store whose second command was interrupted late: everything that it can take up
    is there."""

    def __init__(self, dump):
        self.dump, self.commands = dump, common.work()[:2]
        self.sums, copies = common.steps(self.commands, dump, HERE / "whole")
        self.left = HERE / "left"
        common.copy(copies[1], self.left)
        env = {"LD_PRELOAD": common.module("disk"), "DISK_DIR": str(HERE)}
        note = HERE / "note"
        note.unlink(missing_ok=True)
        self.commands[1].run(self.left, env | {"DISK_FAIL": "1000000", "DISK_NOTE": str(note)})
        n, kinds = int(note.read_text().split()[-1]), set()
        while not kinds >= {".done", ".checkpoint", ".mdb", ".db", ".f32"}:
            n -= 20  # before the publication moves them
            if n < 1:
                raise Failed(f"what is left is only {kinds}")
            common.copy(copies[1], self.left)
            self.commands[1].run(self.left, env | {"DISK_FAIL": str(n)})
            self.files = sorted(p.relative_to(self.left)
                                for p in (self.left / "tmp").rglob("*") if p.is_file())
            kinds = {p.suffix for p in self.files}

    def one(self, name, choose):
        """One damage to one file."""
        store = HERE / "damaged"
        common.copy(self.left, store)
        data = bytearray((store / name).read_bytes())
        at, bit = choose.randrange(len(data)), choose.randrange(8)
        if name.suffix == ".mdb" and choose.randrange(2) == 0:
            at = at // 4096 * 4096 + choose.randrange(40)  # the head of a page
        what = f"with bit {bit} of byte {at} flipped"
        if choose.randrange(4) == 0:
            what = f"cut at {at}"
            del data[at:]
        else:
            data[at] ^= 1 << bit
        (store / name).write_bytes(data)
        try:
            common.go_on(self.commands, 1, self.sums, self.dump, store)
        except Failed as e:
            raise Failed(f"{name} {what}: {e}") from e

    def all(self, n):
        """Each file as often as any other."""
        choose = random.Random(common.SEED)
        for i in range(n):
            self.one(self.files[i % len(self.files)], choose)
        return f"{n} interrupted commands that go on after damage to what was left"


def main():
    """One of the three."""
    what, n, tap = sys.argv[1], int(sys.argv[2]), common.Tap()
    dump = common.Dumper()
    if what == "resume":
        tap.run([lambda: Left(dump).all(n)])
        return
    damage = Damage(dump)
    tap.run([lambda: damage.cuts(n) if what == "cut" else damage.flips(n)])


if __name__ == "__main__":
    main()
