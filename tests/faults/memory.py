# SPDX-License-Identifier: ISC
"""Memory: the N-th allocation of saedb-index fails, for each N, whoever asks for it
(memory.c): alone, and with all that follow. It must end with a line that says so, never
with a signal, and the store must be as it was; the same command again does the work.

    memory.py SHARE        every SHARE-th N
"""

import sys

import common
import power
from common import Failed

# What these ask for when they are loaded or start their threads, before or beside
# our work, and end the program over: OpenBLAS' and OpenMP's threads and buffers, the
# reserve for exceptions of C++, and what the loader keeps.
EXEMPT = "libopenblas:libgomp:libgfortran:libstdc++:ld-linux"


class Memory(common.Failing):
    """Each command of the work with each allocation failing."""

    def __init__(self, commands, dump):
        super().__init__(commands, dump, "mem")

    def one(self, i, n, rest):
        """Command i with the n-th failing; False when there is no such one."""
        self.before(self.copies[i])
        self.note.unlink(missing_ok=True)
        env = {"LD_PRELOAD": common.module("memory"), "MEMORY_FAIL": str(n),
               "MEMORY_EXEMPT": EXEMPT, "MEMORY_NOTE": str(self.note)}
        status, text = self.commands[i].run(
            self.store, env | ({"MEMORY_ALL": "1"} if rest else {}))
        said = self.note.read_text() if self.note.exists() else ""
        if "failed" not in said:
            if status != 0:
                raise Failed(f"command {i + 1}: no allocation failed, and it ends with {status}")
            return False
        where = next(x for x in said.splitlines() if x.startswith("failed"))
        try:
            self.judge(i, status, text)
        except Failed as e:
            raise Failed(f"command {i + 1}, allocation {n}"
                         f"{' and all after it' if rest else ''} ({where}): {e}") from e
        return True

    def judge(self, i, status, text):
        """Is that how it should end?"""
        if status < 0 or status > 2:
            raise Failed(f"it ends with {status}: {text}")
        now = self.dump(self.store)
        if i == 0 and (now == power.EMPTY or now.startswith("error ")):
            now = "none"
        if now not in self.sums[i:i + 2]:
            raise Failed(f"the store is neither old nor new: {now}; {text}")
        if status == 0 and now != self.sums[i + 1]:
            raise Failed("it says nothing of it")
        if status != 0 and "saedb-index: " not in text:
            raise Failed(f"it does not say what is wrong: {text}")
        if now == self.sums[i] or self.commands[i].is_index:
            common.go_on(self.commands[:i + 1], i, self.sums, self.dump, self.store)

    def all(self, share, rest):
        """Every share-th allocation of each command."""
        tried = sum(self.each(share, lambda i, n: self.one(i, n, rest)))
        if tried == 0:
            raise Failed("there was no allocation")
        return f"{tried} allocations that fail{', with all after them' if rest else ''}"


def main():
    """Both ways."""
    share = int(sys.argv[1])
    memory, tap = Memory(common.work(), common.Dumper()), common.Tap()
    tap.run([lambda: memory.all(share, False), lambda: memory.all(share, True)])


if __name__ == "__main__":
    main()
