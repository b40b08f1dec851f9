# SPDX-License-Identifier: ISC
"""What fires together, by scipy.sparse: counts, Jaccard and PMI of a whole store.

Reads every stored activation, multiplies A^T A, and compares with feature.cooccurrence:
the stored lists of all features, and what is counted for a sample in every order.

usage: cooccurrence.py [--saedbd PROGRAM] [--store STORE] [--sample N]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import scipy.sparse as sp

from rpc import Daemon

BATCH = 64
TOLERANCE = 1e-12


class Together:
    """Counts of all pairs of a run's features, numbered through its SAEs."""

    def __init__(self, rpc):
        run = rpc.call("run.list")["runs"][-1]
        self.saes = [s["sae"] for s in run["saes"]]
        width = {s["name"]: s["d_sae"] for s in rpc.call("sae.list")["saes"]}
        self.base = np.concatenate([[0], np.cumsum([width[s] for s in self.saes])])
        excluded = rpc.call("run.get", run=run["run"])["provenance"]["excluded_tokens"]
        parts = [self.matrix(rpc, s, width[s], run["n_windows"], set(excluded))
                 for s in self.saes]
        a = sp.hstack(parts, format="csr")
        self.n_tokens = a.shape[0]
        assert run["saes"][0]["n_tokens"] == self.n_tokens
        self.both = (a.T @ a).tocsr()
        self.count = np.asarray(a.sum(axis=0)).ravel()

    @staticmethod
    def matrix(rpc, sae, width, n_windows, excluded):
        """1 where a feature fires, a row a token that counts."""
        columns, lengths = [], []
        for first in range(0, n_windows, BATCH):
            asked = [{"window": w, "sae": sae}
                     for w in range(first, min(first + BATCH, n_windows))]
            for r in rpc.many("window.activations", asked):
                start = np.array(r["row_start"])
                keep = np.array([i not in excluded for i in r["ids"]], dtype=bool)
                length = np.diff(start)
                columns.append(np.array(r["features"], dtype=np.int64)
                               [np.repeat(keep, length)])
                lengths.append(length[keep])
        columns, lengths = np.concatenate(columns), np.concatenate(lengths)
        start = np.concatenate([[0], np.cumsum(lengths)])
        ones = np.ones(len(columns), dtype=np.int64)
        return sp.csr_matrix((ones, columns, start), shape=(len(lengths), width))

    def row(self, i, sae=None):
        """Partners of i, their counts, Jaccard and PMI, in all SAEs or in one."""
        lo, hi = self.both.indptr[i:i + 2]
        j, n = self.both.indices[lo:hi].astype(np.int64), self.both.data[lo:hi]
        keep = j != i
        if sae is not None:
            keep &= (j >= self.base[sae]) & (j < self.base[sae + 1])
        j, n = j[keep], n[keep]
        order = np.argsort(j)
        j, n = j[order], n[order]
        either = self.count[i] + self.count[j] - n
        p = n.astype(np.longdouble) * self.n_tokens
        q = self.count[i].astype(np.longdouble) * self.count[j]
        # log(p/q) by its digits where the two are close
        pmi = np.where(np.abs(p - q) < q / 2, np.log1p((p - q) / q), np.log(p / q))
        return j, n, n / either, pmi.astype(float)

    def best(self, i, sort, k, least, sae=None):
        """The k first, ties by count, then place."""
        j, n, jaccard, pmi = self.row(i, sae)
        key = {"jaccard": jaccard, "pmi": pmi, "count": n}[sort]
        order = np.lexsort((j, -n, -key))
        order = order[n[order] >= least][:k]
        return j[order], n[order], jaccard[order], pmi[order]


def off(ours, theirs):
    """The largest relative difference."""
    ours, theirs = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    if len(ours) == 0:
        return 0.0
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-300)))


def compare(t, reply, want):
    """Whether a reply is that list, and the worst relative difference."""
    rows = reply["neighbors"]
    j = [t.base[t.saes.index(r["sae"])] + r["index"] for r in rows]
    same = (j == list(want[0]) and [r["n_both"] for r in rows] == list(want[1])
            and [r["count"] for r in rows] == list(t.count[want[0]]))
    if not same:
        # PMI's last digit may turn equal ones round
        same = (sorted(j) == sorted(want[0].tolist())
                and off(sorted(r["pmi"] for r in rows), sorted(want[3])) < TOLERANCE
                and reply["sort"] == "pmi")
        return same, 0.0
    return same, max(off([r["jaccard"] for r in rows], want[2]),
                     off([r["pmi"] for r in rows], want[3]))


def check(rpc, t, what, features, **args):
    """Asks about all features; prints and returns whether all are right."""
    sae = args.get("sae")
    k, least = args["k"], args["min_count"]
    wrong, worst, stored = 0, 0.0, 0
    for first in range(0, len(features), BATCH):
        some = features[first:first + BATCH]
        names = [f"{t.saes[s]}/{i - t.base[s]}" for i in some
                 for s in [int(np.searchsorted(t.base, i, side="right")) - 1]]
        replies = rpc.many("feature.cooccurrence",
                           [{"feature": name, **args} for name in names])
        for i, reply in zip(some, replies):
            want = t.best(i, args.get("sort", "jaccard"), k, least,
                          None if sae == "all" else t.saes.index(sae))
            good, by = compare(t, reply, want)
            good &= reply["count"] == t.count[i] and reply["n_tokens"] == t.n_tokens
            wrong += not good
            worst = max(worst, by)
            stored += reply["engine"] == "stored"
    good = wrong == 0 and worst <= TOLERANCE
    print(f"{'ok  ' if good else 'FAIL'} {what}: {len(features)} features, {wrong} differ; "
          f"Jaccard and PMI within {worst:.1e}; {stored} by stored lists", flush=True)
    return good


def index_demo(build, root):
    """A fresh store of the demo's corpus."""
    store = build / "cooccurrence-store"
    shutil.rmtree(store, ignore_errors=True)
    saes = [f"--sae={name}={root / 'demo/sae' / name}" for name in ("1k", "8k")]
    subprocess.run([build / "saedb-index", "--quiet", "--store", store, "--model",
                    root / "demo/model", *saes, "--corpus",
                    root / "demo/corpus/demo.jsonl.gz"], check=True)
    return store


def main():
    """All comparisons."""
    root = pathlib.Path(os.environ.get("SAEDB_ROOT", "."))
    build = pathlib.Path(os.environ.get("SAEDB_BUILD", root / "build/release"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saedbd", default=build / "saedbd")
    parser.add_argument("--store")
    parser.add_argument("--sample", type=int, default=400)
    args = parser.parse_args()
    store = args.store or index_demo(build, root)
    with Daemon(args.saedbd, store) as rpc:
        t = Together(rpc)
        print(f"{t.n_tokens} tokens, {len(t.count)} features of {', '.join(t.saes)}, "
              f"{t.both.nnz} pairs that fire together")
        every = np.arange(len(t.count))
        some = np.random.default_rng(0).permutation(every)[:args.sample]
        good = [check(rpc, t, "stored lists", every, sae="all", k=32, min_count=1)]
        for sort in ("jaccard", "pmi", "count"):
            for sae in t.saes:
                good.append(check(rpc, t, f"by {sort} in {sae}", some, sae=sae, sort=sort,
                                  k=1000, min_count=1))
            good.append(check(rpc, t, f"by {sort} in all, 7 at least", some, sae="all",
                              sort=sort, k=50, min_count=7))
    return not all(good)


if __name__ == "__main__":
    sys.exit(main())
