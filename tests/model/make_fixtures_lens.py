#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/lens/NAME.safetensors for each NAME below, or for those given
as arguments: what TransformerLens' own forward pass has at the hooks of the fixture
lm-NAME, its weights moved by TransformerLens' own converters and not processed. Needs
torch, transformers and transformer-lens.

lens/NAME-centred.safetensors is the same of the model as from_pretrained processes it
by default: norms folded, writing weights centred, value biases folded.

Where TransformerLens has no name for a hook of ours, or no way to say what a config
says, this says what is taken instead:
 - mlp.hook_in is TransformerBridge's, which calls transformers' own modules; what both
   have at the other hooks must agree.
 - The converters of Llama and Qwen3 drop attention's biases: they are put in. Biases
   of a gated MLP it adds elsewhere, behind the product with the gate: what reads
   them in lm-llama is left out.
 - It scales rotary positions linearly in Gemma 3's global layers only, and never
   dynamically: llama-v4, llama-dynamic and neox-serial are left out.
"""

import sys
import warnings
from pathlib import Path

import einops
import safetensors.torch
import torch
import transformers
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.model_bridge.sources.transformers import boot
from transformer_lens.pretrained import weight_conversions as convert

warnings.filterwarnings("ignore")
DATA = Path(__file__).resolve().parent / "data"
HOOKS = ("hook_resid_pre", "attn.hook_z", "hook_attn_out", "hook_resid_mid", "hook_mlp_in",
         "ln2.hook_normalized", "hook_mlp_out", "hook_resid_post")
STREAM = ("hook_resid_pre", "hook_attn_out", "hook_resid_mid", "hook_mlp_out",
          "hook_resid_post")


def gpt2(c):
    return convert.convert_gpt2_weights, dict(
        d_model=c.n_embd, n_heads=c.n_head, n_layers=c.n_layer, n_ctx=c.n_positions,
        d_head=c.n_embd // c.n_head, d_mlp=c.n_inner or 4 * c.n_embd, eps=c.layer_norm_epsilon,
        act_fn=c.activation_function, normalization_type="LN",
        scale_attn_by_inverse_layer_idx=c.scale_attn_by_inverse_layer_idx)


def neo(c):
    return convert.convert_neo_weights, dict(
        d_model=c.hidden_size, n_heads=c.num_heads, n_layers=c.num_layers,
        d_head=c.hidden_size // c.num_heads, d_mlp=c.intermediate_size or 4 * c.hidden_size,
        n_ctx=c.max_position_embeddings, eps=c.layer_norm_epsilon,
        act_fn=c.activation_function, normalization_type="LN", use_attn_scale=False,
        use_local_attn=True, window_size=c.window_size, attn_types=c.attention_layers)


def neox(c):
    d_head = c.hidden_size // c.num_attention_heads
    rope = c.rope_parameters
    return convert.convert_neox_weights, dict(
        d_model=c.hidden_size, n_heads=c.num_attention_heads, n_layers=c.num_hidden_layers,
        d_head=d_head, d_mlp=c.intermediate_size, n_ctx=c.max_position_embeddings,
        eps=c.layer_norm_eps, act_fn=c.hidden_act, normalization_type="LN",
        parallel_attn_mlp=c.use_parallel_residual, positional_embedding_type="rotary",
        rotary_base=rope["rope_theta"],
        rotary_dim=round(rope["partial_rotary_factor"] * d_head))


def decoder(c):
    d_head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    rope = c.rope_parameters
    return dict(
        d_model=c.hidden_size, n_heads=c.num_attention_heads, n_layers=c.num_hidden_layers,
        d_head=d_head, d_mlp=c.intermediate_size, n_ctx=c.max_position_embeddings,
        n_key_value_heads=c.num_key_value_heads, eps=c.rms_norm_eps, act_fn="silu",
        normalization_type="RMS", final_rms=True, gated_mlp=True, rotary_dim=d_head,
        positional_embedding_type="rotary", rotary_base=rope.get("rope_theta"),
        **local(c))


def local(c):
    kinds = getattr(c, "layer_types", None)
    window = getattr(c, "sliding_window", None)
    if not window:
        return {}
    kinds = kinds or ["sliding_attention"] * c.num_hidden_layers
    return dict(use_local_attn=True, window_size=window, attn_types=[
        "local" if k == "sliding_attention" else "global" for k in kinds])


def llama(c):
    rope = c.rope_parameters
    scaled = {} if rope["rope_type"] == "default" else dict(
        use_NTK_by_parts_rope=True, NTK_by_parts_factor=rope["factor"],
        NTK_by_parts_low_freq_factor=rope["low_freq_factor"],
        NTK_by_parts_high_freq_factor=rope["high_freq_factor"],
        NTK_original_ctx_len=rope["original_max_position_embeddings"])
    return convert.convert_llama_weights, {**decoder(c), **scaled}


def gemma(c):
    extra = dict(act_fn="gelu_pytorch_tanh")
    if c.model_type != "gemma":
        extra |= dict(use_normalization_before_and_after=True,
                      attn_scale=c.query_pre_attn_scalar ** .5,
                      attn_scores_soft_cap=c.attn_logit_softcapping or -1.0,
                      output_logits_soft_cap=c.final_logit_softcapping or -1.0)
    if c.model_type == "gemma3_text":
        rope = c.rope_parameters
        extra |= dict(use_qk_norm=True, rotary_base=rope["full_attention"]["rope_theta"],
                      rotary_base_local=rope["sliding_attention"]["rope_theta"],
                      rotary_scaling_factor=rope["full_attention"].get("factor", 1.0))
    return convert.convert_gemma_weights, {**decoder(c), **extra}


FAMILIES = {
    "gpt2": gpt2, "gpt_neo": neo, "gpt_neox": neox, "llama": llama, "gemma": gemma,
    "gemma2": gemma, "gemma3_text": gemma,
    "mistral": lambda c: (convert.convert_mistral_weights, decoder(c)),
    "qwen2": lambda c: (convert.convert_qwen2_weights, decoder(c)),
    "qwen3": lambda c: (convert.convert_qwen3_weights, {**decoder(c), "use_qk_norm": True}),
}


def put_biases(state, model, cfg):
    """What the converters take for zero."""
    for i, layer in enumerate(getattr(model.base_model, "layers", [])):
        at = f"blocks.{i}."
        if not hasattr(layer, "self_attn"):
            continue
        for name, to in (("q", "b_Q"), ("k", "_b_K"), ("v", "_b_V")):
            bias = getattr(layer.self_attn, name + "_proj").bias
            if bias is not None:
                state[at + "attn." + to] = einops.rearrange(bias, "(n h) -> n h", h=cfg.d_head)
        if layer.self_attn.o_proj.bias is not None:
            state[at + "attn.b_O"] = layer.self_attn.o_proj.bias
    return state


def behind_biases(model, i, hook):
    """Whether biases of a gated MLP, which it cannot have, reach this hook."""
    return getattr(model.hf_config, "mlp_bias", False) and (
        i > 0 or hook in ("hook_mlp_out", "hook_resid_post"))


def load(path, processed=False):
    """The Hugging Face directory as a HookedTransformer."""
    hf = transformers.AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager").eval()
    move, options = FAMILIES[hf.config.model_type](hf.config)
    if processed:
        options["normalization_type"] += "Pre"
    cfg = HookedTransformerConfig(
        d_vocab=hf.config.vocab_size, original_architecture=hf.config.architectures[0],
        device="cpu", init_weights=False, **options)
    cfg.use_hook_mlp_in = True
    model = HookedTransformer(cfg, move_to_device=False)
    model.load_and_process_state_dict(
        put_biases(move(hf, cfg), hf, cfg), fold_ln=processed,
        center_writing_weights=processed, center_unembed=processed,
        fold_value_biases=processed)
    model.hf_config = hf.config
    return model.eval()


def bridged(name, ids, others):
    """mlp.hook_in of every layer."""
    hf = transformers.AutoModelForCausalLM.from_pretrained(
        DATA / f"lm-{name}", dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = transformers.PreTrainedTokenizerFast(  # any: there is no text
        tokenizer_file=str(DATA / "tok-gpt2/tokenizer.json"), eos_token="<|end|>")
    bridge = boot(str(DATA / f"lm-{name}"), hf_model=hf, tokenizer=tokenizer, device="cpu")
    with torch.no_grad():
        _, cache = bridge.run_with_cache(ids.long())
    for at, value in others.items():
        if at in cache:
            off = (cache[at][0].reshape(value.shape) - value).abs().max()
            assert off < 1e-5 * value.norm(dim=-1).max(), (name, at, off)
    return {at: cache[at][0].clone() for at in cache if at.endswith(".mlp.hook_in")}


def make(name, processed=False):
    torch.manual_seed(5)
    model = load(DATA / f"lm-{name}", processed)
    n = min(9, model.cfg.n_ctx)
    ids = torch.randint(model.cfg.d_vocab, (1, n), dtype=torch.int32)
    with torch.no_grad():
        _, cache = model.run_with_cache(ids.long())
    out = {}
    for i in range(model.cfg.n_layers):
        for hook in STREAM if processed else HOOKS:
            at = f"blocks.{i}.{hook}"
            if at in cache and not behind_biases(model, i, hook):
                out[at] = cache[at][0].reshape(n, -1).clone()
    if not processed:
        out |= bridged(name, ids, out)
    out["ids"] = ids[0]
    out["window_start"] = torch.tensor([0, n], dtype=torch.int32)
    path = DATA / "lens" / f"{name}{'-centred' if processed else ''}.safetensors"
    path.parent.mkdir(exist_ok=True)
    safetensors.torch.save_file(out, path)


NAMES = ["f32", "f16-bare", "sharded", "long", "neo", "neo-global", "neox", "llama",
         "lean-llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"]
CENTRED = ["long", "neo", "neox"]


def main():
    for name in sys.argv[1:] or NAMES + [n + "-centred" for n in CENTRED]:
        make(name.removesuffix("-centred"), name.endswith("-centred"))


if __name__ == "__main__":
    main()
