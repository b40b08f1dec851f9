#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Writes release_table.c: SAELens' releases, from the pretrained_saes.yaml of the
installed sae-lens (a path to another may be given). Only needed to rebuild it;
tests/reference/releases.py compares what saedb makes of it with the yaml.

A row of the table stands for many ids: "blocks.{0-11}.hook_resid_{post,pre}" for each
choice in braces, the last one fastest. In the path beside it {1} is the choice in
the first braces, and <a,b> holds one word for each of the ids in turn; so does the
list of scales. A path "=" is the id."""

import itertools
import json
import re
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import yaml

# The loaders that make use of the list's norm_scaling_factor where the files do not
# tell it. Llama Scope's stands in hyperparams.json.
SCALED = {"sae_lens", "llama_scope_r1_distill"}
# What config_overrides may hold, and what becomes of it: a flag, or nothing, where it
# says nothing that counts when an SAE is applied.
OVERRIDES = {
    "dataset_path": lambda v: None,
    "normalize_activations": lambda v: {
        "constant_norm_rescale": "RELEASE_CONSTANT_NORM"}[v],
    "model_from_pretrained_kwargs": lambda v: {
        "{'center_writing_weights': True}": "RELEASE_CENTER"}[str(v)],
}
# Refused by the loader, so nothing of theirs is applied.
REFUSED = {"temporal"}
SPLITS = [r"[A-Za-z0-9]+|[^A-Za-z0-9]+", r"\d+|[A-Za-z]+|[^A-Za-z0-9]+"]


def natural(word):
    return [(0, int(p), p) if p.isdigit() else (1, 0, p)
            for p in re.findall(r"\d+|\D+", word)]


def braces(words):
    """{0-11}, {big,small}, or the word alone."""
    if len(words) == 1:
        return words[0]
    if all(w.isdigit() and str(int(w)) == w for w in words):
        n = [int(w) for w in words]
        if n == list(range(n[0], n[-1] + 1)) and len(n) > 2:
            return f"{{{n[0]}-{n[-1]}}}"
    return "{" + ",".join(words) + "}"


def shape(tokens):
    return tuple("" if t[0].isalnum() else t for t in tokens)


def products(vectors, order):
    """The vectors as few sets of words side by side."""
    rows = [tuple(frozenset([w]) for w in v) for v in vectors]
    for c in order:
        merged = {}
        for r in rows:
            merged.setdefault(r[:c] + r[c + 1:], set()).update(r[c])
        rows = [k[:c] + (frozenset(s),) + k[c:] for k, s in merged.items()]
    return [[sorted(s, key=natural) for s in r] for r in rows]


def path_of(row, columns, path_tokens, at):
    """The path's pattern of a row; columns tells which id column a token repeats."""
    ids = list(itertools.product(*row))
    number, n = {}, 0
    for c, words in enumerate(row):
        if len(words) > 1:
            n += 1
            number[c] = n
    out = ""
    for i, c in enumerate(columns):
        words = [path_tokens[at[v]][i] for v in ids]
        if len(set(words)) == 1:
            out += words[0]
        elif c is not None:
            out += f"{{{number[c]}}}"
        else:
            out += "<" + ",".join(words) + ">"
    return out


def group_rows(members, scales):
    """Rows of ids whose tokens, and whose paths' tokens, have one shape."""
    vectors = [m[0] for m in members]
    paths = [m[1] for m in members]
    at = {v: i for i, v in enumerate(vectors)}
    variable = [c for c in range(len(vectors[0])) if len({v[c] for v in vectors}) > 1]
    columns = [next((c for c in variable if all(
        p[i] == v[c] for v, p in zip(vectors, paths))), None)
        for i in range(len(paths[0]))]
    best = None
    for order in itertools.permutations(variable):
        rows = []
        for r in products(vectors, order):
            pid = "".join(braces(words) for words in r)
            path = path_of(r, columns, paths, at)
            by = [scales["".join(v)] for v in itertools.product(*r)]
            rows.append((pid, "=" if path_same(r, path) else path, ",".join(by)))
        if best is None or size(rows) < size(best):
            best = rows
    return best


def path_same(row, path):
    n = itertools.count(1)
    return path == "".join(
        w[0] if len(w) == 1 else f"{{{next(n)}}}" for w in row)


def size(rows):
    return sum(len(a) + len(b) + len(c) + 20 for a, b, c in rows)


def rows_of(saes, scales):
    best = None
    for split in itertools.product(SPLITS, SPLITS):
        groups = {}
        for sae_id, path in saes.items():
            a, b = re.findall(split[0], sae_id), re.findall(split[1], path)
            assert "".join(a) == sae_id and "".join(b) == path
            groups.setdefault((shape(a), shape(b)), []).append((tuple(a), b))
        rows = sum((group_rows(g, scales) for g in groups.values()), [])
        if best is None or size(rows) < size(best):
            best = rows
    return sorted(best, key=lambda r: natural(r[0]))


def release_of(name, r):
    loader = r.get("conversion_func") or "sae_lens"
    scaled = loader in SCALED
    # an entry that swallowed a release by a slip of the indent is still one id
    saes = {s["id"]: str(s["path"]) for s in r["saes"]}
    scales = {s["id"]: repr(s["norm_scaling_factor"])
              if scaled and "norm_scaling_factor" in s else "" for s in r["saes"]}
    words = [*saes, *saes.values(), *scales.values()]
    assert not any(set(w) & set('{}<>,"\\\t\n') for w in words), name
    assert not re.search("[/:@]", name) and not any(":" in i for i in saes), name
    flags = []
    for key, value in (r.get("config_overrides") or {}).items():
        if loader not in REFUSED:
            flags.append(OVERRIDES[key](value))
    rows = rows_of(saes, scales)
    for i, (a, b, c) in enumerate(rows):
        if not c.strip(","):
            rows[i] = (a, b, "")
    return loader, [f for f in flags if f], rows


def literal(text, first):
    """A C string in lines of at most 88 columns; first is where it begins."""
    room, parts = 88 - first - 4, []
    while text:
        parts.append(json.dumps(text[:room]))
        text, room = text[room:], 88 - 8 - 4
    return "\n\t".join(parts)


def row_text(row):
    scales = row[2] and literal(row[2], 8)
    short = ", ".join(json.dumps(w) for w in row[:2])
    if len(short) <= 70:
        return "\t{" + short + (",\n\t" + scales if scales else ", NULL") + "},\n"
    return "\t{" + ",\n\t".join([literal(row[0], 9), literal(row[1], 8),
                                scales or "NULL"]) + "},\n"


def main():
    if len(sys.argv) > 1:
        source, text = sys.argv[1], Path(sys.argv[1]).read_text()
    else:
        source = "sae-lens " + version("sae-lens")
        text = files("sae_lens").joinpath("pretrained_saes.yaml").read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    releases = yaml.load(text, Loader=loader)
    table, all_rows, n_ids = [], [], 0
    for name in sorted(releases):
        r = releases[name]
        loader, flags, rows = release_of(name, r)
        n_ids += len({s["id"] for s in r["saes"]})
        table.append(f'\t{{"{name}", "{r["repo_id"]}",\n\t\t"{loader}", '
                     f'{" | ".join(flags) or 0}, {len(all_rows)}, {len(rows)}}},\n')
        all_rows += rows
    out = ["/* SPDX-License-Identifier: ISC */\n"
           f"/* Generated by make_releases.py from {source}:\n"
           f" * {len(table)} releases, {n_ids} ids. */\n"
           '#include "model/release_int.h"\n\n/* clang-format off */\n'
           f"const struct release release_table[{len(table)}] = {{\n", *table, "};\n\n"
           f"const struct release_row release_rows[{len(all_rows)}] = {{\n"]
    out += [row_text(r) for r in all_rows]
    out += ["};\n\n", f"const size_t release_count = {len(table)};\n"]
    Path(__file__).with_name("release_table.c").write_text("".join(out))


if __name__ == "__main__":
    main()
