# SPDX-License-Identifier: ISC
"""Everything saedb-index computes, again, from the same files, by other code:
`tokenizers` for ids, transformers for the forward pass, SAELens for the encoder,
numpy and torch for the rest."""

import gzip
import json
import pathlib

import numpy as np
import torch
from sae_lens import SAE
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def read_corpus(path):
    """(id, text) of each line of a .jsonl.gz file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            yield document["id"], document["text"]


class Model:
    """The language model and its tokenizer, in float32."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.lm = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self.lm.eval()
        config = json.loads((directory / "tokenizer_config.json").read_text())
        self.bos = self.tokenizer.token_to_id(config["bos_token"])
        self.special = {i for i, t in self.tokenizer.get_added_tokens_decoder().items()
                        if t.special}

    def cut(self, text, context):
        """Windows of a document by itself: BOS and up to context - 1 ids each."""
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        step = context - 1
        return [[self.bos] + ids[i:i + step] for i in range(0, len(ids), step)] or [
            [self.bos]]

    @torch.no_grad()
    def residuals(self, windows, layer):
        """The residual stream before block `layer`: a list of (n_tokens, d)."""
        longest = max(map(len, windows))
        batch = torch.full((len(windows), longest), self.bos)
        for row, window in enumerate(windows):
            batch[row, :len(window)] = torch.tensor(window)
        states = self.lm(batch, output_hidden_states=True, use_cache=False).hidden_states
        return [states[layer][row, :len(window)] for row, window in enumerate(windows)]

    def unembedding(self):
        """W_U as (n_vocab, d) float64."""
        return self.lm.get_output_embeddings().weight.detach().double().numpy()


class Sae:
    """An SAE as SAELens loads it, and its weights in float64 for margins."""

    def __init__(self, directory):
        self.sae = SAE.load_from_disk(str(directory), device="cpu", dtype="float32")
        self.cfg = json.loads((pathlib.Path(directory) / "cfg.json").read_text())
        hook = self.cfg["metadata"]["hook_name"]
        layer, site = int(hook.split(".")[1]), hook.split(".")[-1]
        self.layer = layer + (site == "hook_resid_post")
        self.context = self.cfg["metadata"]["context_size"]
        weights = load_file(pathlib.Path(directory) / "sae_weights.safetensors")
        self.w_enc = weights["W_enc"].double().numpy()
        self.b_enc = weights["b_enc"].double().numpy()
        self.w_dec = weights["W_dec"].double().numpy()
        self.b_dec = weights["b_dec"].double().numpy()
        self.threshold = (weights["threshold"].double().numpy()
                          if "threshold" in weights else np.zeros(len(self.b_enc)))
        self.enc_norm = np.linalg.norm(self.w_enc, axis=0)

    @torch.no_grad()
    def encode(self, x):
        """All activations of tokens x (n, d): (n, d_sae) float32."""
        return self.sae.encode(x)

    @torch.no_grad()
    def decode(self, f):
        """x_hat (n, d)."""
        return self.sae.decode(f)

    def scale(self, x, features):
        """||x|| ||w|| + |b| of pairs (row of x, feature): the unit of tolerances."""
        x = x - self.b_dec * self.cfg.get("apply_b_dec_to_input", True)
        return (np.linalg.norm(x, axis=-1) * self.enc_norm[features]
                + np.abs(self.b_enc[features]))

    def margin(self, x, features):
        """How far pairs (row of x, feature) are from where they begin to count, in
        float64: |pre - threshold|, or for TopK the distance to the nearest value on
        the other side of the k-th place."""
        x = x - self.b_dec * self.cfg.get("apply_b_dec_to_input", True)
        if self.cfg["architecture"] == "topk":
            pre = x @ self.w_enc + self.b_enc
            order = -np.sort(-pre, axis=1)
            k = self.cfg["k"]
            own = pre[np.arange(len(x)), features]
            kth, after = order[:, k - 1], order[:, k]
            return np.where(own >= kth, own - after, kth - own)
        pre = np.einsum("nd,dn->n", x, self.w_enc[:, features]) + self.b_enc[features]
        return np.abs(pre - np.maximum(self.threshold[features], 0))
