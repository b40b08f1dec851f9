# SPDX-License-Identifier: ISC
"""What delphi's cache takes on disk, written by its published package: the corpus laid
end to end by SAELens into rows of the SAE's context, the model's block before the hook,
SAELens' encode. Prints tokens, activations, bytes of save_splits (its default, 5 splits)
and bytes of save. Leaves the rows for size_dashboard.py.

    size_delphi.py DELPHI MODEL SAE CORPUS OUT"""

import contextlib
import gzip
import io
import json
import pathlib
import sys

import torch
from sae_lens import SAE
from sae_lens.tokenization_and_batching import concat_and_batch_sequences
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from encode import delphi_cache

BATCH = 32  # rows


def read_rows(corpus, model, context):
    """Token ids (rows, context)."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    settings = json.loads((model / "tokenizer_config.json").read_text())
    bos = tokenizer.token_to_id(settings["bos_token"])
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    ids = tokenizer.encode_batch(texts, add_special_tokens=False)
    return torch.stack(list(concat_and_batch_sequences(
        (torch.tensor(e.ids) for e in ids), context, begin_batch_token_id=bos,
        sequence_separator_token_id=bos)))


def size(directory):
    """Bytes of the files below it."""
    return sum(p.stat().st_size for p in directory.rglob("*") if p.is_file())


def main():
    """Both forms of one cache."""
    delphi, model, sae, corpus, out = map(pathlib.Path, sys.argv[1:])
    meta = json.loads((sae / "cfg.json").read_text())["metadata"]
    rows = read_rows(corpus, model, meta["context_size"])
    rows = rows[:len(rows) // BATCH * BATCH]  # delphi leaves out the rest
    torch.save(rows, out / "rows.pt")
    sae = SAE.load_from_disk(str(sae), device="cpu", dtype="float32")
    hook = f"transformer.h.{int(meta['hook_name'].split('.')[1]) - 1}"
    lm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    cache = delphi_cache(str(delphi))(lm, {hook: sae.encode}, BATCH)
    with contextlib.redirect_stdout(io.StringIO()), \
            contextlib.redirect_stderr(io.StringIO()):
        cache.run(rows.numel(), rows)
        for name in ("splits", "whole"):
            (out / name).mkdir()
        cache.save_splits(5, out / "splits")
        cache.save(out / "whole")
    n = len(cache.cache.latent_activations[hook])
    print(rows.numel(), n, size(out / "splits"), size(out / "whole"))


if __name__ == "__main__":
    main()
