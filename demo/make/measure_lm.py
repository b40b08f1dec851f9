"""Measure the language model on the demo corpus: loss beside baselines, facts, sums, siblings told apart.

Usage: measure_lm.py --model MODEL_DIR --corpus CORPUS_DIR --train TRAIN.jsonl; prints JSON."""
import argparse
import collections
import json
import pathlib

import numpy as np
import torch

from data import BOS, encode, load_tokenizer, read_texts
from residual import Windows, collect, load_model
from tags import Tags

SMOOTH = 0.1


def unigram_bigram(train, held, size):
    """Held-out nats a token of smoothed counts from the training tokens; bigrams fall back on unigrams."""
    one = np.ones(size)
    pairs, firsts = collections.Counter(), collections.Counter()
    for ids in train:
        np.add.at(one, ids, 1)
        whole = [BOS] + ids
        pairs.update(zip(whole, whole[1:]))
        firsts.update(whole[:-1])
    one = one / one.sum()
    uni, bi, n = 0.0, 0.0, 0
    for ids in held:
        for a, b in zip([BOS] + ids, ids):
            uni -= np.log(one[b])
            bi -= np.log((pairs[a, b] + SMOOTH * size * one[b]) / (firsts[a] + SMOOTH * size))
            n += 1
    return uni / n, bi / n


@torch.no_grad()
def predictions(model, windows):
    """Loss and argmax for each non-BOS token of each window."""
    losses, best = [None] * len(windows.items), [None] * len(windows.items)
    for take, ids, lengths in windows.batches():
        logp = model(ids).logits.log_softmax(-1)
        for row, j in enumerate(take):
            target = ids[row, 1:lengths[row]]
            here = logp[row, :lengths[row] - 1]
            losses[j] = -here.gather(1, target[:, None])[:, 0].numpy()
            best[j] = here.argmax(1).numpy()
    return losses, best


def joined(parts, windows):
    """Per-token arrays of a document's windows put together again."""
    docs = collections.defaultdict(list)
    for (doc, _, _), part in zip(windows.items, parts):
        docs[doc].append(part)
    return {d: np.concatenate(p) for d, p in docs.items()}


def right(best, ids, start, end):
    """All tokens of a span predicted, each given the true ones before it."""
    return bool((best[start:end] == np.array(ids[start:end])).all())


def facts(tags, best, ids):
    """Share of facts predicted from the entity's name, when told for the first time, by theme; and chance."""
    hits, kinds = collections.defaultdict(list), collections.defaultdict(set)
    by_rank = collections.defaultdict(list)
    for doc, side in enumerate(tags.sides):
        for fact in side["facts"]:
            theme = fact["concept"].split(".")[0]
            start, end = tags.tokens(doc, fact)
            kinds[theme, fact["kind"]].add(tuple(ids[doc][start:end]))
            if fact["told"] == "first":
                ok = right(best[doc], ids[doc], start, end)
                hits[theme].append(ok)
                by_rank[fact["concept"]].append(ok)
    chance = {t: float(np.mean([1 / len(v) for (u, _), v in kinds.items() if u == t])) for t in hits}
    return ({t: {"right": float(np.mean(h)), "chance": chance[t], "asked": len(h)} for t, h in hits.items()},
            {c: float(np.mean(h)) for c, h in by_rank.items()})


def results(tags, best, ids):
    """Share of results (sums, products, list items) predicted, by operation and by way of calling; and chance."""
    hits, kinds = collections.defaultdict(list), collections.defaultdict(collections.Counter)
    for doc, side in enumerate(tags.sides):
        for result in side["results"]:
            start, end = tags.tokens(doc, result)
            what = result["what"] if result["what"] == "list" else f"{result['what']}, {result['how']}"
            hits[what].append(right(best[doc], ids[doc], start, end))
            kinds[what][tuple(ids[doc][start:end])] += 1
    top = {w: max(c.values()) / sum(c.values()) for w, c in kinds.items()}
    return {w: {"right": float(np.mean(h)), "commonest_answer": top[w], "asked": len(h)} for w, h in sorted(hits.items())}


def sibling_cosine(tags, x, starts, themes):
    """Mean cosine between mean residuals of a theme's entities, on their names' last tokens, the global mean subtracted."""
    first_row = tags.first_rows(starts)
    mean, table = x.mean(0), {}
    for theme in themes:
        rows = collections.defaultdict(list)
        for doc, side in enumerate(tags.sides):
            for c in side["concepts"]:
                if c["theme"] == theme:
                    rows[c["concept"]].append(first_row[doc] + tags.tokens(doc, c)[1] - 1)
        means = np.array([x[r].mean(0) - mean for r in rows.values() if len(r) >= 3])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        table[theme] = float((means @ means.T)[np.triu_indices(len(means), 1)].mean())
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "corpus", "train"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    args = parser.parse_args()
    tok, model = load_tokenizer(args.model), load_model(args.model)
    texts = read_texts(args.corpus / "demo.jsonl.gz")
    windows = Windows(tok, texts)
    ids = list(encode(tok, texts))
    losses, best = predictions(model, windows)
    train = list(encode(tok, read_texts(args.train)))
    uni, bi = unigram_bigram(train, ids, tok.get_vocab_size())
    tags = Tags(args.corpus / "tags.jsonl.gz", tok, texts)
    best = joined(best, windows)
    by_theme, by_entity = facts(tags, best, ids)
    themes = ["borough", "landmark", "country", "city", "person", "element", "transit", "kin"]
    cosine = sibling_cosine(tags, *collect(model, windows), themes)
    report = {"tokens": sum(map(len, ids)), "train_tokens": sum(map(len, train)),
              "loss": float(np.concatenate(losses).mean()), "unigram": uni, "bigram": bi,
              "facts": by_theme, "results": results(tags, best, ids), "sibling_cosine": cosine,
              "sibling_cosine_mean": float(np.mean(list(cosine.values()))),
              "borough_facts": {c: r for c, r in by_entity.items() if c.startswith("borough.")}}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
