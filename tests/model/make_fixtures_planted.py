#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/planted/NAME/: SAEs in closed form for what a tiny Llama, and
for gemma-* a tiny Gemma 2 (tests/indexer/planted_model.py), has at its hooks, each right
by one rule alone. Needs torch, transformers and transformer-lens.

Features are the first principal components of a stream and their opposites, which
reconstruct that stream better than any other; "skip" is a transcoder of W_skip alone, by
least squares. z has its heads interleaved, skip W_skip the wrong way round, and centred,
constant and layer are of the stream less its mean over dimensions, of one norm, and
normed: what their configs do not say.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import tokenizers
import torch

from make_fixtures_lens import load

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "indexer"))
import planted_model  # noqa: E402

OUT = Path(__file__).resolve().parent / "data/planted"
CONTEXT = 24


def streams(made, name):
    """Hook to activations of every token but BOS; mlp.hook_in is the output of ln2, and
    those of modules are before the norm behind them."""
    model = load(made / name)
    tok = tokenizers.Tokenizer.from_file(str(made / name / "tokenizer.json"))
    got = {}

    def keep(module, at):
        module.register_forward_hook(
            lambda m, a, out: got.setdefault(at, []).append(out[0, 1:]))

    for i, block in enumerate(model.blocks):
        keep(block.ln2, f"blocks.{i}.mlp.hook_in")
        keep(block.mlp, f"layers.{i}.mlp")
        keep(block.attn, f"layers.{i}.self_attn")
    for line in (made / "corpus.jsonl").read_text().splitlines():
        ids = tok.encode(json.loads(line)["text"]).ids
        for at in range(0, len(ids), CONTEXT - 1):
            with torch.no_grad():
                _, cache = model.run_with_cache(
                    torch.tensor([[0, *ids[at:at + CONTEXT - 1]]]))
            for name in cache:
                if name.startswith("blocks."):
                    got.setdefault(name, []).append(cache[name][0, 1:].flatten(1))
    return {k: torch.cat(v) for k, v in got.items() if "pattern" not in k and "scores" not in k}


def save(name, hook, tensors, **config):
    out = OUT / name
    out.mkdir(parents=True)
    d_sae, d = tensors["W_dec"].shape
    meta = {"sae_lens_version": "6.54.12", "model_name": "planted", "hook_name": hook,
            "prepend_bos": True, "context_size": CONTEXT} | config.pop("metadata", {})
    (out / "cfg.json").write_text(json.dumps({
        "architecture": "standard", "d_in": d, "d_sae": d_sae, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none", "metadata": meta} | config))
    safetensors.torch.save_file({k: v.float().contiguous() for k, v in tensors.items()},
                                out / "sae_weights.safetensors")


def components(x, n=6):
    mean = x.double().mean(0)
    v = torch.linalg.svd(x.double() - mean, full_matrices=False).Vh[:n]
    both = torch.cat([v, -v])
    return {"W_enc": both.T, "b_enc": torch.zeros(2 * n), "W_dec": both, "b_dec": mean}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as tmp:
        planted_model.main(Path(tmp))
        x = streams(Path(tmp), "model")
        y = streams(Path(tmp), "gemma")
    for name, hook in (("post", "hook_resid_post"), ("mid", "hook_resid_mid"),
                       ("mlp-in", "hook_mlp_in"), ("mlp-input", "mlp.hook_in"),
                       ("normalized", "ln2.hook_normalized")):
        save(name, "blocks.1." + hook, components(x["blocks.1." + hook]))
    for name, hook in (("mlp-out", "blocks.1.hook_mlp_out"), ("mlp-module", "layers.1.mlp"),
                       ("attn-out", "blocks.1.hook_attn_out"),
                       ("attn-module", "layers.1.self_attn")):
        save("gemma-" + name, hook, components(y[hook]))
    z = x["blocks.1.attn.hook_z"]
    heads = planted_model.HEADS
    z = z.reshape(len(z), heads, -1).transpose(1, 2).flatten(1)
    save("z", "blocks.1.attn.hook_z", components(z))
    at = x["blocks.1.hook_resid_pre"]
    save("centred", "blocks.1.hook_resid_pre", components(at - at.mean(-1, keepdim=True)))
    mid = x["blocks.1.hook_resid_mid"]
    save("constant", "blocks.1.hook_resid_mid",
         components(mid * mid.shape[1] ** .5 / mid.norm(dim=-1, keepdim=True)))
    mid = mid - mid.mean(-1, keepdim=True)
    save("layer", "blocks.1.hook_resid_mid",
         components(mid / (mid.std(-1, keepdim=True) + 1e-5)))
    at, to = x["blocks.1.mlp.hook_in"].double(), x["blocks.1.hook_mlp_out"].double()
    skip = torch.linalg.lstsq(at - at.mean(0), to - to.mean(0)).solution.T
    d = planted_model.D
    save("skip", "blocks.1.mlp.hook_in",
         {"W_enc": torch.zeros(d, 1), "b_enc": torch.zeros(1), "W_dec": torch.zeros(1, d),
          "b_dec": to.mean(0) - skip @ at.mean(0), "W_skip": skip.T},
         architecture="skip_transcoder", d_out=d, apply_b_dec_to_input=False,
         metadata={"hook_name_out": "blocks.1.hook_mlp_out"})


if __name__ == "__main__":
    main()
