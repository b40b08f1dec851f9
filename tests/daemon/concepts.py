# SPDX-License-Identifier: ISC
"""concepts.py SOCKET TEXTS.json: concept.neighbors against what the store says by other
methods: the model's way bit for bit, examples and scores computed again here."""
import json
import math
import re
import struct
import sys

import mp

c = mp.Client(sys.argv[1])
texts = json.load(open(sys.argv[2]))  # document id: its text
saes = [s["name"] for s in c.call("sae.list")["saes"]]
WAYS = ["labels", "examples", "model"]


def refused(name, argument, **params):
    try:
        r = c.call("concept.neighbors", **params)
    except mp.RpcError as e:
        assert (e.name, e.argument) == (name, argument), (params, e.name, e.argument, e)
        return str(e)
    raise AssertionError(f"{params} is answered: {r}")


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


# --- the model's way: what the index stored for the document that is the text
n_features = n_windows = 0
for document, text in texts.items():
    for sae in saes:
        a = c.call("document.activations", document=document, sae=sae, n=8192)
        counted = [i for i in range(a["n_tokens"]) if a["ids"][i] != 0]
        peak, last = {}, {}
        for i in counted:
            for at in range(*a["row_start"][i:i + 2]):
                f, v = a["features"][at], a["values"][at]
                peak[f] = max(peak.get(f, (0, 0)), (v, -i))
                if i == counted[-1]:
                    last[f] = v
        r = c.call("concept.neighbors", text=text, sae=sae, via="model", k=200, top=0,
                   as_is=True)
        windows = sorted(set(a["windows"]))  # a BOS before each is not the document's
        assert r["ways"][0]["n_tokens"] == a["n_tokens"] + len(windows), (r["ways"], a)
        rows = c.call("feature.many", [f"{sae}/{f}" for f in sorted(peak)])["features"]
        expected = {}
        for f, row in zip(sorted(peak), rows):
            density = row["count"] / row["n_tokens"]
            chance = 1 - (1 - density) ** len(counted)
            strength = min(f32(peak[f][0] / row["max"]), 1)
            if 0.75 > chance:
                expected[f] = strength * math.log(0.75 / chance)
        assert len(r["features"]) == len(expected), (document, sae)
        for x in r["features"]:
            found = x["found"]["model"]
            assert found["peak"] == peak[x["index"]][0], (document, x)
            at = -peak[x["index"]][1]
            assert found["token"] == at + windows.index(a["windows"][at]) + 1
            assert found["last"] == last.get(x["index"], 0)
            assert abs(found["score"] - expected[x["index"]]) < 1e-6
        scores = [x["found"]["model"]["score"] for x in r["features"]]
        assert scores == sorted(scores, reverse=True)
        n_features += len(expected)
        n_windows += len(windows)
assert n_features > 100 and n_windows > len(texts) * len(saes), (n_features, n_windows)
print(f"ok - {n_features} peaks as the index has them")

# inside a sentence: as the text with a space before it
inside = c.call("concept.neighbors", text="golden gate", via="model", k=200)
spaced = c.call("concept.neighbors", text=" golden gate", via="model", k=200, as_is=True)
alone = c.call("concept.neighbors", text="golden gate", via="model", k=200, as_is=True)
assert inside["features"] == spaced["features"] != alone["features"]
print("ok - inside a sentence")

# --- examples: counted again from every document
WORD = re.compile(rb"[0-9a-z]+")


def places(document, words, sae):
    """Activations on each match: a dict of largest values, and how many tokens."""
    text = c.call("document.get", document=document, raw=True)["text"].lower()
    a = c.call("document.activations", document=document, sae=sae, n=8192)
    found = [m.span() for m in WORD.finditer(text)]
    for i in range(len(found) - len(words) + 1):
        if [text[slice(*s)] for s in found[i:i + len(words)]] != words:
            continue
        lo, hi = found[i][0], found[i + len(words) - 1][1]
        on = [t for t in range(a["n_tokens"]) if a["starts"][t] < hi and a["ends"][t] > lo
              and a["ends"][t] > a["starts"][t]]
        if len({a["windows"][t] for t in on}) != 1:
            continue  # cut between windows: no window has the phrase
        best = {}
        for t in on:
            for at in range(*a["row_start"][t:t + 2]):
                f = a["features"][at]
                best[f] = max(best.get(f, 0), a["values"][at])
        yield best, len(on)


ids, r = [], c.call("document.list", limit=1000)
ids = [d["document"] for d in r["documents"]]
for sae in saes:
    all_places = [p for d in ids for p in places(d, [b"golden", b"gate", b"bridge"], sae)]
    n, n_tokens = len(all_places), sum(t for _, t in all_places)
    r = c.call("concept.neighbors", text="Golden, GATE bridge", sae=sae, via="examples", k=200,
               top=0, windows=1000)
    way = r["ways"][0]
    assert way["match"] == "phrase" and way["n_matches"] == n > 10, (way, n)
    fired = {f for best, _ in all_places for f in best}
    rows = c.call("feature.many", [f"{sae}/{f}" for f in sorted(fired)])["features"]
    expected = {}
    for f, row in zip(sorted(fired), rows):
        n_fired = sum(f in best for best, _ in all_places)
        strength = sum(best.get(f, 0) for best, _ in all_places) / n / row["max"]
        chance = 1 - (1 - row["count"] / row["n_tokens"]) ** (n_tokens / n)
        rate = (n_fired + 0.5) / (n + 1)
        if rate > chance:
            expected[f] = n_fired, strength, strength * math.log(rate / chance)
    assert {x["index"] for x in r["features"]} == set(expected)
    for x in r["features"]:
        found, e = x["found"]["examples"], expected[x["index"]]
        assert (found["n_fired"], found["n_matches"]) == (e[0], n), (x, e)
        assert abs(found["strength"] - e[1]) < 1e-6 and abs(found["score"] - e[2]) < 1e-5
print("ok - examples are counted")
few = c.call("concept.neighbors", text="golden gate bridge", via="examples", windows=3)
assert few["ways"][0]["n_windows"] == 3
for text, how in (("golden tower park", "all"), ("golden nowhereatall", "any")):
    way = c.call("concept.neighbors", text=text, via="examples")["ways"][0]
    assert way["match"] == how and way["n_matches"] > 0, way
print("ok - at most so many windows, and less than the phrase")

# --- labels: the phrase before all words, these before any
for i, text in enumerate(["the Zzyx-Qaab tower", "qaab of zzyx", "only QÄAB", "qaabs"]):
    c.call("label.set", f"{saes[0]}/{i}", text)
r = c.call("concept.neighbors", text='"zzyx qaab', via="labels")
got = [(x["index"], x["found"]["labels"]["match"]) for x in r["features"]]
assert got == [(0, "phrase"), (1, "all"), (2, "any")], got
print("ok - labels")

# --- one ranking, the ways in it, and neighbors
r = c.call("concept.neighbors", text="golden gate bridge", k=50, top=4, neighbors=3)
assert [w["via"] for w in r["ways"]] == WAYS
assert all(w["missing"] is None for w in r["ways"] if w["n"] > 0), r["ways"]
alone = {w: {(x["sae"], x["index"]): x["found"][w] for x in c.call(
    "concept.neighbors", text="golden gate bridge", via=w, k=200, top=0)["features"]}
    for w in WAYS}
scores = {}
for w in WAYS:
    for key, found in alone[w].items():
        scores[key] = scores.get(key, 0) + 1 / (60 + found["rank"])
order = sorted(scores, key=lambda key: (-round(scores[key], 14), saes.index(key[0]), key[1]))
assert [(x["sae"], x["index"]) for x in r["features"]] == order[:50]
for i, x in enumerate(r["features"]):
    key = x["sae"], x["index"]
    assert x["found"] == {w: alone[w][key] for w in WAYS if key in alone[w]}
    near = []
    for sae in sorted(saes, key=lambda s: (saes.index(s) - saes.index(x["sae"])) % len(saes)):
        if i >= 4:
            break
        if (sae == "L") != (x["sae"] == "L"):  # they read at different places
            continue
        n = c.call("feature.neighbors", feature=x["feature"], sae=sae, k=3)["neighbors"]
        near += [(y["sae"], y["index"], y["cosine"], y["label"]) for y in n]
    assert near == [(y["sae"], y["index"], y["cosine"], y["label"]) for y in x["neighbors"]]
print("ok - one ranking, and neighbors")

# --- wrong and hostile
refused("bad_argument", "text", text="")
refused("bad_argument", "text", text="x" * 4097)
refused("bad_argument", "text", text="a\0b")
refused("missing_argument", "text")
refused("bad_argument", "via", text="x", via="magic")
refused("bad_argument", "k", text="x", k=0)
refused("bad_argument", "k", text="x", k=201)
refused("bad_argument", "windows", text="x", windows=0)
refused("bad_argument", "sae", text="x", sae=7)
refused("bad_argument", "sae", text="x", sae=[saes[0], 7])
refused("not_found", "sae", text="x", sae="nope")
refused("bad_argument", "sae", text="x", sae=[])
refused("not_found", "run", text="x", run=77)
for text in ('"', '" OR (', "NEAR(a b, 2)", "a* AND -b^", "'; DROP TABLE label;--", "text:x",
             b"\xff\xfe golden \xc3", "x " * 2048, "y" * 4096, "\u202e\u0301", "金門大橋",
             "   ", "\n", "<|endoftext|>", "golden<|endoftext|>gate", "{}[]()!?*"):
    r = c.call("concept.neighbors", text=text, k=3)
    assert len(r["ways"]) == 3, text
r = c.call("concept.neighbors", text="<|endoftext|>", via="model")
assert r["features"] == [] and r["ways"][0]["missing"], r
r = c.call("concept.neighbors", text="?!", via="labels")
assert r["features"] == [] and "no words" in r["ways"][0]["missing"], r
info = c.call("server.info")["model"]
assert info["state"] == "open" and info["n_bytes"] > 1000 and info["n_saes"] == len(saes), info
print("ok - wrong and hostile")
