# SPDX-License-Identifier: ISC
"""indexed.py SOCKET CORPUS.jsonl: what a store that saedb-index made says of its
corpus, against the corpus and against itself, for by-document and joined cuts."""
import json
import sys

import mp

c = mp.Client(sys.argv[1])
corpus = {}
with open(sys.argv[2], "rb") as f:
    for line in f:
        d = json.loads(line.decode("utf-8", "surrogateescape"))
        corpus[d["id"]] = d["text"].encode("utf-8", "surrogateescape")

run = c.call("run.list")["runs"][-1]
sae = run["saes"][0]["sae"]
documents, r = [], c.call("document.list", limit=7)
while True:
    documents += r["documents"]
    if "next" not in r:
        break
    r = c.call("document.list", limit=7, cursor=r["next"])
assert [d["number"] for d in documents] == list(range(run["n_documents"]))
assert len({d["document"] for d in documents}) == run["n_documents"]

n_short = n_tokens = 0
by_token = {}  # (window, offset) -> {feature: value}
for d in documents:
    whole = corpus[d["document"]]
    assert d["n_bytes"] == len(whole)
    text = c.call("document.get", document=d["document"], raw=True)["text"]
    if text != whole:  # a joined cut drops what does not fill its last window
        assert run["joined"] and whole.startswith(text), d
        n_short += 1
    assert n_short == 0 or text != whole or not whole, "a hole before the end"
    a = c.call("document.activations", document=d["document"], sae=sae, n=8192, raw=True)
    n_tokens += a["n_tokens"]
    pieces = b""
    for i, token in enumerate(a["tokens"]):
        if a["ends"][i] > a["starts"][i]:
            assert text[a["starts"][i]:a["ends"][i]] == token, (d, i, token)
            pieces += token
        lo, hi = a["row_start"][i:i + 2]
        row = dict(zip(a["features"][lo:hi], a["values"][lo:hi]))
        assert len(row) == hi - lo and list(row) == sorted(row)
        by_token[a["windows"][i], a["offsets"][i]] = row
    assert pieces == text, d
assert run["n_tokens"] - run["n_windows"] <= n_tokens <= run["n_tokens"]

rows, r = [], c.call("feature.list", sae=sae, limit=1000)
while True:
    rows += r["features"]
    if "next" not in r:
        break
    r = c.call("feature.list", sae=sae, limit=1000, cursor=r["next"])
n_checked = 0
for row in rows:
    if row["count"] == 0 or n_checked == 25:
        continue
    n_checked += 1
    f = c.call("feature.get", row["feature"])
    acts, after = [], -1
    while after is not None:
        a = c.call("feature.activations", feature=row["feature"], after=after, limit=3)
        acts += zip(a["windows"], a["offsets"], a["values"])
        after = a["next"]
    assert len(acts) == f["count"] == row["count"], (row, len(acts))
    assert max(v for _, _, v in acts) == f["max"] == row["max"]
    assert abs(sum(v for _, _, v in acts) - f["sum"]) <= 1e-9 * abs(f["sum"])
    for w, o, v in acts:
        assert by_token[w, o][row["index"]] == v
    r = c.call("feature.documents", feature=row["feature"], limit=1000)["documents"]
    assert sum(d["n_fired"] for d in r) == f["count"] and len(r) == f["n_documents"]
    assert [d["max"] for d in r] == sorted((d["max"] for d in r), reverse=True)
    assert r[0]["max"] == f["max"]
    for x in c.call("feature.examples", feature=row["feature"], interval=-2,
                    raw=True)["examples"]:
        token = x["tokens"][x["offset"] - x["first"]]
        if x["end"] > x["start"]:
            assert corpus[x["document"]][x["start"]:x["end"]] == token
        for i, v in enumerate(x["values"]):
            if v:
                assert by_token[x["window"], x["first"] + i][row["index"]] == v
assert n_checked
print("ok - %d documents (%d cut short), %d tokens, %d features" % (
    len(documents), n_short, n_tokens, n_checked))
