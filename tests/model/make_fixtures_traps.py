#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/trap-NAME/: what SAELens computes where the other fixtures
cannot tell a rule from one that is nearly the same. Needs torch and sae-lens; seeded.

  log-threshold   a JumpReLU from the midst of training, as SAELens before 6.48 left it
  centred-layer, centred-constant   of a centred model, its input normalised besides
  layer-small     (golden alone) sae-topk-layer on tokens whose deviation is near eps
"""

import json
import shutil
from pathlib import Path

import safetensors.torch
import torch
from sae_lens import SAE, JumpReLUTrainingSAE
from sae_lens.registry import get_sae_class
from sae_lens.saes.sae import SAEMetadata

DATA = Path(__file__).resolve().parent / "data"
D, N, M = 8, 16, 12


def place(name):
    out = DATA / f"trap-{name}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return out


def save_golden(out, sae, x, center=False):
    with torch.no_grad():
        mean = x.mean(-1, keepdim=True) if center else 0
        acts = sae.encode(x - mean)
        back = sae.decode(acts) + mean
    safetensors.torch.save_file(
        {"x": x, "acts": acts.contiguous(), "back": back.contiguous()},
        out / "golden.safetensors")


def make(name, architecture, kwargs=None, **options):
    torch.manual_seed(sum(map(ord, name)))
    sae_class, config_class = get_sae_class(architecture)
    sae = sae_class(config_class(
        d_in=D, d_sae=N, **options, metadata=SAEMetadata(
            model_name="tiny", hook_name="blocks.1.hook_resid_pre", prepend_bos=True,
            context_size=24, model_from_pretrained_kwargs=kwargs or {})))
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn_like(p) * 0.4)
    out = place(name)
    sae.save_model(out)
    return out, SAE.load_from_disk(out)


def log_threshold():
    out, _ = make("log-threshold", "jumprelu")
    path = out / "sae_weights.safetensors"
    t = safetensors.torch.load_file(path)
    t["log_threshold"] = t.pop("threshold") - 1
    safetensors.torch.save_file(t, path)
    cfg = json.loads((out / "cfg.json").read_text())
    # what its training class makes of such a file
    JumpReLUTrainingSAE.process_state_dict_for_loading(None, t)
    sae = SAE.from_dict(cfg)
    sae.load_state_dict(t)
    save_golden(out, sae, torch.randn(M, D) * 2)


def main():
    log_threshold()
    for name, norm in (("layer", "layer_norm"), ("constant", "constant_norm_rescale")):
        out, sae = make(f"centred-{name}", "standard", {"center_writing_weights": True},
                        normalize_activations=norm)
        save_golden(out, sae, torch.randn(M, D) + 3, center=True)
    torch.manual_seed(8)
    sae = SAE.load_from_disk(DATA / "sae-topk-layer")
    x = torch.randn(6, sae.cfg.d_in) * torch.tensor([1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6])[:, None]
    save_golden(place("layer-small"), sae, x)


if __name__ == "__main__":
    main()
