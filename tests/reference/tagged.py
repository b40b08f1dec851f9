# SPDX-License-Identifier: ISC
"""The demo's tagged families, and which feature is of one.

A feature is of a family (a theme of the demo's tags) if at least 90% of its best examples
(20, or as many as it has, 5 at least) have their peak inside spans of the theme; of
several the one whose spans are rarest."""

import collections
import gzip
import json

NEEDED, BEST, LEAST = 0.9, 20, 5
BATCH = 64


def read_spans(path):
    """(theme, start, end) of each document, and how much each theme covers."""
    spans, covers = {}, collections.Counter()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for side in map(json.loads, lines):
            spans[side["id"]] = [(c["theme"], c["start"], c["end"])
                                 for c in side["concepts"]]
            for theme, start, end in spans[side["id"]]:
                covers[theme] += end - start
    return spans, covers


def family(examples, spans, covers):
    """Of one feature; None where it has none."""
    inside = collections.Counter()
    for e in examples:
        inside.update({theme for theme, start, end in spans[e["document"]]
                       if e["start"] < end and e["end"] > start})
    wanted = [t for t, n in inside.items() if n >= NEEDED * len(examples)]
    if len(examples) < LEAST or not wanted:
        return None
    return min(wanted, key=lambda t: (covers[t], t))


def families(rpc, sae, spans, covers):
    """By address; features that never fire are left out."""
    rows = rpc.pages("feature.list", "features", sae=sae, limit=1000, dead=False)
    names = [r["feature"] for r in rows]
    found = {}
    for first in range(0, len(names), BATCH):
        some = names[first:first + BATCH]
        asked = [{"feature": n, "limit": BEST, "context": 0} for n in some]
        for name, reply in zip(some, rpc.many("feature.examples", asked)):
            found[name] = family(reply["examples"], spans, covers)
    return found
