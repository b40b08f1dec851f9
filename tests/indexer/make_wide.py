# SPDX-License-Identifier: ISC
"""Makes a model of one layer and a JumpReLU SAE as wide as it is told, whose features
fire as rarely as those of trained ones (of KIND standard, half the time), and a corpus.
Only Python's own library; written piece by piece, so that it takes little memory. The
same bytes on every machine.

    make_wide.py DIR FEATURES DIMENSIONS [TOKENS [VOCABULARY [KIND]]]
"""

import array
import json
import pathlib
import random
import statistics
import struct
import sys

import make_tiny

CONTEXT = 128
L0 = 50
BASE = 1 << 20  # values that are drawn; rows are stretches of them, anywhere


class Noise:
    """Rows of values spread evenly over [-scale, scale]."""

    def __init__(self, seed, longest):
        self.random = random.Random(seed)
        unit = array.array("I", self.random.randbytes(4 * (BASE + longest)))
        self.base = array.array("f", (v / 2**31 - 1 for v in unit))

    def row(self, scale, n):
        """The bytes of a row of n values."""
        at = self.random.randrange(BASE)
        values = self.base[at:at + n]
        if scale != 1:
            values = array.array("f", (v * scale for v in values))
        return values.tobytes()

    def rows(self, scale, n_rows, n):
        """Those of n_rows rows, one after the other."""
        scaled = self.base
        if scale != 1:
            scaled = array.array("f", (v * scale for v in self.base))
        for _ in range(n_rows):
            at = self.random.randrange(BASE)
            yield scaled[at:at + n].tobytes()


def same(value, n):
    """The bytes of n times one value."""
    return [array.array("f", [value] * n).tobytes()]


def safetensors(path, tensors):
    """{name: (shape, pieces of bytes)} as float32."""
    header, at = {}, 0
    for name, (shape, _) in tensors.items():
        n_bytes = 4
        for n in shape:
            n_bytes *= n
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, pieces in tensors.values():
            for piece in pieces:
                f.write(piece)


def model(out, noise, d, n_vocab):
    """A GPT-2 whose layer adds little to what the embedding gives."""
    t = {"wte.weight": ([n_vocab, d], noise.rows(1, n_vocab, d)),
         "wpe.weight": ([CONTEXT, d], noise.rows(0.1, CONTEXT, d))}
    for norm in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        t[norm + ".weight"] = [d], same(1, d)
        t[norm + ".bias"] = [d], same(0, d)
    for name, a, b in (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d),
                       ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d)):
        t[f"h.0.{name}.weight"] = [a, b], noise.rows(0.3 / d**0.5, a, b)
        t[f"h.0.{name}.bias"] = [b], same(0, b)
    safetensors(out / "model.safetensors", {"transformer." + k: v for k, v in t.items()})
    (out / "config.json").write_text(json.dumps({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": d,
        "n_head": max(d // 64, 1), "n_layer": 1, "n_positions": CONTEXT, "n_inner": None,
        "vocab_size": n_vocab, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 0}))


def sae(out, noise, n, d, kind):
    """The threshold is what a share of L0 / n of normal values exceeds."""
    share = statistics.NormalDist().inv_cdf(1 - min(L0 / n, 0.4))
    threshold = share * d**0.5 / 3
    cfg = {"architecture": kind, "d_in": d, "d_sae": n, "dtype": "float32",
           "device": "cpu", "apply_b_dec_to_input": False,
           "normalize_activations": "none", "reshape_activations": "none",
           "metadata": {"sae_lens_version": "6.54.12", "model_name": "wide",
                        "hook_name": "blocks.0.hook_resid_post", "prepend_bos": True,
                        "context_size": CONTEXT}}
    t = {"W_enc": ([d, n], noise.rows(1, d, n)), "b_enc": ([n], same(0, n)),
         "W_dec": ([n, d], noise.rows(1, n, d)), "b_dec": ([d], same(0, d))}
    if kind == "jumprelu":
        t["threshold"] = [n], same(threshold, n)
    elif kind == "topk":
        cfg |= {"k": L0}
    safetensors(out / "sae_weights.safetensors", t)
    (out / "cfg.json").write_text(json.dumps(cfg))


def main():
    """Everything, into the directory named."""
    out, n, d = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    n_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 20000
    n_vocab = int(sys.argv[5]) if len(sys.argv) > 5 else 50257
    kind = sys.argv[6] if len(sys.argv) > 6 else "jumprelu"
    (out / "model").mkdir(parents=True, exist_ok=True)
    (out / "sae").mkdir(exist_ok=True)
    noise = Noise(5, max(n, 4 * d))
    make_tiny.tokenizer(out / "model")
    model(out / "model", noise, d, n_vocab)
    sae(out / "sae", noise, n, d, kind)
    make_tiny.corpus(out / "corpus.jsonl", 5, n_tokens // 55 + 1)


if __name__ == "__main__":
    main()
