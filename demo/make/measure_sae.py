"""Measure the saved SAEs on the demo corpus: L0, explained variance, dead share, concepts covered, the Golden Gate.

Usage: measure_sae.py --model MODEL_DIR --corpus CORPUS_DIR SAE_DIR ...; prints JSON."""
import argparse
import collections
import json
import pathlib

import numpy as np
import torch
from sae_lens import SAE

from data import BOS, load_tokenizer, read_texts
from residual import Windows, collect, load_model, stream_at_hook
from tags import Tags

BEST, AROUND, NEEDED = 20, 2, 0.9


class Firing:
    """All activations over the corpus, sorted by feature, the strongest first."""

    def __init__(self, sae, x, step=4096):
        rows, cols, values, error = [], [], [], 0.0
        for i in range(0, len(x), step):
            part = torch.from_numpy(x[i:i + step])
            with torch.no_grad():
                f = sae.encode(part)
                error += float((part - sae.decode(f)).double().pow(2).sum())
            r, c = f.nonzero(as_tuple=True)
            rows.append((r + i).numpy())
            cols.append(c.numpy())
            values.append(f[r, c].numpy())
        row, col, value = map(np.concatenate, (rows, cols, values))
        order = np.lexsort((row, -value, col))
        self.row, self.value = row[order], value[order]
        self.begin = np.searchsorted(col[order], np.arange(sae.cfg.d_sae + 1))
        self.explained = 1 - error / float(np.square(x - x.mean(0), dtype=np.float64).sum())
        self.l0 = len(row) / len(x)

    def strongest(self, feature):
        return self.row[self.begin[feature]:self.begin[feature + 1]]

    def dead(self):
        return float((np.diff(self.begin) == 0).mean())


def best_examples(rows, window_of, tokens, wanted=BEST):
    """Peak rows of the best examples: one a window, none with the same tokens around its peak as a better one."""
    windows, contexts, peaks = set(), set(), []
    for r in rows:
        w = window_of[r]
        if w in windows:
            continue
        windows.add(w)
        context = tuple(tokens[max(0, r - AROUND):r + AROUND + 1])
        if context in contexts:
            continue
        contexts.add(context)
        peaks.append(r)
        if len(peaks) == wanted:
            break
    return peaks


def concepts_of_rows(tags, first_row, window_of):
    """({row: {concept}}, {concept: number of windows it occurs in})."""
    inside, windows = collections.defaultdict(set), collections.defaultdict(set)
    for doc, side in enumerate(tags.sides):
        for span in side["concepts"]:
            start, end = tags.tokens(doc, span)
            for r in range(first_row[doc] + start, first_row[doc] + end):
                inside[r].add(span["concept"])
                windows[span["concept"]].add(window_of[r])
    return inside, {c: len(w) for c, w in windows.items()}


def coverage(firing, features, inside, occurs, window_of, tokens):
    """Best feature of each concept: (share of best examples with their peak inside its spans, feature).
    A feature with fewer examples than asked for has its missing ones counted against it."""
    found = {c: (0.0, None) for c in occurs}
    for feature in range(features):
        peaks = best_examples(firing.strongest(feature), window_of, tokens)
        for concept in set().union(*(inside[r] for r in peaks)) if peaks else ():
            wanted = min(BEST, occurs[concept])
            share = sum(concept in inside[r] for r in peaks[:wanted]) / wanted
            if share > found[concept][0]:
                found[concept] = (share, feature)
    return found


def operation(firing, features, tags, first_row, window_of, op="add"):
    """A feature for functions that do `op`, directly or through a call: of the windows with such a function, and of
    those with other arithmetic, the share in which it fires on a tagged name or body; the one that tells them apart best."""
    mine, other = {}, {}
    for doc, side in enumerate(tags.sides):
        for span in side["concepts"]:
            for act in ("add", "mul", "sub"):
                if span["concept"] in (f"code.{act}", f"code.calls_{act}"):
                    start, end = tags.tokens(doc, span)
                    for r in range(first_row[doc] + start, first_row[doc] + end):
                        (mine if act == op else other)[r] = span["concept"]
    functions = {c: {window_of[r] for r, k in mine.items() if k == c} for c in (f"code.{op}", f"code.calls_{op}")}
    elsewhere = {window_of[r] for r in other}
    best = (-1.0, None)
    for feature in range(features):
        rows = firing.strongest(feature)
        hits = [r for r in rows if r in mine]
        if len(hits) < 0.5 * len(rows) or not hits:
            continue
        shares = [len({window_of[r] for r in hits if mine[r] == c}) / max(1, len(w)) for c, w in functions.items()]
        wrong = len({window_of[r] for r in rows if r in other}) / max(1, len(elsewhere))
        best = max(best, (min(shares) - wrong, {"feature": feature, "adds": shares[0], "only_calls": shares[1],
                                                "other_arithmetic": wrong, "peaks_inside": len(hits) / len(rows)}),
                   key=lambda b: b[0])
    return best[1]


def sentence_means(sae, model, tok, text):
    """Mean activation of every feature over one sentence, BOS left out."""
    ids = torch.tensor([[BOS] + tok.encode(text).ids])
    with torch.no_grad():
        return sae.encode(stream_at_hook(model, ids)[0, 1:]).mean(0).numpy()


def golden_gate(sae, model, tok, test):
    """The feature strongest by mean activation on the bridge's sentence in most languages; its rank and means there,
    and what it does on the negatives."""
    positive = {lang: sentence_means(sae, model, tok, s) for lang, s in test["positive"].items()}
    negative = np.array([sentence_means(sae, model, tok, s) for s in test["negative"]])
    ranks = {lang: np.argsort(np.argsort(-m)) + 1 for lang, m in positive.items()}
    worst = np.max([r for r in ranks.values()], axis=0)
    total = np.sum([r for r in ranks.values()], axis=0)
    quiet = negative.max(0) < np.min([m for m in positive.values()], axis=0)
    candidates = np.lexsort((total, worst, ~quiet))
    f = int(candidates[0])
    any_best = int(np.lexsort((total, worst))[0])
    return {"feature": f, "rank": {lang: int(r[f]) for lang, r in ranks.items()},
            "mean": {lang: round(float(m[f]), 3) for lang, m in positive.items()},
            "negatives": [round(float(v), 3) for v in negative[:, f]],
            "strongest_regardless_of_negatives": any_best, "its_rank": {lang: int(r[any_best]) for lang, r in ranks.items()},
            "its_negatives": [round(float(v), 3) for v in negative[:, any_best]],
            "top": {lang: [(int(i), round(float(m[i]), 2)) for i in np.argsort(-m)[:6]] for lang, m in positive.items()}}


def themes(found):
    """Concepts covered and asked for, by theme."""
    table = collections.defaultdict(lambda: [0, 0])
    for concept, (share, _) in found.items():
        row = table[concept.split(".")[0]]
        row[0] += share >= NEEDED
        row[1] += 1
    return dict(sorted(table.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("sae", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    tok, model = load_tokenizer(args.model), load_model(args.model)
    texts = read_texts(args.corpus / "demo.jsonl.gz")
    windows = Windows(tok, texts)
    x, starts = collect(model, windows)
    window_of = np.repeat(np.arange(len(windows.items)), np.diff(starts))
    tokens = np.concatenate([w[1:] for _, _, w in windows.items])
    tags = Tags(args.corpus / "tags.jsonl.gz", tok, texts)
    inside, occurs = concepts_of_rows(tags, tags.first_rows(starts), window_of)
    trained = {c["concept"]: c["train_mentions"] for c in json.loads((args.corpus / "concepts.json").read_text())}
    test = json.loads((args.corpus / "golden_gate.json").read_text())
    report = {}
    for path in args.sae:
        sae = SAE.load_from_disk(str(path), device="cpu")
        firing = Firing(sae, x)
        found = coverage(firing, sae.cfg.d_sae, inside, occurs, window_of, tokens)
        report[path.name] = {
            "tokens": len(x), "l0": firing.l0, "explained_variance": firing.explained, "dead": firing.dead(),
            "covered": sum(s >= NEEDED for s, _ in found.values()), "concepts": len(found), "themes": themes(found),
            "addition": operation(firing, sae.cfg.d_sae, tags, tags.first_rows(starts), window_of),
            "golden_gate": golden_gate(sae, model, tok, test),
            "best_feature": {c: {"share": round(s, 3), "feature": f, "train_mentions": trained.get(c, 0), "windows": occurs[c]}
                             for c, (s, f) in sorted(found.items())}}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
