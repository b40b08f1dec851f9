# SPDX-License-Identifier: ISC
"""together.py SOCKET ENGINE [SAE...]: feature.cooccurrence of every feature of the first
run against counts of the stored activations by the plainest loop. ENGINE: how the lists
of 32 must be found. SAE: of other runs over the same cut, asked for too."""
import math
import sys
from collections import Counter, defaultdict

import mp

c = mp.Client(sys.argv[1])
engine = sys.argv[2]
run = c.call("run.list")["runs"][0]
names = [s["sae"] for s in run["saes"]] + sys.argv[3:]
own = range(len(run["saes"]))
width = {s["name"]: s["d_sae"] for s in c.call("sae.list")["saes"]}
excluded = set(c.call("run.get", run=run["run"])["provenance"]["excluded_tokens"])

active = defaultdict(set)  # token -> what fires there, as (place of the SAE, index)
n_tokens = 0
for window in range(run["n_windows"]):
    for place, name in enumerate(names):
        w = c.call("window.activations", window=window, sae=name)
        for i, token in enumerate(w["ids"]):
            if token in excluded:
                continue
            n_tokens += place == 0
            row = w["features"][w["row_start"][i]:w["row_start"][i + 1]]
            active[window, i].update((place, f) for f in row)
both = defaultdict(Counter)
for row in active.values():
    for a in row:
        both[a].update(row)


def want(a, places, sort, k, least):
    rows = []
    for b, n in both[a].items():
        if b == a or b[0] not in places or n < least:
            continue
        na, nb = both[a][a], both[b][b]
        p = math.log1p((n * n_tokens - na * nb) / (na * nb))
        rows.append((b, n, n / (na + nb - n), p, nb))
    key = {"jaccard": 2, "pmi": 3, "count": 1}[sort]
    return sorted(rows, key=lambda r: (-r[key], -r[1], r[0]))[:k]


def close(x, y):
    return abs(x - y) <= 1e-12 * abs(y) + 1e-15


def ask(a, sae, places, sort, k, least):
    r = c.call("feature.cooccurrence", feature="%s/%d" % (names[a[0]], a[1]), sae=sae,
               sort=sort, k=k, min_count=least, run=run["run"])
    mine, got = want(a, places, sort, k, least), r["neighbors"]
    assert r["count"] == both[a][a] and r["n_tokens"] == n_tokens, (a, r)
    if sort != "pmi":  # its last digit may turn equal ones round
        assert [(names.index(n["sae"]), n["index"]) for n in got] == [
            m[0] for m in mine], (a, sae, sort, r, mine)
    at = {m[0]: m for m in want(a, places, sort, 10**9, 1)}
    assert len(got) == len(mine)
    for n, m in zip(got, mine):
        x = at[names.index(n["sae"]), n["index"]]
        assert n["n_both"] == x[1] and n["count"] == x[4], (a, n, x)
        assert close(n["jaccard"], x[2]) and close(n["pmi"], x[3]), (a, n, x)
        assert close(n["density"], x[4] / n_tokens)
        assert close(n["pmi"], m[3]) or sort != "pmi", (a, n, m)
    return r


n_asked = n_stored = 0
every = list(range(len(names)))
for place in own:
    for index in range(width[names[place]]):
        a = (place, index)
        r = ask(a, [names[p] for p in own], own, "jaccard", 32, 1)
        n_stored += r["engine"] == "stored"
        assert r["engine"] == engine or not both[a], r
        for sort in ("jaccard", "pmi", "count"):
            ask(a, None, [place], sort, 7, 1 + index % 6)
            ask(a, names, every, sort, 1000, 1)
            ask(a, names[-1], every[-1:], sort, 3, 2)
        n_asked += 1
print("ok - %d features, %d lists stored, %d pairs" % (
    n_asked, n_stored, sum(len(x) - 1 for x in both.values()) // 2))
