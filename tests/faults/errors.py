# SPDX-License-Identifier: ISC
"""Errors of the disk: the N-th call of saedb-index fails, for each N (disk.c). It must
end with one line that names the file, leave the store as it was, and be done by the
same command again. Where a sync fails and what it was to write is lost, the store must
be whole after the power has gone, too.

    errors.py SHARE [HOW...]     every SHARE-th N; each HOW of disk.c, or these
"""

import os
import shutil
import sys

import common
import power
from common import Failed, HERE

# Calls that may fail without an error: nothing is lost by them. (In a lock's file stands
# only who has it.)
HARMLESS = ("unlink", "rmdir", "sqlite-dir")
# SQLite writes all that it had changed back before it syncs again; and it forgets why a
# file could not be made or synced.
SQLITE = (".db", ".db-journal")


class Errors(common.Failing):
    """Each command of the work with each call failing."""

    def __init__(self, commands, dump):
        super().__init__(commands, dump, "err")

    def fail(self, i, how, n, log=None):
        """Command i with the n-th call failing: its status, text, the failed call, the
        file, and how many calls there were."""
        self.note.unlink(missing_ok=True)
        env = {"LD_PRELOAD": common.module("disk"), "DISK_DIR": str(self.store.parent),
               "DISK_HOW": how, "DISK_FAIL": str(n), "DISK_NOTE": str(self.note)}
        if log:
            env["DISK_LOG"] = str(log)
        status, text = self.commands[i].run(self.store, env)
        call, path, calls = None, None, 0
        for line in self.note.read_text().splitlines():
            kind, what, where = line.split(" ", 2)
            if kind == "failed":
                call, path = what, where
            elif kind == "counted":
                calls = int(where)
            elif not where.endswith(SQLITE):
                raise Failed(f"a sync that had failed is asked for again: {where}")
        return status, text, call, path, calls

    def judge(self, i, how, status, text, call, path):
        """Is that how it should end? Returns what the store holds: i or i + 1."""
        if status < 0 or status > 2:
            raise Failed(f"it ends with {status}: {text}")
        now = self.dump(self.store)
        if i == 0 and (now == power.EMPTY or now.startswith("error ")):
            now = "none"
        if now not in self.sums[i:i + 2]:
            raise Failed(f"the store is neither old nor new: {now}; {text}")
        if status == 0:
            harmless = how == "short" or call in HARMLESS or path.endswith(".lock")
            if now != self.sums[i + 1] or not harmless:
                raise Failed("it says nothing of it")
            return i + 1
        said = [line for line in text.splitlines() if line.startswith("saedb-index: ")]
        if len(said) != 1:
            raise Failed(f"it does not say one thing: {text}")
        if not named(path, said[0]):
            raise Failed(f"it does not name the file: {said[0]}")
        forgets = how == "enospc" and call != "write" and (
            call == "sqlite-dir" or path.endswith(SQLITE))
        if how in ("enospc", "full") and not forgets and not ("full" in said[0] or "space" in said[0]):
            raise Failed(f"it does not say that the disk is full: {said[0]}")
        return i if now == self.sums[i] else i + 1

    def one(self, i, how, n):
        """False when there is no n-th call."""
        self.before(self.copies[i])
        status, text, call, path, _ = self.fail(i, how, n)
        if call is None:
            return False
        try:
            have = self.judge(i, how, status, text, call, path)
            if have == i or self.commands[i].is_index:
                common.go_on(self.commands[:i + 1], i, self.sums, self.dump, self.store)
        except Failed as e:
            raise Failed(f"command {i + 1}, {how} at call {n} ({call} {path}): {e}") from e
        return True

    def lost(self, i, n, log):
        """The n-th sync fails, the command is done again, and the power goes."""
        self.before(HERE / "base")
        shutil.copy(log, HERE / "log")
        status, text, call, path, _ = self.fail(i, "sync", n, HERE / "log")
        power.ack(HERE / "log", i)
        try:
            have = self.judge(i, "sync", status, text, call, path)
            env = {"LD_PRELOAD": common.module("disk"), "DISK_DIR": str(self.store.parent),
                   "DISK_LOG": str(HERE / "log")}
            status, text = self.commands[i].run(self.store, env)
            if status != 0 and have == i:
                raise Failed(f"again, it ends with {status}: {text}")
            disk = power.Disk(self.store.parent)
            for op, a, b, data in power.read_log(HERE / "log"):
                if op == "ack":
                    disk.fds.clear()
                else:
                    disk.do(op, a, b, data)
            power.lay(disk.after(power.random.Random(1), 0), HERE / "image")
            now = self.dump(HERE / "image" / "s")
            if now != self.sums[i + 1]:
                raise Failed(f"done again, and after power loss: {now}")
        except Failed as e:
            raise Failed(f"command {i + 1}, sync {n} lost ({path}): {e}") from e

    def all_lost(self, share):
        """Each sync of each command."""
        tried, log = 0, HERE / "before.log"
        root = self.store.parent
        for i in range(len(self.commands)):
            power.logged(self.commands[:i], log, root)
            shutil.rmtree(HERE / "base", ignore_errors=True)
            if i > 0:
                common.copy(self.store, HERE / "base")
            *_, calls = self.fail(i, "sync", 10 ** 9)
            if calls == 0:
                raise Failed(f"command {i + 1} syncs nothing")
            for n in range(1 + common.SEED % share, calls + 1, share):
                self.lost(i, n, log)
                tried += 1
        return f"{tried} syncs that lose what they were to write, then power loss"

    def all(self, how, share):
        """Every share-th call of each command."""
        tried = self.each(share, lambda i, n: self.one(i, how, n))
        if 0 in tried:
            raise Failed(f"command {tried.index(0) + 1} makes no call that could fail: {how}")
        return f"{sum(tried)} calls that fail: {how}"


def named(path, text):
    """Does the text name the file, or for one beside it or a directory, that?"""
    name = os.path.basename(path)
    for end in ("-journal", ".new", ".tmp"):
        name = name[:-len(end)] if name.endswith(end) else name
    name = name.split(".json.")[0] if ".json." in name else name.split(".f32.")[0]
    name = name.split(".done.")[0]
    return name in text or os.path.basename(os.path.dirname(path)) in text


def main():
    """All the ways."""
    share, hows = int(sys.argv[1]), sys.argv[2:]
    errors, tap = Errors(common.work(), common.Dumper()), common.Tap()
    tests = [lambda how=how: errors.all(how, share)
             for how in ("eio", "enospc", "short", "full") if not hows or how in hows]
    if not hows or "sync" in hows:
        tests.append(lambda: errors.all_lost(share))
    tap.run(tests)


if __name__ == "__main__":
    main()
