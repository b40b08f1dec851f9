#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/sae-files/: the weights of SAEs in tests/model/data/fam-*
once more, in the container their family is published in, as numpy and PyTorch write
it; and a few that must be refused. Run by hand, after make_fixtures_sae.py; needs
torch, numpy and safetensors."""
import collections
import pathlib
import shutil

import numpy
import safetensors.torch
import torch

DATA = pathlib.Path(__file__).resolve().parent / "data"
OUT = DATA / "sae-files"
GEMMA = "gemma-scope-2b-pt-res"
GOODFIRE = "fam-goodfire/sae/Llama-3.1-8B-Instruct-SAE-l19"
QWEN = "fam-qwen-scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_5/layer3.sae"
V5 = "fam-openai-v5/resid_post_mlp_v5_32k/autoencoders/1"
V4 = "fam-openai-v4/resid_delta_mlp_v4/autoencoders/1"


def twin(name):
    w = safetensors.torch.load_file(DATA / f"{name}.safetensors")
    w = collections.OrderedDict(sorted(w.items()))
    w._metadata = collections.OrderedDict([("", {"version": 1})])  # as a module's has
    return w


def save(name, value):
    torch.save(value, OUT / name)


def openai(w, activation, **state):
    """As Autoencoder.state_dict of openai/sparse_autoencoder: the class's name, its
    own state beside, and the same flat, as torch descends into modules."""
    w = collections.OrderedDict((k, v) for k, v in w.items() if "activation" not in k)
    for k, v in state.items():
        w[f"activation.{k}"] = v
    w["activation"] = activation
    w["activation_state_dict"] = collections.OrderedDict(state)
    return w


def make_openai():
    w = twin(V5)
    k = int(w["activation_state_dict.k"])
    save("openai-v5.pt", openai(w, "TopK", k=k, postact_fn="ReLU"))
    save("openai-v4.pt", openai(twin(V4), "ReLU"))
    save("openai-below.pt", {"epoch": 3, "state_dict": openai(w, "TopK", k=k)})
    save("openai-identity.pt", openai(w, "Identity"))
    save("openai-postact.pt", openai(w, "TopK", k=k, postact_fn="Identity"))
    save("openai-text.pt", openai(w, "TopK", k=str(k)))
    save("openai-fraction.pt", openai(w, "TopK", k=k + 0.5))
    save("openai-no-k.pt", openai(w, "TopK"))
    save("openai-relu-k.pt", openai(w, "ReLU", k=k))


def make_dictionaries():
    for name in ("standard", "new", "gated", "topk", "batchtopk", "matryoshka",
                 "jumprelu"):
        save(f"dictionary-{name}.pt", twin(f"fam-dictionary-{name}/ae"))
    # as state dicts are whose buffers are plain numbers
    w = twin("fam-dictionary-topk/ae")
    save("dictionary-topk-int.pt", w | {"k": int(w["k"])})
    w = twin("fam-dictionary-batchtopk/ae")
    save("dictionary-batchtopk-real.pt", {"state_dict": w | {
        "threshold": float(w["threshold"])}})
    save("dictionary-batchtopk-none.pt", w | {"threshold": None})
    save("dictionary-batchtopk-nan.pt", w | {"threshold": float("nan")})
    save("dictionary-checkpoint.pt", {"ae": w, "norm_factor": 2.0})


def make_wrong():
    w = twin(GOODFIRE)
    bias = "encoder_linear.bias"
    save("goodfire-lacking.pth", {k: v for k, v in w.items() if k != bias})
    save("goodfire-shape.pth", w | {bias: w[bias][:-1].clone()})
    dec = w["decoder_linear.weight"].clone()
    dec[1, 2] = float("nan")
    save("goodfire-nan.pth", w | {"decoder_linear.weight": dec})
    save("goodfire-more.pth", w | {"other": torch.zeros(2)})
    save("module.pth", torch.nn.Linear(2, 3))


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    torch.manual_seed(1)
    w = twin(f"fam-{GEMMA}/{GEMMA}/layer_1/width_16k/average_l0_5/params")
    numpy.savez(OUT / "gemma.npz", **{k: v.numpy() for k, v in w.items()})
    make_openai()
    make_dictionaries()
    save("goodfire.pth", twin(GOODFIRE))
    save("goodfire-below.pth", {"state_dict": twin(GOODFIRE), "step": 10})
    save("qwen.pt", dict(twin(QWEN)))
    save("saelens-old.pt", twin("fam-saelens-old/sae_weights"))
    save("saelens-below.pt", {"state_dict": twin("fam-saelens-old/sae_weights")})
    make_wrong()


main()
