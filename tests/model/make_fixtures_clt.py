#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Cross-layer transcoders and an SAE of attention heads, tiny, with what the libraries
that publish them compute: tests/model/data/fam-clt-*, fam-saelens-hook-z and clt-wrong.
Run by hand; needs sae-lens, and circuit-tracer (0.5.0; --no-deps is enough).

circuit_tracer/transcoder/cross_layer_transcoder.py writes the files (to_safetensors),
reads them (load_clt, load_gemma_scope_2_clt), encodes and decodes. By it, as in
github.com/safety-research/circuit-tracer at b00048e4710a66436b08364778f574753a7d2b63:
  encode_layer: x W_enc^T + b_enc; times (pre > threshold) without a relu, or relu(pre)
  _get_decoder_vectors: W_dec_N (features, layers from N on, d_model)
  compute_reconstruction: sum of value times row at each target, + b_dec, + x @ W_skip
  load_gemma_scope_2_clt: w_dec[:, N:], x @ affine_skip_connection; its loop leaves out
    the last of the paths, so one more is given to it
W_skip_N stands in W_enc_N.safetensors by to_safetensors and _load_state_dict in
github.com/decoderesearch/circuit-tracer at 05774bb1dd140b45ddedfb8fa8815282eec3306c,
not yet in 0.5.0: it is written here, and circuit-tracer computes with it."""
import json
import math
import pathlib
import shutil

import safetensors.torch
import torch
from circuit_tracer.transcoder.cross_layer_transcoder import (
    CrossLayerTranscoder, load_clt, load_gemma_scope_2_clt)

DATA = pathlib.Path(__file__).resolve().parent / "data"
L, D, N, M = 3, 12, 24, 16
MARGIN = 1e-3  # no pre-activation lies closer to its threshold
YAML = """model_name: tiny
model_kind: cross_layer_transcoder
feature_input_hook: {}
feature_output_hook: hook_mlp_out
scan: tiny
"""


def place(name):
    out = DATA / f"fam-{name}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    return out


def save(tensors, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(
        {k: v.detach().clone().contiguous() for k, v in tensors.items()}, path)


def tokens(n, d, seed):
    """Like a residual stream: a large mean, a few large dimensions."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 2
    x[:, 1] += 6
    x[:, 3] -= 4
    return x


def fill(clt, seed):
    """Rows of the decoder are of norm 1 or so in their own layer, less in others."""
    g = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(*shape, generator=g)

    with torch.no_grad():
        clt.W_enc.copy_(noise(L, N, D) / math.sqrt(D))
        clt.b_enc.copy_(noise(L, N) * 0.5 - 0.5)
        clt.b_dec.copy_(noise(L, D) * 0.3)
        for i, w in enumerate(clt.W_dec):
            fade = 0.6 ** torch.arange(L - i)[None, :, None]
            w.copy_(noise(N, L - i, D) / math.sqrt(D) * fade)
        if clt.W_skip is not None:
            clt.W_skip.copy_(noise(L, D, D) * 0.2)
        if hasattr(clt.activation_function, "threshold"):
            clt.activation_function.threshold.copy_(
                0.1 + 0.5 * torch.rand(L, 1, N, generator=g))


def margin(clt, x):
    pre = torch.einsum("lbd,lfd->lbf", x, clt.W_enc) + clt.b_enc[:, None]
    bar = getattr(clt.activation_function, "threshold", torch.zeros(1))
    return (pre - bar).abs().min()


def goldens(out, clt, seed):
    """For each layer what it alone gives, and for all together what clt decodes."""
    with torch.no_grad():
        x = inputs(seed)
        while margin(clt, x) < MARGIN:
            seed += 10
            x = inputs(seed)
        acts = clt.encode(x)
        whole = clt.decode(acts.to_sparse(), x if clt.W_skip is not None else None)
        total = torch.zeros_like(whole)
        for i in range(L):
            assert torch.allclose(acts[i], clt.encode_layer(x[i], i), atol=1e-6)
            back = torch.einsum("mf,ftd->mtd", acts[i], clt._get_decoder_vectors(i))
            back[:, 0] += clt.b_dec[i]
            if clt.W_skip is not None:
                back[:, 0] += clt.compute_skip(i, x[i])
            total[i:] += back.transpose(0, 1)
            live = (acts[i] > 0).float().mean()
            assert 0.05 < live < 0.6 and (acts >= 0).all(), live
            save({"x": x[i], "acts": acts[i], "back": back.flatten(1),
                  "dec": clt._get_decoder_vectors(i)},
                 out / str(i) / "golden.safetensors")
        assert torch.allclose(total, whole, atol=1e-5)
        save({"back": whole}, out / "golden.safetensors")


def transcoder(activation, skip, seed):
    clt = CrossLayerTranscoder(
        L, N, D, activation_function=activation, skip_connection=skip,
        lazy_decoder=False, device=torch.device("cpu"), dtype=torch.float32)
    fill(clt, seed)
    return clt


def inputs(seed):
    return torch.stack([tokens(M, D, seed + i) for i in range(L)])


def make_circuit(name, activation, hook, skip=False, seed=11):
    out = place(f"clt-{name}")
    clt = transcoder(activation, skip, seed)
    clt.to_safetensors(str(out / "set"))
    (out / "set" / "config.yaml").write_text(YAML.format(hook))
    back = load_clt(str(out / "set"), dtype=torch.float32, device=torch.device("cpu"))
    if skip:
        for i in range(L):
            path = out / "set" / f"W_enc_{i}.safetensors"
            save(safetensors.torch.load_file(path) | {f"W_skip_{i}": clt.W_skip[i]}, path)
        back.W_skip = clt.W_skip
    goldens(out, back, seed + 50)


def make_gemma(name, affine, config, seed):
    out = place(f"clt-{name}")
    folder = out / "clt" / f"width_262k_l0_big{'_affine' if affine else ''}"
    clt = transcoder("jump_relu", affine, seed)
    noise = torch.randn(L, N, L, D, generator=torch.Generator().manual_seed(seed + 1))
    for i in range(L):
        # what it holds for the layers below is not read
        dec = noise[i] * 0.1 if affine else torch.zeros(N, L, D)
        dec[:, i:] = clt.W_dec[i].detach()
        w = {"w_enc": clt.W_enc[i].T, "b_enc": clt.b_enc[i], "b_dec": clt.b_dec[i],
             "threshold": clt.activation_function.threshold[i, 0], "w_dec": dec}
        if affine:
            w["affine_skip_connection"] = clt.W_skip[i]
        save(w, folder / f"params_layer_{i}.safetensors")
    if config:  # as in google/gemma-scope-2-270m-pt
        (folder / "config.json").write_text(json.dumps({
            "hf_hook_point_in": "model.layers.{all}.pre_feedforward_layernorm.output",
            "hf_hook_point_out": "model.layers.{all}.post_feedforward_layernorm.output",
            "width": L * N, "model_name": "google/gemma-3-270m-pt",
            "architecture": "jump_relu", "l0": 150, "affine_connection": affine,
            "type": "clt"}, indent=1) + "\n")
    paths = {i: str(folder / f"params_layer_{i}.safetensors") for i in range(L)}
    goldens(out, load_gemma_scope_2_clt(
        paths | {L: ""}, dtype=torch.float32, device=torch.device("cpu")), seed + 50)


def make_heads():
    """An SAE of attn.hook_z: 3 heads of 4 dimensions, laid side by side by SAELens."""
    from sae_lens import SAE, JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    heads, d_head, batch, position = 3, 4, 2, 8
    out = place("saelens-hook-z")
    sae = JumpReLUSAE(JumpReLUSAEConfig(
        d_in=heads * d_head, d_sae=N, apply_b_dec_to_input=True, dtype="float32",
        device="cpu", reshape_activations="hook_z", metadata=SAEMetadata(
            hook_name="blocks.1.attn.hook_z", model_name="tiny", prepend_bos=True,
            context_size=24)))
    g = torch.Generator().manual_seed(31)
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(D, N, generator=g) / math.sqrt(D))
        sae.W_dec.copy_(torch.randn(N, D, generator=g) / math.sqrt(D))
        sae.b_enc.copy_(torch.randn(N, generator=g) * 0.4 - 0.3)
        sae.b_dec.copy_(torch.randn(D, generator=g) * 0.3)
        sae.threshold.copy_(0.1 + 0.5 * torch.rand(N, generator=g))
    sae.save_model(out)
    cfg = json.loads((out / "cfg.json").read_text())
    assert cfg["reshape_activations"] == "hook_z"
    cfg["metadata"] = {k: v for k, v in cfg["metadata"].items() if v is not None}
    (out / "cfg.json").write_text(json.dumps(cfg))
    back = SAE.load_from_disk(out)
    z = tokens(batch * position, D, 32).reshape(batch, position, heads, d_head)
    with torch.no_grad():
        acts = back.encode(z)
        x_hat = back.decode(acts)
    assert acts.shape == (batch, position, N) and x_hat.shape == z.shape
    flat = z.flatten(2).flatten(0, 1)
    pre = (flat - back.b_dec) @ back.W_enc + back.b_enc
    assert (pre - back.threshold).abs().min() > MARGIN
    save({"x": flat, "acts": acts.flatten(0, 1), "back": x_hat.flatten(2).flatten(0, 1)},
         out / "golden.safetensors")


def make_wrong():
    """Files of layer 1 that are refused in the place of good ones."""
    out = DATA / "clt-wrong"
    shutil.rmtree(out, ignore_errors=True)

    def load(name):
        return safetensors.torch.load_file(DATA / f"fam-clt-{name}.safetensors")

    def nan(w, *at):
        w = w.clone()
        w[at] = math.nan
        return w

    enc, dec = load("relu/set/W_enc_1"), load("relu/set/W_dec_1")["W_dec_1"]
    for name, w in {
            "rank": dec[:, 0], "features": dec[1:], "width": dec[:, :, 1:],
            "short": dec[:, :1], "long": torch.cat((dec, dec[:, :1]), 1),
            "nan": nan(dec, 23, 1, 11), "none": dec[:, :0]}.items():
        save({"W_dec_1": w}, out / f"dec-{name}.safetensors")
    save({"W_dec_0": dec}, out / "dec-name.safetensors")
    save({"W_dec_1": dec, "W_dec_2": dec}, out / "dec-more.safetensors")
    for name, w in {
            "transposed": {"W_enc_1": enc["W_enc_1"].T},
            "nan": {"b_enc_1": nan(enc["b_enc_1"], 3)},
            "b_dec": {"b_dec_1": enc["b_dec_1"][1:]},
            "skip": {"W_skip_1": torch.zeros(D, D)},
            "threshold": {"threshold_1": torch.ones(N)},
            "other": {"b_enc_2": enc["b_enc_1"]}}.items():
        save(enc | w, out / f"enc-{name}.safetensors")
    jump = load("jumprelu/set/W_enc_1")
    jump["threshold_1"][5] = -0.1
    save(jump, out / "enc-negative.safetensors")
    save({k: v for k, v in enc.items() if k != "b_dec_1"}, out / "enc-lacking.safetensors")
    gemma = load("gemma/clt/width_262k_l0_big/params_layer_1")
    dec = gemma["w_dec"]
    for name, w in {
            "rank": dec[:, 1], "width": dec[:, :, 1:], "short": dec[:, :1],
            "long": torch.cat((dec, dec[:, :1]), 1), "nan": nan(dec, 0, 0, 0)}.items():
        save(gemma | {"w_dec": w}, out / f"gemma-{name}.safetensors")
    save(gemma | {"affine_skip_connection": torch.zeros(D, D)},
         out / "gemma-affine.safetensors")
    save({k: v for k, v in gemma.items() if k != "threshold"},
         out / "gemma-lacking.safetensors")


def main():
    make_circuit("relu", "relu", "hook_resid_mid")
    make_circuit("jumprelu", "jump_relu", "mlp.hook_in", seed=12)
    make_circuit("skip", "relu", "hook_resid_mid", skip=True, seed=13)
    make_gemma("gemma", False, True, seed=14)
    make_gemma("gemma-affine", True, False, seed=15)
    make_heads()
    make_wrong()


main()
