# SPDX-License-Identifier: ISC
"""JSON Lines of objects."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Iterator, Union

from .errors import BadFormat


def json_rows(
    lines: Iterable[Union[str, bytes]], at: str
) -> Iterator[Dict[str, Any]]:
    """The objects, one a line; at is for errors: a line's number stands behind it."""
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as e:
            raise BadFormat(f"{at}{n}: {e}") from e
        if not isinstance(row, dict):
            raise BadFormat(f"{at}{n}: not a JSON object")
        yield row
