# SPDX-License-Identifier: ISC
"""nearest.py SOCKET STORE: of every SAE, the nearest by cosine to vectors of several
kinds are those that plain arithmetic finds in its decoder rows."""
import math
import random
import struct
import sys

import mp

K = 12


def unit(v):
    norm = math.sqrt(sum(x * x for x in v))
    return [x / norm if norm > 0 else 0.0 for x in v]


c = mp.Client(sys.argv[1])
draw = random.Random(5)
for sae in c.call("sae.list")["saes"]:
    with open("%s/sae/%s/decoder.f32" % (sys.argv[2], sae["id"]), "rb") as f:
        flat = struct.unpack("<%df" % (sae["d_sae"] * sae["d_out"]), f.read())
    d = sae["d_out"]
    rows = [unit(flat[i:i + d]) for i in range(0, len(flat), d)]
    queries = [[draw.gauss(0, 1) for _ in range(d)] for _ in range(6)]
    queries += [list(flat[d * i:d * i + d]) for i in (0, 3)]
    queries += [[300.0 * x if j == 5 else x for j, x in enumerate(queries[0])]]
    for q in queries:
        got = c.call("vector.neighbors", sae=sae["name"], k=K,
                     vector=struct.pack("<%df" % d, *q))["neighbors"]
        u = unit(q)
        want = sorted((-sum(a * b for a, b in zip(u, r)), i) for i, r in enumerate(rows))
        assert len(got) == K
        for x, (score, _) in zip(got, want):
            assert abs(x["cosine"] + score) < 1e-6, (sae["name"], x, score)
            own = sum(a * b for a, b in zip(u, rows[x["index"]]))
            assert abs(x["cosine"] - own) < 1e-6, (sae["name"], x, own)
        assert len({x["index"] for x in got}) == K
        order = [(-x["cosine"], x["index"]) for x in got]
        assert order == sorted(order), order
