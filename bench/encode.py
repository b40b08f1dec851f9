# SPDX-License-Identifier: ISC
"""./dev bench encode: encoders with all their statistics on the same streams and
SAEs, sides alternating, medians. Ours is bench/encode_pass, kept running; peers are

- SAELens' encode, and the same written out, with statistics (torch_state.py);
- delphi's LatentCache, its published package over a model that replays the streams.

Each peer's threads and batch are those that a sweep found best.

    encode.py ENCODE_PASS DELPHI ROUNDS TOKENS"""

import contextlib
import importlib
import io
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import types

import torch
from sae_lens import SAE

import random_sae
from torch_state import ENCODERS, State

WINDOW = 128
SHAPES = ((768, 24576), (2304, 16384))
L0 = 50
BATCHES = (256, 512, 1024, 2048, 4096)
SWEEP = 4096  # tokens
HOOK = "blocks.6.hook_resid_pre"


def delphi_cache(directory):
    """delphi.latents.cache alone: the package's other modules want vLLM."""
    sys.path.insert(0, directory)
    package = types.ModuleType("delphi.latents")
    package.__path__ = [str(pathlib.Path(directory) / "delphi" / "latents")]
    sys.modules["delphi.latents"] = package
    return importlib.import_module("delphi.latents.cache").LatentCache


class Replay(torch.nn.Module):
    """A model whose one module gives the stream that each token id numbers."""

    device = torch.device("cpu")

    def __init__(self, x):
        super().__init__()
        self.x = x
        self.block = torch.nn.Identity()

    def forward(self, ids):
        """ids: (windows, tokens)."""
        return self.block(self.x[ids])


def pairs(encoder):
    """A peer: encoder, one of torch_state's, with running statistics."""
    def run(sae, x, batch):
        state, encode = State(sae.cfg.d_sae), encoder(sae)
        for i in range(0, len(x), batch):
            token, feature, value = encode(x[i:i + batch])
            state.add((token + i) // WINDOW, feature, value)
        return int(state.count.sum()), float(state.sum.double().sum())
    return run


class Delphi:
    """Its loop; the cache stays in memory, as it does there until the end."""

    def __init__(self, directory):
        self.cache = delphi_cache(directory)

    def __call__(self, sae, x, batch):
        ids = torch.arange(len(x)).view(-1, WINDOW)
        cache = self.cache(Replay(x), {"block": sae.encode}, batch // WINDOW)
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            cache.run(len(x), ids)
        value = cache.cache.latent_activations["block"]
        return len(value), float(value.double().sum())


class Ours:
    """encode_pass, which waits while others run."""

    def __init__(self, program, sae, x, n_tokens):
        self.n_tokens = n_tokens
        self.process = subprocess.Popen(
            [program, sae, x, str(n_tokens)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **blas_environment()})

    def ask(self, what, threads):
        """The numbers of its answer."""
        self.process.stdin.write(f"{what} {threads}\n")
        self.process.stdin.flush()
        return [float(v) for v in self.process.stdout.readline().split()]

    def close(self):
        """No more questions."""
        self.process.stdin.close()
        self.process.wait()


def blas_environment():
    """For our BLAS: what bench.sh took away from PyTorch's."""
    return {k[6:]: v for k, v in os.environ.items() if k.startswith("SAEDB_OPENBLAS_")}


def timed(peer, sae, x, batch, threads):
    """Tokens/s and what it found."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    found = peer(sae, x, batch)
    return len(x) / (time.perf_counter() - start), found


def settings(peer, sae, x):
    """The fastest (batch, threads)."""
    x = x[:SWEEP]
    timed(peer, sae, x[:512], 512, 2)
    tries = [(b, t) for b in BATCHES for t in (1, 2) if t == 2 or b == 512]
    return max(tries, key=lambda s: timed(peer, sae, x, *s)[0])


def sgemm(sae, x):
    """Tokens/s of PyTorch's product alone, the best of several."""
    torch.set_num_threads(2)
    out = torch.empty(512, sae.cfg.d_sae)
    best = 0.0
    for i in range(8):
        start = time.perf_counter()
        torch.mm(x[i * 512:(i + 1) * 512], sae.W_enc, out=out)
        best = max(best, 512 / (time.perf_counter() - start))
    return best


def line(what, ours, theirs):
    """As bench.sh prints it."""
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[0]
    print(f"{what:<66} {ours:>8.0f}  {theirs:>8.0f} tokens/s   {ours / theirs:6.2f}x"
          f"  load {load}", flush=True)


def report(shape, kind, rates, chosen):
    """Every comparison of one SAE."""
    middle = {k: statistics.median(v) for k, v in rates.items()}
    bound = {1: middle["sgemm", 1],
             2: max(middle["sgemm", 2], middle["PyTorch's product", 2])}
    name = f"encode {shape[0]} x {shape[1]} {kind}"
    for threads in (1, 2):
        for what in ("f32", "int8"):
            line(f"{name}: {what}, {threads} threads / SGEMM bound",
                 middle[what, threads], bound[threads])
    line(f"{name}: 2 threads / 1 thread", middle["int8", 2], middle["int8", 1])
    for peer, (batch, threads) in chosen.items():
        line(f"{name}: 2 threads / {peer} (batch {batch}, {threads} threads)",
             middle["int8", 2], middle[peer, 2])


def same(ours, theirs, who):
    """Whether the same pairs fired; sums of floats differ in the last places, and
    so may a value at its threshold."""
    for a, b in zip(ours, theirs):
        if abs(a - b) > 1e-4 * abs(a):
            sys.exit(f"bench: {who} found {theirs}, saedb {ours}")


@torch.no_grad()
def race(directory, shape, kind, x, peers, options):
    """One SAE of one shape."""
    sae = SAE.load_from_disk(str(directory / kind), device="cpu", dtype="float32")
    chosen = {name: settings(peer, sae, x) for name, peer in peers.items()}
    ours = Ours(options[0], directory / kind, directory / "x", len(x))
    rates = {}
    for _ in range(int(options[2])):
        for threads in (1, 2):
            rates.setdefault(("sgemm", threads), []).append(ours.ask("sgemm", threads)[0])
            for what in ("f32", "int8"):
                seconds, *found = ours.ask(what, threads)
                rates.setdefault((what, threads), []).append(len(x) / seconds)
        rates.setdefault(("PyTorch's product", 2), []).append(sgemm(sae, x))
        for name, peer in peers.items():
            rate, theirs = timed(peer, sae, x, *chosen[name])
            rates.setdefault((name, 2), []).append(rate)
            same(found, theirs, name)
    ours.close()
    report(shape, kind, rates, chosen)


def main():
    """Both shapes, both kinds."""
    options = sys.argv[1:]
    peers = {name: pairs(encoder) for name, encoder in ENCODERS.items()}
    peers["delphi"] = Delphi(options[1])
    for d, n in SHAPES:
        generator = torch.Generator().manual_seed(d)
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            x = random_sae.streams(int(options[3]), d, generator)
            weights = random_sae.encoder(x[::8], n, L0, generator)
            x.numpy().tofile(directory / "x")
            for kind in ("jumprelu", "topk"):
                random_sae.save(str(directory / kind), kind, HOOK, weights, generator, L0)
            del weights
            for kind in ("jumprelu", "topk"):
                race(directory, (d, n), kind, x, peers, options)


if __name__ == "__main__":
    main()
