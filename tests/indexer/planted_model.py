#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes a directory with a tiny Llama in model/, a Gemma 2 in gemma/, and a corpus
beside them, in which what SAEs are trained wrongly on differs much: heads wider than the
stream, gains of norms that are not 1, a mean over dimensions that tells tokens apart.

    planted_model.py DIR
"""

import json
import pathlib
import sys

from make_tiny import CONTEXT, Noise, corpus, safetensors, tokenizer

D, HEADS, KV, D_HEAD, MLP, LAYERS = 32, 4, 2, 12, 48, 2


def model(out, norms, less, more):
    """norms: of a layer, their gains stored less that much; more of the config."""
    out.mkdir(parents=True)
    n_vocab = tokenizer(out)
    noise = Noise(5)
    shape, embed = noise.tensor(1, n_vocab, D)
    embed = [v + i // D * 5 % 7 - 3 for i, v in enumerate(embed)]
    t = {"model.embed_tokens.weight": (shape, embed)}
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for norm in norms:
            t[at + norm + ".weight"] = [D], [(k * 7 % 11 + 1) / 4 - less for k in range(D)]
        for name, a, b in (("self_attn.q_proj", HEADS * D_HEAD, D),
                           ("self_attn.k_proj", KV * D_HEAD, D),
                           ("self_attn.v_proj", KV * D_HEAD, D),
                           ("self_attn.o_proj", D, HEADS * D_HEAD),
                           ("mlp.gate_proj", MLP, D), ("mlp.up_proj", MLP, D),
                           ("mlp.down_proj", D, MLP)):
            t[at + name + ".weight"] = noise.tensor(0.4, a, b)
    t["model.norm.weight"] = noise.same(1 - less, D)
    safetensors(out / "model.safetensors", t)
    (out / "config.json").write_text(json.dumps({
        "hidden_size": D, "num_attention_heads": HEADS, "num_key_value_heads": KV,
        "head_dim": D_HEAD, "num_hidden_layers": LAYERS, "intermediate_size": MLP,
        "vocab_size": n_vocab, "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": True} | more))


def main(out):
    llama = ["input_layernorm", "post_attention_layernorm"]
    model(out / "model", llama, 0, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_act": "silu"})
    model(out / "gemma", [*llama, "pre_feedforward_layernorm",
                          "post_feedforward_layernorm"], 1, {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2",
        "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": D_HEAD,
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "sliding_window": CONTEXT})
    corpus(out / "corpus.jsonl", 3, 60)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
