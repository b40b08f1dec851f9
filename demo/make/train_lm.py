"""Train the language model on the training text; save it by transformers, its weights in float16 on disk.

Usage: train_lm.py --work DIR --out MODEL_DIR [--tokens N] [--layers 4] [--width 192]"""
import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from data import BOS, CONTEXT, joined_windows, load_tokenizer, read_texts
from muon import Muon
from residual import LAYER


def build(layers, width, vocabulary):
    config = GPT2Config(vocab_size=vocabulary, n_positions=CONTEXT, n_embd=width, n_layer=layers, n_head=width // 32,
                        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=BOS, eos_token_id=BOS)
    return GPT2LMHeadModel(config)


def rate(done, warm=0.02, decay=0.6):
    """Learning rate as a share of its peak: a short rise, a plateau, a cosine fall to 2%."""
    if done < warm:
        return done / warm
    if done < 1 - decay:
        return 1.0
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 1 + decay) / decay))


def optimizers_for(model, rate, embedding_rate):
    """Muon for the layers' matrices, AdamW for the rest, with weight decay on embeddings alone."""
    layers = [p for n, p in model.named_parameters() if ".h." in n and p.dim() == 2]
    tables = [p for n, p in model.named_parameters() if ".h." not in n and p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    both = [Muon(layers, lr=rate),
            torch.optim.AdamW([{"params": tables, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
                              lr=embedding_rate, betas=(0.9, 0.98), fused=True)]
    for group in groups_of(both):
        group["peak"] = group["lr"]
    return both


def groups_of(optimizers):
    return [group for o in optimizers for group in o.param_groups]


def save(model, out):
    """Save as transformers does, then store the tensors as float16; config.json says float32, what readers compute in."""
    model.save_pretrained(out)
    path = out / "model.safetensors"
    halves = {k: v.half().contiguous() for k, v in load_file(path).items()}
    save_file(halves, path, metadata={"format": "pt"})
    path.chmod(0o644)
    config = json.loads((out / "config.json").read_text())
    config.pop("dtype", None)
    config["torch_dtype"] = "float32"
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def fuse_activation(model):
    """Exchange gelu_new, which transformers spells out, for the same function in one piece."""
    for block in model.transformer.h:
        block.mlp.act = torch.nn.GELU(approximate="tanh")


def collinearity(x, ids):
    """Mean squared cosine between the mean residuals of different words, the mean of all subtracted, BOS left out."""
    x, ids = x[:, 1:].flatten(0, 1), ids[:, 1:].flatten()
    words, which = ids.unique(return_inverse=True)
    sums = torch.zeros(len(words), x.shape[1]).index_add(0, which, x - x.mean(0))
    unit = torch.nn.functional.normalize(sums, dim=1)
    pairs = len(words) * (len(words) - 1)
    return ((unit @ unit.T).pow(2).sum() - len(words)) / pairs


def loss_of(model, batch, apart):
    """Cross-entropy, and `apart` times how alike the SAEs' hook makes different words."""
    out = model(batch[:, :-1], output_hidden_states=apart > 0)
    loss = torch.nn.functional.cross_entropy(out.logits.flatten(0, 1), batch[:, 1:].flatten())
    if apart > 0:
        return loss, loss + apart * collinearity(out.hidden_states[LAYER], batch[:, :-1])
    return loss, loss


def train(model, windows, args):
    """Shuffled windows, as many passes over them as the tokens ask for."""
    optimizers = optimizers_for(model, args.rate, args.embedding_rate)
    rng = np.random.default_rng(args.seed)
    steps = int(args.tokens / (args.batch * (CONTEXT - 1)))
    start, order, recent = time.time(), np.empty(0, dtype=int), []
    for step in range(steps):
        if len(order) < args.batch:
            order = rng.permutation(len(windows))
        take, order = order[:args.batch], order[args.batch:]
        for group in groups_of(optimizers):
            group["lr"] = group["peak"] * rate(step / steps)
        loss, total = loss_of(model, torch.from_numpy(windows[take].astype(np.int64)), args.apart)
        model.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        recent = recent[-49:] + [loss.item()]
        if step % 100 == 99:
            spent = time.time() - start
            speed = (step + 1) * args.batch * CONTEXT / spent
            print(f"step {step + 1}/{steps} {spent / 60:.1f} min loss {np.mean(recent):.4f} {speed:.0f} tokens/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=float, default=1e7)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--embedding-rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the weights in the out directory")
    parser.add_argument("--apart", type=float, default=0, help="weight of the penalty on words that the SAEs' hook makes alike")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tok = load_tokenizer(args.out)
    windows = joined_windows(tok, read_texts(args.work / "train.jsonl"))
    model = build(args.layers, args.width, tok.get_vocab_size())
    print(f"{len(windows)} windows, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    if args.resume:
        model.load_state_dict(GPT2LMHeadModel.from_pretrained(args.out, dtype=torch.float32).state_dict())
    fuse_activation(model)
    train(model, windows, args)
    save(model, args.out)


if __name__ == "__main__":
    main()
