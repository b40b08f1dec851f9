# SPDX-License-Identifier: ISC
"""Parquet, Arrow and `datasets` as JSON Lines, which saedb-index --corpus takes."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sys
from typing import Any, BinaryIO, Iterator, Optional, Sequence, Union

from .documents import documents_of
from .errors import BadArgument


@contextlib.contextmanager
def _opened(path: Any) -> Iterator[Any]:
    if hasattr(path, "write"):
        yield path
    elif os.fspath(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif os.fspath(path).endswith(".gz"):
        with gzip.open(path, "wb") as f:
            yield f
    else:
        with open(path, "wb") as f:
            yield f


def write_corpus(
    rows: Any,
    path: Union[str, "os.PathLike[str]", BinaryIO],
    *,
    text_field: str = "text",
    id_field: str = "id",
    columns: Optional[Sequence[str]] = None,
) -> int:
    """Writes documents as JSON Lines: their text as "text", the id as "id". How many.

    rows: as the dataset of capture(): texts, dicts, Datasets, paths of Parquet, Arrow,
    JSON Lines and text. It is never in memory whole. path: "-" is standard output; one
    that ends with .gz is compressed. columns: the metadata to keep; None is all.
    """
    n = 0
    with _opened(path) as f:
        for n, d in enumerate(documents_of(rows, text_field, id_field, columns), 1):
            if d.text is None:
                raise BadArgument(
                    f"row {n - 1} holds tokens and no text; saedb.capture takes those",
                    "rows",
                )
            row = {"text": d.text} if d.id is None else {"id": d.id, "text": d.text}
            both = sorted(set(row) & set(d.meta))
            if both:
                raise BadArgument(
                    f"row {n - 1}: {both[0]!r} is a field beside {text_field!r}; "
                    "`columns` names those to keep",
                    "columns",
                )
            text = json.dumps({**row, **d.meta}, ensure_ascii=False, allow_nan=False)
            try:
                f.write(text.encode() + b"\n")
            except UnicodeEncodeError as e:
                raise BadArgument(f"row {n - 1} is not Unicode: {e}", "rows") from e
    return n
