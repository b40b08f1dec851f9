# SPDX-License-Identifier: ISC
"""Time of a layout: analysis/umap.c against umap-learn, from the same neighbors.

    umap_learn.py LAYOUT DEMO_SAE_DIR ROUNDS [POINTS ...]

Sides alternate; medians of the seconds, and of CPU seconds in brackets. umap-learn is
warm: it has laid out a small set before, and how long that took is said. With one thread
it has a seed; with two it has none, since with a seed it uses one. Prints a line for each
set and number of threads: what | ours | theirs | ratio of wall | ratio of CPU."""

import os
import pathlib
import sys
import time
import warnings

import faiss
import numba
import numpy as np
from safetensors.numpy import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
warnings.filterwarnings("ignore")
from test_umap import K, ours, theirs  # noqa: E402


def nearest(rows):
    """(n, K + 1) of each point itself and its nearest by cosine, and 1 - cosine."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    value, found = index.search(rows, K + 1)
    for i, row in enumerate(found):
        if row[0] != i:
            at = np.flatnonzero(row == i)
            row[at[0] if len(at) else K] = row[0]
            row[0] = i
    distance = np.maximum(1 - value, 0)
    distance[:, 0] = 0
    return found, distance.astype(np.float32)


def synthetic(n, d):
    """Rows of d in groups that overlap, of as many sizes."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(n // 60, d)).astype(np.float32)
    pick = (len(centers) * rng.random(n) ** 2).astype(int)
    return centers[pick] + 1.2 * rng.normal(size=(n, d)).astype(np.float32)


def sets(demo, sizes):
    """Name and rows."""
    path = pathlib.Path(demo) / "8k" / "sae_weights.safetensors"
    yield "demo 8k", load_file(path)["W_dec"].astype(np.float32)
    for n in sizes:
        d = 768 if n < 50000 else 64
        yield f"synthetic {n} x {d}", synthetic(n, d)


def timed(rows, index, distance, threads):
    """Wall and CPU seconds of umap-learn."""
    wall, cpu = time.perf_counter(), time.process_time()
    theirs(rows, "cosine", index, distance, 0 if threads == 1 else None, threads)
    return [time.perf_counter() - wall, time.process_time() - cpu]


def race(layout, name, rows, rounds):
    """Both sides, one and two threads."""
    start = time.perf_counter()
    index, distance = nearest(rows)
    search = time.perf_counter() - start
    for threads in (1, 2):
        numba.set_num_threads(threads)
        a, b = [], []
        for _ in range(rounds):
            b.append(timed(rows, index, distance, threads))
            a.append(ours(layout, index, distance, 0, threads)[1])
        a, b = np.median(a, axis=0), np.median(b, axis=0)
        print(f"umap: {name}, {threads} threads | {a[0]:.2f} ({a[1]:.2f}) | {b[0]:.2f} "
              f"({b[1]:.2f}) s | {b[0] / a[0]:.2f}x | {b[1] / a[1]:.2f}x | FAISS' search "
              f"{search:.2f} s | load {os.getloadavg()[0]:.1f}", flush=True)


def main():
    """Compiles, then races."""
    layout, demo, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    small = synthetic(300, 8)
    start = time.perf_counter()
    timed(small, *nearest(small), 1)
    timed(small, *nearest(small), 2)
    print(f"umap: umap-learn's first two layouts, of 300 points, which compile it: "
          f"{time.perf_counter() - start:.1f} s", flush=True)
    for name, rows in sets(demo, [int(n) for n in sys.argv[4:]]):
        race(layout, name, rows, rounds)


if __name__ == "__main__":
    main()
