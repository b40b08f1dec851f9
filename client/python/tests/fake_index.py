#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Stands for saedb-index where only what it is given matters: checks the stream, keeps
it and the command in $FAKE_INDEX, and says that it made run 5. With $FAKE_ERROR it ends
with that instead: at once, or, if it begins with "late ", behind the stream."""

import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from shard_check import read_stream  # noqa: E402


def main():
    """As saedb-index does with a pipe."""
    place = pathlib.Path(os.environ["FAKE_INDEX"])
    error = os.environ.get("FAKE_ERROR", "")
    if error and not error.startswith("late "):
        print(f"saedb-index: {error}", file=sys.stderr)
        return 1
    data = sys.stdin.buffer.read()
    (place / "stream").write_bytes(data)
    (place / "command").write_text(json.dumps(sys.argv[1:]))
    for i, a in enumerate(sys.argv):
        if a == "--model":
            shutil.copytree(sys.argv[i + 1], place / "model")
        if a == "--sae":
            name, _, path = sys.argv[i + 1].partition("=")
            shutil.copytree(path, place / f"sae-{name}")
    read_stream(data)
    if error:
        print(f"saedb-index: {error[5:]}", file=sys.stderr)
        return 1
    print("run 5: 12 tokens of stdin in 3 windows, 1 documents; 0.0 s of model at 9 t/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
