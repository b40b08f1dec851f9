# SPDX-License-Identifier: ISC
"""Checks of what comes in as arrays: each error names the argument and the place."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from .errors import BadArgument
from .extras import is_tensor, need


def integers(x: Any, what: str, shape: Sequence[Optional[int]]) -> Any:
    """x as an int64 numpy array of its own; None in shape is any length."""
    numpy = need("numpy")
    a = numpy.asarray(x.detach().cpu() if is_tensor(x) else x)
    if a.size == 0 and len(a.shape) != len(shape):
        a = a.reshape([0 if k is None else k for k in shape])
    if a.size and a.dtype.kind not in "iu":
        raise BadArgument(f"{what}: {a.dtype} is no integer type", what)
    fits = len(a.shape) == len(shape) and all(
        k is None or k == n for k, n in zip(shape, a.shape)
    )
    if not fits:
        want = ", ".join("n" if k is None else str(k) for k in shape)
        raise BadArgument(f"{what}: shape {tuple(a.shape)}, not ({want})", what)
    if a.size and a.dtype.kind == "u" and a.max() > (1 << 62):
        raise BadArgument(f"{what}: {a.max()} is out of range", what)
    return a.astype("i8")  # a copy


def in_range(a: Any, least: int, most: int, what: str) -> None:
    """Every one of the integers, or BadArgument with the first that is not."""
    bad = ((a < least) | (a > most)).nonzero()
    if len(bad[0]):
        at = tuple(int(b[0]) for b in bad)
        where = at[0] if len(at) == 1 else at
        raise BadArgument(
            f"{what}: {int(a[at])} at {where} is not in {least} to {most}", what
        )


def floats(x: Any, what: str) -> Any:
    """x as it is, tensor or numpy array, with float64 made float32; not copied."""
    if not is_tensor(x):
        numpy = need("numpy")
        x = numpy.asarray(x)
        name = x.dtype.name
        if x.dtype.byteorder == ">":
            x = x.astype(x.dtype.newbyteorder("<"))
        if name == "float64":
            with numpy.errstate(over="ignore"):
                x = x.astype("f4")
    else:
        x = x.detach()
        name = str(x.dtype).rpartition(".")[2]
        if name == "float64":
            x = x.float()
    if name not in ("float64", "float32", "float16", "bfloat16"):
        raise BadArgument(
            f"{what}: {name} is neither float32, bfloat16 nor float16", what
        )
    return x


def first_bad(x: Any, positive: bool = False) -> Optional[Tuple[int, ...]]:
    """Where x is first not finite (or not above 0); None where it is nowhere."""
    if is_tensor(x):
        torch = need("torch")
        good = torch.isfinite(x)
        if positive:
            good &= x > 0
        if bool(good.all()):
            return None
        return tuple(int(i) for i in (~good).nonzero()[0])
    numpy = need("numpy")
    wide = x.astype("f4") if x.dtype.name == "bfloat16" else x
    good = numpy.isfinite(wide)
    if positive:
        good &= wide > 0
    if good.all():
        return None
    return tuple(int(i[0]) for i in (~good).nonzero())


def on_this_machine(x: Any) -> bool:
    """A numpy array or a tensor in main memory."""
    return not is_tensor(x) or x.device.type == "cpu"


def copied(x: Any) -> Any:
    """x, on its device, apart from what the caller may change or still needs."""
    return x.clone() if is_tensor(x) else x.copy()


def joined(pieces: Sequence[Any]) -> Any:
    """Pieces of one tensor, end to end; those of torch on their device."""
    if len(pieces) == 1:
        return pieces[0]
    if any(is_tensor(p) for p in pieces):
        torch = need("torch")
        tensors = [p if is_tensor(p) else torch.from_numpy(p) for p in pieces]
        if len({p.device for p in tensors}) > 1:
            tensors = [p.cpu() for p in tensors]
        return torch.cat(tensors)
    return need("numpy").concatenate(pieces)


def _starts(row: Any, n: int) -> Any:
    """Where each of n rows begins, of the ascending rows of what there is."""
    numpy = need("numpy")
    rows = numpy.zeros(n + 1, "i8")
    numpy.cumsum(numpy.bincount(row, minlength=n), out=rows[1:])
    return rows


def _from_dense(x: Any) -> Tuple[Any, Any, Any]:
    if not is_tensor(x):
        row, feature = x.nonzero()
        return _starts(row, x.shape[0]), feature, x[row, feature]
    row, feature = x.nonzero(as_tuple=True)
    return _starts(row.cpu().numpy(), x.shape[0]), feature, x[row, feature]


def _from_sparse(x: Any, what: str) -> Tuple[Any, Any, Any]:
    if str(x.layout) == "torch.sparse_csr":
        return x.crow_indices(), x.col_indices(), x.values()
    if str(x.layout) != "torch.sparse_coo":
        raise BadArgument(f"{what}: {x.layout} is not supported", what)
    x = x.detach().coalesce()
    row, feature = x.indices()
    return _starts(row.cpu().numpy(), x.shape[0]), feature, x.values()


def csr(x: Any, what: str, n: int) -> Tuple[Any, Any, Any]:
    """Latents of n positions: where rows begin (n + 1), features, values.

    Taken are such a triple, a dense (n, d) array or tensor of which zeros are left
    out, torch's sparse tensors, and scipy's CSR matrices.
    """
    if isinstance(x, (tuple, list)) and len(x) == 3:
        rows, features, values = x
    elif is_tensor(x) and "sparse" in str(x.layout):
        _rows_are(x, what, n)
        rows, features, values = _from_sparse(x, what)
    elif hasattr(x, "indptr") and hasattr(x, "indices"):
        x = x.tocsr()
        _rows_are(x, what, n)
        x.sum_duplicates()  # sorts them, too
        rows, features, values = x.indptr, x.indices, x.data
    else:
        x = floats(x, what)
        _rows_are(x, what, n)
        rows, features, values = _from_dense(x)
    return checked_csr(rows, features, values, what, n)


def _rows_are(x: Any, what: str, n: int) -> None:
    if len(x.shape) != 2 or x.shape[0] != n:
        raise BadArgument(f"{what}: shape {tuple(x.shape)}, not ({n}, d)", what)


def checked_csr(
    rows: Any, features: Any, values: Any, what: str, n: int
) -> Tuple[Any, Any, Any]:
    """As csr(), of a triple: rows ascend, features do so in each, values are > 0."""
    rows = integers(rows, f"{what}.rows", [n + 1])
    features = integers(features, f"{what}.features", [None])
    values = floats(values, f"{what}.values")
    if tuple(values.shape) != features.shape:
        raise BadArgument(
            f"{what}: {len(features)} features, values of {tuple(values.shape)}", what
        )
    falls = (rows[1:] < rows[:-1]).nonzero()[0]
    if rows[0] != 0 or rows[-1] != len(features) or len(falls):
        at = int(falls[0]) + 1 if len(falls) else 0 if rows[0] else n
        raise BadArgument(
            f"{what}.rows: {int(rows[at])} at {at}; they go from 0 to "
            f"{len(features)} and never fall",
            what,
        )
    in_range(features, 0, (1 << 31) - 1, f"{what}.features")
    begins = need("numpy").zeros(len(features) + 1, bool)
    begins[rows] = True
    wrong = ((features[1:] <= features[:-1]) & ~begins[1:-1]).nonzero()[0]
    if len(wrong):
        i = int(wrong[0]) + 1
        position = int(rows.searchsorted(i, side="right")) - 1
        raise BadArgument(
            f"{what}.features: {int(features[i])} after {int(features[i - 1])} at "
            f"position {position}; they ascend",
            what,
        )
    bad = first_bad(values, positive=True)
    if bad is not None:
        position = int(rows.searchsorted(bad[0], side="right")) - 1
        raise BadArgument(
            f"{what}.values: {float(values[bad[0]])} at position {position}, feature "
            f"{int(features[bad[0]])}, is not finite and above 0",
            what,
        )
    return rows, features, values
