#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""
Compares ids and offsets over whole corpora with what `tokenizers` (and, for files
other than tokenizer.json, transformers) gives.

usage: compare_tok.py TOK_DUMP CORPUS.jsonl DIR...

TOK_DUMP is the built tests/model/tok_dump. Each DIR holds a tokenizer. Offsets
are compared as tests/model/test_tok_kinds.c does. Of the fixtures, tokk-dropped and
tokk-nfd-strip have other offsets: tokenizers counts wrongly behind what it leaves
out, and has another place for what it inserts where nothing is matched.
"""

import json
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer


def load(d):
    d = Path(d)
    if (d / "tokenizer.json").exists():
        j = json.loads((d / "tokenizer.json").read_text())
    else:
        import transformers
        config = d / "tokenizer_config.json"
        name = json.loads(config.read_text()).get("tokenizer_class") if config.exists() else None
        default = "GPT2Tokenizer" if (d / "vocab.json").exists() else "LlamaTokenizer"
        cls = getattr(transformers, (name or default).removesuffix("Fast"))
        j = json.loads(cls.from_pretrained(str(d)).backend_tokenizer.to_str())
    j["post_processor"] = None
    composes = '"NF' in json.dumps(j["normalizer"])
    return Tokenizer.from_str(json.dumps(j)), composes


def main():
    dump, corpus, *dirs = sys.argv[1:]
    texts = [json.loads(x)["text"] for x in open(corpus)]
    texts = [x.replace("\x1e", "") for x in texts]
    failed = False
    for d in dirs:
        t, composes = load(d)
        out = subprocess.run([dump, d], input="\x1e".join(texts).encode(),
                             stdout=subprocess.PIPE, check=True).stdout.decode()
        lines = out.split("\n")[:-1]
        assert len(lines) == len(texts)
        n = wrong_ids = wrong_offsets = 0
        for text, line in zip(texts, lines):
            e = t.encode(text, add_special_tokens=False)
            got = [tuple(map(int, x.split(":"))) for x in line.split()]
            n += len(got)
            if [x[0] for x in got] != e.ids:
                wrong_ids += 1
                continue
            place = {}  # of each byte, the character it belongs to
            at = 0
            for i, c in enumerate(text):
                for _ in c.encode():
                    place[at] = i
                    at += 1
            place[at] = len(text)
            for (_, a, b), (c, f) in zip(got, e.offsets):
                x, y = place[a], place[b - 1] + 1 if b > a else place[a]
                if not (c <= x <= f if a == b else x <= c and y >= f if composes
                        else (x, y) == (c, f)):
                    wrong_offsets += 1
        print(f"{d}: {len(texts)} texts, {n} tokens, {wrong_ids} texts with other ids, "
              f"{wrong_offsets} other offsets")
        failed |= wrong_ids + wrong_offsets > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
