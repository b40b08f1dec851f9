# SPDX-License-Identifier: ISC
"""Is a layout of analysis/umap.c as good as umap-learn's, from the same neighbors?

    test_umap.py LAYOUT DEMO_SAE_DIR

LAYOUT is tests/tools/umap_layout. Trustworthiness (scikit-learn's) and the share of each
point's 15 nearest that are among its 15 nearest in the plane, means over five seeds, on
scikit-learn's digits, on blobs and on the decoder rows of the demo's SAEs (cosine). Ours
may be at most 0.02 below umap-learn's."""

import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
from safetensors.numpy import load_file
from sklearn.datasets import load_digits, make_blobs
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

warnings.filterwarnings("ignore")
import umap  # noqa: E402

K, SEEDS, ALLOWED = 15, 5, 0.02
SAMPLE = 2000  # points of a large set whose measures are taken


def neighbors(rows, metric):
    """(n, K + 1) of each point itself and its nearest, and their distances."""
    if metric == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(rows)
    distance, index = found.kneighbors(rows)
    for i, row in enumerate(index):
        if row[0] != i:  # a duplicate came first
            at = np.flatnonzero(row == i)
            row[at[0] if len(at) else K] = row[0]
            row[0] = i
    if metric == "cosine":
        distance = distance ** 2 / 2
    distance[:, 0] = 0
    return index.astype(np.uint32), distance.astype(np.float32)


def ours(layout, index, distance, seed, threads=1, init="spectral", xy=None):
    """(n, 2), and the seconds of wall and CPU time that it took."""
    data = (np.array([len(index), index.shape[1] - 1], np.uint32).tobytes()
            + index[:, 1:].astype(np.uint32).tobytes()
            + distance[:, 1:].astype(np.float32).tobytes()
            + (xy.astype(np.float32).tobytes() if xy is not None else b""))
    out = subprocess.run([layout, str(threads), str(seed), init], input=data,
                         capture_output=True, check=True)
    return (np.frombuffer(out.stdout, np.float32).reshape(-1, 2),
            [float(s) for s in out.stderr.split()])


def theirs(rows, metric, index, distance, seed, threads=1, init="spectral"):
    """umap-learn's, of the same neighbors."""
    model = umap.UMAP(n_neighbors=K + 1, metric=metric, random_state=seed, n_jobs=threads,
                      init=init, precomputed_knn=(index.astype(np.int64), distance, None))
    return model.fit_transform(rows)


def preserved(index, xy):
    """The share of the K nearest that are among the K nearest in the plane."""
    near = NearestNeighbors(n_neighbors=K + 1).fit(xy).kneighbors(xy)[1]
    return float(np.mean([len(set(a[1:]) & set(b[b != i][:K])) / K
                          for i, (a, b) in enumerate(zip(index, near))]))


def measure(rows, metric, index, xy):
    """Trustworthiness and preservation."""
    assert np.isfinite(xy).all()
    pick = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    trust = trustworthiness(rows[pick], xy[pick], n_neighbors=K, metric=metric)
    return np.array([trust, preserved(index, xy)])


def sets(demo):
    """Name, rows, metric."""
    yield "digits", load_digits().data.astype(np.float32), "euclidean"
    yield ("blobs", make_blobs(3000, 20, centers=12, cluster_std=4.0,
                               random_state=0)[0].astype(np.float32), "euclidean")
    for name in ("1k", "8k"):
        tensors = load_file(pathlib.Path(demo) / name / "sae_weights.safetensors")
        yield name, tensors["W_dec"].astype(np.float32), "cosine"


def main():
    """Prints a line for each set."""
    layout, demo = sys.argv[1:3]
    only = os.environ.get("SETS", "").split()
    failed = 0
    for name, rows, metric in sets(demo):
        if only and name not in only:
            continue
        index, distance = neighbors(rows, metric)
        a = [measure(rows, metric, index, ours(layout, index, distance, s)[0])
             for s in range(SEEDS)]
        b = [measure(rows, metric, index, theirs(rows, metric, index, distance, s))
             for s in range(SEEDS)]
        same = ours(layout, index, distance, 0, 1)[0].tobytes() == \
            ours(layout, index, distance, 0, 2)[0].tobytes()
        mean = np.mean(a, axis=0), np.mean(b, axis=0)
        good = bool((mean[0] > mean[1] - ALLOWED).all()) and same
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} umap of {name}, {len(rows)} points: "
              f"trustworthiness {mean[0][0]:.4f}, umap-learn {mean[1][0]:.4f}; "
              f"neighbors preserved {mean[0][1]:.4f}, umap-learn {mean[1][1]:.4f}; "
              f"two threads {'the same' if same else 'differ'}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
