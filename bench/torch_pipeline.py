# SPDX-License-Identifier: ISC
"""The peer of saedb-index: the same work by PyTorch, transformers and SAELens.

Tokenize, forward to the hook (later blocks are cut off), encode with each SAE,
and keep per feature: count, sum, sum of squares, maximum, a histogram on log
bins, and the 20 best windows. Written as a careful user would: batches without
padding waste, no gradients, no copies that can be avoided. Prints tokens/s
without the time that loading took.

    torch_pipeline.py MODEL CORPUS THREADS SAE ..."""

import gzip
import json
import pathlib
import sys
import time

import torch
from sae_lens import SAE
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

BATCH = 64  # windows
BEST = 20
BINS = 64   # log2 bins of 1/4 octave from 2^-8


class State:
    """Running statistics of all features of one SAE."""

    def __init__(self, n):
        self.count = torch.zeros(n, dtype=torch.int64)
        self.sum = torch.zeros(n)
        self.squares = torch.zeros(n)
        self.histogram = torch.zeros(n * BINS, dtype=torch.int64)
        self.best = torch.zeros(BEST, n)
        self.where = torch.zeros(BEST, n, dtype=torch.int64)

    def add(self, f, first):
        """f: (windows, tokens, features), BOS left out; first: their number."""
        flat = f.flatten(0, 1)
        self.sum += flat.sum(0)
        token, feature = flat.nonzero(as_tuple=True)
        value = flat[token, feature]
        self.count += torch.bincount(feature, minlength=len(self.count))
        self.squares.index_add_(0, feature, value * value)
        bin_ = ((value.log2() + 8) * 4).long().clamp(0, BINS - 1)
        self.histogram += torch.bincount(feature * BINS + bin_,
                                         minlength=len(self.histogram))
        peak = f.amax(1)
        number = torch.arange(first, first + len(f))[:, None].expand_as(peak)
        every = torch.cat([self.best, peak])
        self.best, index = every.topk(BEST, dim=0)
        self.where = torch.cat([self.where, number]).gather(0, index)


def read_windows(corpus, tokenizer, bos, context):
    """Windows by document, grouped by length so that nothing is padded."""
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    groups = {}
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        for i in range(0, len(encoding.ids), context - 1):
            window = [bos] + encoding.ids[i:i + context - 1]
            groups.setdefault(len(window), []).append(window)
    return groups


def batches(groups):
    """Tensors of windows of one length each; about BATCH * 128 tokens."""
    for length, windows in sorted(groups.items()):
        step = max(1, BATCH * 128 // length)
        for i in range(0, len(windows), step):
            yield torch.tensor(windows[i:i + step])


@torch.no_grad()
def main():
    """Loads, runs, prints."""
    model_dir, corpus, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    saes = [SAE.load_from_disk(d, device="cpu", dtype="float32") for d in sys.argv[4:]]
    cfg = json.loads((pathlib.Path(sys.argv[4]) / "cfg.json").read_text())["metadata"]
    layer = int(cfg["hook_name"].split(".")[1])
    layer += cfg["hook_name"].endswith("resid_post")
    lm = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).transformer
    lm.h = lm.h[:layer]
    lm.ln_f = torch.nn.Identity()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(model_dir) / "tokenizer.json"))
    settings = json.loads((pathlib.Path(model_dir) / "tokenizer_config.json").read_text())
    bos = tokenizer.token_to_id(settings["bos_token"])
    start = time.perf_counter()
    groups = read_windows(corpus, tokenizer, bos, cfg["context_size"])
    states = [State(sae.cfg.d_sae) for sae in saes]
    n_tokens = first = 0
    for batch in batches(groups):
        x = lm(batch, use_cache=False).last_hidden_state
        for sae, state in zip(saes, states):
            f = sae.encode(x.flatten(0, 1)).unflatten(0, batch.shape)
            state.add(f[:, 1:] if batch.shape[1] > 1 else f[:, :0], first)
        n_tokens += batch.numel()
        first += len(batch)
    seconds = time.perf_counter() - start
    print(f"{n_tokens / seconds:.0f} {n_tokens} {seconds:.2f}")


if __name__ == "__main__":
    main()
