#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""SAEs as a release of SAELens' holds them whose list says more than their files, with
what SAELens' from_pretrained() makes of both: tests/model/data/rel-*. Run by hand;
needs sae-lens and what make_fixtures_sae.py needs."""
import shutil

import torch

import make_fixtures_sae as fam
from make_fixtures_sae import DATA, golden, put_json, save, tokens, weights


def place(name):
    out = DATA / f"rel-{name}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


def pretrained(release, sae_id, files):
    """from_pretrained(), with files from a directory."""
    from huggingface_hub.errors import EntryNotFoundError
    from sae_lens import SAE
    from sae_lens.loading import pretrained_sae_loaders as loaders

    def local(repo_id, filename, **_):
        path = files / filename.split("/")[-1]
        if not path.exists():
            raise EntryNotFoundError(str(path))
        return str(path)

    kept, loaders.hf_hub_download = loaders.hf_hub_download, local
    try:
        sae = SAE.from_pretrained(release, sae_id)
    finally:
        loaders.hf_hub_download = kept
    return sae


def reference(out, sae, center=False):
    x = tokens()
    mean = x.mean(-1, keepdim=True) if center else 0
    with torch.no_grad():
        acts = sae.encode(x - mean)
        back = sae.decode(acts) + mean
    golden(out, x, acts, back)


def make(name, release, sae_id, **cfg):
    out = place(name)
    enc, dec, b_enc, b_dec = weights()
    put_json(out / "cfg.json", fam.OLD | cfg)
    save({"W_enc": enc.T, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec},
         out / "sae_weights.safetensors")
    sae = pretrained(release, sae_id, out)
    center = (sae.cfg.metadata.model_from_pretrained_kwargs or {}).get(
        "center_writing_weights", False)
    assert center == release.startswith("gpt2")
    reference(out, sae, center)


def make_qresearch():
    """A release of one file, which SAELens' loader takes for DeepSeek-R1-Distill."""
    out = fam.place("qresearch")
    enc, dec, b_enc, b_dec = weights()
    name = "DeepSeek-R1-Distill-Llama-8B-SAE-l19"
    torch.save({k: v.contiguous() for k, v in {
        "encoder.weight": enc, "encoder.bias": b_enc,
        "decoder.weight": dec.T, "decoder.bias": b_dec}.items()}, out / f"{name}.pt")
    fam.reference(out, fam.through(
        "deepseek_r1_sae_huggingface_loader", out, f"qresearch/{name}", f"{name}.pt",
        d_in=fam.D, d_sae=fam.N, dtype="float32"))
    (out / "sae").mkdir()
    (out / f"{name}.pt").rename(out / "sae" / f"{name}.pt")


def main():
    make("mlp-tm", "gpt2-small-mlp-tm", "blocks.3.hook_mlp_out",
         hook_name="blocks.3.hook_mlp_out", normalize_activations=True)
    make("res-jb", "gpt2-small-res-jb", "blocks.1.hook_resid_pre")
    make("mistral", "mistral-7b-res-wg", "blocks.8.hook_resid_pre",
         hook_name="blocks.8.hook_resid_pre")
    reference(place("r1"), pretrained("llama_scope_r1_distill", "l1r_800m_slimpajama",
                                      DATA / "fam-llama-scope-r1" / "L1R"))
    make_qresearch()


if __name__ == "__main__":
    main()
