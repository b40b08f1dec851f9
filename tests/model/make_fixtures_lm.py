#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes the fixtures of the language-model families: tests/model/data/lm-NAME/ for
each NAME below, or for those given as arguments. Needs torch and transformers;
seeded.

A fixture is a tiny random model as transformers saves it (some with config.json as
transformers 4 wrote it), and golden.safetensors with what transformers computes from
that directory in float32 with eager attention: ids, window_start, values at hooks,
and log-probabilities of the first window (logprobs). Weights are made as in trained
models: the stream grows from layer to layer and a few of its dimensions stick out.
"""

import copy
import json
import random
import shutil
import sys
import warnings
from pathlib import Path

import numpy
import safetensors.torch
import torch
import transformers

warnings.filterwarnings("ignore")
DATA = Path(__file__).resolve().parent / "data"
LOUD = (3, 7)  # dimensions that stick out


class Parts:
    """The modules of one layer, by what they are in every family."""

    def __init__(self, layer):
        self.layer = layer
        self.attn = find(layer, "self_attn", "attention", "attn")
        self.out = find(getattr(self.attn, "attention", self.attn), "o_proj", "dense",
                        "out_proj")
        self.mlp = layer.mlp
        self.norm2 = find(layer, "pre_feedforward_layernorm", "post_attention_layernorm",
                          "ln_2")
        self.post1 = self.post2 = None
        if hasattr(layer, "post_feedforward_layernorm"):
            self.post1 = layer.post_attention_layernorm
            self.post2 = layer.post_feedforward_layernorm


def find(module, *names):
    return next(getattr(module, n) for n in names if hasattr(module, n))


def layers_of(model):
    base = model.base_model
    base = getattr(base, "language_model", base)
    return find(base, "layers", "h")


def bare(norm):
    """The norm without its gain and bias."""
    norm = copy.deepcopy(norm)
    with torch.no_grad():
        norm.weight.fill_(0 if "Gemma" in type(norm).__name__ else 1)
        if getattr(norm, "bias", None) is not None:
            norm.bias.zero_()
    return norm


def hidden_states(model, ids):
    got, handles = {}, []

    def keep(module, name, which):
        def hook(module, args, kwargs, output):
            if which == "in":
                value = args[0] if args else kwargs["hidden_states"]
            else:
                value = output[0] if isinstance(output, tuple) else output
            got[name] = value.detach()[0].clone()
        handles.append(module.register_forward_hook(hook, with_kwargs=True))

    parallel = getattr(model.config, "use_parallel_residual", False)
    parts = [Parts(layer) for layer in layers_of(model)]
    for i, p in enumerate(parts):
        at = f"blocks.{i}."
        keep(p.layer, at + "hook_resid_pre", "in")
        keep(p.out, at + "attn.hook_z", "in")
        keep(p.post1 or p.attn, at + "hook_attn_out", "out")
        keep(p.norm2, at + "hook_mlp_in", "in")
        keep(p.mlp, at + "mlp.hook_in", "in")
        keep(p.post2 or p.mlp, at + "hook_mlp_out", "out")
        keep(p.layer, at + "hook_resid_post", "out")
        keep(p.attn, f"layers.{i}.self_attn", "out")
        keep(p.mlp, f"layers.{i}.mlp", "out")
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
        for h in handles:  # before the norms are copied with them
            h.remove()
        for i, p in enumerate(parts):
            at = f"blocks.{i}."
            got[at + "ln2.hook_normalized"] = bare(p.norm2)(got[at + "hook_mlp_in"])
            if not parallel:
                got[at + "hook_resid_mid"] = got[at + "hook_mlp_in"]
    got["logprobs"] = torch.log_softmax(logits.double(), -1).float()
    return got


def shape_weights(model):
    """Random weights, as described above."""
    n = len(layers_of(model))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "vision" in name or "multi_modal" in name:
                continue
            layer = next((int(x) for x in name.split(".") if x.isdigit()), n)
            if p.ndim == 1:  # gains about 1 (Gemma: 0), biases about 0
                gain = p.mean().round() if "norm" in name or "ln_" in name else 0
                if name.endswith("bias"):
                    gain = 0
                p.copy_(gain + torch.randn_like(p) * 0.2)
                continue
            p.copy_(torch.randn_like(p) * (1.3 if "embed" in name or "wte" in name
                                           else 1.2 / p.shape[1] ** .5))
            if "wpe" in name:
                p.mul_(2)
            if any(x in name for x in ("o_proj", "down_proj", "out_proj", "attention.dense",
                                       "4h_to_h", "mlp.c_proj")):
                p.mul_(1.5 * (1 + layer))
                p[list(LOUD)] *= 6
            elif "embed" in name or "wte" in name:
                p[:, list(LOUD)] *= 8


def old_config(c):
    """config.json as transformers 4 wrote it."""
    c["torch_dtype"] = c.pop("dtype", "float32")
    rope = c.pop("rope_parameters", None)
    if rope:
        rope = dict(rope)
        if "full_attention" in rope:
            c["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
            rope = dict(rope["full_attention"])
        c["rope_theta"] = rope.pop("rope_theta")
        if "rotary_emb_base" in c or c["model_type"] == "gpt_neox":
            c["rotary_emb_base"] = c.pop("rope_theta")
            c["rotary_pct"] = rope.pop("partial_rotary_factor")
        kind = rope.pop("rope_type")
        rope.pop("partial_rotary_factor", None)
        key = "rope_type" if "rope_local_base_freq" in c else "type"
        c["rope_scaling"] = {key: kind, **rope} if kind != "default" else None
    c["transformers_version"] = "4.40.0"
    return c


def make(name, config, windows=(13, 4, 1), dtype=torch.float32, shards=None, edit=None,
         keep=None, hooks=True, model_class=None):
    torch.manual_seed(sum(map(ord, name)))
    out = DATA / f"lm-{name}"
    shutil.rmtree(out, ignore_errors=True)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    config._attn_implementation = "eager"
    auto = model_class or transformers.AutoModelForCausalLM
    model = auto.from_config(config) if not model_class else model_class(config)
    model = model.eval()
    shape_weights(model)
    model = model.to(dtype)
    model.save_pretrained(out, **({"max_shard_size": shards} if shards else {}))
    (out / "generation_config.json").unlink(missing_ok=True)
    if edit:
        c = edit(json.loads((out / "config.json").read_text()))
        (out / "config.json").write_text(json.dumps(c, indent=2))
    model = auto.from_pretrained(out, dtype=torch.float32, attn_implementation="eager")
    model = model.eval()
    text = getattr(model.config, "text_config", model.config)
    rng = random.Random(3)
    windows = [[rng.randrange(text.vocab_size) for _ in range(n)] for n in windows]
    golden = {}
    for i, w in enumerate(windows):
        for k, v in hidden_states(model, w).items():
            if k == "logprobs" and (i > 0 or hooks is False):
                continue
            golden.setdefault(k, []).append(v)
    golden = {k: torch.cat(v).contiguous() for k, v in golden.items() if wanted(k, hooks)}
    golden["ids"] = torch.tensor(sum(windows, []), dtype=torch.int32)
    golden["window_start"] = torch.tensor(
        numpy.cumsum([0] + [len(w) for w in windows]), dtype=torch.int32)
    safetensors.torch.save_file(golden, out / "golden.safetensors")


def wanted(name, hooks):
    """Every hook of layer 0 and what later layers add, or just the ends."""
    if name == "logprobs" or name.endswith("hook_resid_post"):
        return True
    if not hooks:
        return name.endswith("hook_attn_out")
    return ".0." in name or name.endswith(("hook_z", "hook_attn_out", "hook_mlp_out"))


SMALL = dict(vocab_size=37, hidden_size=16, intermediate_size=28, num_hidden_layers=3,
             num_attention_heads=4, max_position_embeddings=32)


def llama(**options):
    return transformers.LlamaConfig(**{**SMALL, "tie_word_embeddings": False, **options})


# config.json without what has a default
LEAN = {
    "llama": transformers.LlamaConfig, "mistral": transformers.MistralConfig,
    "qwen2": transformers.Qwen2Config, "qwen3": transformers.Qwen3Config,
    "neox": transformers.GPTNeoXConfig, "gemma": transformers.GemmaConfig,
    "gemma2": transformers.Gemma2Config, "gemma3": transformers.Gemma3TextConfig,
}
NEEDED = ["architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size",
          "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
          "max_position_embeddings"]


def lean(config):
    return lambda n: make(n, config(**{
        **SMALL, "vocab_size": 11, "hidden_size": 8, "intermediate_size": 10,
        "num_attention_heads": 1 if "neox" in n else 2,
        "num_hidden_layers": 6 if "gemma3" in n else 2,
        **({} if "neox" in n else {"num_key_value_heads": 1, "head_dim": 4})}),
        edit=lambda c: {k: v for k, v in c.items() if k in NEEDED}, windows=(6,),
        hooks=None)


FIXTURES = {
    "llama": lambda n: make(n, llama(
        num_key_value_heads=2, head_dim=6, attention_bias=True, mlp_bias=True,
        max_position_embeddings=512, rms_norm_eps=1e-5, rope_parameters={
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256})),
    "llama-v4": lambda n: make(n, llama(
        num_key_value_heads=1, tie_word_embeddings=True, num_hidden_layers=2,
        rope_parameters={"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}),
        dtype=torch.bfloat16, shards="8KB", edit=old_config, hooks=False),
    "llama-dynamic": lambda n: make(n, llama(
        num_hidden_layers=1, rope_parameters={
            "rope_type": "dynamic", "rope_theta": 700.0, "factor": 3.0}),
        edit=old_config, hooks=False),
    "mistral": lambda n: make(n, transformers.MistralConfig(**{
        **SMALL, "num_key_value_heads": 2, "sliding_window": 5, "head_dim": 6,
        "tie_word_embeddings": False, "num_hidden_layers": 2})),
    # windows and sequences longer than a block of keys
    "mistral-long": lambda n: make(n, transformers.MistralConfig(**{
        **SMALL, "num_attention_heads": 2, "num_key_value_heads": 1,
        "sliding_window": 70, "max_position_embeddings": 150,
        "tie_word_embeddings": False, "num_hidden_layers": 1}),
        windows=(150, 66), edit=old_config, hooks=False),
    "qwen2": lambda n: make(n, transformers.Qwen2Config(**{
        **SMALL, "num_key_value_heads": 2, "use_sliding_window": True,
        "sliding_window": 4, "max_window_layers": 1, "tie_word_embeddings": True,
        "num_hidden_layers": 2, "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e6}})),
    "qwen2-v4": lambda n: make(n, transformers.Qwen2Config(**{
        **SMALL, "num_key_value_heads": 4, "num_hidden_layers": 1,
        "tie_word_embeddings": False}),
        edit=lambda c: {k: v for k, v in old_config(c).items() if k != "layer_types"},
        hooks=False),
    "qwen3": lambda n: make(n, transformers.Qwen3Config(**{
        **SMALL, "num_key_value_heads": 2, "head_dim": 8, "num_hidden_layers": 2,
        "tie_word_embeddings": False, "attention_bias": True})),
    "neox": lambda n: make(n, transformers.GPTNeoXConfig(**{
        **SMALL, "num_attention_heads": 2, "num_hidden_layers": 2})),
    "neox-serial": lambda n: make(n, transformers.GPTNeoXConfig(**{
        **SMALL, "num_attention_heads": 2, "num_hidden_layers": 2,
        "use_parallel_residual": False, "hidden_act": "gelu_new",
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 300.0,
                            "partial_rotary_factor": 0.5}}),
        dtype=torch.float16, edit=old_config, hooks=False),
    "gemma": lambda n: make(n, transformers.GemmaConfig(**{
        **SMALL, "num_key_value_heads": 1, "head_dim": 6, "num_hidden_layers": 2})),
    "gemma2": lambda n: make(n, transformers.Gemma2Config(**{
        **SMALL, "num_key_value_heads": 2, "head_dim": 6, "query_pre_attn_scalar": 3,
        "attn_logit_softcapping": 2.5, "final_logit_softcapping": 4.0,
        "sliding_window": 5})),
    "gemma2-v4": lambda n: make(n, transformers.Gemma2Config(**{
        **SMALL, "num_key_value_heads": 4, "head_dim": 4, "sliding_window": 3,
        "num_hidden_layers": 2, "query_pre_attn_scalar": 8}),
        edit=lambda c: {k: v for k, v in old_config(c).items() if k != "layer_types"},
        hooks=False),
    "gemma3": lambda n: make(n, transformers.Gemma3TextConfig(**{
        **SMALL, "num_key_value_heads": 2, "head_dim": 6, "query_pre_attn_scalar": 5,
        "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"],
        "num_hidden_layers": 2, "final_logit_softcapping": 3.0, "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
            "full_attention": {"rope_type": "linear", "rope_theta": 2000.0,
                               "factor": 8.0}}})),
    "gemma3-v4": lambda n: make(n, transformers.Gemma3TextConfig(**{
        **SMALL, "num_key_value_heads": 2, "head_dim": 4, "sliding_window": 3,
        "num_hidden_layers": 2, "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 60.0},
            "full_attention": {"rope_type": "linear", "rope_theta": 900.0,
                               "factor": 2.0}}}),
        edit=lambda c: {**{k: v for k, v in old_config(c).items() if k != "layer_types"},
                        "sliding_window_pattern": 2}, hooks=False),
    "gemma3-images": lambda n: make(n, transformers.Gemma3Config(
        text_config={**SMALL, "num_key_value_heads": 2, "head_dim": 6,
                     "sliding_window": 3, "num_hidden_layers": 1,
                     "layer_types": ["sliding_attention"], "pad_token_id": None},
        vision_config={"hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
                       "num_attention_heads": 1, "image_size": 8, "patch_size": 4,
                       "model_type": "siglip_vision_model"},
        mm_tokens_per_image=4, boi_token_index=33, eoi_token_index=34,
        image_token_index=35), windows=(6, 4), hooks=False,
        model_class=transformers.Gemma3ForConditionalGeneration),
    "neo": lambda n: make(n, transformers.GPTNeoConfig(
        vocab_size=37, hidden_size=16, num_layers=3, num_heads=4, window_size=4,
        max_position_embeddings=20, attention_types=[[["global", "local"], 1],
                                                     [["local"], 1]])),
    "neo-global": lambda n: make(n, transformers.GPTNeoConfig(
        vocab_size=37, hidden_size=12, num_layers=1, num_heads=2, intermediate_size=20,
        max_position_embeddings=16, attention_types=[[["global"], 1]],
        tie_word_embeddings=False), dtype=torch.float16, edit=old_config, hooks=False),
    **{"lean-" + name: lean(config) for name, config in LEAN.items()},
}


def main():
    for name in sys.argv[1:] or FIXTURES:
        FIXTURES[name](name)


if __name__ == "__main__":
    main()
