# SPDX-License-Identifier: ISC
"""Makes what the flow tests index: a tiny GPT-2 and a tiny Llama, a byte-level
BPE tokenizer, SAEs of three kinds, and a corpus. Only Python's own library; the
same bytes on every machine.

    make_tiny.py DIR
"""

import json
import pathlib
import random
import struct
import sys

D, HEADS, LAYERS, CONTEXT, D_SAE = 32, 4, 2, 24, 96
WORDS = ("the a of to in on golden gate bridge fog river city light old new stone water "
         "walks over under red green blue tall small bay hills morning evening people "
         "boats crossing tower park street north south def return add value name "
         "pont rouge sur la ville brücke über stadt").split()


def byte_alphabet():
    """The characters that stand for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}


def tokenizer(out):
    """tokenizer.json: bytes, and merges that build each word with its space."""
    alphabet = byte_alphabet()
    vocab = {"<|endoftext|>": 0}
    for b in range(256):
        vocab[alphabet[b]] = len(vocab)
    merges = []
    for word in WORDS:
        for spelling in (" " + word, word):
            parts = [alphabet[b] for b in spelling.encode()]
            built = parts[0]
            for part in parts[1:]:
                if [built, part] not in merges:
                    merges.append([built, part])
                built += part
                vocab.setdefault(built, len(vocab))
    special = {"id": 0, "content": "<|endoftext|>", "single_word": False,
               "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}
    (out / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special],
        "normalizer": None, "pre_tokenizer": level, "post_processor": None,
        "decoder": level, "model": {
            "type": "BPE", "dropout": None, "unk_token": None,
            "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocab, "merges": merges}}, ensure_ascii=False))
    (out / "tokenizer_config.json").write_text(json.dumps({
        "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
        "tokenizer_class": "GPT2Tokenizer"}))
    return len(vocab)


def safetensors(path, tensors):
    """{name: (shape, floats)} as float32."""
    header, at, data = {}, 0, []
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


class Noise:
    """Random tensors."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def tensor(self, scale, *shape):
        """Values within +-scale, spread evenly."""
        n = 1
        for s in shape:
            n *= s
        return list(shape), [(self.random.random() * 2 - 1) * scale for _ in range(n)]

    @staticmethod
    def same(value, n):
        """n times one value."""
        return [n], [value] * n


def model(out, n_vocab):
    """config.json and model.safetensors."""
    noise = Noise(1)
    t = {"wte.weight": noise.tensor(1, n_vocab, D), "wpe.weight": noise.tensor(0.3, CONTEXT, D)}
    for i in range(LAYERS):
        h = f"h.{i}."
        for norm in ("ln_1", "ln_2"):
            t[h + norm + ".weight"] = noise.same(1, D)
            t[h + norm + ".bias"] = noise.tensor(0.1, D)
        for name, a, b in (("attn.c_attn", D, 3 * D), ("attn.c_proj", D, D),
                           ("mlp.c_fc", D, 4 * D), ("mlp.c_proj", 4 * D, D)):
            t[h + name + ".weight"] = noise.tensor(0.4, a, b)
            t[h + name + ".bias"] = noise.tensor(0.1, b)
    t["ln_f.weight"], t["ln_f.bias"] = noise.same(1, D), noise.tensor(0.1, D)
    safetensors(out / "model.safetensors", {"transformer." + k: v for k, v in t.items()})
    (out / "config.json").write_text(json.dumps({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": D,
        "n_head": HEADS, "n_layer": LAYERS, "n_positions": CONTEXT, "n_inner": None,
        "vocab_size": n_vocab, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 0}))


def llama(out, n_vocab):
    """The same of a Llama whose heads together are wider than its stream."""
    noise = Noise(2)
    z, kv, mlp = HEADS * 12, 2 * 12, 48
    t = {"model.embed_tokens.weight": noise.tensor(1, n_vocab, D)}
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            t[at + norm + ".weight"] = noise.same(1, D)
        for name, a, b in (("self_attn.q_proj", z, D), ("self_attn.k_proj", kv, D),
                           ("self_attn.v_proj", kv, D), ("self_attn.o_proj", D, z),
                           ("mlp.gate_proj", mlp, D), ("mlp.up_proj", mlp, D),
                           ("mlp.down_proj", D, mlp)):
            t[at + name + ".weight"] = noise.tensor(0.4, a, b)
    t["model.norm.weight"] = noise.same(1, D)
    safetensors(out / "model.safetensors", t)
    (out / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": D,
        "num_attention_heads": HEADS, "num_key_value_heads": 2, "head_dim": 12,
        "num_hidden_layers": LAYERS, "intermediate_size": mlp, "vocab_size": n_vocab,
        "max_position_embeddings": CONTEXT, "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": True}))


def sae(out, seed, architecture, hook="blocks.1.hook_resid_pre", d=D, **changes):
    """cfg.json and sae_weights.safetensors."""
    out.mkdir(parents=True, exist_ok=True)
    noise = Noise(seed)
    cfg = {"architecture": architecture, "d_in": d, "d_sae": D_SAE, "dtype": "float32",
           "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
           "reshape_activations": "none",
           "metadata": {"sae_lens_version": "6.54.12", "model_name": "tiny",
                        "hook_name": hook, "prepend_bos": True, "context_size": CONTEXT}}
    t = {"W_enc": noise.tensor(0.5, d, D_SAE), "b_enc": noise.tensor(0.2, D_SAE),
         "W_dec": noise.tensor(0.3, D_SAE, d), "b_dec": noise.tensor(0.1, d)}
    t["b_enc"] = [D_SAE], [v - 1.5 for v in t["b_enc"][1]]
    if architecture == "jumprelu":
        t["threshold"] = [D_SAE], [abs(v) for v in noise.tensor(1, D_SAE)[1]]
    if architecture == "topk":
        cfg |= {"k": 5, "rescale_acts_by_decoder_norm": True}
    cfg["metadata"] |= changes
    (out / "cfg.json").write_text(json.dumps(cfg))
    safetensors(out / "sae_weights.safetensors", t)


def corpus(out, seed, n):
    """Documents of 1 to 90 words, with metadata; some alike, one empty."""
    choose = random.Random(seed)
    lines = []
    for i in range(n):
        words = [choose.choice(WORDS) for _ in range(choose.randint(1, 90))]
        if choose.random() < 0.3:
            at = choose.randrange(len(words))
            words[at:at] = ["golden", "gate", "bridge"]
        document = {"id": f"doc-{seed}-{i}", "text": " ".join(words) + ".",
                    "language": choose.choice(["en", "fr", "de"]), "tags": ["tiny", i % 7]}
        lines.append(document)
        if i % 10 == 3:
            lines.append(document)
    lines.append({"id": f"empty-{seed}", "text": ""})
    text = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in lines)
    out.write_text(text, encoding="utf-8")


def main():
    """Everything, into the directory named."""
    out = pathlib.Path(sys.argv[1])
    (out / "model").mkdir(parents=True, exist_ok=True)
    model(out / "model", tokenizer(out / "model"))
    (out / "llama").mkdir(exist_ok=True)
    llama(out / "llama", tokenizer(out / "llama"))
    sae(out / "sae" / "plain", 11, "standard")
    sae(out / "sae" / "jump", 12, "jumprelu")
    sae(out / "sae" / "topk", 13, "topk")
    sae(out / "sae" / "late", 14, "standard", hook="blocks.1.hook_resid_post")
    sae(out / "sae" / "short", 15, "standard", context_size=12)
    sae(out / "sae" / "heads", 16, "standard", hook="blocks.1.attn.hook_z", d=HEADS * 12)
    sae(out / "sae" / "normed", 17, "topk", hook="blocks.0.ln2.hook_normalized")
    sae(out / "sae" / "module", 18, "jumprelu", hook="layers.1")
    corpus(out / "a.jsonl", 1, 120)
    corpus(out / "b.jsonl", 2, 60)


if __name__ == "__main__":
    main()
