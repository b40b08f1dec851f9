# SPDX-License-Identifier: ISC
"""Whether a feature's nearest are of its kind: the demo's tagged families, and the five
nearest of each feature over both SAEs by decoder cosine, against chance.

What a family is, tagged.py says. Kin are the places (a bridge, its city, a country)
and all that is about code. Chance: families shuffled among all features that fire.

usage: kin.py [--saedbd PROGRAM] STORE
"""

import argparse
import collections
import os
import pathlib
import sys

import numpy as np

from rpc import Daemon
from tagged import families, read_spans

NEAR, MOST, SHUFFLES = 5, 3, 50
SAES = "1k", "8k"
PLACES = "about", "kin", "landmark", "transit", "city", "borough", "country"
KIN = {**{t: "places" for t in PLACES},
       **{t: "code" for t in ("code", "bug", "insecure", "secure")}}


def nearest(rpc, names, fires):
    """The five nearest of each that fire, over both SAEs."""
    asked = [{"feature": n, "sae": sae, "k": 2 * NEAR} for n in names for sae in SAES]
    found = collections.defaultdict(list)
    for a, r in zip(asked, rpc.many("feature.neighbors", asked)):
        found[a["feature"]] += [(-x["cosine"], x["feature"]) for x in r["neighbors"]
                                if x["feature"] in fires]
    return {n: [f for _, f in sorted(x)[:NEAR]] for n, x in found.items()}


def share(near, mine, code):
    """Of features those of whose five nearest most are alike. code: a number for what
    each feature is, by its place; mine: of those asked about."""
    return float(((code[near] == mine[:, None]).sum(axis=1) >= MOST).mean())


def main():
    """Prints the table."""
    root = pathlib.Path(os.environ.get("SAEDB_ROOT", "."))
    build = pathlib.Path(os.environ.get("SAEDB_BUILD", root / "build/release"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saedbd", default=build / "saedbd")
    parser.add_argument("store")
    args = parser.parse_args()
    spans, covers = read_spans(root / "demo/corpus/tags.jsonl.gz")
    with Daemon(args.saedbd, args.store) as rpc:
        of = {n: t for sae in SAES for n, t in families(rpc, sae, spans, covers).items()}
        ours = [n for n in of if of[n] is not None]
        near = nearest(rpc, ours, of)
    place = {n: i for i, n in enumerate(of)}
    themes = sorted({t for t in of.values() if t is not None})
    same = np.array([themes.index(t) if t else -1 for t in of.values()])
    kinds = sorted({KIN.get(t, t) for t in themes})
    kin = np.array([kinds.index(KIN.get(t, t)) if t else -1 for t in of.values()])
    random = np.random.default_rng(0)
    orders = [random.permutation(len(of)) for _ in range(SHUFFLES)]
    print(f"{len(ours)} of {len(of)} features that fire are of a family\n")
    print("| family | features | same | chance | same or kin | chance |\n"
          "|---|---|---|---|---|---|")
    for theme in [*themes, None]:
        some = [n for n in ours if theme in (None, of[n])]
        rows = np.array([place[n] for n in some])
        at = np.array([[place[f] for f in near[n]] for n in some])
        cells = []
        for code in same, kin:
            mine = code[rows]
            chance = np.mean([share(at, mine, code[o]) for o in orders])
            cells += [f"{share(at, mine, code):.1%}", f"{chance:.1%}"]
        print(f"| {theme or 'all'} | {len(some)} | {' | '.join(cells)} |")
    better = share(at, mine, code) > chance
    print(f"{'ok' if better else 'not ok'} - nearest are kin more often than by chance")
    return not better


if __name__ == "__main__":
    sys.exit(main())
