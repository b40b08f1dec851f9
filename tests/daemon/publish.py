# SPDX-License-Identifier: ISC
"""publish.py SOCKET COMMAND...: asks all the while COMMAND publishes runs; nothing
may fail, and the new runs must be seen."""
import subprocess
import sys
import threading
import time

import mp

PATH, COMMAND = sys.argv[1], sys.argv[2:]
stop = threading.Event()
failed = []
counts = {}


def asker(name, ask):
    try:
        c = mp.Client(PATH, 30)
        n, generations = 0, []
        while not stop.is_set():
            generations.append(ask(c)["generation"])
            n += 1
        assert generations == sorted(generations), "generations go back"
        counts[name] = (n, generations[0], generations[-1])
    except Exception as e:  # whatever it is, the test fails by it
        failed.append((name, repr(e)))


def pager(c):
    """Pages of one list belong to one run, whatever is published between them."""
    rows, r = [], c.call("feature.list", sae="alpha", limit=7)
    first = r
    while True:
        rows += [f["index"] for f in r["features"]]
        assert r["run"] == first["run"]
        if "next" not in r:
            break
        r = c.call("feature.list", sae="alpha", limit=7, cursor=r["next"])
    assert rows == list(range(40)), rows
    return r


before = mp.Client(PATH).call("run.list")
work = [threading.Thread(target=asker, args=a) for a in (
    ("ping", lambda c: c.call("server.ping")),
    ("get", lambda c: c.call("feature.get", "alpha/3")),
    ("examples", lambda c: c.call("feature.examples", "alpha/3")),
    ("search", lambda c: c.call("label.search", "bridge")),
    ("text", lambda c: c.call("text.search", "bridge")),
    ("acts", lambda c: c.call("document.activations", "doc-1", "alpha")),
    ("pages", pager))]
for t in work:
    t.start()
time.sleep(0.3)
subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
c = mp.Client(PATH)
deadline = time.monotonic() + 2
while True:
    after = c.call("run.list")
    if len(after["runs"]) > len(before["runs"]) or time.monotonic() > deadline:
        break
    time.sleep(0.01)
time.sleep(0.5)
stop.set()
for t in work:
    t.join()
assert not failed, failed
after = c.call("run.list")  # the last of them too
assert len(after["runs"]) > len(before["runs"]), (before, after)
assert all(n > 5 and last > first for n, first, last in counts.values()), counts
newest = after["runs"][-1]["run"]
assert c.call("feature.get", "alpha/3")["run"] == newest
assert c.call("feature.get", feature="alpha/3", run=1)["run"] == 1
print("ok - %d answers while %d runs were published" % (
    sum(n for n, _, _ in counts.values()), len(after["runs"]) - len(before["runs"])))
