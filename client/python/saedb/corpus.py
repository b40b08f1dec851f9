# SPDX-License-Identifier: ISC
"""Parquet, Arrow and other files as JSON Lines, which saedb-index --corpus takes.

usage: python -m saedb.corpus FILE... | saedb-index --corpus - ...
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import List, Optional

from .errors import Error
from .jsonlines import write_corpus


def main(arguments: Optional[List[str]] = None) -> int:
    """The command. Its status."""
    p = argparse.ArgumentParser(
        prog="python -m saedb.corpus",
        description="Write Parquet, Arrow, JSON Lines or text as JSON Lines to standard "
        "output, for saedb-index --corpus -.",
    )
    p.add_argument("file", nargs="+", metavar="FILE", type=Path)
    p.add_argument("--text-field", metavar="COLUMN", default="text")
    p.add_argument("--id-field", metavar="COLUMN", default="id")
    p.add_argument(
        "--columns", metavar="A,B", help="the metadata to keep; all if not given"
    )
    a = p.parse_args(arguments)
    columns = None if a.columns is None else [c for c in a.columns.split(",") if c]
    try:
        write_corpus(
            a.file, "-", text_field=a.text_field, id_field=a.id_field, columns=columns
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # no complaint at exit
        return 1
    except (Error, OSError) as e:
        print(f"saedb.corpus: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
