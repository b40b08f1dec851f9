# SPDX-License-Identifier: ISC
"""Small random models of every family, in transformers and in TransformerLens."""

import os
import pathlib
import tempfile

import torch
import transformers

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
TOKENIZER = ROOT / "demo/model"  # byte-level BPE, 4096 ids
VOCAB = 4096

_SIZES = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
              intermediate_size=64, vocab_size=VOCAB, max_position_embeddings=64)
_GROUPED = dict(_SIZES, num_key_value_heads=2)
_WIDE = dict(_GROUPED, head_dim=12, query_pre_attn_scalar=12, sliding_window=8)

CONFIGS = {
    "gpt2": ("GPT2", dict(n_embd=32, n_layer=3, n_head=4, vocab_size=VOCAB,
                          n_positions=64, n_ctx=64)),
    "gpt_neo": ("GPTNeo", dict(hidden_size=32, num_layers=3, num_heads=4,
                               attention_types=[[["global", "local", "global"], 1]],
                               window_size=8, vocab_size=VOCAB,
                               max_position_embeddings=64)),
    "gpt_neox": ("GPTNeoX", _SIZES),
    "gpt_neox serial": ("GPTNeoX", dict(_SIZES, use_parallel_residual=False)),
    "llama": ("Llama", _GROUPED),
    "mistral": ("Mistral", _GROUPED),
    "qwen2": ("Qwen2", _GROUPED),
    "qwen3": ("Qwen3", dict(_GROUPED, head_dim=12)),
    "gemma": ("Gemma", dict(_GROUPED, head_dim=12)),
    "gemma2": ("Gemma2", _WIDE),
    "gemma3": ("Gemma3Text", dict(_WIDE)),
}


def tokenizer():
    """The demo's."""
    return transformers.AutoTokenizer.from_pretrained(TOKENIZER)


def make(family):
    """A model of the family, its norms not trivial."""
    name, config = CONFIGS[family]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**config)
    name = "Gemma3" if name == "Gemma3Text" else name
    cls = getattr(transformers, f"{name}ForCausalLM", None) or \
        getattr(transformers, f"{name}LMHeadModel")
    model = cls(config).eval()
    for p in model.parameters():
        if p.dim() == 1:
            torch.nn.init.normal_(p, .5, .3)
    return model


def lens(model):
    """The same in TransformerLens, its weights as they are; None where it has no way
    without a network."""
    import transformer_lens
    from transformer_lens import loading_from_pretrained as loading
    from transformer_lens.pretrained.weight_conversions import convert_gemma_weights

    kind = model.config.model_type
    if kind == "gemma2":
        c = model.config
        config = transformer_lens.HookedTransformerConfig(
            d_model=32, d_head=12, n_heads=4, d_mlp=64, n_layers=3, n_ctx=64, eps=1e-6,
            d_vocab=VOCAB, act_fn="gelu_pytorch_tanh", normalization_type="RMS",
            rotary_base=10000, positional_embedding_type="rotary", rotary_dim=12,
            use_attn_scale=True, attn_scale=12 ** .5, n_key_value_heads=2,
            window_size=c.sliding_window, use_local_attn=True,
            attn_types=["local", "global", "local"], attn_scores_soft_cap=50.,
            output_logits_soft_cap=30., gated_mlp=True, final_rms=True,
            use_normalization_before_and_after=True, device="cpu",
            original_architecture="Gemma2ForCausalLM")
        out = transformer_lens.HookedTransformer(config, tokenizer())
        out.load_state_dict(convert_gemma_weights(model, config), strict=False)
        return out
    with tempfile.TemporaryDirectory(prefix="x") as d:
        model.save_pretrained(d)
        tokenizer().save_pretrained(d)
        config = loading.get_pretrained_model_config(d, device="cpu", fold_ln=False)
        state = loading.get_pretrained_state_dict(d, config, model)
        config.tokenizer_name = None
        out = transformer_lens.HookedTransformer(config, tokenizer())
        out.load_state_dict(state, strict=False)
    return out
