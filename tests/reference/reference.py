# SPDX-License-Identifier: ISC
"""Compares a store with an independent recomputation over the whole corpus.

    reference.py [--saedbd PATH] [--store DIR] [--model DIR] [--sae NAME=DIR ...]
                 [--corpus FILE] [--golden FILE]

The unit of every tolerance is u = ||x|| ||w|| + |b| of the pair at hand: two
float32 dot products of the same numbers, summed in other orders, differ by a few
rounding errors of that size, and x itself, which went through two
implementations of the forward pass, by some 1e-6 of its norm. So a value may differ
by 1e-5 u, and a feature may fire in one and not in the other where its
pre-activation is within 1e-5 u of where it begins to. Such places are listed, and
there may be one in 1e5. --golden writes what `./dev check` compares with where
there is no PyTorch."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import torch

from collect import (TOLERANCE, Tally, add_statistics, best_windows, compare_window,
                     index_peaks, stored_dense)
from recompute import Model, Sae, read_corpus
from rpc import Daemon

BATCH = 32       # windows in one forward pass
SAMPLE = 64      # features whose examples, neighbors and logits are compared
EXAMPLES, RADIUS, NEIGHBORS = 20, 5, 32


class Checks:
    """Counts checks, prints each."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, good, text):
        """One check: prints it and remembers how it went."""
        print(("ok   " if good else "FAIL ") + text, flush=True)
        self.passed += bool(good)
        self.failed += not good


def documents(rpc):
    """Rows of document.list by id."""
    return {d["document"]: d for d in rpc.pages("document.list", "documents", limit=1000)}


def cut_corpus(checks, rpc, model, context, corpus):
    """Token ids of every window, by number, and whether the store's are equal."""
    stored = documents(rpc)
    windows, missing = {}, 0
    for ident, text in read_corpus(corpus):
        row = stored.get(ident)
        cut = model.cut(text, context)
        if row is None or row["n_windows"] != len(cut):
            missing += 1
            continue
        for i, ids in enumerate(cut):
            windows[row["first_window"] + i] = ids
    checks.that(missing == 0, f"{len(stored)} documents cut into {len(windows)} windows, "
                f"{missing} missing or cut otherwise")
    return windows


def batches(windows):
    """Window numbers in groups of like length."""
    order = sorted(windows, key=lambda w: (len(windows[w]), w))
    for i in range(0, len(order), BATCH):
        yield order[i:i + BATCH]


def walk(checks, rpc, model, saes, windows):
    """The pass: every window through model, SAELens and the comparison."""
    tallies = {name: Tally.empty(len(s.b_enc), len(s.b_dec)) for name, s in saes.items()}
    layer = next(iter(saes.values())).layer
    wrong_ids = 0
    for group in batches(windows):
        residuals = model.residuals([windows[w] for w in group], layer)
        for name, sae in saes.items():
            features = sae.encode(torch.cat(residuals)).numpy()
            replies = rpc.many("window.activations", [
                {"window": w, "sae": name} for w in group])
            at = 0
            for window, x, reply in zip(group, residuals, replies):
                ids = windows[window]
                theirs = features[at:at + len(ids)]
                at += len(ids)
                if list(reply["ids"]) != ids:
                    wrong_ids += 1
                    continue
                counted = np.array([i not in model.special for i in ids])
                ours = stored_dense(reply, len(ids), theirs.shape[1])
                compare_window(tallies[name], sae, x, ours, theirs, counted, window)
                add_statistics(tallies[name], sae, x, theirs, counted, window)
    checks.that(wrong_ids == 0, f"token ids of {len(windows)} windows equal, "
                f"{wrong_ids} differ")
    return tallies


def compare_activations(checks, name, tally):
    """Every activation, and where the sets differ."""
    share = len(tally.near) / max(tally.n_pairs, 1)
    checks.that(not tally.wrong, f"{name}: {tally.n_pairs} activations, "
                f"{len(tally.wrong)} differ beyond {TOLERANCE} u of a threshold")
    checks.that(share <= 1e-5, f"{name}: {len(tally.near)} differ within it "
                f"({share:.1e} of all; at most 1e-5)")
    for window, offset, feature, margin, unit in tally.near[:20] + tally.wrong[:20]:
        print(f"     {name}/{feature} at window {window} offset {offset}: "
              f"margin {margin:.2e}, u {unit:.1f}")
    checks.that(tally.worst <= TOLERANCE,
                f"{name}: largest difference of a value {tally.worst:.1e} u")


def compare_features(checks, rpc, name, tally):
    """Counts, maxima and means of all features; L0 and explained variance."""
    rows = list(rpc.pages("feature.list", "features", sae=name, limit=1000))
    count = np.array([r["count"] for r in rows])
    maximum = np.array([r["max"] for r in rows])
    off = np.abs(count - tally.count) > tally.near_count
    checks.that(len(rows) == len(tally.count) and not off.any(),
                f"{name}: firing counts of {len(rows)} features, {int(off.sum())} differ "
                "by more than the listed places")
    sure = tally.near_count == 0
    error = (np.abs(maximum - tally.maximum) / np.maximum(tally.unit, 1e-30))[
        sure | (np.minimum(count, tally.count) > 0)]
    checks.that(error.max() <= TOLERANCE, f"{name}: maxima within {error.max():.1e} u")
    alive = (tally.count > 0) & sure
    mean = np.array([r["mean"] for r in rows])[alive]
    theirs = tally.total[alive] / tally.count[alive]
    error = np.abs(mean - theirs) / tally.unit[alive]
    checks.that(error.max() <= TOLERANCE, f"{name}: means within {error.max():.1e} u, "
                "features with a listed place left out")
    row = next(s for s in rpc.call("sae.list")["saes"] if s["name"] == name)
    l0 = tally.count.sum() / tally.n_tokens
    checks.that(row["n_tokens"] == tally.n_tokens and abs(row["l0"] - l0) < 1e-4 * l0,
                f"{name}: L0 {row['l0']:.4f} (recomputed {l0:.4f})")
    explained = tally.explained()
    checks.that(abs(row["explained"] - explained) < 1e-5,
                f"{name}: explained variance {row['explained']:.6f} "
                f"(recomputed {explained:.6f})")
    checks.that(row["n_dead"] == int((tally.count == 0).sum()) or tally.near,
                f"{name}: {row['n_dead']} dead features")
    return rows


def sample_features(tally, seed=0):
    """Features to look at closely: alive ones, spread over densities."""
    alive = np.flatnonzero(tally.count)
    order = alive[np.argsort(tally.count[alive], kind="stable")]
    return order[np.linspace(0, len(order) - 1, min(SAMPLE, len(order))).astype(int)]


def around(windows, place):
    """The tokens by which examples are told to be alike, and the peak's place in them."""
    window, offset = place
    first = max(0, offset - RADIUS)
    return offset - first, windows[window][first:offset + RADIUS + 1]


def compare_examples(checks, rpc, name, tally, windows, features):
    """The sets of best windows, but for ties; their values."""
    index_peaks(tally)
    wrong, worst = [], 0.0
    for feature in features:
        reply = rpc.call("feature.examples", feature=f"{name}/{feature}",
                         limit=EXAMPLES, context=0)
        ours = {(e["window"], e["offset"]): e["value"] for e in reply["examples"]}
        theirs = best_windows(tally, windows, feature, EXAMPLES, RADIUS)
        kept = {(w, o): v for v, w, o in theirs[:EXAMPLES]}
        last = min(kept.values(), default=0)
        values = {(w, o): v for v, w, o in tally.by_feature[feature]}
        slack = 2 * TOLERANCE * tally.unit[feature]
        for place in set(ours) ^ set(kept):
            value = values.get(place, ours.get(place, np.inf))
            tie = abs(value - last) <= slack or any(
                abs(value - v) <= slack and around(windows, p) == around(windows, place)
                for p, v in {**ours, **kept}.items() if p != place)
            if not tie:
                wrong.append((feature, place))
        for place in set(ours) & set(kept):
            worst = max(worst, abs(ours[place] - kept[place]) / tally.unit[feature])
        if len(ours) != len(kept):
            wrong.append((feature, "number of examples"))
        elif kept and np.abs(np.sort([*ours.values()])
                             - np.sort([*kept.values()])).max() > slack:
            wrong.append((feature, "values in order"))
    checks.that(not wrong, f"{name}: example sets of {len(features)} features equal but "
                f"for ties, {len(wrong)} not: {wrong[:4]}")
    checks.that(worst <= TOLERANCE, f"{name}: example values within {worst:.1e} u")


def compare_intervals(checks, rpc, name, tally, model, saes):
    """Populations of the ten intervals sum to the counts of feature.get."""
    wrong = 0
    for feature in sample_features(tally):
        row = rpc.call("feature.get", feature=f"{name}/{feature}")
        wrong += (sum(row["intervals"]) != row["count"]
                  or sum(row["histogram"]["counts"]) != row["count"])
    checks.that(wrong == 0, f"{name}: intervals and histograms add up to the counts")


def compare_neighbors(checks, rpc, name, other, saes, features):
    """Nearest features by numpy's exact cosine in float64."""
    a, b = saes[name].w_dec, saes[other].w_dec
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    wrong, worst = 0, 0.0
    for feature in features:
        cosine = b @ a[feature]
        if name == other:
            cosine[feature] = -np.inf
        best = -np.sort(-cosine)[:NEIGHBORS]
        reply = rpc.call("feature.neighbors", feature=f"{name}/{feature}", sae=other,
                         k=NEIGHBORS)["neighbors"]
        ours = np.array([n["cosine"] for n in reply])
        index = np.array([n["index"] for n in reply])
        wrong += len(set(index)) != NEIGHBORS or name == other and feature in index
        worst = max(worst, np.abs(ours - best).max(), np.abs(cosine[index] - ours).max())
    checks.that(wrong == 0 and worst < 1e-6, f"{name} to {other}: {NEIGHBORS} neighbors of "
                f"{len(features)} features, cosines within {worst:.1e}")


def compare_search(checks, rpc, name, sae, features):
    """vector.neighbors (FAISS) for the features' own decoder rows, and the rows."""
    rows = sae.w_dec / np.linalg.norm(sae.w_dec, axis=1, keepdims=True)
    worst, vectors = 0.0, 0
    for feature in features[:16]:
        vector = rpc.call("feature.vector", feature=f"{name}/{feature}")["vector"]
        mine = np.frombuffer(vector, "<f4")
        vectors += not np.array_equal(mine, sae.w_dec[feature].astype("<f4"))
        reply = rpc.call("vector.neighbors", vector=vector, sae=name, k=10)["neighbors"]
        best = -np.sort(-(rows @ rows[feature]))[:10]
        worst = max(worst, np.abs(best - [n["cosine"] for n in reply]).max())
    checks.that(vectors == 0, f"{name}: decoder vectors equal to the bit")
    checks.that(worst < 1e-5, f"{name}: FAISS search within {worst:.1e} of numpy")


def compare_logits(checks, rpc, name, sae, unembedding, features):
    """Direct logit effects W_dec W_U, ten up and ten down."""
    worst = 0.0
    for feature in features:
        effect = unembedding @ sae.w_dec[feature]
        row = rpc.call("feature.get", feature=f"{name}/{feature}")
        unit = np.linalg.norm(unembedding, axis=1).max() * np.linalg.norm(sae.w_dec[feature])
        for key, best in (("promoted", -np.sort(-effect)[:10]),
                          ("suppressed", np.sort(effect)[:10])):
            values = np.array([t["value"] for t in row[key]])
            ids = [t["id"] for t in row[key]]
            worst = max(worst, np.abs(values - best).max() / unit,
                        np.abs(effect[ids] - values).max() / unit)
    checks.that(worst < 1e-6, f"{name}: logit effects within {worst:.1e} of ||W_U|| ||w||")


def golden(path, rpc, saes, tallies, windows, unembedding):
    """What a machine without PyTorch compares with: recomputed numbers only."""
    record = {"n_windows": len(windows), "n_ids": sum(map(len, windows.values())),
              "id_sum": int(sum((w + 1) * sum(ids) for w, ids in windows.items())), "saes": {}}
    for name, tally in tallies.items():
        features = sample_features(tally)
        rows = saes[name].w_dec / np.linalg.norm(saes[name].w_dec, axis=1, keepdims=True)
        cosine = rows[features] @ rows.T
        cosine[np.arange(len(features)), features] = -np.inf
        record["saes"][name] = {
            "n_tokens": tally.n_tokens,
            "l0": tally.count.sum() / tally.n_tokens,
            "explained": tally.explained(),
            "count": tally.count.tolist(),
            "near": {str(f): int(tally.near_count[f])
                     for f in np.flatnonzero(tally.near_count)},
            "max": [float(f"{v:.8g}") for v in tally.maximum],
            "unit": [float(f"{v:.4g}") for v in tally.unit],
            "features": features.tolist(),
            "cosine": (-np.sort(-cosine)[:, :10]).round(7).tolist(),
            "promoted": [(-np.sort(-(unembedding @ saes[name].w_dec[f]))[:10])
                         .round(6).tolist() for f in features],
            "examples": [[[w, o, float(f"{v:.8g}")] for v, w, o in best_windows(
                tally, windows, f, EXAMPLES, RADIUS)[:EXAMPLES]] for f in features],
        }
    with open(path, "w", encoding="utf-8") as out:
        json.dump(record, out, separators=(",", ":"))


def index_demo(build, saes, model, corpus):
    """A fresh store of the demo's corpus, made by the release build."""
    store = build / "reference-store"
    shutil.rmtree(store, ignore_errors=True)
    subprocess.run([build / "saedb-index", "--store", store, "--model", model,
                    *(f"--sae={s}" for s in saes), "--corpus", corpus], check=True)
    return store


def arguments():
    """The command line; what is left out is the demo's, freshly indexed."""
    root = pathlib.Path(os.environ.get("SAEDB_ROOT", "."))
    build = pathlib.Path(os.environ.get("SAEDB_BUILD", root / "build/release"))
    demo = root / "demo"
    parser = argparse.ArgumentParser(description="compare a store with a recomputation")
    parser.add_argument("--saedbd", default=build / "saedbd")
    parser.add_argument("--store")
    parser.add_argument("--model", default=demo / "model")
    parser.add_argument("--sae", action="append", metavar="NAME=DIR")
    parser.add_argument("--corpus", default=demo / "corpus/demo.jsonl.gz")
    parser.add_argument("--golden")
    args = parser.parse_args()
    args.sae = args.sae or [f"{name}={demo / 'sae' / name}" for name in ("1k", "8k")]
    if not args.store:
        args.store = index_demo(build, args.sae, args.model, args.corpus)
    return args


def main():
    """Runs all comparisons; the last line counts them."""
    args = arguments()
    checks = Checks()
    saes = {name: Sae(path) for name, path in (s.split("=", 1) for s in args.sae)}
    model = Model(args.model)
    unembedding = model.unembedding()
    context = next(iter(saes.values())).context
    with Daemon(args.saedbd, args.store) as rpc:
        windows = cut_corpus(checks, rpc, model, context, args.corpus)
        tallies = walk(checks, rpc, model, saes, windows)
        for name, tally in tallies.items():
            compare_activations(checks, name, tally)
            compare_features(checks, rpc, name, tally)
            features = sample_features(tally)
            compare_examples(checks, rpc, name, tally, windows, features)
            compare_intervals(checks, rpc, name, tally, model, saes)
            compare_search(checks, rpc, name, saes[name], features)
            compare_logits(checks, rpc, name, saes[name], unembedding, features)
            for other in saes:
                compare_neighbors(checks, rpc, name, other, saes, features)
        if args.golden:
            golden(args.golden, rpc, saes, tallies, windows, unembedding)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed != 0


if __name__ == "__main__":
    sys.exit(main())
