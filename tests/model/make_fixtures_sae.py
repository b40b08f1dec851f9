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
import sys
import types

import numpy
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
            ("batchtopk-scaled", BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig(
                d_in=D, d_sae=N, k=5.0, normalize_activations="expected_average_only_in")),
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
        if name == "batchtopk-scaled":
            put_json(out / "activation_scaler.json", {"scaling_factor": 0.37})
            sae.fold_activation_norm_scaling_factor(0.37)
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


# ---- what sae-lens' own converters make of other families' files --------------

def through(loader, files, *args, **overrides):
    """Calls a converter of sae-lens, which downloads, with files from a directory."""
    from sae_lens.loading import pretrained_sae_loaders as loaders
    from sae_lens.registry import get_sae_class

    def local(repo_id=None, filename=None, subfolder=None, **_):
        path = files / (subfolder or "") / filename
        if not path.exists():
            raise loaders.EntryNotFoundError(str(path))
        return str(path)

    def shapes(_, filename):
        t = safetensors.torch.load_file(files / filename)
        return {k: list(v.shape) for k, v in t.items()}

    kept = loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes
    loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes = local, shapes
    try:
        cfg, state = getattr(loaders, loader)(
            *args, device="cpu", cfg_overrides=overrides)[:2]
    finally:
        loaders.hf_hub_download, loaders.get_safetensors_tensor_shapes = kept
    cfg = loaders.handle_config_defaulting(cfg)
    sae_class, config_class = get_sae_class(cfg["architecture"])
    sae = sae_class(config_class.from_dict(cfg))
    sae.load_state_dict({k: v.contiguous() for k, v in state.items()})
    return sae


def reference(out, sae, x=None):
    x = tokens() if x is None else x
    with torch.no_grad():
        acts = sae.encode(x)
        back = sae(x) if hasattr(sae, "W_skip") else sae.decode(acts)
    golden(out, x, acts, back)


def make_gemma():
    """The .npz is what is published; its tensors stand in a safetensors here."""
    enc, dec, b_enc, b_dec = weights()
    for repo, loader in (("gemma-scope-2b-pt-res", "gemma_2_sae_huggingface_loader"),
                         ("gemma-scope-9b-it-mlp", "gemma_2_sae_huggingface_loader"),
                         ("gemma-scope-2b-pt-transcoders",
                          "gemma_2_transcoder_huggingface_loader")):
        top = place(repo)
        folder = "layer_1/width_16k/average_l0_5"
        w = {"W_enc": enc.T, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec,
             "threshold": torch.linspace(0.1, 2.5, N)}
        out = top / repo / folder
        save(w, out / "params.safetensors")
        numpy.savez(out / "params.npz", **{k: v.numpy() for k, v in w.items()})
        over = {"d_out": D} if "transcoders" in repo else {}
        sae = through(loader, top / repo, f"google/{repo}", folder, d_in=D, d_sae=N, **over)
        (out / "params.npz").unlink()
        reference(top, sae)


def make_gemma2():
    for kind, o, skip in (("resid_post", D, False), ("transcoder", 10, False),
                          ("transcoder", D, True)):
        top = place(f"gemma-scope-2-{kind.replace('_', '-')}{'-affine' if skip else ''}")
        folder = f"{kind}/layer_1_width_16k_l0_small{'_affine' if skip else ''}"
        enc, dec, b_enc, b_dec = weights(o=o)
        w = {"w_enc": enc.T, "w_dec": dec, "b_enc": b_enc, "b_dec": b_dec,
             "threshold": torch.linspace(0.1, 2.5, N)}
        if skip:  # square, so that only the values tell which way round
            w["affine_skip_connection"] = torch.randn(D, o) * 0.2
        out = top / folder
        save(w, out / "params.safetensors")
        if kind == "resid_post":
            cfg = {"hf_hook_point_in": "model.layers.1.output", "type": "sae"}
        else:
            cfg = {"hf_hook_point_in": "model.layers.1.pre_feedforward_layernorm.output",
                   "hf_hook_point_out": "model.layers.1.post_feedforward_layernorm.output",
                   "type": "transcoder", "affine_connection": skip}
        put_json(out / "config.json", cfg | {
            "width": N, "model_name": "gemma-v3-1b-pt", "architecture": "jump_relu", "l0": 5})
        sae = through("gemma_3_sae_huggingface_loader", top, "google/gemma-scope-2-1b-pt",
                      folder)
        reference(top, sae)


def make_goodfire():
    out = place("goodfire")
    enc, dec, b_enc, b_dec = weights()
    w = {"encoder_linear.weight": enc, "encoder_linear.bias": b_enc,
         "decoder_linear.weight": dec.T, "decoder_linear.bias": b_dec}
    name = "Llama-3.1-8B-Instruct-SAE-l19"
    torch.save({k: v.contiguous() for k, v in w.items()}, out / f"{name}.pth")
    sae = through("get_goodfire_huggingface_loader", out, f"Goodfire/{name}", f"{name}.pth",
                  d_in=D, d_sae=N)
    (out / f"{name}.pth").unlink()
    save(w, out / "sae" / f"{name}.safetensors")
    reference(out, sae)


def make_qwen():
    out = place("qwen-scope")
    enc, dec, b_enc, b_dec = weights()
    w = {"W_enc": enc, "W_dec": dec.T, "b_enc": b_enc, "b_dec": b_dec}
    repo = "SAE-Res-Qwen3-1.7B-Base-W32K-L0_5"
    (out / repo).mkdir()
    torch.save({k: v.contiguous() for k, v in w.items()}, out / repo / "layer3.sae.pt")
    sae = through("qwen_scope_sae_huggingface_loader", out / repo, f"Qwen/{repo}",
                  "layer3.sae.pt", d_in=D, d_sae=N)
    (out / repo / "layer3.sae.pt").unlink()
    save(w, out / repo / "layer3.sae.safetensors")
    save(w, out / repo / "layer4.sae.safetensors")
    reference(out, sae)


# ---- Llama Scope ---------------------------------------------------------------

HYPER = {"hook_point_in": "blocks.1.hook_resid_post",
         "hook_point_out": "blocks.1.hook_resid_post", "d_model": D, "d_sae": N,
         "expansion_factor": 2, "act_fn": "jumprelu", "jump_relu_threshold": 0.71,
         "norm_activation": "dataset-wise",
         "dataset_average_activation_norm": {"in": 9.5, "out": 9.5},
         "apply_decoder_bias_to_pre_encoder": False, "use_decoder_bias": True,
         "sparsity_include_decoder_norm": True, "use_glu_encoder": False, "top_k": 5,
         "dtype": "torch.bfloat16"}


def llama_weights(o=D):
    enc, dec, b_enc, b_dec = weights(o=o)
    return enc, dec, b_enc, b_dec, {
        "encoder.weight": enc, "encoder.bias": b_enc, "decoder.weight": dec.T,
        "decoder.bias": b_dec}


def make_llama_authors(name, **over):
    """OpenMOSS Language-Model-SAEs, 2024: sae.py, from_pretrained's
    standardize_parameters_of_dataset_activation_scaling (b_enc / s_in, b_dec / s_out,
    W_dec * s_in / s_out), then transform_to_unit_decoder_norm (encoder rows and
    biases times the decoder's norms), then pre where pre > jump_relu_threshold."""
    out = place(f"llama-scope{name}")
    hyper = HYPER | over
    enc, dec, b_enc, b_dec, w = llama_weights()
    put_json(out / "hyperparams.json", hyper)
    save(w, out / "checkpoints" / "final.safetensors")
    norm = hyper["dataset_average_activation_norm"]
    s_in, s_out = math.sqrt(D) / norm["in"], math.sqrt(D) / norm["out"]
    b_enc, b_dec, dec = b_enc / s_in, b_dec / s_out, dec * s_in / s_out
    if hyper["sparsity_include_decoder_norm"]:
        by = dec.norm(dim=1, keepdim=True)
        enc, b_enc, dec = enc * by, b_enc * by[:, 0], dec / by
    x = tokens()
    pre = x @ enc.T + b_enc
    if hyper["act_fn"] == "topk":
        acts = torch.relu(torch.zeros_like(pre).scatter(
            1, pre.topk(hyper["top_k"]).indices, pre.topk(hyper["top_k"]).values))
    else:
        acts = pre * (pre > hyper["jump_relu_threshold"])
    golden(out, x, acts, acts @ dec + b_dec)


def make_llama():
    make_llama_authors("")
    make_llama_authors("-plain", sparsity_include_decoder_norm=False)
    make_llama_authors("-topk", act_fn="topk")
    make_llama_authors("-tc", hook_point_in="blocks.1.hook_resid_mid",
                       hook_point_out="blocks.1.hook_mlp_out",
                       dataset_average_activation_norm={"in": 9.5, "out": 2.25})
    out = place("llama-scope-saelens")  # of the same files as fam-llama-scope
    sae = through("llama_scope_sae_huggingface_loader", DATA, "fnlp/x", "fam-llama-scope",
                  dtype="float32")
    sae.fold_activation_norm_scaling_factor(math.sqrt(D) / 9.5)
    reference(out, sae)


def make_llama_distill():
    out = place("llama-scope-r1")
    *_, w = llama_weights()
    put_json(out / "L1R" / "config.json", {
        "d_model": D, "expansion_factor": 2, "hook_point_in": "blocks.1.hook_resid_post"})
    save(w | {"log_jumprelu_threshold": torch.linspace(-2, 1, N)},
         out / "L1R" / "sae_weights.safetensors")
    sae = through("llama_scope_r1_distill_sae_huggingface_loader", out, "fnlp/x", "L1R")
    reference(out, sae)


def make_llamascopium(name, o_norm=9.5, **over):
    """OpenMOSS Language-Model-SAEs: llamascopium/models/sae.py, encode and decode, of
    activations that normalize_activations of sparse_dictionary.py has scaled to a mean
    norm of sqrt(d); activation_functions.py, JumpReLU."""
    out = place(f"llamascopium{name}")
    cfg = {"sae_type": "sae", "d_model": D, "expansion_factor": 2.0, "act_fn": "jumprelu",
           "norm_activation": "dataset-wise", "sparsity_include_decoder_norm": True,
           "top_k": 5, "use_decoder_bias": True, "use_glu_encoder": False,
           "hook_point_in": "blocks.1.hook_resid_post",
           "hook_point_out": "blocks.1.hook_resid_post"} | over
    put_json(out / "sae" / "config.json", cfg)
    enc, dec, b_enc, b_dec = weights()
    if not cfg["use_decoder_bias"]:
        b_dec = torch.zeros(D)
    log_threshold = torch.linspace(-2, 0.5, N)
    w = {"W_E": enc.T, "W_D": dec, "b_E": b_enc}
    if cfg["use_decoder_bias"]:
        w["b_D"] = b_dec
    if cfg["act_fn"] == "jumprelu":
        w["activation_function.log_jumprelu_threshold"] = log_threshold
    norms = {cfg["hook_point_in"]: 9.5, cfg["hook_point_out"]: o_norm}
    for hook, value in norms.items():
        w[f"dataset_average_activation_norm.{hook}"] = torch.tensor(value)
    save(w, out / "sae" / "sae_weights.safetensors")
    if cfg["norm_activation"] == "inference":
        norms = {hook: math.sqrt(D) for hook in norms}
    x = tokens()
    s_in = math.sqrt(D) / norms[cfg["hook_point_in"]]
    s_out = math.sqrt(D) / norms[cfg["hook_point_out"]]
    by = dec.norm(dim=1) if cfg["sparsity_include_decoder_norm"] else torch.ones(N)
    pre = (x * s_in) @ enc.T + b_enc
    p = pre * by
    if cfg["act_fn"] == "topk":
        kept = torch.relu(torch.zeros_like(p).scatter(1, p.topk(5).indices,
                                                      p.topk(5).values))
    elif cfg["act_fn"] == "relu":
        kept = torch.relu(p)
    else:
        kept = p * (p > log_threshold.exp())
    acts = kept / by
    back = (acts @ dec + b_dec) / s_out
    if cfg["act_fn"] == "topk":  # saedb keeps what is compared: times the row's norm
        acts = acts * (dec / s_out).norm(dim=1)
    golden(out, x, acts, back)


# ---- sparsify ------------------------------------------------------------------

def make_sparsify(name, module, **config):
    from sparsify import SparseCoder, SparseCoderConfig

    top = place(f"sparsify-{name}")
    coder = SparseCoder(D, SparseCoderConfig(num_latents=N, **({"k": 6} | config)))
    fill(coder)
    out = top / "run" / module
    coder.save_to_disk(out)
    put_json(top / "run" / "config.json", {"model": "EleutherAI/pythia-160m", "ctx_len": 64})
    x = tokens()
    with torch.no_grad():
        top_acts, indices, _ = coder.encode(x)
        acts = torch.zeros(M, N).scatter(1, indices, top_acts)
        back = top_acts.unsqueeze(1).bmm(coder.W_dec[indices])[:, 0] + coder.b_dec
        if coder.W_skip is not None:
            back = coder(x).sae_out
    golden(top, x, acts, back)


# ---- dictionary_learning ---------------------------------------------------------

def make_dictionary(name, dict_class, threshold=None, **trainer):
    # whose buffers, which are not needed here, would import a lot
    sys.modules.setdefault("nnsight", types.SimpleNamespace(LanguageModel=None))
    import dictionary_learning.utils as utils
    from dictionary_learning import dictionary
    from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k

    out = place(f"dictionary-{name}")
    args = {"AutoEncoderTopK": (5,), "BatchTopKSAE": (5,),
            "MatryoshkaBatchTopKSAE": (5, [8, N - 8])}.get(dict_class, ())
    cls = next(getattr(m, dict_class) for m in (dictionary, top_k, batch_top_k,
                                                matryoshka_batch_top_k)
               if hasattr(m, dict_class))
    ae = cls(D, N, *args)
    fill(ae)
    with torch.no_grad():
        if dict_class == "JumpReluAutoEncoder":
            ae.threshold.copy_(torch.linspace(-0.2, 2, N))
        elif threshold is not None:
            ae.threshold.fill_(threshold)
    cfg = {"trainer": {"dict_class": dict_class, "activation_dim": D, "dict_size": N,
                       "layer": 1, "lm_name": "EleutherAI/pythia-70m-deduped",
                       "submodule_name": "resid_post_layer_1"} | trainer,
           "buffer": {"d_submodule": D, "ctx_len": 128, "io": "out"}}
    if args:
        cfg["trainer"]["k"] = 5
    put_json(out / "config.json", cfg)
    torch.save(ae.state_dict(), out / "ae.pt")
    save(ae.state_dict(), out / "ae.safetensors")
    ae, _ = utils.load_dictionary(str(out), "cpu")
    (out / "ae.pt").unlink()
    x = tokens()
    with torch.no_grad():
        acts = ae.encode(x)
        golden(out, x, acts, ae.decode(acts))


def make_dictionaries():
    make_dictionary("standard", "AutoEncoder")
    make_dictionary("new", "AutoEncoderNew", submodule_name=None)
    make_dictionary("gated", "GatedAutoEncoder")
    make_dictionary("topk", "AutoEncoderTopK")
    make_dictionary("batchtopk", "BatchTopKSAE", threshold=0.8)
    make_dictionary("matryoshka", "MatryoshkaBatchTopKSAE", threshold=0.8)
    make_dictionary("jumprelu", "JumpReluAutoEncoder")


# ---- OpenAI, circuit-tracer: published rules ---------------------------------------

def make_openai():
    """openai/sparse_autoencoder, model.py: LN, Autoencoder.encode_pre_act, TopK, decode
    and paths.py for the names."""
    for name, topk, stored in (("v5", True, True), ("v5-by-path", True, False),
                               ("v4", False, False)):
        top = place(f"openai-{name}")
        location = "resid_post_mlp_v5_32k" if topk else "resid_delta_mlp_v4"
        enc, dec, b_enc, b_dec = weights()
        w = {"pre_bias": b_dec, "encoder.weight": enc, "latent_bias": b_enc,
             "decoder.weight": dec.T, "stats_last_nonzero": torch.zeros(N, dtype=torch.long)}
        k = 6 if stored else 32
        if stored:
            w["activation_state_dict.k"] = torch.tensor(k)
        if topk and not stored:  # the release's k needs more features than that
            enc, dec, b_enc, b_dec = weights(n=96)
            w |= {"encoder.weight": enc, "latent_bias": b_enc, "decoder.weight": dec.T,
                  "pre_bias": b_dec}
            del w["stats_last_nonzero"]
        save(w, top / location / "autoencoders" / "1.safetensors")
        x = tokens()
        mu, sd = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        y = (x - mu) / (sd + 1e-5) if topk else x
        pre = (y - b_dec) @ enc.T + b_enc
        if topk:
            best = pre.topk(k)
            acts = torch.zeros_like(pre).scatter(1, best.indices, torch.relu(best.values))
            back = (acts @ dec + b_dec) * sd + mu
        else:
            acts = torch.relu(pre)
            back = acts @ dec + b_dec
        golden(top, x, acts, back)


def make_circuit(name, kind, flip=False, skip=False, o=D):
    """circuit-tracer, transcoder/single_layer_transcoder.py (encode, decode,
    compute_skip) and activation_functions.py (JumpReLU and TopK without a relu)."""
    out = place(f"circuit-{name}")
    enc, dec, b_enc, b_dec = weights(o=o)
    w = {"W_enc": enc.T if flip else enc, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec}
    x = tokens()
    pre = x @ enc.T + b_enc
    yaml = ["# made for a test", "model_name: \"Qwen/Qwen3-0.6B\"  # the model",
            "model_kind: transcoder_set", "feature_input_hook: hook_resid_mid",
            "feature_output_hook: 'hook_mlp_out'", "transcoders:", "  - hf://a/b"]
    if kind == "jumprelu":
        w["activation_function.threshold"] = torch.linspace(0, 2, N)
        acts = pre * (pre > w["activation_function.threshold"])
    elif kind == "topk":
        best = pre.topk(3)
        assert (best.values > 0).all()
        acts = torch.zeros_like(pre).scatter(1, best.indices, best.values)
        yaml.append("k: 3")
    else:
        acts = torch.relu(pre)
    back = acts @ dec + b_dec
    if skip:
        w["W_skip"] = torch.randn(o, D) * 0.2
        back = back + x @ w["W_skip"].T
    save(w, out / "set" / "layer_1.safetensors")
    (out / "set" / "config.yaml").write_text("\n".join(yaml) + "\n")
    golden(out, x, acts, back)


def make_refused():
    """What must not load: it is ambiguous, unfinished or reads several layers."""
    enc, dec, b_enc, b_dec = weights(n=D)
    out = place("refused-circuit-square")
    w = {"W_enc": enc, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec}
    save(w, out / "layer_1.safetensors")
    (out / "config.yaml").write_text("feature_input_hook: hook_resid_mid\n")
    enc, dec, b_enc, b_dec = weights()
    out = place("refused-circuit-negative")
    w = {"W_enc": enc, "W_dec": dec, "b_enc": b_enc, "b_dec": b_dec,
         "activation_function.threshold": torch.linspace(-0.1, 1, N)}
    save(w, out / "layer_1.safetensors")
    (out / "config.yaml").write_text("feature_input_hook: hook_resid_mid\n")
    linear = {"encoder.weight": enc, "encoder.bias": b_enc, "decoder.weight": dec.T,
              "b_dec": b_dec, "k": torch.tensor(5, dtype=torch.int)}
    trainer = {"dict_class": "BatchTopKSAE", "activation_dim": D, "dict_size": N,
               "layer": 1, "k": 5}
    for name, w in (
            ("unset", linear | {"threshold": torch.tensor(-1.0)}),
            ("checkpoint", {f"ae.{k}": v for k, v in linear.items()}),
            ("crosscoder", {"encoder.weight": torch.zeros(2, D, N),
                            "decoder.weight": torch.zeros(2, N, D)})):
        out = place(f"refused-dictionary-{name}")
        put_json(out / "config.json", {"trainer": trainer})
        save(w, out / "ae.safetensors")


def main():
    torch.manual_seed(7)
    make_saelens()
    make_gemma()
    make_gemma2()
    make_goodfire()
    make_qwen()
    make_llama()
    make_llama_distill()
    make_llamascopium("")
    make_llamascopium("-topk", act_fn="topk", use_decoder_bias=False)
    make_llamascopium("-relu", act_fn="relu", norm_activation="inference",
                      sparsity_include_decoder_norm=False)
    make_llamascopium("-tc", o_norm=2.25, hook_point_in="blocks.1.hook_resid_mid",
                      hook_point_out="blocks.1.hook_mlp_out")
    make_sparsify("topk", "layers.1")
    make_sparsify("groupmax", "layers.1.mlp", activation="groupmax")
    make_sparsify("transcoder", "h.1.mlp", transcode=True)
    make_sparsify("skip", "layers.1.mlp", transcode=True, skip_connection=True)
    make_dictionaries()
    make_openai()
    make_circuit("relu", "relu")
    make_circuit("jumprelu", "jumprelu", flip=True, o=10)
    make_circuit("topk", "topk")
    make_circuit("skip", "jumprelu", skip=True)
    make_refused()


if __name__ == "__main__":
    main()
