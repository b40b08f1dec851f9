#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes tests/model/data/files/: tensors as numpy and PyTorch save them.

Only needed to rebuild the fixtures: pip install torch numpy, then run it from
anywhere. Everything is seeded.

  NAME.npy, NAME.npz, NAME.pt   what is to be read
  NAME.f32      the values it must give, as raw float32: all tensors in the order
                of their names, each in C order
  NAME.shapes   for each tensor, a line: its name, a tab, its shape
  NAME.meta     for each value that is no tensor, a line: name, tab, type, tab, value
  bad-*         what must be refused
"""

import collections
import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy
import torch

OUT = Path(__file__).resolve().parent / "data" / "files"
RNG = numpy.random.default_rng(7)


def expect(name, arrays, meta=()):
    order = sorted(arrays, key=lambda s: s.encode())
    with numpy.errstate(over="ignore"):
        flat = [numpy.ascontiguousarray(arrays[n]).astype("<f4").tobytes()
                for n in order]
    (OUT / f"{name}.f32").write_bytes(b"".join(flat))
    (OUT / f"{name}.shapes").write_text(
        "".join(f"{n}\t{','.join(map(str, arrays[n].shape))}\n" for n in order))
    if meta:
        (OUT / f"{name}.meta").write_text("".join(
            "\t".join((n,) + meta[n]) + "\n"
            for n in sorted(meta, key=lambda s: s.encode())))


# ---- numpy -------------------------------------------------------------------

def every_dtype():
    a = {"W_f4": RNG.standard_normal((3, 5)).astype("<f4"),
         "W_f8": RNG.standard_normal((2, 3)),
         "W_f2": RNG.standard_normal((4, 2)).astype("<f2"),
         "edge_f2": numpy.array([65504, -65504, 6e-8, -6e-5, 0, -0.0, 1], "<f2"),
         "edge_f8": numpy.array([1e-300, 1 / 3, -1e38, 16777217]),
         "i2": numpy.array([-32768, 32767, -1], "<i2"),
         "i4": numpy.array([[-2147483648, 2147483647, 16777217]], "<i4"),
         "i8": numpy.array([-2**63, 2**63 - 1, 2**53 + 1], "<i8"),
         "i1": numpy.array([-128, 127, -1], "i1"),
         "u1": numpy.array([0, 200, 255], "u1"),
         "b1": numpy.array([True, False, True]),
         "scalar": numpy.array(2.5, "<f4"),
         "one": numpy.array([7], "<i4"),
         "empty": numpy.zeros((0, 3), "<f4")}
    a["fortran"] = numpy.asfortranarray(RNG.standard_normal((3, 4)).astype("<f4"))
    a["fortran3"] = numpy.asfortranarray(
        RNG.standard_normal((2, 3, 4)).astype("<f2"))
    a["fortran1"] = numpy.asfortranarray(RNG.standard_normal((1, 4)))
    return a


class Pipe(io.RawIOBase):
    """Cannot seek: zipfile then writes data descriptors."""

    def __init__(self, path):
        self.f = open(path, "wb")

    def writable(self):
        return True

    def write(self, b):
        return self.f.write(b)


def write_zip(file, arrays, how):
    with zipfile.ZipFile(file, "w", how) as z:
        for name in arrays:
            b = io.BytesIO()
            numpy.save(b, arrays[name])
            info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = how
            with z.open(info, "w", force_zip64=True) as f:
                f.write(b.getvalue())


def make_numpy():
    a = every_dtype()
    numpy.savez(OUT / "stored.npz", **a)
    expect("stored", a)
    numpy.savez_compressed(OUT / "deflated.npz", **a)
    expect("deflated", a)
    some = {k: a[k] for k in ("W_f4", "W_f2", "fortran")}
    for name, how in (("pipe", zipfile.ZIP_STORED),
                      ("pipe-deflated", zipfile.ZIP_DEFLATED)):
        pipe = Pipe(OUT / f"{name}.npz")
        write_zip(pipe, some, how)
        pipe.f.close()
        expect(name, some)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 16
    write_zip(OUT / "zip64.npz", some, zipfile.ZIP_STORED)
    zipfile.ZIP64_LIMIT = limit
    expect("zip64", some)
    for name, version in (("v1", (1, 0)), ("v2", (2, 0)), ("v3", (3, 0))):
        with open(OUT / f"{name}.npy", "wb") as f:
            numpy.lib.format.write_array(f, a["W_f4"], version)
        expect(name, {name: a["W_f4"]})
    numpy.save(OUT / "order.npy", a["fortran3"])
    expect("order", {"order": a["fortran3"]})
    numpy.save(OUT / "bad-big.npy", a["W_f4"].astype(">f4"))
    numpy.save(OUT / "bad-object.npy", numpy.array([{}, 1], dtype=object))
    numpy.save(OUT / "bad-records.npy", numpy.zeros(2, [("a", "<f4"), ("b", "<i4")]))
    numpy.save(OUT / "bad-complex.npy", numpy.zeros(2, "<c8"))
    numpy.save(OUT / "bad-text.npy", numpy.array(["a", "bc"]))


# ---- PyTorch -----------------------------------------------------------------

def every_tensor():
    g = torch.Generator().manual_seed(7)
    w = torch.randn(4, 6, generator=g)
    ints = {torch.int64: [-2**63, 2**63 - 1, 5], torch.int32: [-2**31, 2**31 - 1, 5],
            torch.int16: [-2**15, 2**15 - 1, 5], torch.int8: [-128, 127, 5],
            torch.uint8: [0, 255, 5], torch.bool: [True, False, True]}
    model = collections.OrderedDict()
    model["encoder.weight"] = w
    model["encoder.bias"] = torch.nn.Parameter(torch.randn(4, generator=g))
    model["decoder.weight"] = w.T
    model["frozen"] = torch.nn.Parameter(w[1:3, 2:5], requires_grad=False)
    model._metadata = collections.OrderedDict({"": {"version": 1}})
    deep = torch.arange(120, dtype=torch.float64).reshape(2, 3, 4, 5)
    return {
        "model": model,
        "dtype": {str(t)[6:]: torch.tensor(v, dtype=t) for t, v in ints.items()} | {
            str(t)[6:]: torch.randn(3, generator=g).to(t)
            for t in (torch.float16, torch.bfloat16, torch.float32, torch.float64)},
        "view": {"step": w[::2, ::3], "column": w[:, 1], "row": w[2],
                 "permuted": deep.permute(3, 1, 0, 2), "diagonal": w.diagonal(),
                 "expanded_one": w[:1, :1].expand(1, 1), "narrow": deep[1, :, 1:3]},
        "list": [w[0].clone(), (torch.tensor(3, dtype=torch.int32), {"x": w[:2].clone()})],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "by_number": {0: torch.zeros(1), 10: torch.ones(1)},
    }


META = {
    "activation": "TopK", "k": 32, "lr": 0.1, "big": 2**40, "negative": -5,
    "lowest": -2**63, "small": 300, "on": True, "off": False, "none": None,
    "dtype": torch.float32, "text": "süß \N{GREEK SMALL LETTER ALPHA}",
    "group_sizes": [4, 8], "shape": torch.Size([3, 4]),
    "nothing": {}, "inf": float("inf"),
}


def flatten(v, name, arrays, meta):
    if isinstance(v, torch.Tensor):
        v = v.detach()
        arrays[name] = (v.float() if v.dtype == torch.bfloat16 else v).numpy()
    elif isinstance(v, dict):
        for k, x in v.items():
            flatten(x, f"{name}.{k}" if name else str(k), arrays, meta)
    elif isinstance(v, (list, tuple, set)):
        for i, x in enumerate(v):
            flatten(x, f"{name}.{i}" if name else str(i), arrays, meta)
    elif isinstance(v, bool):
        meta[name] = ("bool", str(int(v)))
    elif isinstance(v, int):
        meta[name] = ("int", str(v))
    elif isinstance(v, float):
        meta[name] = ("real", "%.17g" % v)
    elif v is None:
        meta[name] = ("none", "")
    else:
        meta[name] = ("str", str(v).removeprefix("torch."))


def save(name, what, **how):
    path = OUT / f"{name}.pt"
    torch.save(what, path, **how)
    arrays, meta = {}, {}
    flatten(what, "", arrays, meta)
    if "" in arrays:
        arrays = {name: arrays[""]}
    expect(name, arrays, meta)
    return path


class Evil:
    def __reduce__(self):
        return os.system, ("touch saedb-pickle-was-run",)


def make_torch():
    torch.manual_seed(7)
    what = every_tensor() | {"config": META}
    path = save("all", what)
    few = {"W_enc": torch.randn(2, 3), "b": torch.nn.Parameter(torch.randn(3)),
           "W_dec": torch.randn(2, 3).T, "k": 2, "name": "few", "f": [0.5]}
    for protocol in (2, 3, 4, 5):
        save(f"protocol{protocol}", few | ({"set": {7}} if protocol > 3 else {}),
             pickle_protocol=protocol)
    torch.save({"a": {7}}, OUT / "bad-set.pt")
    save("tensor", torch.arange(6).reshape(2, 3).T)
    with zipfile.ZipFile(path) as old, \
            zipfile.ZipFile(OUT / "all-deflated.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for i in old.infolist():
            new.writestr(zipfile.ZipInfo(i.filename, (1980, 1, 1, 0, 0, 0)),
                         old.read(i), zipfile.ZIP_DEFLATED)
    torch.save({"a": torch.ones(2), "b": Evil()}, OUT / "bad-evil.pt")
    torch.save({"a": torch.ones(2), "b": Evil()}, OUT / "bad-evil4.pt",
               pickle_protocol=4)
    torch.save({"a": torch.ones(2)}, OUT / "bad-legacy.pt",
               _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), OUT / "bad-module.pt")
    torch.save({"a": torch.ones(2, 1).expand(2, 3)}, OUT / "bad-expand.pt")
    torch.save({"a": torch.ones(5).as_strided((3, 3), (1, 1))},
               OUT / "bad-overlap.pt")
    torch.save({"a": torch.ones(2).to(torch.float8_e4m3fn)}, OUT / "bad-float8.pt")
    torch.save({"a": torch.ones(2, dtype=torch.complex64)}, OUT / "bad-complex.pt")
    torch.save({"a": numpy.float64(3)}, OUT / "bad-numpy.pt")
    torch.save({"a": torch.ones(2).to_sparse()}, OUT / "bad-sparse.pt")
    torch.save({"a": 2**100}, OUT / "bad-long.pt")
    loop = {"a": torch.ones(2)}
    loop["self"] = loop
    torch.save(loop, OUT / "bad-loop.pt")
    torch.save({"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}, OUT / "bad-twice.pt")
    torch.save({(1, 2): torch.ones(1)}, OUT / "bad-key.pt")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), OUT / "bad-script.pt")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    make_numpy()
    make_torch()


if __name__ == "__main__":
    main()
