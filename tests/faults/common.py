# SPDX-License-Identifier: ISC
"""What the tests of faults share: a little work for saedb-index, a look at the store
that it leaves, and TAP.

Needs saedb-index on PATH, $builddir for tests/tools/dump_store and the modules that
are preloaded, and tiny/ (make_tiny.py) in the current directory."""

import os
import pathlib
import random
import shutil
import subprocess
import sys

HERE = pathlib.Path.cwd()
BUILD = pathlib.Path(os.environ["builddir"])
TINY = HERE / "tiny"
SEED = int(os.environ.get("FAULTS_SEED", "1"))
TEXT = ["--model", TINY / "model", "--threads", "2", "--quiet"]
ENV = dict(os.environ, OPENBLAS_NUM_THREADS="1", LC_ALL="C.UTF-8")


class Failed(Exception):
    """A test's failure, said in its text."""


def module(name):
    """A module to preload."""
    path = BUILD / "tests" / "faults" / ".libs" / f"{name}.so"
    if not path.exists():
        print(f"# skip: {path} is not there")
        sys.exit(77)
    return str(path)


class Command:
    """One command on a store."""

    def __init__(self, *arguments, checkpoints=False, store_first=True):
        self.arguments = [str(a) for a in arguments]
        self.env = {"SAEDB_CHECKPOINT_MS": "1e-6"} if checkpoints else {}
        self.is_index = store_first

    def line(self, store):
        """Its words."""
        if self.is_index:
            return ["saedb-index", "--store", str(store), *self.arguments]
        return ["saedb-index", *(str(store) if a == "STORE" else a for a in self.arguments)]

    def run(self, store, env=None, timeout=120):
        """Its status, negative for a signal, and what it said."""
        done = subprocess.run(self.line(store), env=ENV | self.env | (env or {}),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=timeout, check=False)
        return done.returncode, done.stdout.decode(errors="replace")


def index(sae, *more, checkpoints=False):
    """saedb-index with these SAEs."""
    saes = [w for name in sae.split() for w in ("--sae", TINY / "sae" / name)]
    return Command(*TEXT, *saes, *more, checkpoints=checkpoints)


def corpus(name, seed, n):
    """A few short documents."""
    choose = random.Random(seed)
    words = "golden gate bridge fog river city light stone water red green tower".split()
    path = HERE / name
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            text = " ".join(choose.choice(words) for _ in range(choose.randint(3, 30)))
            f.write(f'{{"id": "{seed}-{i}", "text": "{text}", "n": {i}}}\n')
    return path


def images():
    """Shards with images, in a file."""
    path = HERE / "images.bin"
    maker = pathlib.Path(os.environ["srcdir"]) / "tests" / "indexer" / "shards.py"
    with open(path, "wb") as f:
        subprocess.run([sys.executable, maker, "images"], stdout=f, check=True)
    return path


def merge():
    """Two shards of a corpus, each in a store that stays as it is, put together."""
    parts = []
    for i in (3, 4):
        part = HERE / f"part{i}"
        if not part.exists():
            status, text = index("plain", "--corpus", corpus(f"part{i}.jsonl", i, 4)).run(part)
            if status != 0:
                raise Failed(f"a shard's index ends with {status}: {text}")
        parts.append(part)
    return Command("merge", *parts, "-o", "STORE", "--threads", "2", "--quiet",
                   store_first=False)


def work():
    """Commands that write every kind of file, one after the other on one store."""
    return [
        index("plain", "--corpus", corpus("few.jsonl", 1, 3)),
        index("jump topk", "--corpus", corpus("more.jsonl", 2, 8), "--batch-tokens", "20",
              checkpoints=True),
        index("plain", "--activations", images()),
        merge(),
        Command("rename", "plain", "other", "--store", "STORE", store_first=False),
        Command("rm", "1", "--store", "STORE", store_first=False),
        Command("gc", "STORE", store_first=False),
    ]


class Dumper:
    """dump_store, kept running: each store in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen(
            [BUILD / "tests" / "tools" / "dump_store", "-"], env=ENV,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, store):
        """'sum HEX', 'error TEXT' or 'signal N'."""
        self.process.stdin.write(f"{store}\n".encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode(errors="replace").rstrip("\n")
        if not answer:
            raise Failed("dump_store is gone")
        return answer


def copy(source, to):
    """A store beside another."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)


def steps(commands, dump, store):
    """Runs all of them: the content before the first and after each, and a copy of the
    store at each of these times."""
    sums, copies = ["none"], [None]
    shutil.rmtree(store, ignore_errors=True)
    for i, command in enumerate(commands):
        status, text = command.run(store)
        if status != 0:
            raise Failed(f"command {i + 1} ends with {status}: {text}")
        sums.append(dump(store))
        if not sums[-1].startswith("sum "):
            raise Failed(f"after command {i + 1}: {sums[-1]}")
        copies.append(HERE / f"after{i + 1}")
        copy(store, copies[-1])
    return sums, copies


class Failing:
    """The work, and each of its commands from the store that it finds."""

    def __init__(self, commands, dump, name):
        self.commands, self.dump = commands, dump
        self.store, self.note = HERE / name / "s", HERE / f"{name}.note"
        self.store.parent.mkdir(exist_ok=True)
        self.sums, self.copies = steps(commands, dump, self.store)

    def before(self, found):
        """The store as it was, if there was one."""
        shutil.rmtree(self.store, ignore_errors=True)
        if found is not None and found.exists():
            copy(found, self.store)

    def each(self, share, one):
        """Every share-th of what can fail in each command, until one(i, n) tells that
        there is no n-th: how many there were."""
        tried = []
        for i in range(len(self.commands)):
            n = 1 + SEED % share
            while one(i, n):
                n += share
            tried.append((n - 1) // share)
        return tried


def go_on(commands, first, sums, dump, store):
    """The rest of the commands: the store must be what it would have been. first is the
    number of the first that is to be done."""
    for i, command in enumerate(commands[first:], first + 1):
        status, text = command.run(store)
        if status != 0:
            raise Failed(f"command {i}, again, ends with {status}: {text}")
        now = dump(store)
        if now != sums[i]:
            raise Failed(f"after command {i}, again: {now}, not {sums[i]}")
    left = list((pathlib.Path(store) / "tmp").iterdir())
    if left and commands[first:]:
        raise Failed(f"something is left: {left[0]}")


class Tap:
    """ok and not ok."""

    def __init__(self):
        self.n = 0

    def ok(self, text):
        """A test passed."""
        self.n += 1
        print(f"ok {self.n} - {text}", flush=True)

    def run(self, tests):
        """Each of them; the first that fails ends the program."""
        for test in tests:
            try:
                self.ok(test())
            except Failed as e:
                print(f"not ok {self.n + 1} - {e}", flush=True)
                sys.exit(1)
