# SPDX-License-Identifier: ISC
"""Floating-point operations a token of the demo's index needs in matrix products:
the blocks up to the hook, and both encoders.    flops.py MODEL SAE ..."""

import json
import pathlib
import sys


def main():
    """Two per multiply-add."""
    model = json.loads((pathlib.Path(sys.argv[1]) / "config.json").read_text())
    d = model["n_embd"]
    inner = model.get("n_inner") or 4 * d
    total, layer = 0, 0
    for directory in sys.argv[2:]:
        cfg = json.loads((pathlib.Path(directory) / "cfg.json").read_text())
        total += 2 * cfg["d_in"] * cfg["d_sae"]
        hook = cfg["metadata"]["hook_name"]
        layer = int(hook.split(".")[1]) + hook.endswith("resid_post")
    print(total + layer * 2 * (4 * d * d + 2 * d * inner))


if __name__ == "__main__":
    main()
