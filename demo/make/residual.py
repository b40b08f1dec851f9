"""The residual stream of the saved model at the SAEs' hook, from the float16 files that are committed."""
import pathlib

import numpy as np
import torch
from transformers import GPT2LMHeadModel

from data import BOS, document_windows, encode

LAYER = 2
HOOK = f"blocks.{LAYER}.hook_resid_pre"


def load_model(path: pathlib.Path):
    """The language model in float32, ready to read."""
    return GPT2LMHeadModel.from_pretrained(path, dtype=torch.float32).eval()


@torch.no_grad()
def stream_at_hook(model, ids):
    """Residual stream entering block LAYER for a batch of token ids: (windows, positions, width)."""
    body = model.transformer
    saved = body.h
    body.h = saved[:LAYER]
    kept, body.ln_f = body.ln_f, torch.nn.Identity()
    try:
        return body(ids).last_hidden_state
    finally:
        body.h, body.ln_f = saved, kept


class Windows:
    """Documents cut by themselves; (document, offset, ids) of each window, batched by length."""

    def __init__(self, tok, texts):
        self.items = []
        for doc, ids in enumerate(encode(tok, texts)):
            for offset, window in document_windows(ids):
                self.items.append((doc, offset, window))

    def batches(self, size=64):
        """(indices, padded ids, lengths); padding comes after, so causal attention never sees it."""
        order = sorted(range(len(self.items)), key=lambda i: len(self.items[i][2]))
        for i in range(0, len(order), size):
            take = order[i:i + size]
            lengths = [len(self.items[j][2]) for j in take]
            ids = torch.full((len(take), max(lengths)), BOS)
            for row, j in enumerate(take):
                ids[row, :lengths[row]] = torch.tensor(self.items[j][2])
            yield take, ids, lengths


def collect(model, windows, dtype=np.float32):
    """Residuals of all non-BOS tokens, in window order: (array, first row of each window)."""
    starts = np.cumsum([0] + [len(w) - 1 for _, _, w in windows.items])
    out = np.empty((starts[-1], model.config.n_embd), dtype=dtype)
    for take, ids, lengths in windows.batches():
        x = stream_at_hook(model, ids).numpy()
        for row, j in enumerate(take):
            out[starts[j]:starts[j + 1]] = x[row, 1:lengths[row]]
    return out, starts
