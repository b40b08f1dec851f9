# SPDX-License-Identifier: ISC
"""search.py make DIR: files of rows for make_sae_store. search.py ask SOCKET DIR: searches
of a store of them against float64, where rows are small whole numbers (so that many are
equal), some are zero and one is not a number; and what is refused."""
import array
import itertools
import math
import operator
import random
import struct
import sys

import mp

D, WIDE = 24, 32
N = {"a": 300, "b": 200, "wide": 64, "bad": 40}
NAN = 7  # of bad


def make(directory):
    rng = random.Random(5)
    first = []
    for name, n in N.items():
        d = WIDE if name == "wide" else D
        rows = [[float(rng.randint(-3, 3)) for _ in range(d)] for _ in range(n)]
        for i in range(0, n, 25):
            rows[i] = [0.0] * d
        for i in range(9, n, 10):  # twice, half or all of another
            rows[i] = [x * (1, 2, 0.5)[i % 3] for x in rows[i - 3]]
        if name == "b":
            rows[100:140] = first[100:140]
        if name == "bad":
            rows[NAN][3] = math.nan
            rows[NAN + 1][0] = math.inf
        first = first or rows
        with open(f"{directory}/{name}.rows", "wb") as f:
            for row in rows:
                f.write(struct.pack(f"<{d}f", *row))


class Sae:
    def __init__(self, directory, name):
        self.name, d = name, WIDE if name == "wide" else D
        with open(f"{directory}/{name}.rows", "rb") as f:
            flat = array.array("f", f.read())
        self.rows = [list(flat[i:i + d]) for i in range(0, len(flat), d)]
        self.norm = [math.sqrt(sum(x * x for x in r)) for r in self.rows]
        listed = c.call("feature.list", sae=name, limit=1000)["features"]
        self.density = [f["density"] for f in listed]

    def score(self, i, vector, metric):
        dot = sum(map(operator.mul, self.rows[i], vector))
        if metric == "ip":
            return dot
        norm = self.norm[i] * math.sqrt(sum(x * x for x in vector))
        return dot / norm if norm else 0.0


def passes(s, i, how):
    density = s.density[i]
    return ((how.get("alive") is None or (density > 0) == how["alive"]) and
            how.get("min_density", 0) <= density <= how.get("max_density", 1) and
            ("features" not in how or f"{s.name}/{i}" in how["features"]) and
            (how.get("labelled") is None or (i in LABELLED[s.name]) == how["labelled"]))


LABELLED = {"a": set(range(0, 300, 11)), "b": {4, 77}, "wide": set(), "bad": set()}
FILTERS = [{}, {"alive": True}, {"alive": False}, {"min_density": 0.0003},
           {"max_density": 0.0002}, {"min_density": 0.0002, "max_density": 0.0007},
           {"labelled": True}, {"labelled": False, "alive": True}, {"features": []},
           {"features": [f"a/{i}" for i in range(1, 300, 7)]},
           {"features": ["a/7", "a/8", "a/8"], "alive": False},
           {"min_density": 1}, {"max_density": 0}]


def compare(r, to, vector, metric, how, k, skip=None, of_faiss=False):
    every = [(-s.score(i, vector, metric), at, i) for at, s in enumerate(to)
             for i in range(len(s.rows)) if passes(s, i, how) and (s.name, i) != skip and
             not math.isnan(sum(s.rows[i]))]
    every.sort()
    rows = r["neighbors"]
    order = [s.name for s in to]
    got = [(-x[metric], order.index(x["sae"]), x["index"]) for x in rows]
    assert len(got) == min(k, len(every)), (len(got), len(every), how)
    assert got == sorted(got), "of equal scores the first SAE, then the first index"
    for (mine, at, i), (best, _, _) in zip(got, every):
        own = -to[at].score(i, vector, metric)
        assert abs(own - mine) <= 2e-6 and abs(own - best) < 1e-6, (mine, own, best)
        assert passes(to[at], i, how), (how, at, i)
    if metric == "ip" and not of_faiss:  # whole numbers: the very same
        assert got == every[:k], how


def fails(name, argument, method, **named):
    try:
        r = c.call(method, **named)
    except mp.RpcError as e:
        assert (e.name, e.argument) == (name, argument), (named, e.error)
        return e.error["message"]
    raise AssertionError((method, named, r))


def searches(saes):
    n = 0
    rng = random.Random(9)
    for metric in ("cosine", "ip"):
        for names in (["a"], ["b", "a"], ["a", "b"]):
            to = [saes[x] for x in names]
            for how in FILTERS:
                if "features" in how and "a" not in names:
                    continue
                own, i = rng.choice(["a", "b"]), rng.randrange(1, 199)
                if not any(saes[own].rows[i]):
                    continue
                for k in (1, 7, 1000):
                    r = c.call("feature.neighbors", feature=f"{own}/{i}", sae=names, k=k,
                               metric=metric, **how)
                    compare(r, to, saes[own].rows[i], metric, how, k, (own, i))
                    v = [float(rng.randint(-9, 9)) for _ in range(D)]
                    r = c.call("vector.neighbors", vector=v, sae=names, k=k, metric=metric,
                               **how)
                    compare(r, to, v, metric, how, k)
                    n += 2
    for k, metric in itertools.product((1, 5, 300, 1000), ("cosine", "ip")):
        v = [float(rng.randint(-9, 9)) for _ in range(D)]
        r = c.call("vector.neighbors", vector=v, sae=["a"], k=k, engine="faiss", metric=metric)
        assert r["engine"] == "faiss"
        compare(r, [saes["a"]], v, metric, {}, k, of_faiss=True)
    print(f"ok - {n} searches as float64 has them, with duplicates and zeros")


def refusals(saes):
    v = [1.0] * D
    both = {"vector": v, "sae": "a"}
    ask = "vector.neighbors"
    for bad in ([0.0] * D, [math.nan] * D, [-math.inf] + v[1:], v[1:], v + v, [],
                struct.pack(f"<{D}f", *([math.nan] * D)), b"\0" * 4 * D, b"abc", "x", ["x"] * D,
                struct.pack("<f", 1), [1e300] * D):
        fails("bad_argument", "vector", ask, vector=bad, sae="a")
    m = fails("mismatch", "sae", ask, vector=v, sae=["a", "wide"])
    assert "a" in m and "wide" in m and "32" in m and "24" in m, m
    fails("mismatch", "sae", "feature.neighbors", feature="a/1", sae="wide")
    m = fails("bad_argument", "vector", ask, vector=v, sae="wide")
    assert "32" in m and "24" in m, m
    for i in (0, 25, 275):  # zero
        m = fails("not_found", "feature", "feature.neighbors", feature=f"a/{i}")
        assert f"a/{i}" in m and "zero" in m, m
    for i in (NAN, NAN + 1):
        fails("not_found", "feature", "feature.neighbors", feature=f"bad/{i}", metric="ip")
    v = [float(i % 7 - 3) for i in range(D)]
    want = c.call(ask, vector=v, sae="a", k=9)["neighbors"]
    for scale in (2.0 ** 100, 2.0 ** -100):  # whose squares no float has
        assert c.call(ask, vector=[scale * x for x in v], sae="a", k=9)["neighbors"] == want
    r = c.call(ask, vector=v, sae="bad", k=1000)
    assert all(math.isfinite(x["cosine"]) for x in r["neighbors"])
    for engine in ("faiss", "approximate"):
        m = fails("bad_argument", "engine", ask, engine=engine, alive=True, **both)
        assert "exact" in m and "filter" in m, m
    fails("not_found", "sae", ask, vector=v, sae=["a", "nobody"])
    fails("not_found", "sae", ask, vector=[1.0] * 5, sae="all")
    fails("not_found", "features", ask, features=[300], **both)
    fails("not_found", "features", ask, features=["a/300"], **both)
    fails("bad_argument", "features", ask, features=["b/3"], **both)
    fails("not_found", "run", ask, run=99, **both)
    fails("bad_argument", "k", ask, k=1001, **both)
    fails("bad_argument", "min_density", ask, min_density=0.2, max_density=0.1, **both)
    assert c.call("vector.neighbours", vector=v, saes="a", n_neighbors=3)["neighbors"] == \
        c.call(ask, vector=v, sae="a", k=3)["neighbors"]
    r = c.call("feature.neighbors", feature="wide/1", sae="all")
    assert [s["sae"] for s in r["searched"]] == ["wide"]
    r = c.call("feature.neighbors", feature="b/1", sae="all")
    assert [s["sae"] for s in r["searched"]] == ["a", "b", "bad"]
    # make_sae_store knows no encoders
    fails("not_found", "of", "feature.neighbors", feature="a/1", of="encoder")
    fails("not_found", "of", ask, of="encoder", **both)
    fails("not_found", "sae", ask, of="encoder", vector=v, sae="all")
    print("ok - what is refused, and why")


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    c = mp.Client(sys.argv[2])
    for sae, ids in LABELLED.items():
        for i in ids:
            c.call("label.set", f"{sae}/{i}", "labelled")
    all_saes = {x: Sae(sys.argv[3], x) for x in N}
    searches(all_saes)
    refusals(all_saes)
