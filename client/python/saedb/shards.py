# SPDX-License-Identifier: ISC
"""Shards of activations or latents, as doc/shards.md has them, for saedb-index."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .arrays import (
    copied,
    csr,
    first_bad,
    floats,
    in_range,
    integers,
    joined,
    on_this_machine,
)
from .errors import BadArgument, Error
from .extras import need
from .patches import checked_images
from .target import TargetLike, open_target
from .tensorfile import SIZES, Tensors, float_name, raw

CONTEXT_MAX = 8192  # tokens in a window
META_BYTES = 65536  # of a document's metadata, and of its id
_NAME_BYTES = 127
_RESERVED = {
    "__metadata__",
    "tokens",
    "windows",
    "documents",
    "text",
    "spans",
    "images",
    "image_ends",
    "image_grids",
    "image_patches",
}
_NONE = -1  # no document, no image


class _Shard:
    """What one shard holds so far."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.lengths: List[int] = []
        self.ids: List[Any] = []
        self.numbers: List[Any] = []  # documents, of windows or of positions
        self.begun: List[Dict[str, Any]] = []
        self.texts: List[bytes] = []
        self.spans: List[Any] = []
        self.activations: Dict[str, List[Any]] = {}
        self.latents: Dict[str, List[Tuple[Any, Any, Any]]] = {}
        self.images: List[bytes] = []
        self.grids: List[Tuple[int, int]] = []
        self.image_of: Dict[Tuple[bytes, Tuple[int, int]], int] = {}
        self.patches: List[Any] = []


class _Document:
    def __init__(self, fields: Dict[str, Any], text: Optional[bytes]) -> None:
        self.fields = fields
        self.text = text


class ShardWriter:
    """Writes a stream of shards. Use it in a with block, whose good end ends the stream.

    target: a directory (made when the stream ends; it may exist if it is empty), a
    file (what is one, or ends with .safetensors), "-" or a binary file for a pipe, or
    "unix:PATH" for a socket that saedb-index listens on: it is waited for up to `wait`
    seconds, and the runs that it made are in `runs` after the end.
    model: a transformers model or a HookedTransformer, whose tokenizer, sizes and
    unembedding go to the directory `model` beside the shards; only for a directory.
    shard_bytes: at which size a shard is cut. n_tokens: of the whole stream, if known.
    made_by: a line about what ran the model. An exception inside the with block leaves
    a stream that saedb-index refuses.
    """

    def __init__(
        self,
        target: TargetLike,
        *,
        model: Any = None,
        tokenizer: Any = None,
        shard_bytes: int = 64 << 20,
        n_tokens: Optional[int] = None,
        made_by: Optional[str] = None,
        wait: float = 30.0,
    ) -> None:
        if shard_bytes < 1:
            raise BadArgument(f"shard_bytes: {shard_bytes} is not above 0")
        self._np = need("numpy")
        self._target = open_target(target, wait)
        self._shard_bytes = shard_bytes
        self._first: Dict[str, str] = {}
        if n_tokens is not None:
            self._first["n_tokens"] = str(int(n_tokens))
        if made_by:
            self._first["made_by"] = made_by
        self._last: Dict[str, str] = {}
        self._shard = _Shard()
        self._n_shards = self.n_windows = self.n_tokens = self.n_documents = 0
        self._waiting: List[_Document] = []  # no window of theirs has come
        self._kind: Optional[Tuple[Any, ...]] = None  # what each window brings
        self._mixed: Optional[bool] = None  # windows hold several documents
        self._with_text: Optional[bool] = None
        self._text_bytes: Dict[int, int] = {}  # of documents that may go on
        self._ended = False
        self.runs: List[int] = []
        try:
            if model is not None:
                self.put_model(model, tokenizer)
        except BaseException:
            self.abort()
            raise

    @property
    def takes_model(self) -> bool:
        """Whether the target has room for a model's description."""
        return self._target.model_dir is not None

    def put_model(self, model: Any, tokenizer: Any = None) -> None:
        """Writes the directory `model`, as save_model() does."""
        if self._target.model_dir is None:
            raise BadArgument(
                "model: only a directory has room for it; write it with "
                "saedb.save_model and name that with --model",
                "model",
            )
        from .modeldir import save_model

        save_model(model, self._target.model_dir, tokenizer=tokenizer)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self.abort()

    # ---- what goes in -----------------------------------------------------------

    def document(
        self,
        text: Optional[str] = None,
        *,
        id: Optional[str] = None,
        meta: Optional[Mapping[str, Any]] = None,
    ) -> int:
        """Begins the next document, to which the windows that follow belong.

        Returns its number. If no window ever follows it is an error. Where it is
        never called, each window is a document. All documents have a text or none.
        """
        self._open()
        n = self.n_documents
        if self.n_windows and n == 0:
            raise BadArgument("a document after windows without one")
        if self._mixed is False and self._waiting:
            raise BadArgument(f"document {n - 1} has no window; leave it out")
        with_text = text is not None
        if self._with_text is None:
            self._with_text = with_text
        if self._with_text != with_text:
            has = "has a" if with_text else "has no"
            raise BadArgument(f"text: document {n} {has} text, unlike the first")
        fields = self._fields(n, id, meta)
        data = None
        if text is not None:
            try:
                data = text.encode()
            except UnicodeEncodeError as e:
                raise BadArgument(f"text of document {n}: {e.reason}", "text") from e
        fields = {"n_bytes": len(data) if data is not None else 0, **fields}
        self._waiting.append(_Document(fields, data))
        self.n_documents += 1
        return n

    def _fields(
        self, n: int, id: Optional[str], meta: Optional[Mapping[str, Any]]
    ) -> Dict[str, Any]:
        fields: Dict[str, Any] = {}
        if id is not None:
            fields["id"] = str(id)
            if "\0" in fields["id"] or len(fields["id"].encode()) > META_BYTES:
                raise BadArgument(f"id of document {n}: holds NUL or is too long", "id")
        if meta:
            try:
                text = json.dumps(dict(meta), allow_nan=False, ensure_ascii=False)
                size = len(text.encode())
            except (TypeError, ValueError) as e:
                raise BadArgument(f"meta of document {n}: {e}", "meta") from e
            if size > META_BYTES:
                raise BadArgument(
                    f"meta of document {n}: {size} bytes; the limit is {META_BYTES}",
                    "meta",
                )
            fields["meta"] = dict(meta)
        return fields

    def window(
        self,
        ids: Any,
        activations: Optional[Mapping[str, Any]] = None,
        *,
        latents: Optional[Mapping[str, Any]] = None,
        spans: Any = None,
        documents: Any = None,
        images: Sequence[Any] = (),
        image_grids: Any = None,
        image_patches: Any = None,
    ) -> None:
        """Adds a window: n token ids, and what was computed at each.

        activations: hook to (n, width), numpy or torch on any device, in float32,
        bfloat16 or float16. latents: SAE's name to (rows, features, values), to a dense
        (n, d_sae) array or tensor, or to a sparse one of torch or scipy.
        spans: (n, 2) first byte and the one behind the last of each token in its
        document's text; where documents have one. documents: (n) the document of each
        position, if windows hold several; -1 for none.
        images: image files by bytes, path or PIL.Image, image_grids (rows, columns) of
        patches of each, image_patches (n, 2) image of this window, from 0, or -1,
        and patch of it, row by row from the upper left.
        """
        self._open()
        ids, acts, lats = self._checked(ids, activations, latents)
        n = len(ids)
        numbers, begun = self._documents_of(documents, n)
        spans = self._checked_spans(spans, numbers, begun, n)
        files, grids, patches = checked_images(
            images, image_grids, image_patches, n, self.n_windows
        )
        texts = [d.text for d in begun if d.text is not None]
        size = n * (4 + 8 * (spans is not None) + 8 * (patches is not None))
        size += sum(len(d) for d in texts) + sum(len(f) for f in files)
        for x in acts.values():
            size += n * int(x.shape[1]) * SIZES[float_name(x, "activations")]
        for _, _, values in lats.values():
            size += 4 * n + len(values) * (4 + SIZES[float_name(values, "latents")])
        if self._shard.lengths and self._shard.n_bytes + size > self._shard_bytes:
            self._cut(last=False)
        s = self._shard
        s.n_bytes += size
        s.lengths.append(n)
        s.ids.append(ids)
        s.numbers.append(numbers)
        s.begun += [d.fields for d in begun]
        s.texts += texts
        if spans is not None:
            s.spans.append(spans)
        for hook, x in acts.items():
            s.activations.setdefault(hook, []).append(copied(x))
        for name, triple in lats.items():
            s.latents.setdefault(name, []).append(triple)
        self._put_images(files, grids, patches, n)
        self._waiting = self._waiting[len(begun) :]
        self.n_windows += 1
        self.n_tokens += n

    def results(
        self,
        *,
        explained: Optional[Mapping[str, float]] = None,
        mse: Optional[Mapping[str, float]] = None,
    ) -> None:
        """What the SAEs explain, by name, where latents are written: see doc/shards.md."""
        self._open()
        for key, value in (("explained", explained), ("mse", mse)):
            if value is not None:
                d = {str(k): float(v) for k, v in value.items()}
                try:
                    self._last[key] = json.dumps(d, allow_nan=False)
                except ValueError as e:
                    raise BadArgument(f"{key}: {d}: not finite", key) from e

    def close(self) -> None:
        """Ends the stream: the last shard says that it is. Waits for a socket's answer."""
        if self._ended:
            return
        try:
            if self._waiting:
                first = self.n_documents - len(self._waiting)
                raise BadArgument(f"document {first} has no window; leave it out")
            if self.n_windows == 0:
                raise BadArgument("no window was added, and an empty stream is none")
            self._cut(last=True)
            self._ended = True
            self._target.close()
            self.runs = self._target.runs
        except BaseException:
            self._ended = True
            self._target.abort()
            raise

    def abort(self) -> None:
        """Leaves the stream unfinished, so that it is refused; a directory is not made."""
        if not self._ended:
            self._ended = True
            self._target.abort()

    # ---- checks -----------------------------------------------------------------

    def _open(self) -> None:
        if self._ended:
            raise Error("the stream has ended")

    def _checked(
        self,
        ids: Any,
        activations: Optional[Mapping[str, Any]],
        latents: Optional[Mapping[str, Any]],
    ) -> Tuple[Any, Dict[str, Any], Dict[str, Tuple[Any, Any, Any]]]:
        w = self.n_windows
        ids = integers(ids, "ids", [None])
        n = len(ids)
        if not 1 <= n <= CONTEXT_MAX:
            raise BadArgument(
                f"ids of window {w}: {n} tokens; a window has 1 to {CONTEXT_MAX}", "ids"
            )
        in_range(ids, 0, (1 << 31) - 1, f"ids of window {w}")
        acts = {
            hook: self._checked_activations(hook, x, n)
            for hook, x in (activations or {}).items()
        }
        lats = {}
        for name, x in (latents or {}).items():
            self._check_name(name)
            what = f"latents[{name!r}] of window {w}"
            rows, features, values = csr(x, what, n)
            lats[name] = (rows, features, copied(values))
        if not acts and not lats:
            raise BadArgument(f"window {w} has neither activations nor latents")
        kind = (
            tuple((h, int(x.shape[1]), float_name(x, h)) for h, x in acts.items()),
            tuple((s, float_name(t[2], s)) for s, t in lats.items()),
        )
        if self._kind is None:
            self._kind = tuple(map(frozenset, kind))
        if self._kind != tuple(map(frozenset, kind)):
            raise BadArgument(
                f"window {w} has {kind}, but those before {tuple(map(list, self._kind))}:"
                " all windows have the same hooks, widths and dtypes"
            )
        return ids, acts, lats

    def _checked_activations(self, hook: str, x: Any, n: int) -> Any:
        what = f"activations[{hook!r}] of window {self.n_windows}"
        self._check_name(hook)
        x = floats(x, what)
        if len(x.shape) != 2 or x.shape[0] != n or x.shape[1] == 0:
            raise BadArgument(
                f"{what}: shape {tuple(x.shape)}, not ({n}, width)", "activations"
            )
        bad = first_bad(x) if on_this_machine(x) else None
        if bad is not None:
            raise self._not_finite(hook, self.n_windows, bad[0], float(x[bad]))
        return x

    @staticmethod
    def _not_finite(hook: str, window: int, position: int, value: float) -> Error:
        return BadArgument(
            f"activations[{hook!r}] of window {window}: {value} at position {position}",
            "activations",
        )

    @staticmethod
    def _check_name(name: str) -> None:
        if not isinstance(name, str) or not name or len(name.encode()) > _NAME_BYTES:
            raise BadArgument(f"{name!r} is no name of 1 to {_NAME_BYTES} bytes")
        if name in _RESERVED or any(c < " " for c in name):
            raise BadArgument(f"{name!r}: shards use that name for something else")

    def _documents_of(self, documents: Any, n: int) -> Tuple[Any, List[_Document]]:
        """Document numbers of the window (one, or n), and the documents that begin."""
        w = self.n_windows
        mixed = documents is not None
        if self.n_documents == 0:
            if mixed:
                raise BadArgument(
                    f"documents of window {w}: call document() before", "documents"
                )
            return None, []
        if self._mixed is None:
            self._mixed = mixed
        if self._mixed != mixed:
            raise BadArgument(
                f"documents of window {w}: all windows say the document of each "
                "position, or none does",
                "documents",
            )
        if not mixed:
            if len(self._waiting) > 1:
                first = self.n_documents - len(self._waiting)
                raise BadArgument(f"document {first} has no window; leave it out")
            return self._np.array([self.n_documents - 1]), list(self._waiting)
        a = integers(documents, "documents", [n])
        in_range(a, _NONE, self.n_documents - 1, f"documents of window {w}")
        at = self.n_documents - len(self._waiting) - 1  # the last that has begun
        begun = 0
        for i in a[a != _NONE]:
            if i != at + begun and i != at + begun + 1:
                raise BadArgument(
                    f"documents of window {w}: {int(i)} after {at + begun}; numbers go "
                    "up by 0 or 1",
                    "documents",
                )
            begun = int(i) - at
        return a, self._waiting[:begun]

    def _checked_spans(
        self, spans: Any, numbers: Any, begun: List[_Document], n: int
    ) -> Any:
        w = self.n_windows
        if (spans is not None) != bool(self._with_text):
            raise BadArgument(
                f"spans of window {w}: they go with documents that have a text", "spans"
            )
        if spans is None:
            return None
        a = integers(spans, "spans", [n, 2])
        in_range(a, 0, (1 << 31) - 1, f"spans of window {w}")
        wrong = (a[:, 1] < a[:, 0]).nonzero()[0]
        if len(wrong):
            i = int(wrong[0])
            raise BadArgument(
                f"spans of window {w}: {a[i].tolist()} at position {i} ends before it "
                "begins",
                "spans",
            )
        self._check_ends(a, numbers, begun)
        return a

    def _check_ends(self, spans: Any, numbers: Any, begun: List[_Document]) -> None:
        """No span goes past its document's text."""
        first = self.n_documents - len(self._waiting)
        for k, d in enumerate(begun):
            self._text_bytes[first + k] = len(d.text or b"")
        for number in self._np.unique(numbers):
            if number == _NONE:
                continue
            of = spans if len(numbers) == 1 else spans[numbers == number]
            size = self._text_bytes[int(number)]
            if of[:, 1].max() > size:
                raise BadArgument(
                    f"spans of window {self.n_windows}: {int(of[:, 1].max())} is past "
                    f"the {size} bytes of document {int(number)}",
                    "spans",
                )
        current = int(numbers.max())
        if current != _NONE:
            for old in [k for k in self._text_bytes if k < current]:
                del self._text_bytes[old]

    def _put_images(
        self,
        files: List[bytes],
        grids: List[Tuple[int, int]],
        patches: Any,
        n: int,
    ) -> None:
        s = self._shard
        place = []
        for key in zip(files, grids):
            if key not in s.image_of:
                s.image_of[key] = len(s.images)
                s.images.append(key[0])
                s.grids.append(key[1])
            place.append(s.image_of[key])
        if patches is None:
            patches = self._np.tile(self._np.array([_NONE, 0]), (n, 1))
        else:
            of = patches[:, 0] != _NONE
            patches[of, 0] = self._np.array(place)[patches[of, 0]]
            patches[~of, 1] = 0
        s.patches.append(patches)

    # ---- a shard ----------------------------------------------------------------

    def _cut(self, last: bool) -> None:
        s, self._shard = self._shard, _Shard()
        meta = {"saedb": "shards 1", "shard": str(self._n_shards)}
        if self._n_shards == 0:
            meta.update(self._first)
        if self.n_documents:
            meta["documents"] = json.dumps(s.begun, ensure_ascii=False)
        if last:
            meta["last"] = "true"
            meta.update(self._last)
        self._target.write(self._n_shards, self._tensors(s).pieces(meta))
        self._n_shards += 1

    def _tensors(self, s: _Shard) -> Tensors:
        np = self._np
        t = Tensors()
        t.put_integers("tokens", np.concatenate(s.ids))
        t.put_integers("windows", np.cumsum([0, *s.lengths]))
        if self.n_documents:
            t.put_integers("documents", np.concatenate(s.numbers))
        if self._with_text:
            size = sum(len(x) for x in s.texts)
            t.put("text", "U8", [size], [memoryview(x) for x in s.texts])
            t.put_integers("spans", np.concatenate(s.spans))
        for hook, pieces in s.activations.items():
            self._put_activations(t, s, hook, joined(pieces))
        for name, triples in s.latents.items():
            self._put_latents(t, name, triples)
        if s.images:
            sizes = [len(x) for x in s.images]
            t.put("images", "U8", [sum(sizes)], [memoryview(x) for x in s.images])
            t.put_integers("image_ends", np.cumsum(sizes))
            t.put_integers("image_grids", np.array(s.grids))
            t.put_integers("image_patches", np.concatenate(s.patches))
        return t

    def _put_activations(self, t: Tensors, s: _Shard, hook: str, x: Any) -> None:
        if not on_this_machine(x):
            bad = first_bad(x)
            if bad is not None:
                ends = self._np.cumsum(s.lengths)
                k = int(ends.searchsorted(bad[0], side="right"))
                first = self.n_windows - len(s.lengths)
                position = bad[0] - (int(ends[k - 1]) if k else 0)
                raise self._not_finite(hook, first + k, position, float(x[bad]))
        t.put(hook, float_name(x, hook), [int(k) for k in x.shape], [raw(x)])

    def _put_latents(
        self, t: Tensors, name: str, triples: List[Tuple[Any, Any, Any]]
    ) -> None:
        np = self._np
        starts = np.cumsum([0, *(len(f) for _, f, _ in triples)])
        rows = [r[:-1] + at for (r, _, _), at in zip(triples, starts)]
        t.put_integers(f"{name}.rows", np.concatenate([*rows, starts[-1:]]))
        t.put_integers(f"{name}.features", np.concatenate([f for _, f, _ in triples]))
        values = joined([v for _, _, v in triples])
        n = int(values.shape[0])
        t.put(f"{name}.values", float_name(values, name), [n], [raw(values)])
