# SPDX-License-Identifier: ISC
"""Unit rows with structure, for benchmarks of neighbors: clusters of 64 about random
centres, x = normalise(CL * centre + noise), the centres' strength CL in thirds of 1.2,
0.6 and 0.3. Writes little-endian floats.

    unit_rows.py N D FILE"""

import sys

import numpy as np


def main():
    """N D FILE."""
    n, d = int(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((max(n // 64, 1), d), dtype=np.float32)
    with open(sys.argv[3], "wb") as f:
        for at in range(0, n, 8192):
            m = min(8192, n - at)
            rows = rng.standard_normal((m, d), dtype=np.float32)
            strength = rng.choice(np.float32([1.2, 0.6, 0.3]), m)
            rows += strength[:, None] * centres[rng.integers(0, len(centres), m)]
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            rows.astype("<f4").tofile(f)


if __name__ == "__main__":
    main()
