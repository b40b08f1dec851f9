# SPDX-License-Identifier: ISC
"""Whether features split within their family: the demo's tagged families, and the
children in 8k of each 1k feature, against chance.

What a family is, tagged.py says. Chance: the children's places are given to other features of 8k that
fire, so many times over.

usage: families.py [--saedbd PROGRAM] [--store STORE] [--small SAE] [--large SAE]
"""

import argparse
import os
import pathlib
import sys

import numpy as np

from cooccurrence import index_demo
from rpc import Daemon
from tagged import BATCH, families, read_spans

SHUFFLES = 50


def children(rpc, names, by, large):
    """The children in one SAE of each."""
    out = {}
    for first in range(0, len(names), BATCH):
        some = names[first:first + BATCH]
        asked = [{"feature": n, "by": by} for n in some]
        for name, reply in zip(some, rpc.many("feature.splitting", asked)):
            out[name] = [n["feature"] for n in reply["nodes"]
                         if n["sae"] == large and n["depth"] == 1]
    return out


def shares(split, mine, theirs):
    """Of all children those of the family; of features with children those of which most
    children are."""
    kin = [[theirs[c] == mine[f] for c in cs] for f, cs in split.items() if cs]
    n = sum(map(len, kin))
    return (sum(map(sum, kin)) / max(n, 1),
            sum(2 * sum(k) > len(k) for k in kin) / max(len(kin), 1))


def by_chance(split, mine, theirs, random):
    """The same with the children's families shuffled among all that fire."""
    names = sorted(theirs)
    labels = np.array([theirs[n] for n in names], dtype=object)
    sums = np.zeros(2)
    for _ in range(SHUFFLES):
        sums += shares(split, mine, dict(zip(names, random.permutation(labels))))
    return sums / SHUFFLES


def print_table(by, split, mine, theirs):
    """A row for each family, and one for all."""
    random = np.random.default_rng(0)
    print(f"\nby {by}\n| family | 1k features | with children | children | of the family "
          "| by chance | most of the family | by chance |\n|---|---|---|---|---|---|---|---|")
    for theme in [*sorted(set(mine.values())), None]:
        some = {f: c for f, c in split.items() if theme in (None, mine[f])}
        ours, chance = shares(some, mine, theirs), by_chance(some, mine, theirs, random)
        print(f"| {theme or 'all'} | {len(some)} | {sum(bool(c) for c in some.values())} "
              f"| {sum(map(len, some.values()))} | {ours[0]:.1%} | {chance[0]:.1%} "
              f"| {ours[1]:.1%} | {chance[1]:.1%} |")
    better = ours[0] > chance[0]
    print(f"{'ok' if better else 'not ok'} - children by {by} are of the family more often "
          "than by chance")
    return better


def main():
    """Prints tables by cosine, by co-occurrence and by both."""
    root = pathlib.Path(os.environ.get("SAEDB_ROOT", "."))
    build = pathlib.Path(os.environ.get("SAEDB_BUILD", root / "build/release"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saedbd", default=build / "saedbd")
    parser.add_argument("--store")
    parser.add_argument("--small", default="1k")
    parser.add_argument("--large", default="8k")
    args = parser.parse_args()
    store = args.store or index_demo(build, root)
    spans, covers = read_spans(root / "demo/corpus/tags.jsonl.gz")
    with Daemon(args.saedbd, store) as rpc:
        small = families(rpc, args.small, spans, covers)
        theirs = families(rpc, args.large, spans, covers)
        mine = {f: t for f, t in small.items() if t is not None}
        print(f"{len(mine)} of {len(small)} features of {args.small} and "
              f"{sum(t is not None for t in theirs.values())} of {len(theirs)} of "
              f"{args.large} that fire are of a family")
        better = [print_table(by, children(rpc, list(mine), by, args.large), mine, theirs)
                  for by in ("cosine", "cooccurrence", "both")]
    return not all(better)


if __name__ == "__main__":
    sys.exit(main())
