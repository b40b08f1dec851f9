#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/head-NAME/ from lm-NAME/ for each NAME below: the same model
as one that is only described (model_type saedb_head), its unembedding and its final
norm's gain as transformers has them in memory. Needs torch and transformers."""

import json
import shutil
import warnings
from pathlib import Path

import safetensors.torch
import transformers

warnings.filterwarnings("ignore")
DATA = Path(__file__).resolve().parent / "data"
NAMES = ("llama", "gemma2", "gemma3", "neox", "neo-global")


def gain_of(model):
    """The final norm's gain as it is applied."""
    base = model.base_model
    norm = next(getattr(base, n) for n in ("norm", "final_layer_norm", "ln_f")
                if hasattr(base, n))
    gain = norm.weight.detach().float()
    return 1 + gain if "Gemma" in type(norm).__name__ else gain


def main():
    for name in NAMES:
        model = transformers.AutoModelForCausalLM.from_pretrained(DATA / f"lm-{name}")
        config = model.config
        out = DATA / f"head-{name}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        (out / "config.json").write_text(json.dumps({
            "model_type": "saedb_head",
            "hidden_size": config.hidden_size,
            "num_hidden_layers": config.num_hidden_layers,
            "vocab_size": config.vocab_size,
            "max_position_embeddings": config.max_position_embeddings,
        }, indent=2) + "\n")
        unembed = model.get_output_embeddings().weight.detach().float()
        safetensors.torch.save_file(
            {"unembed": unembed.contiguous().clone(), "final_gain": gain_of(model).clone()},
            out / "model.safetensors")


if __name__ == "__main__":
    main()
