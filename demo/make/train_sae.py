"""Train one sparse autoencoder (BatchTopK) on the residual stream; save it by SAELens as jumprelu, float16 on disk.

Usage: train_sae.py --work DIR --model MODEL_DIR --out SAE_DIR --features N [--k 16] [--tokens 4e6] [--minutes M]
Residuals of training documents are collected once into DIR/residual.npy."""
import argparse
import pathlib
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sae_lens import SAE, JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata

from data import CONTEXT, load_tokenizer, read_texts
from residual import HOOK, Windows, collect, load_model


def residuals(args):
    """Residuals of the first documents of the training text, cached as float16."""
    path = args.work / "residual.npy"
    if not path.exists():
        tok = load_tokenizer(args.model)
        x, _ = collect(load_model(args.model), Windows(tok, read_texts(args.work / "train.jsonl")[:args.documents]), np.float16)
        np.save(path, x)
    return torch.from_numpy(np.load(path))


class Trainer:
    """Rows of `enc` and `dec` are features. Encoding is dense and without gradient; only the chosen
    (token, feature) pairs are then computed again with gradient, which is exact and cheap."""

    def __init__(self, x, features, k, rate):
        self.k, self.n = k, features
        some = x[torch.randperm(len(x))[:max(4 * features, 20000)]].float()
        self.scale = float(x.shape[1] ** 0.5 / some.norm(dim=1).mean())
        some *= self.scale
        center = some.mean(0)
        unit = torch.nn.functional.normalize(some[:features] - center, dim=1)
        unit = torch.nn.functional.normalize(unit + 0.3 * torch.randn_like(unit) / x.shape[1] ** 0.5, dim=1)
        self.enc = (0.5 * unit).clone().requires_grad_()
        self.dec = unit.clone().requires_grad_()
        self.b_enc = torch.zeros(features, requires_grad=True)
        self.b_dec = center.clone().requires_grad_()
        self.variance = float((some - center).pow(2).sum(1).mean())
        self.optimizer = torch.optim.Adam([self.enc, self.dec, self.b_enc, self.b_dec], lr=rate, betas=(0.9, 0.99), fused=True)
        self.idle = torch.zeros(features)
        self.threshold = None

    def dense(self, centered):
        """All pre-activations, to choose by."""
        with torch.no_grad():
            return torch.addmm(self.b_enc, centered, self.enc.T)

    def pick(self, dense):
        """Pairs above the value that leaves k a token on average; that value is estimated on a sample of rows."""
        rows = dense[::8].flatten()
        keep = self.k * (len(dense[::8]))
        now = max(float(rows.topk(keep).values[-1]), 1e-4)
        self.threshold = now if self.threshold is None else 0.99 * self.threshold + 0.01 * now
        return (dense > now).nonzero(as_tuple=True)

    def reconstruct(self, centered, row, col):
        """Sparse sum of decoder rows for the chosen pairs."""
        rows = torch.nn.functional.embedding        # as indexing, its gradient is quicker
        value = torch.relu((rows(row, centered) * rows(col, self.enc)).sum(1) + self.b_enc[col])
        return torch.zeros_like(centered).index_add(0, row, value[:, None] * rows(col, self.dec))

    def revive_loss(self, centered, dense, error, idle_after, each=32):
        """Idle features explain what the others left: the auxiliary loss."""
        idle = (self.idle > idle_after).nonzero().flatten()
        if len(idle) < 2:
            return 0.0
        best = dense[::2, idle].topk(min(each, len(idle)), dim=1).indices
        rows = torch.arange(best.shape[0]).repeat_interleave(best.shape[1])
        part = self.reconstruct(centered[::2], rows, idle[best.flatten()])
        return (error[::2] - part).pow(2).sum(1).mean() / self.variance

    def step(self, batch, idle_after, weight):
        x = batch.float() * self.scale
        centered = x - self.b_dec
        dense = self.dense(centered)
        row, col = self.pick(dense)
        error = centered - self.reconstruct(centered, row, col)
        loss = error.pow(2).sum(1).mean() / self.variance
        total = loss + weight * self.revive_loss(centered.detach(), dense, error.detach(), idle_after)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        with torch.no_grad():       # a decoder row moves on the unit sphere
            self.dec.grad -= (self.dec.grad * self.dec).sum(1, keepdim=True) * self.dec
        self.optimizer.step()
        with torch.no_grad():
            self.dec /= self.dec.norm(dim=1, keepdim=True)
        self.idle += len(batch)
        self.idle[col.unique()] = 0
        return float(loss.detach()), len(row) / len(batch), error.detach(), centered.detach()

    @torch.no_grad()
    def resample(self, error, centered, idle_after):
        """Point idle features at what is explained worst."""
        idle = (self.idle > idle_after).nonzero().flatten()
        idle = idle[:len(error)]
        chance = error.pow(2).sum(1)
        rows = torch.multinomial(chance, len(idle), replacement=False) if len(idle) else idle
        target = torch.nn.functional.normalize(error[rows], dim=1)
        self.dec[idle] = target
        self.enc[idle] = target * float(self.enc.norm(dim=1).mean()) * 0.8
        self.b_enc[idle] = 0
        for p in (self.enc, self.dec, self.b_enc):
            state = self.optimizer.state[p]
            state["exp_avg"][idle] = 0
            state["exp_avg_sq"][idle] = 0
        self.idle[idle] = 0
        return len(idle)

    def parameters_in_model_units(self):
        """Undo the input scale: features then have unit decoder rows and read raw residuals."""
        s = self.scale
        return {"W_enc": self.enc.detach().T.contiguous(), "W_dec": self.dec.detach(), "b_enc": self.b_enc.detach() / s,
                "b_dec": self.b_dec.detach() / s, "threshold": torch.full((self.n,), self.threshold / s)}


def fit(x, trainer, args):
    """Train over shuffled tokens; resample idle features three times on the way."""
    steps = int(args.tokens / args.batch)
    start, resampled = time.time(), 0
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        done = max(step / steps, (time.time() - start) / 60 / args.minutes)
        if done >= 1:
            break
        if len(order) < args.batch:
            order = torch.randperm(len(x))
        batch, order = x[order[:args.batch]], order[args.batch:]
        for group in trainer.optimizer.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 50, (1 - done) / 0.35 + 0.01)
        loss, l0, error, centered = trainer.step(batch, args.idle, args.aux)
        if resampled < 3 and done > (0.12, 0.27, 0.42)[resampled] and done < 0.6:
            print(f"resampled {trainer.resample(error, centered, args.idle)}", flush=True)
            resampled += 1
        if step % 100 == 99:
            dead = float((trainer.idle > args.idle).float().mean())
            print(f"step {step + 1}/{steps} unexplained {loss:.4f} l0 {l0:.1f} idle {dead:.3f} "
                  f"{(step + 1) * args.batch / (time.time() - start):.0f} tokens/s", flush=True)


def fit_threshold(x, trainer):
    """The threshold at which saved features fire k times a token, on training residuals."""
    some = x[torch.randperm(len(x))[:8192]].float() * trainer.scale
    with torch.no_grad():
        pre = (some - trainer.b_dec) @ trainer.enc.T + trainer.b_enc
    trainer.threshold = float(pre.flatten().topk(trainer.k * len(some)).values[-1])


def save(trainer, args):
    """Write by SAELens, then store float16; cfg.json says float32, what readers compute in. Read back to check."""
    meta = SAEMetadata(model_name="saedb-demo", model_class_name="HookedTransformer", hook_name=HOOK, prepend_bos=True,
                       context_size=CONTEXT, exclude_special_tokens=True, disable_concat_sequences=True)
    cfg = JumpReLUSAEConfig(d_in=trainer.dec.shape[1], d_sae=trainer.n, dtype="float32", device="cpu",
                            apply_b_dec_to_input=True, normalize_activations="none", metadata=meta)
    sae = JumpReLUSAE(cfg)
    sae.load_state_dict(trainer.parameters_in_model_units())
    args.out.mkdir(parents=True, exist_ok=True)
    sae.save_model(str(args.out))
    path = args.out / "sae_weights.safetensors"
    save_file({k: v.half().contiguous() for k, v in load_file(path).items()}, path)
    path.chmod(0o644)
    back = SAE.load_from_disk(str(args.out), device="cpu")
    assert back.W_enc.dtype == torch.float32 and torch.allclose(back.W_dec, sae.W_dec, atol=1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "model", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--tokens", type=float, default=4e6)
    parser.add_argument("--documents", type=int, default=60000, help="training documents to take residuals from")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--aux", type=float, default=0.125)
    parser.add_argument("--idle", type=float, default=150000, help="tokens without firing before a feature counts as idle")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    x = residuals(args)
    trainer = Trainer(x, args.features, args.k, args.rate)
    fit(x, trainer, args)
    fit_threshold(x, trainer)
    save(trainer, args)


if __name__ == "__main__":
    main()
