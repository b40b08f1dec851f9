# SPDX-License-Identifier: ISC
"""One exact query for the ten nearest of n unit rows by cosine: saedb's search in its
own process (bench_neighbors) on one and two threads, the same through saedbd, FAISS'
flat index and numpy in this one, on one thread each, and what reading the rows in
bytes takes. Sides alternate in stretches of QUERIES; medians of all.
Prints lines of: what|ours|theirs|unit."""

import pathlib
import subprocess
import sys
import time

import faiss
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
from rpc import Daemon  # noqa: E402

K, QUERIES, STRETCHES = 10, 10, 6


class Ours:
    """A bench_neighbors on its own."""

    def __init__(self, program, store):
        self.child = subprocess.Popen([program, store, "a"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        """The numbers that answer a task."""
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        return [float(x) for x in self.child.stdout.readline().split()]

    def close(self):
        """Ends it."""
        self.child.stdin.close()
        self.child.wait()


def timed(call, arguments, times):
    """Appends the milliseconds of each call; the answers."""
    answers = []
    for argument in arguments:
        start = time.perf_counter()
        answers.append(call(argument))
        times.append(1e3 * (time.perf_counter() - start))
    return answers


def by_numpy(rows, query):
    """Ten nearest, as one writes it."""
    scores = rows @ query
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best], kind="stable")]


def ask_all(ours, rpc, rows, index, picks):
    """Milliseconds of each side over one stretch of queries; rows decided; and how
    often saedbd's ten are FAISS' ten."""
    times = {side: [] for side in ("one", "two", "daemon", "faiss", "numpy", "read")}
    decided = []
    task = f"{K} " + " ".join(map(str, picks))
    for threads, side in (("1", "one"), ("2", "two")):
        answer = ours.ask(f"exact {threads} {task}")
        times[side] += [x / 1e3 for x in answer[::2]]
        decided += answer[1::2]
    answers = timed(lambda i: rpc.call("vector.neighbors", sae="a", k=K,
                                       vector=rows[i].tobytes()), picks, times["daemon"])
    found = timed(lambda i: index.search(rows[i:i + 1], K)[1][0], picks, times["faiss"])
    timed(lambda i: by_numpy(rows, rows[i]), picks, times["numpy"])
    times["read"] = ours.ask("read")
    same = sum({x["index"] for x in a["neighbors"]} == set(b.tolist())
               for a, b in zip(answers, found))
    return times, decided, same


def shape(build, work, n, d, pull):
    """One size."""
    store = pathlib.Path(work) / "given"
    subprocess.run(["rm", "-rf", store], check=True)
    subprocess.run([f"{build}/tests/tools/make_sae_store", store, "a", str(d), str(n),
                    str(pull)], check=True)
    file = next(store.glob("sae/*/decoder.f32"))
    rows = np.fromfile(file, "<f4").reshape(n, d)
    code_bytes = file.with_suffix(".i8").stat().st_size
    index = faiss.IndexFlatIP(d)
    index.add(rows)
    ours = Ours(f"{build}/bench/bench_neighbors", store)
    picks = np.random.default_rng(0).integers(0, n, QUERIES * STRETCHES)
    total, decided, same = {}, [], 0
    with Daemon(f"{build}/saedbd", store) as rpc:
        ask_all(ours, rpc, rows, index, picks[:2])  # pages, and threads, are there now
        for at in range(0, len(picks), QUERIES):
            times, some, agree = ask_all(ours, rpc, rows, index, picks[at:at + QUERIES])
            for side, x in times.items():
                total.setdefault(side, []).extend(x)
            decided += some
            same += agree
    ours.close()
    subprocess.run(["rm", "-rf", store], check=True)
    ms = {side: float(np.median(x)) for side, x in total.items()}
    bound = code_bytes / ms["read"] / 1e6
    what = f"neighbors: {n:,} x {d}, pull {pull}"
    for name, a, b in ((f"{what}: exact / FAISS, 1 thread", "one", "faiss"),
                       (f"{what}: exact / numpy, 1 thread", "one", "numpy"),
                       (f"{what}: exact, 2 threads / FAISS, 1", "two", "faiss"),
                       (f"{what}: in process / through saedbd", "one", "daemon")):
        print(f"{name}|{ms[a]:.3f}|{ms[b]:.3f}|ms")
    print(f"{what}: exact / reading alone ({ms['read']:.1f} GB/s)|"
          f"{ms['one']:.3f}|{bound:.3f}|ms")
    print(f"{what}: rows decided by floats / {K}|{np.mean(decided):.1f}|{K}|rows")
    print(f"{what}: answers with FAISS' ten / all|{same}|{len(picks)}|queries",
          flush=True)


def main():
    """BUILD WORK [NxD:PULL ...]"""
    build, work, *shapes = sys.argv[1:]
    faiss.omp_set_num_threads(1)
    for text in shapes or [f"{size}:{pull}" for size in (
            "24576x768", "131072x2304", "1000000x512") for pull in (0.6, 0.3)]:
        size, pull = text.split(":")
        shape(build, work, *map(int, size.split("x")), float(pull))


if __name__ == "__main__":
    main()
