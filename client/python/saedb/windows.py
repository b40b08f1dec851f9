# SPDX-License-Identifier: ISC
"""Documents cut into windows as saedb-index cuts them, each document by itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from .arrays import integers
from .documents import Document
from .errors import BadArgument, Error, Unsupported
from .extras import need
from .shards import CONTEXT_MAX

_BATCH = 64  # documents tokenized at once
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass
class Window:
    """Tokens on their way through the model."""

    ids: Any  # (n) int64
    spans: Any  # (n, 2) or None
    document: Document
    first: bool  # of its document
    images: Tuple[Any, ...] = ()
    image_grids: Any = None
    image_patches: Any = None
    inputs: Optional[Dict[str, Any]] = None  # for the model, beside the ids


def backend(tokenizer: Any) -> Any:
    """A `tokenizers.Tokenizer` of one's own that cuts, pads and adds nothing."""
    tokenizers = need("tokenizers")
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None and isinstance(tokenizer, tokenizers.Tokenizer):
        inner = tokenizer
    if inner is None:
        try:
            convert = need("transformers.convert_slow_tokenizer")
            inner = convert.convert_slow_tokenizer(tokenizer)
        except Exception as e:
            raise Unsupported(
                f"tokenizer: {type(tokenizer).__name__} cannot be made a fast one ({e}), "
                "which gives the places of tokens in the text",
                "tokenizer",
            ) from e
    j = json.loads(inner.to_str())
    # Post-processors add tokens, and trim spaces off the places of others.
    j["post_processor"] = j["truncation"] = j["padding"] = None
    return tokenizers.Tokenizer.from_str(json.dumps(j))


class Texts:
    """Text to token ids and the bytes that they stand over."""

    def __init__(self, tokenizer: Any) -> None:
        self._np = need("numpy")
        self._tokenizer = backend(tokenizer)
        j = json.loads(self._tokenizer.to_str())
        parts = json.dumps([j.get("pre_tokenizer"), j.get("decoder")])
        self._by_bytes = '"ByteLevel"' in parts
        self._added = {t["id"] for t in j.get("added_tokens") or ()}

    def encode(self, texts: List[str]) -> Iterator[Tuple[Any, Any]]:
        """Ids (n) and spans (n, 2) of each text."""
        for text, e in zip(
            texts, self._tokenizer.encode_batch(texts, add_special_tokens=False)
        ):
            ids = self._np.array(e.ids, "i8")
            yield ids, self._spans(text, ids, e.offsets)

    def _spans(self, text: str, ids: Any, offsets: Any) -> Any:
        np = self._np
        spans = np.array(offsets, "i8").reshape(-1, 2)
        if not text.isascii():
            codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
            width = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)
            spans = np.concatenate([[0], np.cumsum(width)])[spans]
        shared = (spans[1:, 0] < spans[:-1, 1]).nonzero()[0]
        at = 0
        while at < len(shared):  # runs of tokens that share characters
            end = at
            while end + 1 < len(shared) and shared[end + 1] == shared[end] + 1:
                end += 1
            self._part(ids, spans, int(shared[at]), int(shared[end]) + 2)
            at = end + 1
        spans[:, 0] = np.maximum.accumulate(spans[:, 0])
        spans[:, 1] = np.maximum(spans[:, 0], spans[:, 1])
        return spans

    def _length(self, id: int) -> Tuple[int, bool]:
        """Bytes a token stands for; whether it begins with a space in front."""
        spelled = self._tokenizer.id_to_token(id) or ""
        if id in self._added:
            return len(spelled.encode()), False
        if self._by_bytes:
            return len(spelled), spelled[:1] == "\u0120"
        if _BYTE.fullmatch(spelled):
            return 1, False
        return len(spelled.replace("\u2581", " ").encode()), spelled[:1] == "\u2581"

    def _part(self, ids: Any, spans: Any, begin: int, end: int) -> None:
        """Tokens [begin, end) split characters between them: each has its own bytes."""
        start, stop = int(spans[begin, 0]), int(spans[begin:end, 1].max())
        lengths = [self._length(int(i)) for i in ids[begin:end]]
        sizes = [n for n, _ in lengths]
        if sum(sizes) == stop - start + 1 and lengths[0][1]:
            sizes[0] -= 1  # a space that was put in front stands over nothing
        if sum(sizes) != stop - start:
            if lengths[0] == (1, True):  # a space that was put in front, alone
                spans[begin, 1] = start
            return  # letters were composed or changed: whole characters, then
        for i, n in zip(range(begin, end), sizes):
            spans[i] = start, start + n
            start += n


@dataclass
class Rule:
    """How documents are cut."""

    context: int
    bos: Optional[int]  # put in front of each window, if any
    max_tokens: Optional[int] = None


def rule_of(
    tokenizer: Any,
    n_ctx: int,
    context: Optional[int],
    prepend_bos: Optional[bool],
    max_tokens: Optional[int],
) -> Rule:
    """None is what the model takes, and BOS where the tokenizer has one."""
    most = min(n_ctx or CONTEXT_MAX, CONTEXT_MAX)
    if context is None:
        context = most
    if not 1 <= context <= most:
        raise BadArgument(
            f"context: {context} is not in 1 to {most}, which the model takes",
            "context",
        )
    bos = getattr(tokenizer, "bos_token_id", None)
    if prepend_bos and bos is None:
        raise BadArgument(
            "prepend_bos: the tokenizer names no bos_token", "prepend_bos"
        )
    bos = None if prepend_bos is False else bos
    if bos is not None and context < 2:
        raise BadArgument("context: 1 holds no token beside BOS", "context")
    return Rule(context, bos, max_tokens)


def _cut(document: Document, ids: Any, spans: Any, rule: Rule) -> Iterator[Window]:
    np = need("numpy")
    step = rule.context - (rule.bos is not None)
    for at in range(0, len(ids), step):
        own, places = ids[at : at + step], spans[at : at + step]
        if rule.bos is not None:
            own = np.concatenate([[rule.bos], own])
            first = places[:, 0].min()
            places = np.concatenate([[[first, first]], places])
        yield Window(own, places, document, first=at == 0)


def _as_is(document: Document, n: int, n_ctx: int) -> Window:
    row = document.row or {}
    what = f"input_ids in row {n}"
    ids = integers(row["input_ids"], what, [None])
    mask = row.get("attention_mask")
    if mask is not None:
        keep = integers(mask, f"attention_mask in row {n}", [len(ids)]) != 0
        if (keep[1:] & ~keep[:-1]).any():
            raise BadArgument(
                f"attention_mask in row {n}: padding is taken on the right only"
            )
        ids = ids[keep]
    most = min(n_ctx or CONTEXT_MAX, CONTEXT_MAX)
    if not 1 <= len(ids) <= most:
        raise BadArgument(f"{what}: {len(ids)} tokens, not 1 to {most}", "dataset")
    return Window(
        ids,
        None,
        document,
        True,
        tuple(row.get("images") or ()),
        row.get("image_grids"),
        row.get("image_patches"),
        row.get("inputs"),
    )


def windows_of(
    documents: Iterable[Document], tokenizer: Any, rule: Rule, n_ctx: int
) -> Iterator[Window]:
    """Windows in the documents' order, up to the last that max_tokens has room for."""
    n_tokens = 0
    for w in _windows(documents, tokenizer, rule, n_ctx):
        n_tokens += len(w.ids)
        if rule.max_tokens is not None and n_tokens > rule.max_tokens:
            return
        yield w


def _windows(
    documents: Iterable[Document], tokenizer: Any, rule: Rule, n_ctx: int
) -> Iterator[Window]:
    texts: Optional[Texts] = None
    pending: List[Document] = []
    as_is: Optional[bool] = None

    def flush() -> Iterator[Window]:
        for d, (ids, spans) in zip(
            pending, texts.encode([d.text or "" for d in pending]) if texts else ()
        ):
            yield from _cut(d, ids, spans, rule)
        pending.clear()

    for n, d in enumerate(documents):
        if as_is is None:
            as_is = d.row is not None
        if as_is != (d.row is not None):
            raise BadArgument(f"row {n} of dataset: all rows are texts, or all tokens")
        if as_is:
            yield _as_is(d, n, n_ctx)
            continue
        if texts is None:
            if tokenizer is None:
                raise BadArgument(
                    "tokenizer: the model has none; give one", "tokenizer"
                )
            texts = Texts(tokenizer)
        try:
            (d.text or "").encode()
        except UnicodeEncodeError as e:
            raise Error(f"row {n} of dataset: its text is not Unicode: {e}") from e
        pending.append(d)
        if len(pending) == _BATCH:
            yield from flush()
    yield from flush()
