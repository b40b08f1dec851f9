# SPDX-License-Identifier: ISC
"""doc/shards.md as a program: reads a stream with the library `safetensors`, holds
every rule against it, and gives back what was in it. Shares nothing with the writer."""

import hashlib
import json
import pathlib
import struct

import numpy as np
import safetensors

FLOATS = {"F32": 4, "BF16": 2, "F16": 2}
FIXED = {"tokens", "windows", "documents", "text", "spans", "images", "image_ends",
         "image_grids", "image_patches"}


def split(data):
    """The files that a stream is made of, by the length that each header tells."""
    out, at = [], 0
    while at < len(data):
        (n,) = struct.unpack_from("<Q", data, at)
        header = json.loads(data[at + 8:at + 8 + n])
        size = max([v["data_offsets"][1] for k, v in header.items()
                    if k != "__metadata__"], default=0)
        end = at + 8 + n + size
        assert end <= len(data), "a shard is cut off"
        out.append(data[at:end])
        at = end
    return out


def wide(raw):
    """A tensor as the library gives it, in float32 or as it is."""
    b, dtype, shape = bytes(raw["data"]), raw["dtype"], raw["shape"]
    kinds = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I64": "<i8", "U8": "u1"}
    if dtype == "BF16":
        a = (np.frombuffer(b, "<u2").astype("<u4") << 16).view("<f4")
    else:
        assert dtype in kinds, dtype
        a = np.frombuffer(b, kinds[dtype])
    return a.reshape(shape).astype("f4") if dtype == "F16" else a.reshape(shape)


class Shard:
    """One shard, checked by itself."""

    def __init__(self, data):
        (n,) = struct.unpack_from("<Q", data, 0)
        self.meta = json.loads(data[8:8 + n]).get("__metadata__", {})
        raw = dict(safetensors.deserialize(data))
        self.dtype = {k: v["dtype"] for k, v in raw.items()}
        self.t = {k: wide(v) for k, v in raw.items()}
        assert all(isinstance(v, str) for v in self.meta.values())
        assert self.meta["saedb"] == "shards 1"
        self.number = int(self.meta["shard"])
        self.last = self.meta.get("last") == "true"
        self.begun = json.loads(self.meta.get("documents", "[]"))
        self.check()

    def integer(self, name, *shape):
        """The tensor, of that shape and of integers."""
        a = self.t[name]
        assert self.dtype[name] in ("I32", "I64"), name
        assert a.ndim == len(shape), name
        assert all(w is None or w == g for w, g in zip(shape, a.shape)), (name, a.shape)
        return a

    def check(self):
        tokens = self.integer("tokens", None)
        self.n = n = len(tokens)
        assert n and (tokens >= 0).all()
        windows = self.integer("windows", None)
        assert windows[0] == 0 and windows[-1] == n and (np.diff(windows) > 0).all()
        self.n_windows = len(windows) - 1
        latents = {k[:-5] for k in self.t
                   if k.endswith(".rows") and k[:-5] + ".features" in self.t}
        for sae in latents:
            self.check_latents(sae)
        parts = {f"{s}.{p}" for s in latents for p in ("rows", "features", "values")}
        self.hooks = {k: v for k, v in self.t.items() if k not in FIXED | parts}
        self.latents = latents
        for k, v in self.hooks.items():
            assert self.dtype[k] in FLOATS and v.ndim == 2 and len(v) == n, k
            assert np.isfinite(v).all(), k
        assert self.hooks or latents
        if "documents" in self.t:
            d = self.integer("documents", None)
            assert len(d) in (n, self.n_windows)
        if "images" in self.t:
            self.check_images()

    def check_latents(self, sae):
        rows = self.integer(f"{sae}.rows", self.n + 1)
        features = self.integer(f"{sae}.features", None)
        values = self.t[f"{sae}.values"]
        assert self.dtype[f"{sae}.values"] in FLOATS
        assert rows[0] == 0 and rows[-1] == len(features) == len(values)
        assert (np.diff(rows) >= 0).all() and (features >= 0).all()
        for i in range(self.n):
            assert (np.diff(features[rows[i]:rows[i + 1]]) > 0).all()
        assert np.isfinite(values).all() and (values > 0).all()

    def check_images(self):
        ends = self.integer("image_ends", None)
        grids = self.integer("image_grids", len(ends), 2)
        patches = self.integer("image_patches", self.n, 2)
        data = self.t["images"].tobytes()
        assert self.dtype["images"] == "U8" and ends[-1] == len(data)
        assert (np.diff([0, *ends]) > 0).all() and (grids > 0).all()
        self.images = [data[a:b] for a, b in zip([0, *ends], ends)]
        of = patches[patches[:, 0] >= 0]
        assert (patches[:, 0] >= -1).all() and (of[:, 0] < len(ends)).all()
        assert (of[:, 1] < grids[of[:, 0]].prod(axis=1)).all()
        assert (of[:, 1] >= 0).all()

    def latents_of(self, sae):
        """One (feature to value) for each position."""
        rows = self.t[f"{sae}.rows"]
        f, v = self.t[f"{sae}.features"], self.t[f"{sae}.values"]
        return [dict(zip(f[a:b].tolist(), v[a:b].tolist()))
                for a, b in zip(rows, rows[1:])]


class Window:
    """What a stream holds of one window."""

    def __init__(self):
        self.ids = self.spans = self.documents = self.patches = None
        self.hooks, self.latents, self.images = {}, {}, []


class Stream:
    """A whole stream, checked."""

    def __init__(self, shards):
        self.shards = sorted((Shard(s) for s in shards), key=lambda s: s.number)
        assert [s.number for s in self.shards] == list(range(len(self.shards)))
        assert [s.last for s in self.shards] == \
            [False] * (len(self.shards) - 1) + [True], "not ended, or ended too early"
        for s in self.shards[1:]:
            assert "n_tokens" not in s.meta and "made_by" not in s.meta
            assert s.hooks.keys() == self.shards[0].hooks.keys()
            assert s.latents == self.shards[0].latents
        for s in self.shards[:-1]:
            assert "explained" not in s.meta and "mse" not in s.meta
        self.n_tokens = sum(s.n for s in self.shards)
        if "n_tokens" in self.shards[0].meta:
            assert int(self.shards[0].meta["n_tokens"]) == self.n_tokens
        self.documents, self.texts, self.windows = [], [], []
        for s in self.shards:
            self.take(s)
        self.n_documents = len(self.documents) if "documents" in self.shards[0].t \
            else len(self.windows)

    def take(self, s):
        """A shard's documents and windows, held against those before."""
        before = len(self.documents)
        self.documents += s.begun
        numbered = "documents" in s.t
        assert numbered == ("documents" in self.shards[0].t)
        assert ("text" in s.t) == ("text" in self.shards[0].t) == ("spans" in s.t)
        if numbered:
            known = [d for d in s.t["documents"].tolist() if d >= 0]
            self.order = getattr(self, "order", []) + known
            steps = np.diff([-1, *self.order])
            assert ((steps == 0) | (steps == 1)).all(), "numbers go by 0 or 1"
            assert set(range(before, len(self.documents))) == \
                {d for d in known if d >= before}, "documents that begin here"
        if "text" in s.t:
            assert s.dtype["text"] == "U8" and s.t["text"].ndim == 1
            data, at = s.t["text"].tobytes(), 0
            for d in s.begun:
                self.texts.append(data[at:at + d["n_bytes"]])
                at += d["n_bytes"]
            assert at == len(data)
            s.integer("spans", s.n, 2)
        starts = s.t["windows"]
        latents = {x: s.latents_of(x) for x in s.latents}
        for i, (a, b) in enumerate(zip(starts, starts[1:])):
            self.windows.append(self.window(s, i, a, b, latents))

    def window(self, s, i, a, b, latents):
        w = Window()
        w.ids = s.t["tokens"][a:b]
        w.hooks = {k: v[a:b] for k, v in s.hooks.items()}
        w.latents = {k: v[a:b] for k, v in latents.items()}
        if "documents" in s.t:
            d = s.t["documents"]
            w.documents = d[a:b] if len(d) == s.n and s.n != s.n_windows else d[i:i + 1]
        if "spans" in s.t:
            w.spans = s.t["spans"][a:b]
            assert (w.spans[:, 0] >= 0).all() and (w.spans[:, 0] <= w.spans[:, 1]).all()
            of = np.broadcast_to(w.documents, len(w.ids))
            for (_, end), d in zip(w.spans, of):
                assert d < 0 or end <= len(self.texts[d])
        if "images" in s.t:
            w.patches = s.t["image_patches"][a:b]
            w.images = s.images
        return w


def read_stream(data):
    """Of a file or what came through a pipe."""
    return Stream(split(data))


def read_directory(path):
    """Of a directory of shards; nothing else may be in it but the model."""
    files = sorted(p for p in pathlib.Path(path).iterdir() if p.name != "model")
    assert all(p.suffix == ".safetensors" for p in files), files
    return Stream([p.read_bytes() for p in files])


def sha(data):
    """For images."""
    return hashlib.sha256(data).hexdigest()


# What tokenizers find hard: characters in parts, spaces, marks, special tokens.
PLAIN_TEXTS = [
    "Once upon a time", " leading", "trailing ", "two  spaces\n\n\ttab", "🙂🙂 x🙂y",
    "naïve façade — “quoted”", "日本語のテキスト", "e\u0301 composed", "a", " ", "\n",
    "don't WON'T 12345 1,000.5", "Ünïcödé", "mixed 日本 and ascii 🇩🇪!", "x" * 50,
]
