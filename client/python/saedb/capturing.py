# SPDX-License-Identifier: ISC
"""Activations of a model in torch, and of caches, as shards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from .documents import documents_of, size_of
from .errors import BadArgument
from .extras import is_tensor, need
from .hooks import Runner, is_known_hook, runner_of
from .passes import Batch, Sink, passes
from .progress import Progress
from .shards import ShardWriter
from .target import TargetLike
from .windows import Window, rule_of, windows_of

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class Captured:
    """What was written. runs: those that saedb-index made of it, over a socket."""

    n_tokens: int
    n_windows: int
    n_documents: int
    runs: List[int] = field(default_factory=list)


def made_by(runner: Runner) -> str:
    """What ran the model, for the record."""
    versions = []
    for name in ("torch", "transformers", "transformer_lens"):
        if name == "transformer_lens" and type(runner).__name__ != "LensRunner":
            continue
        try:
            versions.append(f"{name} {getattr(need(name), '__version__', '')}".strip())
        except ImportError:
            pass
    p = next(iter(runner.model.parameters()))
    dtype = str(p.dtype).rpartition(".")[2]
    return f"{runner.name} in {', '.join(versions)}; {dtype} on {p.device.type}"


def follow(
    windows: Iterator[Window], progress: Progress, n_rows: Optional[int], most: Any
) -> Iterator[Window]:
    """The windows as they pass, shown as progress."""
    n_tokens = n_documents = 0
    for w in windows:
        n_documents += w.first
        yield w
        n_tokens += len(w.ids)
        share = n_documents / n_rows if n_rows else 0.0
        if most:
            share = max(share, n_tokens / most)
        progress.show(n_tokens, share or None)


def capture(
    model: Any,
    dataset: Any,
    hooks: Union[str, Sequence[str]],
    target: TargetLike,
    *,
    tokenizer: Any = None,
    context: Optional[int] = None,
    prepend_bos: Optional[bool] = None,
    batch_tokens: int = 8192,
    dtype: str = "float32",
    max_tokens: Optional[int] = None,
    text_field: str = "text",
    id_field: str = "id",
    columns: Optional[Sequence[str]] = None,
    device: Any = None,
    shard_bytes: int = 64 << 20,
    wait: float = 30.0,
    quiet: bool = False,
) -> Captured:
    """Runs a model over a dataset and writes its activations at hooks as shards.

    model: of transformers, on any device and in any dtype, a HookedTransformer, or the
    name of a model that transformers loads.
    dataset: an iterable of texts, or of dicts with the text, an id and whatever else
    (kept as the document's metadata); a Dataset of `datasets`; paths of .jsonl, .txt,
    .parquet and .arrow files, and of directories that `datasets` saved. Rows with
    `input_ids` and no text are windows as they are; they may bring `images`,
    `image_grids` and `image_patches`, as ShardWriter.window() takes them, and
    `inputs`, a dict of what the model needs beside the ids, such as pixel_values.
    hooks: TransformerLens' names, or paths of modules. target: as of ShardWriter; a
    directory gets the model's description, too.
    context: tokens in a window, BOS included; what the model takes, if None.
    prepend_bos: whether BOS stands in front of each window; None: if there is one.
    dtype: of what is written. max_tokens: ends before there are more.
    columns: the metadata to keep; None is all.
    """
    hooks = [hooks] if isinstance(hooks, str) else list(hooks)
    if not hooks or len(set(hooks)) != len(hooks):
        raise BadArgument("hooks: none, or one twice", "hooks")
    if dtype not in _DTYPES:
        raise BadArgument(f"dtype: {dtype!r} is none of {', '.join(_DTYPES)}", "dtype")
    torch = need("torch")
    kind = getattr(torch, dtype)
    runner = runner_of(model, tokenizer, device)
    runner.check(hooks)
    bos = runner.default_bos if prepend_bos is None else prepend_bos
    if prepend_bos is None and getattr(runner.tokenizer, "bos_token_id", None) is None:
        bos = False
    rule = rule_of(runner.tokenizer, runner.n_ctx, context, bos, max_tokens)
    documents = documents_of(dataset, text_field, id_field, columns)

    def work(batch: Batch) -> List[Dict[str, Any]]:
        here = {h: x.to(kind).cpu() for h, x in batch.hooks.items()}
        at = batch.starts()
        return [
            {h: x[at[i] : at[i + 1]] for h, x in here.items()}
            for i in range(len(batch.windows))
        ]

    progress = Progress(quiet)
    windows = follow(
        windows_of(documents, runner.tokenizer, rule, runner.n_ctx),
        progress,
        size_of(dataset),
        max_tokens,
    )
    with ShardWriter(
        target, shard_bytes=shard_bytes, made_by=made_by(runner), wait=wait
    ) as writer:
        if writer.takes_model and runner.tokenizer is not None:
            writer.put_model(runner.model, runner.tokenizer)
        sink: Sink[Dict[str, Any]] = Sink(writer)
        with runner.ready():
            for w, activations in passes(runner, windows, hooks, batch_tokens, work):
                sink.put(w, activations=activations)
        progress.end()
    return Captured(
        writer.n_tokens, writer.n_windows, sink.n_documents, list(writer.runs)
    )


# ---- caches ----------------------------------------------------------------------


def _value(x: Any) -> Any:
    """Of a saved proxy, a tuple that a module gives, or what it is."""
    if not is_tensor(x) and hasattr(x, "value"):
        x = x.value
    if isinstance(x, (tuple, list)) and len(x) and not isinstance(x[0], (int, float)):
        x = x[0]
    return x


def _items(cache: Any) -> Mapping[str, Any]:
    inner = getattr(cache, "cache_dict", None)  # TransformerLens' ActivationCache
    if inner is not None:
        return dict(inner)
    if not isinstance(cache, Mapping):
        raise BadArgument(
            f"cache: {type(cache).__name__} is no mapping of hooks to arrays", "cache"
        )
    return cache


def _cache_hooks(
    items: Mapping[str, Any], hooks: Union[None, Sequence[str], Mapping[str, str]]
) -> Dict[str, str]:
    """Name in the cache to name in the shards."""
    if isinstance(hooks, str):
        hooks = [hooks]
    if hooks is None:
        found = {n: n for n in items if is_known_hook(_clean(n))}
        hooks = found or {n: n for n in items}
    names = dict(hooks) if isinstance(hooks, Mapping) else {n: n for n in hooks}
    for n in names:
        if n not in items:
            raise BadArgument(
                f"hooks: no {n!r} in the cache; it has {', '.join(list(items)[:20])}",
                "hooks",
            )
    return {n: _clean(to) for n, to in names.items()}


def _clean(name: str) -> str:
    return name[: -len(".output")] if name.endswith(".output") else name


def _batched(x: Any, n_windows: int, what: str) -> Any:
    """(windows, positions, width); heads are laid side by side."""
    x = _value(x)
    if not is_tensor(x):
        x = need("numpy").asarray(x)
    if n_windows == 1 and (len(x.shape) < 2 or x.shape[0] != 1):
        x = x[None]
    if len(x.shape) < 3 or x.shape[0] != n_windows:
        raise BadArgument(
            f"{what}: shape {tuple(x.shape)}, not (windows, positions, width) of "
            f"{n_windows} windows",
            "cache",
        )
    return x.reshape(*x.shape[:2], -1)


def _token_rows(tokens: Any, lengths: Optional[Sequence[int]]) -> List[Any]:
    numpy = need("numpy")
    if is_tensor(tokens):
        tokens = tokens.detach().cpu().numpy()
    if len(tokens) and numpy.ndim(tokens[0]) == 0:
        tokens = [tokens]
    rows = [numpy.asarray(t.cpu() if is_tensor(t) else t) for t in tokens]
    if lengths is not None:
        if len(lengths) != len(rows):
            raise BadArgument(f"lengths: {len(lengths)} for {len(rows)} windows")
        rows = [t[: int(n)] for t, n in zip(rows, lengths)]
    return rows


def from_cache(
    cache: Any,
    tokens: Any,
    target: Union[TargetLike, ShardWriter],
    hooks: Union[None, str, Sequence[str], Mapping[str, str]] = None,
    *,
    lengths: Optional[Sequence[int]] = None,
    model: Any = None,
    tokenizer: Any = None,
    **writer_options: Any,
) -> Captured:
    """Writes a cache of activations as shards; each row of tokens is a document.

    cache: TransformerLens' ActivationCache, or a dict of hook to (windows, positions,
    width) in torch or numpy, or what nnsight saved: the first of a tuple is taken, and
    the value of a proxy. tokens: the ids (windows, positions), or one row of them.
    hooks: which to write, or a dict of names in the cache to names in the shards; if
    None, those that saedb-index knows, or else all. lengths: tokens of each row that
    are not padding, which stands on the right.
    target: as of ShardWriter, or an open ShardWriter, to which several caches go.
    """
    items = _items(cache)
    names = _cache_hooks(items, hooks)
    rows = _token_rows(tokens, lengths)
    arrays = {
        to: _batched(items[n], len(rows), f"cache[{n!r}]") for n, to in names.items()
    }
    if isinstance(target, ShardWriter):
        _write_rows(target, rows, arrays)
        return Captured(target.n_tokens, target.n_windows, target.n_windows)
    with ShardWriter(
        target, model=model, tokenizer=tokenizer, **writer_options
    ) as writer:
        _write_rows(writer, rows, arrays)
    return Captured(writer.n_tokens, writer.n_windows, writer.n_windows, writer.runs)


def _write_rows(
    writer: ShardWriter, rows: Sequence[Any], arrays: Mapping[str, Any]
) -> None:
    for i, ids in enumerate(rows):
        for hook, x in arrays.items():
            if x.shape[1] < len(ids):
                raise BadArgument(
                    f"cache: {hook} has {x.shape[1]} positions, but row {i} of tokens "
                    f"{len(ids)}",
                    "cache",
                )
        writer.window(ids, {h: x[i, : len(ids)] for h, x in arrays.items()})
