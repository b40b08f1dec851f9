# SPDX-License-Identifier: ISC
"""The peer of saedb-index: the same work by PyTorch, transformers and SAELens.

Tokenize, forward to the hook (later blocks are cut off), encode with each SAE, keep
statistics per feature (torch_state.py), and write, batch by batch, the windows'
tokens and every activation (row, feature, value) as safetensors; at the end the
statistics, each feature's nearest decoder rows and the tokens that it makes likelier
and less likely. Written as a careful user would: batches without padding waste, no
gradients, no copies that can be avoided. Prints tokens/s without the time that loading
took, tokens, seconds.

    torch_pipeline.py ENCODER MODEL CORPUS THREADS MAX_TOKENS OUT SAE ...

ENCODER: SAELens, or "PyTorch by hand". MAX_TOKENS: 0 is all."""

import gzip
import json
import pathlib
import sys
import time

import torch
from safetensors.torch import save_file
from sae_lens import SAE
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from torch_state import ENCODERS, State

BATCH = 2048  # tokens: the fastest in encode.py's sweep
NEIGHBORS = 32
LOGITS = 10
ROWS = 512    # decoder rows at a time


def read_windows(corpus, tokenizer, bos, context, max_tokens):
    """Windows by document, grouped by length so that nothing is padded."""
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    groups, n_tokens = {}, 0
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        if max_tokens and n_tokens >= max_tokens:
            break
        for i in range(0, len(encoding.ids), context - 1):
            window = [bos] + encoding.ids[i:i + context - 1]
            groups.setdefault(len(window), []).append(window)
            n_tokens += len(window)
    return groups


def batches(groups):
    """Tensors of windows of one length each; about BATCH tokens."""
    for length, windows in sorted(groups.items()):
        step = max(1, BATCH // length)
        for i in range(0, len(windows), step):
            yield torch.tensor(windows[i:i + step])


def small(x, most):
    """Numbers up to most in the least bytes."""
    return x.to(torch.uint16 if most < 1 << 16 else torch.int32)


def save_batch(path, ids, found, d_sae):
    """What a batch holds of one SAE, by token."""
    row, feature, value = found
    save_file({"tokens": ids.to(torch.int32), "row": small(row, ids.numel()),
               "feature": small(feature, d_sae), "value": value}, path)


def save_features(path, state, sae, unembed):
    """What is known of features when all is read."""
    rows = torch.nn.functional.normalize(sae.W_dec)
    near, near_at, more, less = [], [], [], []
    for i in range(0, len(rows), ROWS):
        value, index = (rows[i:i + ROWS] @ rows.T).topk(NEIGHBORS + 1)
        near.append(value)
        near_at.append(small(index, len(rows)))
        logits = sae.W_dec[i:i + ROWS] @ unembed.T
        more.append(torch.stack(logits.topk(LOGITS)))
        less.append(torch.stack(logits.topk(LOGITS, largest=False)))
    save_file({"count": state.count, "sum": state.sum, "squares": state.squares,
               "histogram": state.histogram, "best": state.best, "where": state.where,
               "near": torch.cat(near), "near_at": torch.cat(near_at),
               "more": torch.cat(more, 1), "less": torch.cat(less, 1)}, path)


def prepare(lm, layer):
    """The blocks up to the hook."""
    core = lm.transformer
    core.h = core.h[:layer]
    core.ln_f = torch.nn.Identity()
    return core


def run(core, groups, saes, encoders, out):
    """All batches. Returns the states and the number of tokens."""
    states = [State(sae.cfg.d_sae) for sae in saes]
    n_tokens = first = 0
    for number, batch in enumerate(batches(groups)):
        length = batch.shape[1]
        x = core(batch, use_cache=False).last_hidden_state[:, 1:].flatten(0, 1)
        for i, (encode, state) in enumerate(zip(encoders, states)):
            found = encode(x) if length > 1 else ()
            if found and len(found[0]):
                state.add(found[0] // (length - 1) + first, *found[1:])
                save_batch(out / f"{i}-{number}.safetensors", batch, found, state.n)
        n_tokens += batch.numel()
        first += len(batch)
    return states, n_tokens


@torch.no_grad()
def main():
    """Loads, runs, prints."""
    encoder, model_dir, corpus, threads, max_tokens, out = sys.argv[1:7]
    model_dir, out = pathlib.Path(model_dir), pathlib.Path(out)
    torch.set_num_threads(int(threads))
    saes = [SAE.load_from_disk(d, device="cpu", dtype="float32") for d in sys.argv[7:]]
    cfg = json.loads((pathlib.Path(sys.argv[7]) / "cfg.json").read_text())["metadata"]
    layer = int(cfg["hook_name"].split(".")[1])
    layer += cfg["hook_name"].endswith("resid_post")
    lm = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    core = prepare(lm, layer)
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    settings = json.loads((model_dir / "tokenizer_config.json").read_text())
    bos = tokenizer.token_to_id(settings["bos_token"])
    out.mkdir()
    start = time.perf_counter()
    groups = read_windows(corpus, tokenizer, bos, cfg["context_size"], int(max_tokens))
    encoders = [ENCODERS[encoder](sae) for sae in saes]
    states, n_tokens = run(core, groups, saes, encoders, out)
    for i, (state, sae) in enumerate(zip(states, saes)):
        save_features(out / f"{i}.safetensors", state, sae, lm.lm_head.weight)
    seconds = time.perf_counter() - start
    print(f"{n_tokens / seconds:.0f} {n_tokens} {seconds:.2f}")


if __name__ == "__main__":
    main()
