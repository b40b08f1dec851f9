"""Write the training text, the demo corpus, its tags and the list of concepts.

Usage: generate.py --train DOCS --demo DOCS --work DIR --out DIR [--seed N]
Training text goes to DIR/train.jsonl (one {"text"} a line), the rest to the out directory."""
import argparse
import collections
import gzip
import json
import pathlib
import random

from markup import parse
from parallel import parallel_passage
from programs import program
from prose import Scene, abstract_passage, comparison, entity_passage, everyday_passage, list_passage, register

SHARES = {"borough": 13, "landmark": 11, "country": 7, "city": 6, "person": 7, "element": 8, "transit": 4, "kin": 4,
          "abstract": 14, "everyday": 3, "parallel": 9, "code": 20, "list": 3}
ENTITY_THEMES = list(SHARES)[:8]


def one_passage(scene, kind):
    """(marked text, language) of one passage."""
    if kind in ENTITY_THEMES:
        make = scene.rng.choices([entity_passage, register, comparison], [6, 3, 1])[0]
        return make(scene, kind), "en"
    if kind == "parallel":
        return parallel_passage(scene)
    if kind == "code":
        return program(scene.rng)
    make = {"abstract": abstract_passage, "everyday": everyday_passage, "list": list_passage}[kind]
    return make(scene), "en"


def document(rng, demo):
    """A document of one to three passages: (text, spans, language, kinds)."""
    scene = Scene(rng, demo)
    kinds = rng.choices(list(SHARES), list(SHARES.values()), k=rng.choices([1, 2, 3], [6, 3, 1])[0])
    if kinds[0] in ("code", "parallel"):
        kinds = kinds[:1]
    kinds = kinds[:1] + [k for k in kinds[1:] if k not in ("code", "parallel", "list")]
    if "landmark" in kinds and rng.random() < 0.2:
        kinds.append("kin")
    passages = [one_passage(scene, k) for k in kinds]
    joint = "\n" if rng.random() < 0.2 else " "
    text, spans = parse(joint.join(p[0].strip() for p in passages))
    return text, spans, passages[0][1], kinds


def tags(spans):
    """Spans sorted into concepts, facts and results; all in bytes."""
    found = {"concepts": [], "facts": [], "results": []}
    for label, start, end in spans:
        sort, rest = label.split(":", 1)
        place = {"start": start, "end": end}
        if sort == "c":
            found["concepts"].append({"concept": rest, "theme": rest.split(".")[0], **place})
        elif sort == "f":
            theme, entity, kind, told = rest.split("|")
            found["facts"].append({"concept": f"{theme}.{entity}", "kind": kind, "told": told, **place})
        else:
            what, how = rest.split("|")
            found["results"].append({"what": what, "how": how, **place})
    return found


def write_training(count, rng, path):
    """Training documents; returns how many documents and spans each concept has there."""
    documents, mentions = collections.Counter(), collections.Counter()
    with open(path, "w", encoding="utf-8") as out:
        for _ in range(count):
            text, spans, _, _ = document(rng, demo=False)
            concepts = [label[2:] for label, _, _ in spans if label.startswith("c:")]
            mentions.update(concepts)
            documents.update(set(concepts))
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return documents, mentions


def gzip_lines(path, rows):
    """Write rows as JSON Lines, compressed without a time stamp so that bytes repeat."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def write_demo(count, rng, out):
    """The held-out corpus and its tags."""
    rows, sides = [], []
    for i in range(count):
        text, spans, lang, kinds = document(rng, demo=True)
        name = f"d{i:05d}"
        rows.append({"id": name, "text": text, "lang": lang, "tags": kinds})
        sides.append({"id": name, **tags(spans)})
    gzip_lines(out / "demo.jsonl.gz", rows)
    gzip_lines(out / "tags.jsonl.gz", sides)
    return collections.Counter(c for s in sides for c in {x["concept"] for x in s["concepts"]})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=290000)
    parser.add_argument("--demo", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1937)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    documents, mentions = write_training(args.train, random.Random(args.seed), args.work / "train.jsonl")
    demo = write_demo(args.demo, random.Random(args.seed + 1), args.out)
    concepts = [{"concept": c, "theme": c.split(".")[0], "train_documents": documents[c], "train_mentions": mentions[c],
                 "demo_documents": demo[c]} for c in sorted(set(documents) | set(demo))]
    (args.out / "concepts.json").write_text(json.dumps(concepts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{args.train} training documents, {args.demo} demo documents, {len(concepts)} concepts")


if __name__ == "__main__":
    main()
