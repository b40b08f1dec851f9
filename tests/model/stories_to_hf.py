#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Converts a llama2.c model (legacy layout, such as stories260K.bin) to a Hugging
Face directory without tokenizer, or prints the text of token ids by its tokenizer.

    stories_to_hf.py convert MODEL.bin DIR
    stories_to_hf.py text TOKENIZER.bin < IDS
"""

import json
import pathlib
import struct
import sys


def safetensors(path, tensors):
    """{name: (shape, bytes)} as float32."""
    header, at = {}, 0
    for name, (shape, raw) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text
                     + b"".join(raw for _, raw in tensors.values()))


def half_split(raw, n_heads, d_head, d_in):
    """Rows of each head from Meta's order (0 and 1 turn together) to Hugging Face's (0
    and d_head / 2 do)."""
    row = 4 * d_in
    order = [*range(0, d_head, 2), *range(1, d_head, 2)]
    return b"".join(raw[(h * d_head + i) * row:(h * d_head + i + 1) * row]
                    for h in range(n_heads) for i in order)


def convert(path, out):
    data = pathlib.Path(path).read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, context = struct.unpack_from("<7i", data)
    tied, vocab, d_head = vocab > 0, abs(vocab), dim // heads
    kv, at, t = kv_heads * d_head, 28, {}

    def take(*shape):
        nonlocal at
        n = 4
        for s in shape:
            n *= s
        at += n
        assert at <= len(data), "the file is too short"
        return data[at - n:at]

    def each(name, *shape, turn=0):
        for i in range(layers):
            raw = take(*shape)
            if turn:
                raw = half_split(raw, turn, d_head, dim)
            t[f"model.layers.{i}.{name}.weight"] = list(shape), raw

    t["model.embed_tokens.weight"] = [vocab, dim], take(vocab, dim)
    each("input_layernorm", dim)
    each("self_attn.q_proj", dim, dim, turn=heads)
    each("self_attn.k_proj", kv, dim, turn=kv_heads)
    each("self_attn.v_proj", kv, dim)
    each("self_attn.o_proj", dim, dim)
    each("post_attention_layernorm", dim)
    each("mlp.gate_proj", hidden, dim)
    each("mlp.down_proj", dim, hidden)
    each("mlp.up_proj", hidden, dim)
    t["model.norm.weight"] = [dim], take(dim)
    take(context, d_head)  # the cosines and sines
    if not tied:
        t["lm_head.weight"] = [vocab, dim], take(vocab, dim)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    safetensors(out / "model.safetensors", t)
    (out / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": dim,
        "intermediate_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "vocab_size": vocab, "max_position_embeddings": context, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": tied}))


def text(tokenizer):
    """Pieces in order; a byte's piece is <0xHH>, and the first space is dropped."""
    data, at, pieces = pathlib.Path(tokenizer).read_bytes(), 4, []
    while at < len(data):
        n = struct.unpack_from("<fi", data, at)[1]
        pieces.append(data[at + 8:at + 8 + n])
        at += 8 + n
    out = b""
    for line in sys.stdin:
        piece = pieces[int(line)]
        if piece.startswith(b"<0x") and piece.endswith(b">"):
            piece = bytes([int(piece[3:5], 16)])
        out += piece if out else piece.lstrip(b" ")
    sys.stdout.buffer.write(out)


if __name__ == "__main__":
    {"convert": convert, "text": text}[sys.argv[1]](*sys.argv[2:])
