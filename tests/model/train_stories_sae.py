#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Trains tests/model/data/sae-stories/ with SAELens' own trainer, and writes what its
own code measures there to measured.json. Needs torch, transformers, transformer-lens
and sae-lens; seeded; about a minute of one CPU.

    train_stories_sae.py DIR

DIR holds what the test data does: stories260k/ (a Llama of 260,000 parameters) and
corpora/tinystories-1000.jsonl (the text that it was trained on). Trained on all but the
first 100 passages, as a BatchTopK whose input is scaled on average, which SAELens folds
in and saves as a JumpReLU; measured on those 100, cut as saedb-index cuts them.

stories260K is MIT; the passages are CDLA-Sharing-1.0, which leaves the results of
computing with its data free. Nothing of the passages is in the SAE's files.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import sae_lens
import torch
import transformers
from sae_lens.config import SAETrainerConfig
from sae_lens.evals import ExplainedVarianceCalculator
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.sae_trainer import SAETrainer

import make_fixtures_lens
import stories_to_hf

OUT = Path(__file__).resolve().parent / "data/sae-stories"
LAYER, CONTEXT, BOS, HELD_OUT = 2, 128, 1, 100
HOOK = f"blocks.{LAYER}.hook_resid_post"


def windows(tokenizer, texts):
    """As saedb-index cuts documents: BOS, and the next CONTEXT - 1 tokens."""
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        for at in range(0, len(ids), CONTEXT - 1):
            yield [BOS, *ids[at:at + CONTEXT - 1]]


@torch.no_grad()
def activations(model, all_windows):
    """At the hook, of every token but BOS."""
    out = []
    for w in all_windows:
        _, cache = model.run_with_cache(torch.tensor([w]), names_filter=HOOK,
                                        stop_at_layer=LAYER + 1)
        out.append(cache[HOOK][0, 1:])
    return torch.cat(out)


def batches(x, size):
    while True:
        order = torch.randperm(len(x))
        for at in range(0, len(x) - size, size):
            yield x[order[at:at + size]]


def train(x):
    sae = sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(
        d_in=x.shape[1], d_sae=256, k=16.0, normalize_activations="expected_average_only_in",
        metadata=SAEMetadata(model_name="stories260K", hook_name=HOOK, prepend_bos=True,
                             context_size=CONTEXT, model_from_pretrained_kwargs={})))
    trainer = SAETrainer(
        cfg=SAETrainerConfig(total_training_samples=1_500_000, train_batch_size_samples=1000,
                             lr=2e-3, lr_end=2e-4, lr_decay_steps=500, n_batches_for_norm_estimate=100),
        sae=sae, data_provider=batches(x, 1000))
    return trainer.fit()


@torch.no_grad()
def measure(x):
    """By SAELens, from the files."""
    sae = sae_lens.SAE.load_from_disk(OUT)
    explained, acts = ExplainedVarianceCalculator(), sae.encode(x)
    explained.add_batch(sae_output=sae.decode(acts), hidden_acts=x)
    best = acts.max(0)
    return {"n_tokens": len(x), "l0": (acts > 0).sum(-1).double().mean().item(),
            "explained_variance": explained.compute(),
            "n_alive": int((acts > 0).any(0).sum()),
            "count": (acts > 0).sum(0).tolist(),
            "max": [round(v, 6) for v in best.values.tolist()]}


def main():
    data = Path(sys.argv[1])
    torch.manual_seed(11)
    with tempfile.TemporaryDirectory() as tmp:
        model_dir = Path(tmp) / "model"
        stories_to_hf.convert(data / "stories260k/stories260K.bin", model_dir)
        shutil.copy(data / "stories260k/tok512.model", model_dir / "tokenizer.model")
        tokenizer = transformers.LlamaTokenizer.from_pretrained(model_dir)
        model = make_fixtures_lens.load(model_dir)
    lines = (data / "corpora/tinystories-1000.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    sae = train(activations(model, windows(tokenizer, texts[HELD_OUT:])))
    shutil.rmtree(OUT, ignore_errors=True)
    sae.save_inference_model(OUT)
    x = activations(model, windows(tokenizer, texts[:HELD_OUT]))
    (OUT / "measured.json").write_text(json.dumps(
        {"sae_lens": sae_lens.__version__, **measure(x)}) + "\n")


if __name__ == "__main__":
    main()
