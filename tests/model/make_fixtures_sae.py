#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""SAEs of every family that saedb loads, tiny, with what the family's own library
(or, where that is not at hand, its published rule, cited) computes from them:
tests/model/data/fam-*. Run by hand; needs sae-lens, eai-sparsify and
dictionary-learning."""
import json
import math
import pathlib
import shutil

import safetensors.torch
import torch

DATA = pathlib.Path(__file__).resolve().parent / "data"
D, N, M = 12, 24, 16


def tokens(d=D, seed=1):
    """Like a residual stream: a large mean, a few large dimensions."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(M, d, generator=g) * 2
    x[:, 1] += 6
    x[:, 3] -= 4
    return x


def weights(n=N, d=D, o=None, seed=2):
    """Encoder (n, d), decoder (n, o) with rows of unlike norms, biases."""
    g = torch.Generator().manual_seed(seed)
    o = o or d
    dec = torch.randn(n, o, generator=g)
    dec = dec / dec.norm(dim=1, keepdim=True)
    enc = dec if o == d else torch.randn(n, d, generator=g) / math.sqrt(d)
    enc = enc + torch.randn(n, d, generator=g) * 0.1
    dec = dec * (0.4 + 1.2 * torch.rand(n, 1, generator=g))
    b_enc = torch.randn(n, generator=g) * 0.5 - 0.5
    b_dec = torch.randn(o, generator=g) * 0.5
    if o == d:
        b_dec[1] += 3
    return enc, dec, b_enc, b_dec


def fill(module, seed=3):
    """Fills a library's SAE with weights of real-looking scale."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            scale = 0.5 if p.ndim == 1 else 1 / math.sqrt(D)
            p.copy_(torch.randn(p.shape, generator=g) * scale)


def place(name):
    out = DATA / f"fam-{name}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


def save(tensors, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(
        {k: v.detach().contiguous() for k, v in tensors.items()}, path)


def golden(out, x, acts, back):
    live = (acts > 0).float().mean()
    assert 0.02 < live < 0.9, f"{out}: {live} of the activations are above 0"
    assert (acts >= 0).all()
    save({"x": x, "acts": acts.float(), "back": back.float()},
         out / "golden.safetensors")


def put_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


# ---- SAELens -----------------------------------------------------------------

def saelens_golden(out, x=None):
    """What sae-lens makes of what lies there."""
    from sae_lens import SAE

    sae = SAE.load_from_disk(out)
    x = tokens() if x is None else x
    with torch.no_grad():
        acts = sae.encode(x)
        back = sae.decode(acts)
        if hasattr(sae, "W_skip"):
            acts = sae.encode(x)
            back = sae(x)
    golden(out, x, acts, back)


OLD = {"d_in": D, "d_sae": N, "dtype": "float32", "device": "cpu", "model_name": "tiny",
       "hook_name": "blocks.1.hook_resid_pre", "hook_layer": 1, "hook_head_index": None,
       "context_size": 24, "dataset_path": "none", "apply_b_dec_to_input": True,
       "finetuning_scaling_factor": False, "dataset_trust_remote_code": True,
       "sae_lens_training_version": "3.11.1", "prepend_bos": True,
       "activation_fn_str": "relu", "activation_fn_kwargs": {}, "noise_scale": 0.1,
       "normalize_activations": "none"}


def make_old(name, tensors=(), drop=(), **cfg):
    out = place(f"saelens-{name}")
    enc, dec, b_enc, b_dec = weights()
    put_json(out / "cfg.json", {k: v for k, v in (OLD | cfg).items() if k not in drop})
    w = {"W_enc": enc.T, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec}
    save(w | dict(tensors), out / "sae_weights.safetensors")
    return out


def make_saelens_old():
    saelens_golden(make_old("old", drop=("architecture",)))
    saelens_golden(make_old(
        "old-points", drop=("hook_name", "hook_layer", "hook_head_index", "prepend_bos"),
        normalize_activations=False, hook_point="blocks.0.hook_mlp_out",
        hook_point_layer=0, hook_point_head_index=None, sae_lens_training_version=None))
    saelens_golden(make_old("old-topk", activation_fn_str="topk",
                            activation_fn_kwargs={"k": 5}))
    saelens_golden(make_old("old-topk-fn", drop=("activation_fn_str",), activation_fn="topk",
                            activation_fn_kwargs={"k": 3}, apply_b_dec_to_input=False,
                            normalize_activations="layer_norm"))
    saelens_golden(make_old(
        "old-jumprelu", architecture="jumprelu", apply_b_dec_to_input=False,
        tensors={"threshold": torch.linspace(-0.5, 2, N)}))
    saelens_golden(make_old("old-constant", normalize_activations="constant_norm_rescale"))
    out = make_old("old-ones", tensors={"scaling_factor": torch.ones(N)},
                   finetuning_scaling_factor=True)
    save({"sparsity": torch.full((N,), float("nan"))}, out / "sparsity.safetensors")
    saelens_golden(out)


def make_saelens_finetuned():
    """SAELens 5, sae.py: decode multiplies the activations by the factors, encode
    does not; version 6 no longer loads them."""
    by = torch.linspace(0.5, 2, N)
    out = make_old("old-finetuned", tensors={"scaling_factor": by},
                   finetuning_scaling_factor=True)
    enc, dec, b_enc, b_dec = weights()
    x = tokens()
    acts = torch.relu((x - b_dec) @ enc.T + b_enc)
    golden(out, x, acts, (acts * by) @ dec + b_dec)


def make_saelens_scaled():
    """A checkpoint before folding, with its scaler beside; the reference is
    fold_activation_norm_scaling_factor of sae-lens."""
    from sae_lens import SAE

    s = 0.37
    for name in ("json", "state"):
        out = make_old(f"scaled-{name}", normalize_activations=(
            "expected_average_only_in" if name == "json" else True))
        sae = SAE.load_from_disk(out)
        sae.fold_activation_norm_scaling_factor(s)
        if name == "json":
            put_json(out / "activation_scaler.json", {"scaling_factor": s})
        else:
            save({"estimated_norm_scaling_factor": torch.tensor(s)},
                 out / "activations_store_state.safetensors")
        x = tokens()
        with torch.no_grad():
            acts = sae.encode(x)
            golden(out, x, acts, sae.decode(acts))


def make_saelens_transcoders():
    from sae_lens.registry import get_sae_class
    from sae_lens.saes.sae import SAEMetadata

    for architecture in ("transcoder", "skip_transcoder", "jumprelu_transcoder",
                         "jumprelu_skip_transcoder"):
        out = place("saelens-" + architecture.replace("_", "-"))
        sae_class, config_class = get_sae_class(architecture)
        # one is square, so that a wrong way round of W_skip passes the shapes
        d_out = D if architecture == "skip_transcoder" else 10
        sae = sae_class(config_class(
            d_in=D, d_sae=N, d_out=d_out, apply_b_dec_to_input=False,
            normalize_activations="layer_norm" if architecture == "transcoder" else "none",
            metadata=SAEMetadata(model_name="tiny", hook_name="blocks.1.hook_resid_mid",
                                 hook_name_out="blocks.1.hook_mlp_out",
                                 prepend_bos=True, context_size=24)))
        fill(sae)
        sae.save_model(out)
        saelens_golden(out)


def make_saelens_training():
    """Saved in the midst of training: the export of sae-lens is the reference."""
    from sae_lens import SAE
    from sae_lens import (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig,
                          MatryoshkaBatchTopKTrainingSAE,
                          MatryoshkaBatchTopKTrainingSAEConfig)

    for name, cls, config in (
            ("batchtopk", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig(
                d_in=D, d_sae=N, k=5.0)),
            ("batchtopk-plain", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig(
                d_in=D, d_sae=N, k=5.0, rescale_acts_by_decoder_norm=False)),
            ("matryoshka", MatryoshkaBatchTopKTrainingSAE,
             MatryoshkaBatchTopKTrainingSAEConfig(
                 d_in=D, d_sae=N, k=5.0, matryoshka_widths=[8, N]))):
        out = place(f"saelens-{name}")
        config.metadata.hook_name = "blocks.1.hook_resid_pre"
        config.metadata.model_name = "tiny"
        sae = cls(config)
        fill(sae)
        with torch.no_grad():
            sae.W_dec *= 0.4 + torch.rand(N, 1)
        sae.topk_threshold = torch.tensor(0.61, dtype=torch.float64)
        sae.save_model(out)
        export = out / "export"
        sae.save_inference_model(export)
        final = SAE.load_from_disk(export)
        shutil.rmtree(export)
        x = tokens()
        with torch.no_grad():
            acts = final.encode(x)
            golden(out, x, acts, final.decode(acts))


def make_saelens():
    make_saelens_old()
    make_saelens_finetuned()
    make_saelens_scaled()
    make_saelens_transcoders()
    make_saelens_training()


def main():
    torch.manual_seed(7)
    make_saelens()


if __name__ == "__main__":
    main()
