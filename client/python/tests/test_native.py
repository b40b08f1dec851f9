# SPDX-License-Identifier: ISC
"""What saedb-index makes of activations that saedb.capture took in transformers, and of
features that saedb.index encoded in SAELens, against its own forward pass over the same
documents: the same windows, and the same active features but for rounding."""

import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
INDEX = BUILD / "saedb-index"
DUMP = BUILD / "tests/tools/dump_store"
sys.path.insert(0, str(ROOT / "client/python"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import saedb  # noqa: E402

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
if not INDEX.exists() or not DUMP.exists():
    pytest.skip(f"{INDEX} or {DUMP} is not built", allow_module_level=True)

import numpy as np  # noqa: E402
import torch_models  # noqa: E402

HOOK, D_SAE, CONTEXT = "blocks.1.hook_resid_post", 128, 32
# Two float32 forward passes of three layers agree to about 1e-6 of a row's norm; the
# encoder multiplies that by a row of norm 1. Relative to the largest activation, a
# hundredfold of it; a wrong hook, norm or offset is off by 1e-2 and more.
CLOSE = 1e-4


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Those of this build."""
    monkeypatch.setenv("SAEDB_INDEX", str(INDEX))
    monkeypatch.setenv("SAEDBD", str(BUILD / "saedbd"))


def documents(n=120):
    """From the demo's corpus: ids, metadata, other scripts."""
    with gzip.open(ROOT / "demo/corpus/demo.jsonl.gz", "rt", encoding="utf-8") as f:
        out = [json.loads(next(f)) for _ in range(n)]
    out.append({"id": "scripts", "text": "naïve façade — 日本語 🙂🙂 Straße", "kind": "odd"})
    return out


def make_sae(folder, width, seed=3):
    """A JumpReLU SAE in SAELens' files; a quarter of the features fire."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((D_SAE, width)).astype(np.float32)
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    folder.mkdir()
    safetensors.save_file(
        {"W_enc": np.ascontiguousarray(w.T), "W_dec": w,
         "b_enc": rng.standard_normal(D_SAE).astype(np.float32) / 4,
         "b_dec": np.zeros(width, np.float32),
         "threshold": np.full(D_SAE, 1, np.float32)}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps({
        "architecture": "jumprelu", "d_in": width, "d_sae": D_SAE, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "model_name": "model",
                     "hook_name": HOOK, "prepend_bos": True, "context_size": CONTEXT}}))


def run_index(*arguments):
    """Its error is the test's."""
    done = subprocess.run([INDEX, "--quiet", *map(str, arguments)], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


def dump(store):
    """The windows' lines; {(window, token, feature): activation}; explained variance."""
    text = subprocess.run([DUMP, store], capture_output=True, text=True, check=True).stdout
    windows, acts, explained = [], {}, None
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("window", "document", "example") and kind != "example":
            windows.append(line)
        elif kind == "slot":
            bits = rest.split()[rest.split().index("explained") + 1]
            (explained,) = struct.unpack(">d", bytes.fromhex(bits))
        elif kind == "acts":
            window, _, rows = rest.partition(" |")
            for token, row in enumerate(rows.split("|")):
                for pair in row.split():
                    feature, _, bits = pair.partition(":")
                    (value,) = struct.unpack(">f", bytes.fromhex(bits))
                    acts[int(window), token, int(feature)] = value
    return windows, acts, explained


def compare(native, other):
    """Returns how many activations were compared, and how many were near the threshold."""
    (windows_a, a, explained_a), (windows_b, b, explained_b) = dump(native), dump(other)
    assert windows_a == windows_b
    top = max(a.values())
    odd = set(a) ^ set(b)
    assert all(abs((a.get(k) or b.get(k)) - 1) <= CLOSE * top for k in odd), sorted(odd)[:5]
    worst = max(abs(a[k] - b[k]) for k in set(a) & set(b))
    assert worst <= CLOSE * top, worst
    assert explained_b == pytest.approx(explained_a, rel=1e-5), (explained_a, explained_b)
    assert len(odd) <= len(a) * 1e-3
    return len(a), len(odd)


@pytest.fixture(params=["gpt2", "gemma2"])
def setting(request, tmp_path):
    """A random model as a directory, an SAE, and the native index of the documents."""
    model = torch_models.make(request.param)
    tokenizer = torch_models.tokenizer()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    make_sae(tmp_path / "sae", 32)
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents()))
    run_index("--store", tmp_path / "native", "--model", tmp_path / "model", "--sae",
              tmp_path / "sae", "--corpus", tmp_path / "corpus.jsonl")
    return tmp_path, model, tokenizer


def test_capture(setting):
    """A directory of shards, then a socket."""
    path, model, tokenizer = setting
    saedb.capture(model, documents(), [HOOK], path / "shards", tokenizer=tokenizer,
                  context=CONTEXT, prepend_bos=True, quiet=True, shard_bytes=1 << 18)
    assert len(list((path / "shards").glob("*.safetensors"))) > 1
    run_index("--store", path / "captured", "--model", path / "model", "--sae", path / "sae",
              "--activations", path / "shards")
    n, odd = compare(path / "native", path / "captured")
    assert n > 20000
    print(f"{n} activations, {odd} near the threshold")

    indexer = subprocess.Popen(
        [INDEX, "--quiet", "--store", path / "socket", "--model", path / "model", "--sae",
         path / "sae", "--activations", f"unix:{path}/s"], stdout=subprocess.DEVNULL)
    done = saedb.capture(model, str(path / "corpus.jsonl"), [HOOK], f"unix:{path}/s",
                         tokenizer=tokenizer, context=CONTEXT, prepend_bos=True, quiet=True)
    assert indexer.wait(60) == 0
    assert done.runs == [1]
    compare(path / "native", path / "socket")


def test_index(setting):
    """Features by SAELens, sent as they are encoded."""
    sae_lens = pytest.importorskip("sae_lens", reason="sae_lens is not installed")
    path, model, tokenizer = setting
    sae = sae_lens.SAE.load_from_disk(str(path / "sae"))
    made = saedb.index(model, {"sae": sae}, documents(), path / "made", tokenizer=tokenizer,
                       context=CONTEXT, quiet=True)
    assert made.run == 1
    n, odd = compare(path / "native", path / "made")
    print(f"{n} activations, {odd} near the threshold")
