# SPDX-License-Identifier: ISC
"""Labels in JSON Lines and CSV."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence, Union

from .errors import BadFormat
from .jsonrows import json_rows
from .results import Label

FIELDS = ("feature", "sae_hash", "index", "text", "source", "author", "time_s", "score")
BATCH_BYTES = 512 << 10  # of one request
_TEXTS = ("text", "explanation", "description")

PathLike = Union[str, "os.PathLike[str]"]


def clean(row: Union[Mapping[str, Any], Label]) -> Dict[str, Any]:
    """A row as label.import takes it: known fields, empty ones left out."""
    m: Mapping[str, Any] = dataclasses.asdict(row) if isinstance(row, Label) else row
    out = {k: m[k] for k in FIELDS if m.get(k) not in (None, "")}
    for k in _TEXTS:
        if m.get(k) not in (None, ""):
            out["text"] = m[k]
            break
    if "sae_hash" in out and "index" in out:
        out.pop("feature", None)  # the content's hash outlives names
    else:
        out.pop("sae_hash", None)
        out.pop("index", None) if "feature" in out else None
    return out


def batch(rows: Sequence[Mapping[str, Any]], most: int) -> int:
    """How many of the rows go into one request."""
    n, size = 0, 0
    while n < min(most, len(rows)) and size < BATCH_BYTES:
        size += 400 + len(str(rows[n].get("text", "")).encode())
        n += 1
    return n


def write(path: PathLike, labels: Iterable[Label]) -> int:
    """JSON Lines, or CSV when the name ends with .csv. How many."""
    n = 0
    with open(path, "w", encoding="utf-8", newline="") as f:
        table = csv.DictWriter(f, FIELDS) if os.fspath(path).endswith(".csv") else None
        if table is not None:
            table.writeheader()
        for n, label in enumerate(labels, 1):
            row = {k: getattr(label, k) for k in FIELDS}
            if table is not None:
                table.writerow({k: "" if v is None else v for k, v in row.items()})
            else:
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
    return n


def _from_csv(path: PathLike, row: Mapping[str, Any], line: int) -> Dict[str, Any]:
    out = dict(row)
    for key, kind in (("index", int), ("time_s", int), ("score", float)):
        if out.get(key) in (None, ""):
            out.pop(key, None)
            continue
        try:
            out[key] = kind(out[key])
        except ValueError:
            raise BadFormat(f"{path}: line {line}: {key} is no number") from None
    return out


def read(path: PathLike) -> Iterator[Dict[str, Any]]:
    """Rows of JSON Lines, or of CSV when the name ends with .csv."""
    with open(path, encoding="utf-8-sig", newline="") as f:
        if os.fspath(path).endswith(".csv"):
            table = csv.DictReader(f)
            for row in table:
                yield _from_csv(path, row, table.line_num)
            return
        yield from json_rows(f, f"{path}: line ")
