"""Train the language model on the training text; save it by transformers, its weights in float16 on disk.

Usage: train_lm.py --work DIR --out MODEL_DIR [--minutes M] [--layers 4] [--width 192]"""
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


def optimizer_for(model, peak):
    """AdamW, with weight decay on matrices alone."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
                             lr=peak, betas=(0.9, 0.98), fused=True)


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


def attention_in_float32():
    """Let attention run in float32 under autocast: its bfloat16 backward pass is slow on CPUs."""
    plain = torch.nn.functional.scaled_dot_product_attention

    def attend(query, key, value, *args, **kwargs):
        with torch.autocast("cpu", enabled=False):
            return plain(query.float(), key.float(), value.float(), *args, **kwargs)
    torch.nn.functional.scaled_dot_product_attention = attend


def loss_of(model, batch, fast):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
        logits = model(batch[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


def train(model, windows, args):
    """One pass or more over shuffled windows until the tokens or minutes are spent."""
    optimizer = optimizer_for(model, args.peak)
    rng = np.random.default_rng(args.seed)
    steps = int(args.tokens / (args.batch * (CONTEXT - 1)))
    start, order, recent, mark = time.time(), np.empty(0, dtype=int), [], time.time()
    for step in range(steps):
        spent = (time.time() - start) / 60
        done = max(step / steps, spent / args.minutes)
        if done >= 1:
            break
        if len(order) < args.batch:
            order = rng.permutation(len(windows))
        take, order = order[:args.batch], order[args.batch:]
        batch = torch.from_numpy(windows[take].astype(np.int64))
        for group in optimizer.param_groups:
            group["lr"] = args.peak * rate(done, decay=args.decay)
        loss = loss_of(model, batch, args.fast)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if step % 50 == 49:
            speed = 50 * args.batch * CONTEXT / (time.time() - mark)
            print(f"step {step + 1}/{steps} {spent:.1f} min loss {np.mean(recent[-50:]):.4f} {speed:.0f} tokens/s", flush=True)
            mark = time.time()
        if step % 500 == 499:
            save(model, args.out)
    save(model, args.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--tokens", type=float, default=1e7)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="training documents to read")
    parser.add_argument("--fast", action="store_true", help="bfloat16 where the processor has it")
    parser.add_argument("--resume", action="store_true", help="go on from the weights last saved")
    parser.add_argument("--decay", type=float, default=0.6, help="share of the time over which the rate falls")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    attention_in_float32()
    tok = load_tokenizer(args.out)
    windows = joined_windows(tok, read_texts(args.work / "train.jsonl")[:args.limit])
    model = build(args.layers, args.width, tok.get_vocab_size())
    print(f"{len(windows)} windows, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    if args.resume:
        model.load_state_dict(GPT2LMHeadModel.from_pretrained(args.out, dtype=torch.float32).state_dict())
    train(model, windows, args)


if __name__ == "__main__":
    main()
