# SPDX-License-Identifier: ISC
"""rows_in_bytes.py STORE: each file of rows in bytes says of the floats beside it what
doc/disk.md says it does. Prints how many files there were."""
import glob
import math
import os
import struct
import sys

n_files = 0
for path in sorted(glob.glob(sys.argv[1] + "/sae/*/*.i8")):
    with open(path, "rb") as f:
        b = f.read()
    with open(path[:-3] + ".f32", "rb") as f:
        floats = f.read()
    magic, version, of, n, d, sae = struct.unpack("<8sIIII16s", b[:40])
    assert magic == b"saedbcod" and version == 1 and b[40:56] == bytes(16)
    assert of == (os.path.basename(path) == "encoder.i8")
    assert sae.decode() == os.path.basename(os.path.dirname(path))
    assert len(floats) == 4 * n * d
    quads = (d + 3) // 4
    size = 512 + 128 * quads
    assert len(b) == 64 + (n + 31) // 32 * size
    for panel in range((n + 31) // 32):
        p = b[64 + panel * size:64 + (panel + 1) * size]
        terms = struct.unpack("<96f32i", p[:512])
        for i in range(32):
            scale, rest, norm, total = terms[i::32]
            q = [p[512 + j // 4 * 128 + 4 * i + j % 4] for j in range(4 * quads)]
            q = [x - 256 if x > 127 else x for x in q]
            assert q[d:] == [0] * (4 * quads - d) and -128 not in q and total == sum(q)
            row = 32 * panel + i
            if row >= n:
                assert (scale, rest, norm, total) == (0, 0, 0, 0)
                continue
            v = struct.unpack("<%df" % d, floats[4 * row * d:4 * (row + 1) * d])
            length = math.sqrt(sum(x * x for x in v))
            if length == 0:
                assert (scale, rest, norm, total) == (0, 0, 0, 0)
                continue
            left = math.sqrt(sum((x / length - scale * y) ** 2 for x, y in zip(v, q)))
            assert abs(norm - length) < 1e-6 * length
            assert left <= rest < 1.01 * left + 1e-6, (row, left, rest)
            assert left <= 0.51 * scale * math.sqrt(d), (row, left, scale)
    n_files += 1
print(n_files)
