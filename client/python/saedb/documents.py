# SPDX-License-Identifier: ISC
"""Documents out of lists, tables, `datasets` and files, one at a time."""

from __future__ import annotations

import datetime
import gzip
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from .errors import BadArgument, BadFormat, NotFound
from .extras import is_tensor, need
from .jsonrows import json_rows

_JSON = (".jsonl", ".ndjson", ".json")
_TEXT = (".txt", ".text", ".md")
_TABLE = (".parquet", ".arrow", ".feather")
# What rows of tokens may bring beside them; never metadata.
WINDOW_FIELDS = (
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "inputs",
    "images",
    "image_grids",
    "image_patches",
)


@dataclass
class Document:
    """Text with its id and metadata; or a row that is tokens already."""

    text: Optional[str] = None
    id: Optional[str] = None
    meta: Dict[str, Any] = field(default_factory=dict)
    row: Optional[Mapping[str, Any]] = None  # has input_ids


def plain(x: Any, what: str) -> Any:
    """x as JSON has it: dates as ISO 8601, arrays as lists, NaN as null."""
    if x is None or isinstance(x, (str, bool, int)):
        return x
    if isinstance(x, float):
        return x if math.isfinite(x) else None
    if isinstance(x, Mapping):
        return {str(k): plain(v, what) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v, what) for v in x]
    if isinstance(x, (datetime.date, datetime.time)):
        return x.isoformat()
    if is_tensor(x) or hasattr(x, "tolist"):
        return plain(x.tolist(), what)
    if isinstance(x, os.PathLike) or type(x).__name__ in ("Decimal", "UUID"):
        return str(x)
    raise BadArgument(
        f"{what}: {type(x).__name__} cannot be written as JSON; `columns` names those "
        "to keep",
        "columns",
    )


# ---- rows ------------------------------------------------------------------------


def _ending(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix in (".gz", ".zst") else path.suffix


def _lines(path: Path) -> Iterator[Any]:
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    with opened as f:
        yield from json_rows(f, f"{path}:")


def _whole(path: Path, text_field: str) -> Iterator[Any]:
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    with opened as f:
        data = f.read()
    name = path.name[:-3] if path.suffix == ".gz" else path.name
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise BadFormat(f"{path}: byte {e.start} is not valid UTF-8") from e
    if text:
        yield {text_field: text, "id": name}


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read: those named, and these if they are there."""

    named: Sequence[str]
    also: Sequence[str]

    def of(self, what: str, names: Sequence[str]) -> List[str]:
        """NotFound where a named one is missing."""
        for c in self.named:
            if c not in names:
                raise NotFound(
                    f"{what} has no column {c!r}; it has {', '.join(names)}", "columns"
                )
        return [n for n in names if n in self.named or n in self.also]


def _table(path: Path, columns: Optional[Columns]) -> Iterator[Any]:
    """Row group by row group, so that a file of any size fits."""
    pyarrow = need("pyarrow")
    try:
        if path.suffix == ".parquet":
            parquet = need("pyarrow.parquet")
            with parquet.ParquetFile(path) as f:
                wanted = columns and columns.of(str(path), f.schema_arrow.names)
                for batch in f.iter_batches(1024, columns=wanted):
                    yield from batch.to_pylist()
            return
        ipc = need("pyarrow.ipc")
        with pyarrow.memory_map(str(path)) as source:
            try:
                reader = ipc.open_stream(source)  # as `datasets` keeps them
                batches: Iterable[Any] = reader
            except pyarrow.ArrowInvalid:
                reader = ipc.open_file(source)
                batches = map(reader.get_batch, range(reader.num_record_batches))
            wanted = columns and columns.of(str(path), reader.schema.names)
            for batch in batches:
                if wanted is not None:
                    batch = batch.select(wanted)
                for at in range(0, batch.num_rows, 1024):
                    yield from batch.slice(at, 1024).to_pylist()
    except pyarrow.ArrowInvalid as e:
        raise BadFormat(f"{path}: {e}") from e


def _file(path: Path, text_field: str, columns: Optional[Columns]) -> Iterator[Any]:
    if path.is_dir():
        datasets = need("datasets")
        yield from _dataset(datasets.load_from_disk(str(path)), columns)
        return
    if not path.exists():
        raise NotFound(
            f"{path}: no such file; texts themselves go in a list", "dataset"
        )
    ending = _ending(path)
    if ending in _JSON:
        yield from _lines(path)
    elif ending in _TEXT:
        yield from _whole(path, text_field)
    elif ending in _TABLE:
        yield from _table(path, columns)
    else:
        raise BadArgument(
            f"{path}: what it holds is told by its name, which ends in none of "
            f"{', '.join(_JSON + _TEXT + _TABLE)}",
            "dataset",
        )


def _dataset(x: Any, columns: Optional[Columns]) -> Iterator[Any]:
    """Of `datasets`: other columns are not even decoded."""
    if isinstance(x, Mapping):
        raise BadArgument(
            f"dataset: has the splits {', '.join(x)}; give one of them", "dataset"
        )
    names = getattr(x, "column_names", None)
    if columns is not None and names is not None:
        x = x.select_columns(columns.of("dataset", names))
    yield from x


def rows_of(
    dataset: Any, text_field: str = "text", columns: Optional[Columns] = None
) -> Iterator[Any]:
    """Rows as they come: dicts, or texts; columns limits those of tables."""
    if isinstance(dataset, (str, os.PathLike)):
        yield from _file(Path(dataset), text_field, columns)
        return
    if type(dataset).__module__.partition(".")[0] == "datasets":
        yield from _dataset(dataset, columns)
        return
    if hasattr(dataset, "to_batches") and hasattr(dataset, "column_names"):
        for batch in dataset.to_batches(1024):  # a pyarrow.Table
            yield from batch.to_pylist()
        return
    if isinstance(dataset, Mapping) or not hasattr(dataset, "__iter__"):
        raise BadArgument(
            f"dataset: {type(dataset).__name__} is neither an iterable of texts or dicts "
            "nor a path",
            "dataset",
        )
    for row in dataset:
        if isinstance(row, os.PathLike) or (
            isinstance(row, str)
            and isinstance(dataset, (list, tuple))
            and _is_file(row)
        ):
            yield from _file(Path(row), text_field, columns)
        else:
            yield row


def _is_file(text: str) -> bool:
    """A list's string that can only be meant as a path."""
    known = _JSON + _TEXT + _TABLE
    return len(text) < 4096 and _ending(Path(text)) in known and os.path.isfile(text)


def size_of(dataset: Any) -> Optional[int]:
    """Rows, where it is known how many there are."""
    if isinstance(dataset, (str, os.PathLike, Mapping)):
        return None
    try:
        n = len(dataset)
    except TypeError:
        return None
    if isinstance(dataset, (list, tuple)):
        paths = any(isinstance(x, os.PathLike) or _is_file(str(x)) for x in dataset[:1])
        return None if paths else n
    return n


# ---- documents -------------------------------------------------------------------


def documents_of(
    dataset: Any,
    text_field: str = "text",
    id_field: str = "id",
    columns: Optional[Sequence[str]] = None,
) -> Iterator[Document]:
    """Documents of whatever rows_of takes. columns: the metadata to keep; None is all."""
    kept = None if columns is None else set(columns)
    read = None
    if columns is not None:
        read = Columns(columns, (text_field, id_field, *WINDOW_FIELDS))
    for n, row in enumerate(rows_of(dataset, text_field, read)):
        if isinstance(row, str):
            yield Document(row)
            continue
        if not isinstance(row, Mapping):
            raise BadArgument(
                f"row {n} of dataset: {type(row).__name__} is neither a text nor a dict",
                "dataset",
            )
        yield _document(row, n, text_field, id_field, kept)


def _document(
    row: Mapping[str, Any],
    n: int,
    text_field: str,
    id_field: str,
    kept: Optional[set[str]],
) -> Document:
    tokens = text_field not in row and "input_ids" in row
    if not tokens and text_field not in row:
        raise BadArgument(
            f"row {n} of dataset has no {text_field!r}; it has "
            f"{', '.join(map(str, row))}: see text_field",
            "text_field",
        )
    skip = {text_field, id_field, *(WINDOW_FIELDS if tokens else ())}
    meta = {
        str(k): plain(v, f"{k!r} in row {n}")
        for k, v in row.items()
        if k not in skip and (kept is None or k in kept)
    }
    id = row.get(id_field)
    if id is not None and (isinstance(id, bool) or not isinstance(id, (str, int))):
        raise BadArgument(f"{id_field!r} in row {n} is neither a string nor an integer")
    id = None if id is None else str(id)
    if tokens:
        return Document(id=id, meta=meta, row=row)
    text = row[text_field]
    if not isinstance(text, str):
        raise BadArgument(f"{text_field!r} in row {n} is not a string", "text_field")
    return Document(text, id, meta)
