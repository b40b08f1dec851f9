# SPDX-License-Identifier: ISC
"""Damaged stores: each file cut short, at each boundary of 4 KiB and anywhere, and bits
flipped anywhere. Who reads must end with an error that names the file, or with the
answers that it would have given: never with a signal, never with others.

    damage.py cut N        each boundary, and N other places
    damage.py flip N       N flips of a bit
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


def main():
    """One of the two."""
    what, n = sys.argv[1], int(sys.argv[2])
    tap = common.Tap()
    damage = Damage(common.Dumper())
    tap.run([lambda: damage.cuts(n) if what == "cut" else damage.flips(n)])


if __name__ == "__main__":
    main()
