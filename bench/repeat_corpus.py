# SPDX-License-Identifier: ISC
"""Documents again and again, each time with a number behind them, until there are so
many times the text: repeat_corpus.py CORPUS.jsonl.gz TIMES OUT.jsonl.gz"""
import gzip
import json
import sys

with gzip.open(sys.argv[1], "rt", encoding="utf-8") as f:
    documents = [json.loads(line) for line in f]
with gzip.open(sys.argv[3], "wt", encoding="utf-8", compresslevel=1) as out:
    for i in range(int(sys.argv[2])):
        for d in documents:
            again = dict(d, text=f"{d['text']} {i}")
            if "id" in d:
                again["id"] = f"{d['id']}-{i}"
            out.write(json.dumps(again) + "\n")
