# SPDX-License-Identifier: ISC
"""The k nearest of all rows by FAISS's exact index: prints seconds, and seconds of
CPU. With lists of ours (bench_graph's OUT) and a step, compares every step-th of them
with all products in float64 instead: values, and rows unless their products are a near
tie.

    graph_faiss.py FILE D K THREADS [LISTS STEP]"""

import sys
import time

import numpy as np

TOLERANCE = 1e-6


def search(rows, k, n_threads):
    """Seconds, and seconds of CPU."""
    import faiss

    faiss.omp_set_num_threads(n_threads)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    start, cpu = time.perf_counter(), time.process_time()
    index.search(rows, k + 1)
    return time.perf_counter() - start, time.process_time() - cpu


def compare(rows, k, path, step):
    """Number of lists; exits where one differs."""
    lists = np.fromfile(path, [("row", "<u4"), ("value", "<f4")]).reshape(-1, k)
    exact = rows.astype(np.float64)
    picks = np.arange(0, len(rows), step)
    for at in range(0, len(picks), 256):
        some = picks[at:at + 256]
        products = exact[some] @ exact.T
        products[np.arange(len(some)), some] = -np.inf
        want = np.argsort(-products, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(products, want, axis=1)
        found = lists[some]
        of_found = np.take_along_axis(products, found["row"].astype(np.int64), axis=1)
        far = np.abs(found["value"] - best) > TOLERANCE
        other = (found["row"] != want) & (np.abs(of_found - best) > TOLERANCE)
        twice = [i for i in found["row"] if len(set(i)) != k]
        if far.any() or other.any() or twice:
            sys.exit(f"lists differ near row {some[0]}: {far.sum()} values, "
                     f"{other.sum()} rows, {len(twice)} with a row twice")
    return len(picks)


def main():
    """FILE D K THREADS [LISTS STEP]."""
    rows = np.fromfile(sys.argv[1], "<f4").reshape(-1, int(sys.argv[2]))
    k, n_threads = int(sys.argv[3]), int(sys.argv[4])
    if len(sys.argv) > 5:
        n = compare(rows, k, sys.argv[5], int(sys.argv[6]))
        print(f"graph: {n} lists of {len(rows)} equal those of all products in float64")
    else:
        print("%.3f %.3f" % search(rows, k, n_threads))


if __name__ == "__main__":
    main()
