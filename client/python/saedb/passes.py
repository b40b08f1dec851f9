# SPDX-License-Identifier: ISC
"""Windows through a model, batch by batch, and back in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    Sequence,
    Tuple,
    TypeVar,
)

from .errors import BadArgument
from .extras import need
from .hooks import Runner
from .shards import ShardWriter
from .windows import Window

_POOL_BATCHES = 4  # so many are sorted by length, that little padding is computed

R = TypeVar("R")


@dataclass
class Batch:
    """Windows that went through the model, and their positions one after another."""

    windows: Sequence[Window]
    hooks: Dict[str, Any]  # (n, width) on the model's device

    def starts(self) -> List[int]:
        """Where each window begins among the positions, and the end."""
        out = [0]
        for w in self.windows:
            out.append(out[-1] + len(w.ids))
        return out


def _pools(windows: Iterable[Window], size: int) -> Iterator[List[Window]]:
    pool: List[Window] = []
    n = 0
    for w in windows:
        pool.append(w)
        n += len(w.ids)
        if n >= size:
            yield pool
            pool, n = [], 0
    if pool:
        yield pool


def _batches(pool: Sequence[Window], batch_tokens: int) -> Iterator[List[int]]:
    """Numbers of windows, the longest first: n windows of the first's length fit."""
    order = sorted(range(len(pool)), key=lambda i: -len(pool[i].ids))
    at = 0
    while at < len(order):
        n = 1
        if pool[order[at]].inputs is None:
            n = max(1, batch_tokens // len(pool[order[at]].ids))
        batch: List[int] = []
        for i in order[at : at + n]:
            if batch and pool[i].inputs is not None:
                break
            batch.append(i)
        yield batch
        at += len(batch)


def _run(runner: Runner, hooks: Sequence[str], windows: Sequence[Window]) -> Batch:
    """One batch, padded on the right, where no causal model looks."""
    torch = need("torch")
    most = max(len(w.ids) for w in windows)
    ids = torch.zeros(len(windows), most, dtype=torch.long)
    mask = torch.zeros(len(windows), most, dtype=torch.long)
    for i, w in enumerate(windows):
        ids[i, : len(w.ids)] = torch.from_numpy(w.ids)
        mask[i, : len(w.ids)] = 1
    got = runner.run(hooks, ids, mask, windows[0].inputs)
    flat = {}
    for hook, x in got.items():
        if tuple(x.shape[:2]) != (len(windows), most):
            raise BadArgument(
                f"{hook}: shape {tuple(x.shape)} for {len(windows)} windows of {most} "
                "tokens",
                "hooks",
            )
        x = x.reshape(len(windows), most, -1)
        keep = mask.bool().to(x.device)
        flat[hook] = x[keep]
    return Batch(windows, flat)


def passes(
    runner: Runner,
    windows: Iterable[Window],
    hooks: Sequence[str],
    batch_tokens: int,
    work: Callable[[Batch], Sequence[R]],
) -> Iterator[Tuple[Window, R]]:
    """Each window with what work made of it; it gives one result for each of a batch."""
    if batch_tokens < 1:
        raise BadArgument(f"batch_tokens: {batch_tokens} is not above 0")
    for pool in _pools(windows, _POOL_BATCHES * batch_tokens):
        results: Dict[int, R] = {}
        for numbers in _batches(pool, batch_tokens):
            batch = _run(runner, hooks, [pool[i] for i in numbers])
            results.update(zip(numbers, work(batch)))
        for i, w in enumerate(pool):
            yield w, results[i]


class Sink(Generic[R]):
    """Windows and their documents into a ShardWriter."""

    def __init__(self, writer: ShardWriter) -> None:
        self._writer = writer
        self.n_documents = 0

    def put(self, w: Window, **what: Any) -> None:
        if w.first:
            d = w.document
            self._writer.document(d.text, id=d.id, meta=d.meta)
            self.n_documents += 1
        self._writer.window(
            w.ids,
            spans=w.spans,
            images=w.images,
            image_grids=w.image_grids,
            image_patches=w.image_patches,
            **what,
        )
