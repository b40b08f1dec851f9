# SPDX-License-Identifier: ISC
"""splitting.py SOCKET: feature.splitting of every feature of the SAEs small, mid and wide
against decoder rows and activations, by the plainest loop."""
import math
import struct
import sys
from collections import Counter, defaultdict

import mp

c = mp.Client(sys.argv[1])
NAMES = ["small", "mid", "wide"]
width = {s["name"]: s["d_sae"] for s in c.call("sae.list")["saes"]}
run = c.call("run.list")["runs"][-1]
excluded = set(c.call("run.get", run=run["run"])["provenance"]["excluded_tokens"])

row = {}
for s in NAMES:
    for i in range(width[s]):
        v = c.call("feature.vector", feature="%s/%d" % (s, i))["vector"]
        x = struct.unpack("<%df" % (len(v) // 4), v)
        norm = math.sqrt(sum(y * y for y in x))
        row[s, i] = [y / norm for y in x]
active = defaultdict(set)
for window in range(run["n_windows"]):
    for s in NAMES:
        w = c.call("window.activations", window=window, sae=s)
        for i, token in enumerate(w["ids"]):
            if token not in excluded:
                active[window, i].update((s, f) for f in w["features"][
                    w["row_start"][i]:w["row_start"][i + 1]])
both = defaultdict(Counter)
for there in active.values():
    for a in there:
        both[a].update(there)


def cosine(a, b):
    return sum(x * y for x, y in zip(row[a], row[b]))


def share(a, b, up):
    child = a if up else b
    return both[a][b] / both[child][child] if both[child][child] else 0


def candidates(a, sae, by, up, least):
    """(cosine, n_both, share, feature), best first."""
    out = []
    for i in range(width[sae]):
        b = sae, i
        x = (cosine(a, b), both[a][b], share(a, b, up), b)
        if by != "cooccurrence" and x[0] < least["min_cosine"]:
            continue
        if by != "cosine" and (x[1] < least["min_count"] or x[2] < least["min_share"]):
            continue
        out.append(x)
    key = (lambda x: (-x[2], -x[1], x[3][1])) if by == "cooccurrence" else (
        lambda x: (-x[0], x[3][1]))
    return sorted(out, key=key)


def close(x, y):
    return abs(x - y) < 1e-6


def check(a, direction, by, k, **least):
    up = direction == "parents"
    r = c.call("feature.splitting", feature="%s/%d" % a, direction=direction, by=by, k=k, **least)
    at = NAMES.index(a[0])
    levels = NAMES[:at][::-1] if up else NAMES[at + 1:]
    assert r["saes"] == levels, r["saes"]
    nodes = r["nodes"]
    assert nodes[0]["parent"] is None and nodes[0]["count"] == both[a][a]
    below = defaultdict(list)
    for n in nodes[1:]:
        assert n["parent"] < nodes.index(n)
        below[n["parent"]].append(n)
    for i, n in enumerate(nodes):
        if n["depth"] == len(levels):
            assert not below[i]
            continue
        p = n["sae"], n["index"]
        want = candidates(p, levels[n["depth"]], by, up, least)[:k]
        got = below[i]
        assert len(got) == len(want), (a, by, got, want)
        for g, w in zip(got, want):
            f = g["sae"], g["index"]
            same = f == w[3] or by != "cooccurrence" and close(cosine(p, f), w[0])
            assert same and g["depth"] == n["depth"] + 1, (a, by, g, w)
            assert close(g["cosine"], cosine(p, f)), (g, w)
            assert g["n_both"] == both[p][f] and g["count"] == both[f][f], (g, w)
            assert abs(g["share"] - share(p, f, up)) < 1e-12
            either = both[p][p] + both[f][f] - both[p][f]
            assert abs(g["jaccard"] - (both[p][f] / either if either else 0)) < 1e-12
    return len(nodes) - 1


n = Counter()
for s in NAMES:
    for i in range(width[s]):
        for by in ("cosine", "cooccurrence", "both"):
            for direction in ("children", "parents"):
                n[by, direction] += check((s, i), direction, by, 3, min_cosine=0.3,
                                          min_share=0.4, min_count=2)
assert min(n.values()) > 20, n
print("ok - %s" % ", ".join("%d %s by %s" % (x, d, by) for (by, d), x in sorted(n.items())))
