#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""concepts.py SAEDBD STORE [DEMO]: of the demo's tagged concepts, the share whose best
feature is among the first 1, 5 and 10 that concept.neighbors finds for their name, for
each way and SAE.

A concept's best feature is the one with the largest AUROC over its tags: positive is a
mention (the largest activation on its span's tokens), negative every token outside the
concept's mentions. It is found from the stored activations, document by document, and
shares nothing with the search."""

import collections
import gzip
import json
import pathlib
import sys

import numpy as np

from rpc import Daemon

HERE = pathlib.Path(__file__).resolve().parents[2] / "demo"
WAYS = ["labels", "examples", "model", "auto"]
ABSTRACT = {"about", "bug", "code", "conflict", "immune", "insecure", "language", "list",
            "praise", "secrecy", "secure"}  # themes whose names do not stand in the text
N_CANDIDATES = 50


def documents(rpc, demo, sae):
    """Yields (tags, starts, ends, row_start, features, values) of each document."""
    with gzip.open(demo / "corpus/tags.jsonl.gz", "rt") as f:
        tags = [json.loads(line) for line in f]
    asked = [{"document": t["id"], "sae": sae, "n": 8192} for t in tags]
    for t, a in zip(tags, rpc.many("document.activations", asked)):
        yield (t["concepts"], *(np.array(a[key]) for key in (
            "starts", "ends", "row_start", "features", "values")))


def collect(rpc, demo, sae):
    """All activations with their tokens' numbers, and each concept's mentions."""
    token, feature, value, n = [], [], [], 0
    mentions = collections.defaultdict(list)  # concept: tokens [first, end)
    for tags, starts, ends, row_start, f, v in documents(rpc, demo, sae):
        # BOS and other tokens without bytes are on no mention, and count for nothing
        token.append(n + np.repeat(np.arange(len(starts)), np.diff(row_start)))
        feature.append(f)
        value.append(v)
        for t in tags:
            on = np.flatnonzero((ends > t["start"]) & (starts < t["end"]) &
                                (ends > starts))
            if len(on):
                mentions[t["concept"]].append((n + on[0], n + on[-1] + 1))
        n += len(starts)
    order = np.argsort(np.concatenate(feature), kind="stable")
    feature = np.concatenate(feature)[order]
    return (n, np.concatenate(token)[order], np.concatenate(value)[order],
            np.searchsorted(feature, np.arange(feature.max() + 2)), mentions)


def auroc(peaks, negative, n_negative):
    """Positives' values, the negatives' that are not 0, and how many negatives."""
    negative = np.sort(negative)
    zeros = n_negative - len(negative)
    below = np.searchsorted(negative, peaks, "left")
    equal = np.searchsorted(negative, peaks, "right") - below
    wins = np.where(peaks > 0, below + equal / 2 + zeros, zeros / 2)
    return wins.sum() / (len(peaks) * n_negative)


def best_features(n, token, value, start, mentions):
    """Each concept's best feature."""
    found = {}
    n_features = len(start) - 1
    feature_of = np.repeat(np.arange(n_features), np.diff(start))
    for concept, spans in mentions.items():
        owner = np.full(n, -1)
        for i, (first, end) in enumerate(spans):
            owner[first:end] = i
        inside = owner[token] >= 0
        counts = np.bincount(feature_of[inside], minlength=n_features)
        best = (-1.0, -1)
        for f in np.argsort(-counts, kind="stable")[:N_CANDIDATES]:
            t, v = token[start[f]:start[f + 1]], value[start[f]:start[f + 1]]
            at = owner[t]
            peaks = np.zeros(len(spans))
            np.maximum.at(peaks, at[at >= 0], v[at >= 0])
            score = auroc(peaks, v[at < 0], n - np.count_nonzero(owner >= 0))
            best = max(best, (score, -f))
        found[concept] = (-best[1], best[0])
    return found


def measure(rpc, sae, best):
    """Prints a row for each way: shares at 1, 5 and 10, of all and of names."""
    names = [c for c in best if c.split(".")[0] not in ABSTRACT]
    print(f"{sae}: {len(best)} concepts, of {len(names)} the name stands in the text; "
          f"median AUROC of the best feature "
          f"{np.median([s for _, s in best.values()]):.3f}")
    for way in WAYS:
        asked = [{"text": c.split(".", 1)[1], "sae": sae, "via": way, "k": 10, "top": 0}
                 for c in best]
        rank = {}
        for c, r in zip(best, rpc.many("concept.neighbors", asked, depth=1)):
            found = [x["index"] for x in r["features"]]
            rank[c] = found.index(best[c][0]) if best[c][0] in found else 99
        shares = [sum(rank[c] < k for c in some) / len(some)
                  for some in (best, names) for k in (1, 5, 10)]
        print(f"  {way:9s} all" + " ".join(f"{100 * s:6.1f}" for s in shares[:3]) +
              "   names" + " ".join(f"{100 * s:6.1f}" for s in shares[3:]))
    good = shares[5] > 0.5  # auto, names, of the first ten
    print(f"{'ok' if good else 'not ok'} - most concepts of {sae} are found by their names")
    return good


def main():
    saedbd, store = sys.argv[1:3]
    demo = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else HERE
    with Daemon(saedbd, store) as rpc:
        good = []
        for s in rpc.call("sae.list")["saes"]:
            best = best_features(*collect(rpc, demo, s["name"]))
            good.append(measure(rpc, s["name"], dict(sorted(best.items()))))
    return not all(good)


if __name__ == "__main__":
    sys.exit(main())
