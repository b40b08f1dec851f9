# SPDX-License-Identifier: ISC
"""A model of GPT-2 small's size that nobody trained (12 layers, 768 wide), and a
JumpReLU SAE of 24,576 features on it whose thresholds stand where about 50 fire on a
token. The tokenizer is GPT-2's where there is one (encoder.json, vocab.bpe), else the
demo's. Seeded: the same for everyone.

    random_gpt2.py OUT DEMO_MODEL CORPUS [GPT2_TOKENIZER]"""

import json
import pathlib
import random
import shutil
import sys

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

import random_sae
from torch_pipeline import batches, prepare, read_windows

HOOK, LAYER = "blocks.6.hook_resid_pre", 6
D_SAE = 24576
L0 = 50
END = "<|endoftext|>"


def save_tokenizer(out, demo, gpt2):
    """tokenizer.json and the name of its BOS. Returns the tokenizer."""
    shutil.copy(demo / "tokenizer_config.json", out)
    if not gpt2:
        shutil.copy(demo / "tokenizer.json", out)
        return Tokenizer.from_file(str(out / "tokenizer.json"))
    tokenizer = ByteLevelBPETokenizer(str(gpt2 / "encoder.json"), str(gpt2 / "vocab.bpe"))
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(out / "tokenizer.json"))
    return tokenizer


@torch.no_grad()
def main():
    """Writes OUT/model and OUT/sae."""
    out, demo, corpus = map(pathlib.Path, sys.argv[1:4])
    model = out / "model"
    model.mkdir(parents=True)
    gpt2 = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
    tokenizer = save_tokenizer(model, demo, gpt2)
    bos = tokenizer.token_to_id(END)
    torch.manual_seed(0)
    lm = GPT2LMHeadModel(GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), bos_token_id=bos, eos_token_id=bos)).eval()
    lm.save_pretrained(model)
    core = prepare(lm, LAYER)
    groups = read_windows(corpus, tokenizer, bos, 128, 0)
    windows = [w for group in groups.values() for w in group]
    groups = {}
    for w in random.Random(0).sample(windows, 100):
        groups.setdefault(len(w), []).append(w)
    x = [core(b, use_cache=False).last_hidden_state[:, 1:] for b in batches(groups)]
    x = torch.cat([v.flatten(0, 1) for v in x])
    x = x[torch.randperm(len(x))[:random_sae.SAMPLE]]
    generator = torch.Generator().manual_seed(1)
    weights = random_sae.encoder(x, D_SAE, L0, generator)
    random_sae.save(str(out / "sae"), "jumprelu", HOOK, weights, generator)
    print(json.dumps({"vocab_size": lm.config.vocab_size, "sample": len(x)}))


if __name__ == "__main__":
    main()
