# SPDX-License-Identifier: ISC
"""The bytes of a safetensors file, from pieces of tensors in numpy or torch.

Written here since safetensors.numpy has no bfloat16, and pieces need no second copy.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .errors import BadArgument
from .extras import is_tensor, need

SIZES = {"F32": 4, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "U8": 1}
_FLOATS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def float_name(x: Any, what: str) -> str:
    """F32, BF16 or F16 of an array or tensor; float64 is to be made float32 before."""
    name = str(x.dtype).rpartition(".")[2]
    if name not in _FLOATS:
        raise BadArgument(f"{what}: {name} is neither float32, bfloat16 nor float16")
    return _FLOATS[name]


def raw(x: Any) -> memoryview:
    """The bytes of an array or tensor, row by row, on this machine."""
    numpy = need("numpy")
    if is_tensor(x):
        torch = need("torch")
        x = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    x = numpy.ascontiguousarray(x).reshape(-1)
    return memoryview(x.view(numpy.uint8))


class Tensors:
    """Tensors on their way into one file, each of one or more pieces along axis 0."""

    def __init__(self) -> None:
        self._rows: List[Tuple[str, str, Tuple[int, ...], List[memoryview]]] = []

    def put(
        self, name: str, dtype: str, shape: Sequence[int], pieces: Sequence[Any]
    ) -> None:
        """dtype is what the pieces hold already."""
        views = [p if isinstance(p, memoryview) else raw(p) for p in pieces]
        n = SIZES[dtype]
        for k in shape:
            n *= k
        if sum(v.nbytes for v in views) != n:
            raise AssertionError(f"{name}: {shape} of {dtype} are {n} bytes")
        self._rows.append((name, dtype, tuple(shape), views))

    def put_integers(self, name: str, array: Any) -> None:
        """As I32 where all fit."""
        numpy = need("numpy")
        a = numpy.asarray(array)
        fits = a.size == 0 or (a.max() < 1 << 31 and a.min() >= -(1 << 31))
        a = a.astype("<i4" if fits else "<i8")
        self.put(name, "I32" if fits else "I64", a.shape, [a])

    def pieces(self, metadata: Mapping[str, str]) -> List[memoryview]:
        """The file, to be written one after another."""
        # The widest first, so that each stands where its numbers can be read in place.
        rows = sorted(self._rows, key=lambda r: -SIZES[r[1]])
        header: Dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        at = 0
        for name, dtype, shape, views in rows:
            end = at + sum(v.nbytes for v in views)
            header[name] = {
                "dtype": dtype,
                "shape": list(shape),
                "data_offsets": [at, end],
            }
            at = end
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        head = memoryview(struct.pack("<Q", len(text)) + text)
        return [head, *(v for r in rows for v in r[3] if v.nbytes)]
