# SPDX-License-Identifier: ISC
"""Latency of nearest features by cosine: saedbd over its socket against FAISS in
this process. Prints milliseconds (median of many):
stored lookup, vector query through the daemon, faiss with one thread."""

import pathlib
import sys
import time

import faiss
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
from rpc import Daemon  # noqa: E402


def median_ms(call, arguments):
    """Median time of a call over a list of arguments."""
    times = []
    for argument in arguments:
        start = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main():
    """saedbd STORE SAE."""
    saedbd, store, name = sys.argv[1:4]
    faiss.omp_set_num_threads(1)
    with Daemon(saedbd, store) as rpc:
        sae = next(s for s in rpc.call("sae.list")["saes"] if s["name"] == name)
        vectors = [r["vector"] for r in rpc.many("feature.vector", [
            {"feature": f"{name}/{i}"} for i in range(sae["d_sae"])])]
        rows = np.stack([np.frombuffer(v, "<f4") for v in vectors])
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        picks = np.random.default_rng(0).integers(0, len(rows), 400)
        rpc.call("vector.neighbors", vector=vectors[0], sae=name, k=10)
        stored = median_ms(lambda i: rpc.call(
            "feature.neighbors", feature=f"{name}/{i}", k=10), picks)
        searched = median_ms(lambda i: rpc.call(
            "vector.neighbors", vector=vectors[i], sae=name, k=10), picks)
        peer = median_ms(lambda i: index.search(rows[i:i + 1], 10), picks)
    print(f"{stored:.4f} {searched:.4f} {peer:.4f} {len(rows)} {rows.shape[1]}")


if __name__ == "__main__":
    main()
