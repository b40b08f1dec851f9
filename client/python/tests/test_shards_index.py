# SPDX-License-Identifier: ISC
"""Shards of saedb.ShardWriter in saedb-index: what is in the store afterwards, against
numpy. Skipped where saedb-index takes no shards."""

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
INDEX = BUILD / "saedb-index"
DEMO = ROOT / "demo"
sys.path.insert(0, str(ROOT / "client/python"))

import saedb  # noqa: E402

np = pytest.importorskip("numpy")
safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")

if not INDEX.exists():
    pytest.skip(f"{INDEX} is not built", allow_module_level=True)
if "--activations" not in subprocess.run([INDEX, "--help"], capture_output=True,
                                         text=True, check=False).stdout:
    pytest.skip("this saedb-index takes no shards", allow_module_level=True)

HOOK = "blocks.2.hook_resid_pre"
PNG = bytes.fromhex(  # one grey pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63680000008200818bd06c7f0000000049454e44ae426082")


@pytest.fixture(autouse=True)
def daemon(monkeypatch):
    """That of this build."""
    if (BUILD / "saedbd").exists():
        monkeypatch.setenv("SAEDBD", str(BUILD / "saedbd"))


def command(store, *more):
    """With the demo's model and one of its SAEs."""
    return [INDEX, "--quiet", "--store", store, "--model", DEMO / "model", "--sae",
            f"1k={DEMO}/sae/1k", *more]


def index(store, *more):
    """Runs it; its error is the test's."""
    done = subprocess.run(command(store, *more), capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def windows():
    """Documents of one to three windows, as (text, id, [(ids, spans, activations)])."""
    rng = np.random.default_rng(5)
    out = []
    for d in range(20):
        text = f"Document {d} – " + "words " * d
        size, parts = len(text.encode()), []
        for _ in range(1 + d % 3):
            n = int(rng.integers(2, 30))
            spans = np.sort(rng.integers(0, size + 1, (n, 2)), axis=1)
            spans = np.sort(spans, axis=0)
            spans[0] = spans[1, 0]
            ids = rng.integers(1, 4000, n)
            ids[0] = 0  # BOS, which does not count
            x = (rng.standard_normal((n, 192)) * 2).astype("f4")
            parts.append((ids, spans, x))
        out.append((text, f"doc-{d}", parts))
    return out


def write(target, what, **options):
    """All of windows(), each with what(activations)."""
    with saedb.ShardWriter(target, shard_bytes=60000, **options) as w:
        for text, name, parts in windows():
            w.document(text, id=name, meta={"length": len(text)})
            for ids, spans, x in parts:
                w.window(ids, spans=spans, **what(x))
    return w


def encoded(x):
    """The demo's SAE, as SAELens encodes."""
    path = DEMO / "sae/1k/sae_weights.safetensors"
    t = {k: v.astype("f8") for k, v in safetensors.load_file(path).items()}
    pre = (x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
    acts = np.maximum(pre, 0) * (pre > t["threshold"])
    return acts.astype("f4"), acts @ t["W_dec"] + t["b_dec"]


def check_document(got, parts):
    """Its tokens, without BOS, and what fires on each."""
    ids = np.concatenate([p[0][1:] for p in parts])
    assert got.ids == ids.tolist()
    acts, _ = encoded(np.concatenate([p[2][1:] for p in parts]))
    for i, row in enumerate(acts):
        a, b = got.row_start[i], got.row_start[i + 1]
        here = dict(zip(got.features[a:b], got.values[a:b]))
        assert here == {f: pytest.approx(row[f], rel=1e-5) for f in row.nonzero()[0]}


def check(store):
    """Counts, maxima, documents and the fit, against numpy."""
    x = np.concatenate([p[2][1:] for _, _, parts in windows() for p in parts])
    acts, back = encoded(x)
    with saedb.open_store(store) as db:
        rows = {r.index: r for r in db.features("1k")}
        assert sum(acts.any(axis=0)) > 100
        for f in range(1024):
            assert rows[f].count == (acts[:, f] > 0).sum()
            assert rows[f].max == pytest.approx(acts[:, f].max(), rel=1e-5)
        documents = {d.document: d for d in db.documents()}
        assert documents.keys() == {name for _, name, _ in windows()}
        for text, name, parts in windows()[:6]:
            check_document(db.document_activations(name, "1k", n=256), parts)
            assert documents[name].n_bytes == len(text.encode())
        run, = db.runs()
        sae = run["saes"][0]
        error = ((x - back) ** 2).sum()
        variance = ((x - x.mean(axis=0, dtype="f8")) ** 2).sum()
        assert sae["explained"] == pytest.approx(1 - error / variance, rel=1e-5)
        best = max(rows.values(), key=lambda r: r.count)
        assert db.examples(best.feature, limit=5)
    return run


@pytest.mark.parametrize("way", ["directory", "file", "pipe", "socket"])
def test_activations(tmp_path, way):
    """By every way there is, the same."""
    store = tmp_path / "store"

    def what(x):
        return {"activations": {HOOK: x}}

    if way == "directory":
        write(tmp_path / "s", what)
        index(store, "--activations", tmp_path / "s")
    elif way == "file":
        write(tmp_path / "s.safetensors", what)
        index(store, "--activations", tmp_path / "s.safetensors")
    elif way == "pipe":
        with subprocess.Popen(command(store, "--activations", "-"),
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as p:
            write(p.stdin, what)
            p.stdin.close()
        assert p.returncode == 0
    else:
        address = f"unix:{tmp_path}/sock"
        with subprocess.Popen(command(store, "--activations", address),
                              stdout=subprocess.DEVNULL) as p:
            assert write(address, what).runs == [1]
        assert p.returncode == 0
    check(store)


def test_latents(tmp_path):
    """Encoded here, with what they explain."""
    x = np.concatenate([p[2][1:] for _, _, parts in windows() for p in parts])
    back = encoded(x)[1]
    error = ((x - back) ** 2).sum()
    variance = ((x - x.mean(axis=0, dtype="f8")) ** 2).sum()
    with saedb.ShardWriter(tmp_path / "s", shard_bytes=60000) as w:
        for text, name, parts in windows():
            w.document(text, id=name)
            for ids, spans, y in parts:
                w.window(ids, spans=spans, latents={"1k": encoded(y)[0]})
        w.results(explained={"1k": 1 - error / variance}, mse={"1k": error / len(x)})
    index(tmp_path / "store", "--latents", tmp_path / "s")
    run = check(tmp_path / "store")
    assert run["saes"][0]["mse"] == pytest.approx(error / len(x), rel=1e-9)


def test_images(tmp_path):
    """Positions that are patches."""
    with saedb.ShardWriter(tmp_path / "s") as w:
        for ids, spans, x in (p for _, _, parts in windows() for p in parts):
            patches = np.full((len(ids), 2), -1)
            patches[1] = 0, 0
            w.window(ids, {HOOK: x}, images=[PNG], image_grids=[[1, 1]],
                     image_patches=patches)
    index(tmp_path / "store", "--activations", tmp_path / "s")
    with saedb.open_store(tmp_path / "store") as db:
        image = db.image(hashlib.sha256(PNG).hexdigest())
        assert (image.type, bytes(image.data)) == ("image/png", PNG)


def test_documents_by_position(tmp_path):
    """Windows that hold several, and no text: the vocabulary says it."""
    with saedb.ShardWriter(tmp_path / "s") as w:
        n = -1
        for ids, _, x in (p for _, _, parts in windows() for p in parts):
            half = len(ids) // 2
            numbers = [-1, *[max(n, 0)] * half]
            if n < 0:
                n = w.document()
            n = w.document()
            w.window(ids, {HOOK: x},
                     documents=numbers[:half + 1] + [n] * (len(ids) - half - 1)
                     if len(ids) - half - 1 else [-1] + [n] * (len(ids) - 1))
    index(tmp_path / "store", "--activations", tmp_path / "s")


def test_refused(tmp_path):
    """A stream without its end, with the reason on a pipe and on a socket."""
    address = f"unix:{tmp_path}/sock"
    for target in ("-", address):
        with subprocess.Popen(command(tmp_path / "store", "--activations", target),
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as p:
            with pytest.raises(KeyError):
                with saedb.ShardWriter(p.stdin if target == "-" else target,
                                       shard_bytes=1) as w:
                    for _ in range(3):
                        w.window([1], {HOOK: np.ones((1, 192), "f4")})
                    raise KeyError
            p.stdin.close()
            text = p.stderr.read()
        assert p.returncode == 1 and text
    with subprocess.Popen(command(tmp_path / "store", "--activations", address),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
        with pytest.raises(saedb.Error, match="192"):
            with saedb.ShardWriter(address) as w:
                w.window([1], {HOOK: np.ones((1, 191), "f4")})
    assert p.returncode == 1
