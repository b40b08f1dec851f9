# SPDX-License-Identifier: ISC
"""Streams of shards (doc/shards.md) for flow tests, with Python's own library alone.

    shards.py split STREAM DIR         each shard a file, in a directory
    shards.py spoil HOW STREAM         the stream with one mistake, on standard output
    shards.py full STREAM N            its windows of N tokens alone, without text
    shards.py rows STREAM OUT.npy      the tokens of such a stream as an array of rows
    shards.py delphi STREAM DIR        its features as delphi caches them, in three files
    shards.py reverse STREAM           its documents from the last to the first
    shards.py images                   windows of text and of patches of two images
    shards.py wide DIR                 a model that is only described, and an SAE of it
    shards.py flood GB                 GB of activations for it, made on the fly
"""

import json
import pathlib
import random
import struct
import sys
import zlib

FORMATS = {"F32": "f", "I32": "i", "I64": "q", "U8": "B", "U16": "H", "F16": "e"}


class Shard:
    """Notes, and tensors by name: [dtype, shape, values], U8 as bytes."""

    def __init__(self, notes, tensors):
        self.notes, self.tensors = notes, tensors

    def values(self, name):
        """The values of a tensor."""
        return self.tensors[name][2]

    def pack(self):
        """The file's bytes."""
        header, data = {"__metadata__": self.notes}, b""
        for name, (dtype, shape, values) in self.tensors.items():
            raw = bytes(values) if dtype == "U8" else struct.pack(
                f"<{len(values)}{FORMATS[dtype]}", *values)
            header[name] = {"dtype": dtype, "shape": shape,
                            "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + data


def read(path):
    """All shards of a stream."""
    raw, at, shards = pathlib.Path(path).read_bytes(), 0, []
    while at < len(raw):
        (n,) = struct.unpack_from("<Q", raw, at)
        header = json.loads(raw[at + 8:at + 8 + n])
        base, end, tensors = at + 8 + n, at + 8 + n, {}
        notes = header.pop("__metadata__")
        for name, t in header.items():
            a, b = (base + x for x in t["data_offsets"])
            code = FORMATS[t["dtype"]]
            values = raw[a:b] if code == "B" else list(
                struct.unpack(f"<{(b - a) // struct.calcsize(code)}{code}", raw[a:b]))
            tensors[name] = [t["dtype"], t["shape"], values]
            end = max(end, b)
        shards.append(Shard(notes, tensors))
        at = end
    return shards


def write(shards):
    """A stream, on standard output."""
    for s in shards:
        sys.stdout.buffer.write(s.pack())


def split(stream, folder):
    """Names that sort otherwise than the numbers: these decide."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    shards = read(stream)
    for i, s in enumerate(shards):
        (folder / f"{'abc'[i % 3]}{len(shards) - i}.safetensors").write_bytes(s.pack())


HOOK = "blocks.1.hook_resid_pre"


def _set(name, index, value):
    def spoil(shards):
        shards[1].values(name)[index] = value
    return spoil


def _shape(name, shape):
    def spoil(shards):
        shards[1].tensors[name][1] = shape
    return spoil


def _drop(name):
    def spoil(shards):
        del shards[1].tensors[name]
    return spoil


def _note(key, value, which=1):
    def spoil(shards):
        if value is None:
            del shards[which].notes[key]
        else:
            shards[which].notes[key] = value
    return spoil


def _rename(shards):
    for s in shards:
        s.tensors["blocks.0.hook_mlp_out"] = s.tensors.pop(HOOK)


def _narrow(shards):
    for s in shards:
        n = s.tensors[HOOK][1][0]
        s.tensors[HOOK] = ["F32", [n, 2], s.values(HOOK)[:2 * n]]


def _text_short(shards):
    s = shards[1].tensors["text"]
    s[2] = s[2][:-1]
    s[1] = [len(s[2])]


def _ints_as_floats(shards):
    shards[1].tensors["tokens"][0] = "F32"


# What is done to a stream, by name. The flow test knows what must be said of each.
SPOIL = {
    "no-last": _note("last", None, -1),
    "two-lasts": _note("last", "true", 0),
    "gap": lambda shards: shards.pop(1),
    "no-number": _note("shard", "one"),
    "another-format": _note("saedb", "shards 9"),
    "no-shard": _note("saedb", None),
    "past-vocabulary": _set("tokens", 3, 100000),
    "negative-token": _set("tokens", 3, -7),
    "float-tokens": _ints_as_floats,
    "no-windows": _drop("windows"),
    "window-empty": lambda shards: shards[1].tensors.__setitem__(
        "windows", ["I32", [4], [0, 5, 5, shards[1].tensors["tokens"][1][0]]]),
    "window-short": lambda shards: shards[1].values("windows").__setitem__(-1, 7),
    "document-jump": _set("documents", -1, 100000),
    "document-back": _set("documents", -1, 0),
    "span-past": _set("spans", 21, 1 << 25),
    "span-backwards": _set("spans", 20, 1 << 25),
    "no-spans": _drop("spans"),
    "text-short": _text_short,
    "notes-broken": _note("documents", "[{]"),
    "notes-few": _note("documents", "[]"),
    "nan": _set(HOOK, 5, float("nan")),
    "infinite": _set(HOOK, 5, float("inf")),
    "another-hook": _rename,
    "narrow": _narrow,
}


def windows_of(stream):
    """Of each window of a stream: its tokens, the first one's number in its shard, the
    shard."""
    for s in read(stream):
        bounds = s.values("windows")
        for a, b in zip(bounds, bounds[1:]):
            yield s.values("tokens")[a:b], a, s


def latents_of(shard):
    """The name of a shard's only SAE."""
    return next(n[:-5] for n in shard.tensors if n.endswith(".rows"))


def full(stream, n):
    """One shard of the windows of n tokens."""
    n = int(n)
    windows = [w for w in windows_of(stream) if len(w[0]) == n]
    tokens = [t for w in windows for t in w[0]]
    tensors = {"tokens": ["I64", [len(tokens)], tokens],
               "windows": ["I64", [len(windows) + 1], list(range(0, len(tokens) + 1, n))]}
    if HOOK in windows[0][2].tensors:
        d = windows[0][2].tensors[HOOK][1][1]
        x = [v for _, a, s in windows for v in s.values(HOOK)[a * d:(a + n) * d]]
        tensors[HOOK] = ["F32", [len(tokens), d], x]
    else:
        name = latents_of(windows[0][2])
        rows, features, values = [0], [], []
        for _, a, s in windows:
            for i in range(a, a + n):
                lo, hi = s.values(name + ".rows")[i:i + 2]
                features += s.values(name + ".features")[lo:hi]
                values += s.values(name + ".values")[lo:hi]
                rows.append(len(features))
        tensors |= {name + ".rows": ["I64", [len(rows)], rows],
                    name + ".features": ["I32", [len(features)], features],
                    name + ".values": ["F32", [len(values)], values]}
    write([Shard({"saedb": "shards 1", "shard": "0", "last": "true"}, tensors)])


def rows(stream, out):
    """NumPy's format, version 1, int64."""
    ids = [w[0] for w in windows_of(stream)]
    head = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({len(ids)}, {len(ids[0])}), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    pathlib.Path(out).write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
        b"".join(struct.pack(f"<{len(r)}q", *r) for r in ids))


def delphi(stream, folder):
    """Entries of a file in no order of features, as delphi leaves them."""
    (s,) = read(stream)
    name, n = latents_of(s), s.values("windows")[1]
    entries, start = [], s.values(name + ".rows")
    for i in range(s.values("windows")[-1]):
        for j in range(start[i], start[i + 1]):
            entries.append((i // n, i % n, s.values(name + ".features")[j],
                            s.values(name + ".values")[j]))
    entries.sort(key=lambda e: (e[0], -e[2], e[1]))
    folder = pathlib.Path(folder)
    folder.mkdir()
    tokens = ["I64", [s.values("windows")[-1] // n, n], s.values("tokens")]
    for first, last in ((0, 31), (32, 63), (64, 95)):
        mine = [e for e in entries if first <= e[2] <= last]
        (folder / f"{first}_{last}.safetensors").write_bytes(Shard({}, {
            "locations": ["U16", [len(mine), 3],
                          [v for e in mine for v in (e[0], e[1], e[2] - first)]],
            "activations": ["F32", [len(mine)], [e[3] for e in mine]],
            "tokens": tokens}).pack())


def reverse(stream):
    """A shard for each document, the last one first; activations alone."""
    parts = {}
    for s in read(stream):
        bounds, at = s.values("windows"), 0
        notes = json.loads(s.notes["documents"])
        known = set(parts)
        for a, b, d in zip(bounds, bounds[1:], s.values("documents")):
            if d not in known and d not in parts:
                parts[d] = [notes.pop(0), [], [], [], []]
                parts[d].append(s.values("text")[at:at + parts[d][0]["n_bytes"]])
                at += parts[d][0]["n_bytes"]
            p, width = parts[d], s.tensors[HOOK][1][1]
            p[1].append(len(p[2]))
            p[2] += s.values("tokens")[a:b]
            p[3] += s.values("spans")[2 * a:2 * b]
            p[4] += s.values(HOOK)[a * width:b * width]
    out = []
    for i, d in enumerate(sorted(parts, reverse=True)):
        note, windows, tokens, spans, x, text = parts[d]
        notes = {"saedb": "shards 1", "shard": str(i), "documents": json.dumps([note])}
        if i == len(parts) - 1:
            notes["last"] = "true"
        out.append(Shard(notes, {
            "tokens": ["I32", [len(tokens)], tokens],
            "windows": ["I32", [len(windows) + 1], [*windows, len(tokens)]],
            "documents": ["I32", [len(windows)], [i] * len(windows)],
            "text": ["U8", [len(text)], text], "spans": ["I32", [len(tokens), 2], spans],
            HOOK: ["F32", [len(tokens), len(x) // len(tokens)], x]}))
    write(out)


PNG_SIDE = 4


def png(color):
    """A small PNG file of one color."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    row = b"\0" + bytes(color) * PNG_SIDE
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", PNG_SIDE, PNG_SIDE, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(row * PNG_SIDE)) + chunk(b"IEND", b""))


def images():
    """Three windows: text, an image of 2 x 2 patches, text and a part of another."""
    files = [png((255, 0, 0)), png((0, 0, 255))]
    tokens = [0, 5, 6, 7] + [1, 1, 1, 1] + [0, 8, 1, 1, 9]
    patches = [-1, -1] * 4 + [0, 0, 0, 1, 0, 2, 0, 3] + [-1, -1] * 2 + [1, 4, 1, 5, -1, -1]
    noise, x = 12345, []
    for _ in range(len(tokens) * 32):
        noise = (noise * 1103515245 + 12345) % (1 << 31)
        x.append(noise / (1 << 30) - 1)
    return [Shard({"saedb": "shards 1", "shard": "0", "last": "true",
                   "documents": json.dumps([{"id": "text"}, {"id": "image"},
                                            {"id": "both", "meta": {"kind": "mixed"}}])},
                  {"tokens": ["I32", [len(tokens)], tokens],
                   "windows": ["I32", [4], [0, 4, 8, 13]],
                   "images": ["U8", [sum(map(len, files))], b"".join(files)],
                   "image_ends": ["I32", [2], [len(files[0]), sum(map(len, files))]],
                   "image_grids": ["I32", [2, 2], [2, 2, 3, 3]],
                   "image_patches": ["I32", [len(tokens), 2], patches],
                   HOOK: ["F32", [len(tokens), 32], x]})]


WIDE, WINDOW, WINDOWS = 4096, 64, 64


def wide(folder):
    """Beside DIR/model/config.json a tokenizer is to be put."""
    folder, d_sae, noise = pathlib.Path(folder), 512, random.Random(7)
    (folder / "model").mkdir(parents=True)
    (folder / "model/config.json").write_text(json.dumps({
        "model_type": "saedb_head", "hidden_size": WIDE, "num_hidden_layers": 2,
        "vocab_size": 600, "max_position_embeddings": WINDOW}))
    w = [noise.gauss(0, WIDE ** -.5) for _ in range(d_sae * WIDE)]
    turned = [v for i in range(WIDE) for v in w[i::WIDE]]
    (folder / "sae").mkdir()
    (folder / "sae/sae_weights.safetensors").write_bytes(Shard({}, {
        "W_enc": ["F32", [WIDE, d_sae], turned], "W_dec": ["F32", [d_sae, WIDE], w],
        "b_enc": ["F32", [d_sae], [0.] * d_sae], "b_dec": ["F32", [WIDE], [0.] * WIDE],
        "threshold": ["F32", [d_sae], [2.] * d_sae]}).pack())
    (folder / "sae/cfg.json").write_text(json.dumps({
        "architecture": "jumprelu", "d_in": WIDE, "d_sae": d_sae, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "model_name": "wide",
                     "hook_name": HOOK, "prepend_bos": True, "context_size": WINDOW}}))


def flood(gigabytes):
    """Shards of 64 MiB, each the same numbers beginning elsewhere."""
    n, noise, out = WINDOW * WINDOWS, random.Random(8), sys.stdout.buffer
    block = struct.pack("<65537f", *(noise.gauss(0, 1) for _ in range(65537)))
    block *= n * WIDE // 65537 + 2
    n_shards = int(float(gigabytes) * 1e9 / (n * WIDE * 4)) + 1
    windows = struct.pack(f"<{WINDOWS + 1}i", *range(0, n + 1, WINDOW))
    for i in range(n_shards):
        tokens = b"".join(struct.pack("<i", 0 if t % WINDOW == 0 else (i * 31 + t * 7) % 600)
                          for t in range(n))
        notes = {"saedb": "shards 1", "shard": str(i), "n_tokens": str(n_shards * n)}
        if i == n_shards - 1:
            notes["last"] = "true"
        ends = [0, len(tokens), len(tokens) + len(windows),
                len(tokens) + len(windows) + n * WIDE * 4]
        header = json.dumps({"__metadata__": notes} | {
            name: {"dtype": dtype, "shape": shape, "data_offsets": ends[k:k + 2]}
            for k, (name, dtype, shape) in enumerate((
                ("tokens", "I32", [n]), ("windows", "I32", [WINDOWS + 1]),
                (HOOK, "F32", [n, WIDE])))}).encode()
        header += b" " * (-len(header) % 8)
        at = i * 9973 % 65537 * 4
        out.write(struct.pack("<Q", len(header)) + header + tokens + windows)
        out.write(memoryview(block)[at:at + n * WIDE * 4])


def spoil(how, stream):
    """See SPOIL."""
    shards = read(stream)
    SPOIL[how](shards)
    write(shards)


DO = {"split": split, "spoil": spoil, "full": full, "rows": rows, "delphi": delphi,
      "reverse": reverse, "wide": wide, "flood": flood, "images": lambda: write(images()),
      "kinds": lambda: print("\n".join(SPOIL))}
DO[sys.argv[1]](*sys.argv[2:])
