# SPDX-License-Identifier: ISC
"""The ten nearest of n unit rows by cosine, about: saedb's index in its own process
(bench_ann) and through saedbd, and exactly; beside indexes of FAISS in Python, each
with the cheapest parameters that find 99 % of the ten (else its best). Half of the
queries are rows, half rows with as much noise. What is right is numpy's. One thread;
sides alternate; medians. Prints lines of: what|ours|theirs|unit.

ann.py BUILD WORK [NxD:PULL ...]; FAISS_INDEXES names others to try."""

import os
import pathlib
import subprocess
import sys
import time

import faiss
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
from rpc import Daemon  # noqa: E402

K, QUERIES, STRETCHES, TARGET = 10, 200, 3, 0.99
BLOCK = 65536


def queries_of(rows):
    """Unit vectors: rows, and rows with noise."""
    rng = np.random.default_rng(1)
    q = np.array(rows[rng.choice(len(rows), QUERIES, replace=False)])
    noise = rng.standard_normal(q[1::2].shape, dtype=np.float32)
    q[1::2] += noise / np.sqrt(np.float32(q.shape[1]))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def truth_of(rows, queries):
    """The ten nearest of each, by blocks."""
    best = np.full((len(queries), 0), 0.0), np.zeros((len(queries), 0), np.int64)
    for at in range(0, len(rows), BLOCK):
        score = np.concatenate([best[0], queries @ rows[at:at + BLOCK].T], 1)
        which = np.concatenate([best[1], np.broadcast_to(np.arange(
            at, min(at + BLOCK, len(rows))), (len(queries), score.shape[1] - best[1].shape[1]))], 1)
        pick = np.argpartition(-score, K - 1, axis=1)[:, :K]
        best = np.take_along_axis(score, pick, 1), np.take_along_axis(which, pick, 1)
    return best[1]


def recall(found, truth):
    """The share of the ten."""
    return float(np.mean([len(set(a) & set(b)) / K
                          for a, b in zip(found.tolist(), truth.tolist())]))


def faiss_times(index, queries):
    """Milliseconds of each query alone, and what was found."""
    times, found = [], []
    for q in queries:
        start = time.perf_counter()
        found.append(index.search(q[None], K)[1][0])
        times.append(1e3 * (time.perf_counter() - start))
    return times, np.array(found)


def tune(index, factory, queries, truth):
    """Sets what is cheapest and good enough; its name and recall."""
    ivf = faiss.try_extract_index_ivf(index)
    nprobes = [n for n in (1, 4, 16, 64, 256, 1024, 1 << 30) if ivf] or [0]
    factors = [2, 8, 32] if "RFlat" in factory else [0]
    efs = [16, 32, 64, 128, 256, 512, 1024] if factory.startswith("HNSW") else [0]
    tried = []
    for value in [(n, f, ef) for n in nprobes for f in factors for ef in efs]:
        set_all(index, ivf, value)
        times, found = faiss_times(index, queries[:100])
        tried.append((recall(found, truth), float(np.median(times)), value))
    good = [x for x in tried if x[0] >= TARGET]
    chosen = min(good, key=lambda x: x[1]) if good else max(tried, key=lambda x: x[:1])
    set_all(index, ivf, chosen[2])
    return chosen[2]


def set_all(index, ivf, value):
    """nprobe, k_factor, efSearch."""
    nprobe, factor, ef = value
    if ivf:
        ivf.nprobe = min(nprobe, ivf.nlist)
    if factor:
        index.k_factor = factor
    if ef:
        index.hnsw.efSearch = ef


def peers(rows, queries, truth):
    """Yields FAISS' indexes, built and tuned: name, index, seconds, bytes."""
    lists = 1 << max(4, int(np.log2(2.1 * np.sqrt(len(rows)))))
    d = rows.shape[1]
    default = f"IVF{lists},Flat IVF{lists},PQ{d // 4}x4fs,RFlat IVF{lists},PQ{d // 2}x4fs,RFlat"
    if os.environ.get("LONG", "0") != "0":
        default += " HNSW32"
    for factory in os.environ.get("FAISS_INDEXES", default).split():
        faiss.omp_set_num_threads(2)
        start = time.perf_counter()
        index = faiss.index_factory(d, factory, faiss.METRIC_INNER_PRODUCT)
        sample = min(len(rows), lists * 40)
        picks = np.random.default_rng(2).choice(len(rows), sample, replace=False)
        index.train(np.array(rows[np.sort(picks)]))
        for at in range(0, len(rows), BLOCK):
            index.add(np.array(rows[at:at + BLOCK]))
        seconds = time.perf_counter() - start
        faiss.omp_set_num_threads(1)
        n_bytes = len(faiss.serialize_index(index)) if len(rows) < 1e5 else (
            rows.nbytes if "Flat" in factory or "HNSW" in factory else 0)
        value = tune(index, factory, queries, truth)
        name = f"{factory} nprobe {min(value[0], lists)}, k_factor {value[1]}, ef {value[2]}"
        yield name, index, seconds, n_bytes


class Ours:
    """A bench_ann, its index loaded."""

    def __init__(self, program, store, path):
        self.child = subprocess.Popen([program, store, "a"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.path = path
        self.text, recall_, n_bytes, build, load = \
            self.child.stdout.readline().strip().split("|")
        self.recall, self.n_bytes = float(recall_), int(n_bytes)
        self.build_s, self.load_s = float(build), float(load)

    def ask(self, engine):
        """Milliseconds of each query, and what was found."""
        self.child.stdin.write(f"{engine} {K} {self.path}\n")
        self.child.stdin.flush()
        x = np.array(self.child.stdout.readline().split(), float).reshape(-1, K + 1)
        return list(x[:, 0] / 1e3), x[:, 1:].astype(np.int64)

    def close(self):
        """Ends it."""
        self.child.stdin.close()
        self.child.wait()


def through(rpc, queries, engine):
    """The same through the daemon."""
    times, found = [], []
    for q in queries:
        start = time.perf_counter()
        r = rpc.call("vector.neighbors", sae="a", k=K, vector=q.tobytes(), engine=engine)
        times.append(1e3 * (time.perf_counter() - start))
        found.append([x["index"] for x in r["neighbors"]])
    return times, np.array(found)


def daemon_start(build, store, queries):
    """Seconds from its start to a first exact answer; its memory once all is asked."""
    start = time.perf_counter()
    with Daemon(f"{build}/saedbd", store) as rpc:
        rpc.call("server.ping")
        ping = time.perf_counter() - start
        through(rpc, queries[:1], "exact")
        first = time.perf_counter() - start
        wait_loaded(rpc)
        loaded = time.perf_counter() - start
        through(rpc, queries, "approximate")
        own = rpc.call("server.info")["memory"]
    return ping, first, loaded, own


def wait_loaded(rpc):
    """Until the index answers."""
    while rpc.call("server.info")["indexes"][0]["state"] == "waiting":
        time.sleep(0.02)


def shape(build, work, n, d, pull):
    """One size."""
    store = pathlib.Path(os.environ.get("ANN_STORE", pathlib.Path(work) / "given"))
    if not store.exists():
        subprocess.run([f"{build}/tests/tools/make_sae_store", store, "a", str(d),
                        str(n), str(pull)], check=True)
        subprocess.run([f"{build}/saedb-index", "ann", store, "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
    rows = np.memmap(next(store.glob("sae/*/decoder.f32")), "<f4", "r").reshape(n, d)
    queries = queries_of(rows)
    truth = truth_of(rows, queries)
    path = pathlib.Path(work) / "queries.f32"
    queries.astype("<f4").tofile(path)
    ping, first, loaded, memory = daemon_start(build, store, queries)
    what = f"ann: {n:,} x {d}, pull {pull}"
    print(f"{what}: saedbd's first answer / its index is loaded|{first:.3f}|"
          f"{loaded:.3f}|s")
    print(f"{what}: saedbd's first ping / 1 second|{ping:.3f}|1|s")
    print(f"{what}: saedbd's own memory / pages of files|"
          f"{memory['own_bytes'] >> 20}|{memory['mapped_bytes'] >> 20}|MiB")
    ours = Ours(f"{build}/bench/bench_ann", store, path)
    for name, index, seconds, n_bytes in peers(rows, queries, truth):
        times = {side: [] for side in ("ours", "exact", "daemon", "faiss")}
        with Daemon(f"{build}/saedbd", store) as rpc:
            wait_loaded(rpc)
            for _ in range(STRETCHES):
                some, found = ours.ask("approximate")
                times["ours"] += some
                times["exact"] += ours.ask("exact")[0]
                some, same = through(rpc, queries, "approximate")
                times["daemon"] += some
                some, theirs = faiss_times(index, queries)
                times["faiss"] += some
        ms = {side: float(np.median(x)) for side, x in times.items()}
        against = f"{what}: {ours.text} / {name}"
        print(f"{against}: recall@10|{recall(found, truth):.4f}|"
              f"{recall(theirs, truth):.4f}|")
        print(f"{against}: a query|{ms['ours']:.3f}|{ms['faiss']:.3f}|ms")
        print(f"{against}: build|{ours.build_s:.1f}|{seconds:.1f}|s")
        print(f"{against}: memory, rows mapped / held|{ours.n_bytes >> 20}|"
              f"{n_bytes >> 20}|MiB")
        print(f"{what}: in process / through saedbd|{ms['ours']:.3f}|"
              f"{ms['daemon']:.3f}|ms")
        print(f"{what}: approximate / exact, in process|{ms['ours']:.3f}|"
              f"{ms['exact']:.3f}|ms", flush=True)
        if not np.array_equal(found, same):
            print("ann.py: saedbd and the library do not agree", file=sys.stderr)
        del index
    ours.close()
    if "ANN_STORE" not in os.environ:
        subprocess.run(["rm", "-rf", store], check=True)


def main():
    """BUILD WORK [NxD:PULL ...]"""
    build, work, *shapes = sys.argv[1:]
    for text in shapes or ["65536x128:0.6", "1000000x512:1.2", "1000000x512:0.6"]:
        size, pull = text.split(":")
        shape(build, work, *map(int, size.split("x")), float(pull))


if __name__ == "__main__":
    main()
