# SPDX-License-Identifier: ISC
"""saedb.ShardWriter against doc/shards.md, as shard_check.py has it."""

import contextlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
sys.path.insert(0, str(ROOT / "client/python"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import saedb  # noqa: E402

np = pytest.importorskip("numpy")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from shard_check import read_directory, read_stream, split  # noqa: E402

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of it"
GIF = b"GIF89a" + b"more"
RNG = np.random.default_rng(0)


def acts(n, width=4, dtype="f4"):
    """Some activations."""
    return RNG.standard_normal((n, width)).astype(dtype)


def written(fill, **options):
    """The stream that fill(writer) makes, through a pipe."""
    out = io.BytesIO()
    with saedb.ShardWriter(out, **options) as w:
        fill(w)
    return read_stream(out.getvalue())


def refused(fill, *words):
    """That it is, with all of the words in the error; what was written is no stream."""
    out = io.BytesIO()
    with pytest.raises(saedb.BadArgument) as e:
        with saedb.ShardWriter(out, shard_bytes=1) as w:
            fill(w)
    for word in words:
        assert str(word) in str(e.value), e.value
    assert all(b'"last"' not in s for s in split(out.getvalue()))


# ---- what is written ---------------------------------------------------------------


def test_round_trip():
    """Windows, documents, texts, spans, several hooks: as given, over many shards."""
    texts = ["héllo wörld", "", "third 🙂"]
    given = []

    def fill(w):
        for d, text in enumerate(texts):
            assert w.document(text, id=f"doc {d}", meta={"n": d, "ü": [1, None]}) == d
            size = len(text.encode())
            for i in range(2):
                n = int(RNG.integers(1, 9))
                ids = RNG.integers(0, 50000, n)
                spans = np.sort(RNG.integers(0, size + 1, (n, 2)), axis=1)
                x = {"blocks.1.hook_resid_pre": acts(n), "layers.2.mlp": acts(n, 3, "f2")}
                w.window(ids, x, spans=spans)
                given.append((d, ids, spans, x))

    for shard_bytes in (1, 300, 1 << 20):
        given.clear()
        s = written(fill, shard_bytes=shard_bytes, made_by="a test")
        assert [t.decode() for t in s.texts] == texts
        assert [(d["id"], d["meta"]) for d in s.documents] == \
            [(f"doc {d}", {"n": d, "ü": [1, None]}) for d in range(3)]
        assert s.shards[0].meta["made_by"] == "a test"
        assert (len(s.shards) > 3) == (shard_bytes < 1000)
        assert len(s.windows) == len(given)
        for w, (d, ids, spans, x) in zip(s.windows, given):
            assert (w.ids == ids).all() and (w.spans == spans).all()
            assert w.documents.tolist() == [d]
            for hook in x:
                assert (w.hooks[hook] == x[hook].astype("f4")).all()


def test_each_window_a_document():
    """Where none is begun."""
    s = written(lambda w: [w.window([1, 2], {"h": acts(2)}) for _ in range(3)])
    assert s.n_documents == 3 and "documents" not in s.shards[0].t
    assert "documents" not in s.shards[0].meta


def test_documents_by_position():
    """Windows that hold several, over shards, with texts that begin where they do."""
    def fill(w):
        w.document("one")
        w.document("two")
        w.window([9, 1, 9, 2], {"h": acts(4)}, documents=[-1, 0, -1, 1],
                 spans=[[0, 0], [0, 3], [0, 0], [0, 2]])
        w.window([2, 9], {"h": acts(2)}, documents=[1, -1], spans=[[2, 3], [0, 0]])
        w.document("three")
        w.window([3], {"h": acts(1)}, documents=[2], spans=[[0, 5]])

    for shard_bytes in (1, 1 << 20):
        s = written(fill, shard_bytes=shard_bytes)
        assert s.texts == [b"one", b"two", b"three"]
        assert s.order == [0, 1, 1, 2]


def test_latents():
    """As triples, dense, and of scipy: the same."""
    dense = np.array([[0, 2, 0, .5], [0, 0, 0, 0], [1, 0, 0, 0]], "f4")
    triple = ([0, 2, 2, 3], [1, 3, 0], np.array([2, .5, 1], "f4"))
    forms = {"dense": dense, "triple": triple, "double": dense.astype("f8")}
    scipy = pytest.importorskip("scipy.sparse")
    forms["csr"] = scipy.csr_matrix(dense)

    def fill(w):
        for _ in range(2):
            w.window([5, 6, 7], latents=forms)
        w.results(explained={"dense": .5}, mse={"dense": 2})

    for shard_bytes in (1, 1 << 20):
        s = written(fill, shard_bytes=shard_bytes)
        for w in s.windows:
            for form in forms:
                assert w.latents[form] == [{1: 2, 3: .5}, {}, {0: 1}]
        last = s.shards[-1].meta
        assert json.loads(last["explained"]) == {"dense": .5}
        assert json.loads(last["mse"]) == {"dense": 2}


def test_no_feature_at_all():
    """Latents of windows in which nothing fires."""
    s = written(lambda w: w.window([1, 2], latents={"s": np.zeros((2, 9), "f4")}))
    assert s.windows[0].latents["s"] == [{}, {}]


def test_images():
    """Once in a shard, whoever brings them; numbers and grids are kept."""
    def fill(w):
        w.window([1, 2, 3], {"h": acts(3)}, images=[PNG], image_grids=[[1, 2]],
                 image_patches=[[-1, 0], [0, 0], [0, 1]])
        w.window([4], {"h": acts(1)})
        w.window([5, 6], {"h": acts(2)}, images=[GIF, PNG],
                 image_grids=[[1, 1], [1, 2]], image_patches=[[1, 1], [0, 0]])

    s = written(fill)
    assert s.shards[0].images == [PNG, GIF]
    assert s.shards[0].t["image_grids"].tolist() == [[1, 2], [1, 1]]
    assert s.shards[0].t["image_patches"].tolist() == \
        [[-1, 0], [0, 0], [0, 1], [-1, 0], [0, 1], [1, 0]]
    s = written(fill, shard_bytes=1)
    assert [getattr(x, "images", None) for x in s.shards] == [[PNG], None, [GIF, PNG]]


def test_image_by_path_and_pil(tmp_path):
    """A file is read, a PIL.Image becomes a PNG."""
    (tmp_path / "a.gif").write_bytes(GIF)
    pil = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    s = written(lambda w: w.window(
        [1], {"h": acts(1)}, images=[tmp_path / "a.gif", pil.new("RGB", (2, 2))],
        image_grids=[[1, 1], [1, 1]], image_patches=[[1, 0]]))
    assert s.shards[0].images[0] == GIF
    assert pil.open(io.BytesIO(s.shards[0].images[1])).size == (2, 2)


def test_large_ids():
    """Integers are as narrow as they may be, and never narrower."""
    s = written(lambda w: w.window([(1 << 31) - 1], {"h": acts(1)}))
    assert s.windows[0].ids.tolist() == [(1 << 31) - 1]


def test_the_callers_arrays_are_their_own():
    """What is changed after it was given is written as it was."""
    x, ids = acts(2), np.array([1, 2])
    before = x.copy()

    def fill(w):
        w.window(ids, {"h": x})
        x[:], ids[:] = 7, 7

    s = written(fill)
    assert (s.windows[0].hooks["h"] == before).all()
    assert s.windows[0].ids.tolist() == [1, 2]


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_torch():
    """Every dtype, not contiguous, sparse, with a gradient."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.randn(6, 5, requires_grad=True)
    dense = torch.tensor([[0., 3, 0], [1, 0, 2], [0, 0, 0]])

    def fill(w):
        w.window(torch.arange(5), {
            "f": x.T, "b": x.T.bfloat16(), "h": x.T.half(), "d": x.T.double()})

    s = written(fill)
    assert s.shards[0].dtype["b"] == "BF16" and s.shards[0].dtype["d"] == "F32"
    for name, kind in (("f", torch.float), ("b", torch.bfloat16), ("h", torch.half)):
        got = torch.tensor(s.windows[0].hooks[name])
        assert torch.equal(got, x.T.detach().to(kind).float())
    s = written(lambda w: w.window([1, 2, 3], latents={
        "a": dense, "b": dense.to_sparse(), "c": dense.to_sparse_csr(),
        "e": dense.bfloat16()}))
    for name in "abce":
        assert s.windows[0].latents[name] == [{1: 3}, {0: 1, 2: 2}, {}]


def test_of_another_device(monkeypatch):
    """There values are checked when a shard is cut, and the place is still told."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setattr("saedb.shards.on_this_machine", lambda x: False)
    x = torch.ones(3, 2)
    x[1, 1] = float("nan")
    for n in range(6):
        out = io.BytesIO()
        with pytest.raises(saedb.BadArgument,
                           match=f"'h'.* of window {n}: nan at position 1$"):
            with saedb.ShardWriter(out, shard_bytes=150) as w:  # four windows
                for i in range(6):
                    w.window([1, 2, 3], {"h": x if i == n else torch.ones(3, 2)})


# ---- targets -----------------------------------------------------------------------


def test_directory(tmp_path):
    """Is there only when it is whole; another is not overwritten."""
    place = tmp_path / "a" / "shards"
    with saedb.ShardWriter(place, shard_bytes=1) as w:
        for i in range(12):
            w.window([i], {"h": acts(1)})
        assert not place.exists()
    s = read_directory(place)
    assert [int(w.ids[0]) for w in s.windows] == list(range(12))
    assert os.listdir(tmp_path / "a") == ["shards"]
    with pytest.raises(saedb.BadArgument, match="not empty"):
        saedb.ShardWriter(place)
    (tmp_path / "empty").mkdir()
    with saedb.ShardWriter(tmp_path / "empty") as w:
        w.window([1], {"h": acts(1)})
    read_directory(tmp_path / "empty")
    assert (place.stat().st_mode & 0o777) == (tmp_path.joinpath("a").stat().st_mode & 0o777)


def test_exception_leaves_nothing(tmp_path):
    """Neither a directory nor a file, and nothing beside them."""
    for name in ("dir", "file.safetensors"):
        with pytest.raises(KeyError):
            with saedb.ShardWriter(tmp_path / name, shard_bytes=1) as w:
                w.window([1], {"h": acts(1)})
                w.window([1], {"h": acts(1)})
                raise KeyError
    assert os.listdir(tmp_path) == []


def test_forgotten(tmp_path):
    """A writer that nobody ends leaves nothing, either."""
    w = saedb.ShardWriter(tmp_path / "dir", shard_bytes=1)
    w.window([1], {"h": acts(1)})
    del w
    assert os.listdir(tmp_path) == []


def test_file(tmp_path):
    """Shards follow one another; an old file is replaced."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")
    with saedb.ShardWriter(str(path), shard_bytes=1) as w:
        w.window([1], {"h": acts(1)})
        w.window([2], {"h": acts(1)})
        assert path.read_bytes() == b"old"
    assert len(read_stream(path.read_bytes()).shards) == 2
    assert os.listdir(tmp_path) == [path.name]


def test_standard_output_and_dead_reader():
    """As "-"; and a reader that ends early is an error, not a signal."""
    code = ("import saedb, sys\n"
            "with saedb.ShardWriter('-', shard_bytes=1) as w:\n"
            "    for i in range(int(sys.argv[1])): w.window([i], {'h': [[1.0] * 999]})\n")
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    done = subprocess.run([sys.executable, "-c", code, "3"], env=env, check=True,
                          stdout=subprocess.PIPE)
    assert len(read_stream(done.stdout).windows) == 3
    with subprocess.Popen([sys.executable, "-c", code, "3000"], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.read(10)
        p.stdout.close()
        text = p.stderr.read().decode()
    assert p.returncode == 1 and "the program that reads the shards has ended" in text


class Reader(threading.Thread):
    """Listens as saedb-index does: reads, perhaps only so many bytes, and answers."""

    def __init__(self, path, answer, at_most=None, wait=0):
        super().__init__(daemon=True)
        self.path, self.answer, self.at_most = path, answer, at_most
        self.data = b""
        self.later = threading.Timer(wait, self.start)
        self.later.start()

    def run(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.path)
            s.listen(1)
            peer, _ = s.accept()
            with peer:
                while self.at_most is None or len(self.data) < self.at_most:
                    more = peer.recv(1 << 16)
                    if not more:
                        break
                    self.data += more
                if self.answer:
                    with contextlib.suppress(BrokenPipeError):
                        peer.sendall(self.answer)


def through_socket(tmp_path, answer, n=3, **options):
    """A writer on a socket that comes up late; and its reader."""
    path = str(tmp_path / "s")
    reader = Reader(path, answer, wait=.2, **options)
    try:
        with saedb.ShardWriter(f"unix:{path}", shard_bytes=1, wait=10) as w:
            for i in range(n):
                w.window([i], {"h": acts(1, 2000)})
    finally:
        reader.later.join()
        reader.join()
    return w, reader


def test_socket(tmp_path):
    """Waits for it, and takes the runs from the answer."""
    w, reader = through_socket(tmp_path, b"ok 3 14\n")
    assert w.runs == [3, 14]
    assert len(read_stream(reader.data).windows) == 3


@pytest.mark.parametrize("n, options", [(3, {}), (3000, {"at_most": 100})])
def test_socket_errors(tmp_path, n, options):
    """What the reader says is raised, at the end or while it is written to."""
    with pytest.raises(saedb.Error, match="^no such SAE: 8k$"):
        through_socket(tmp_path, b"error no such SAE: 8k\n", n, **options)


@pytest.mark.parametrize("n, options", [(3, {}), (3000, {"at_most": 100})])
def test_socket_dies(tmp_path, n, options):
    """Without an answer."""
    with pytest.raises(saedb.ConnectionLost, match="reader .*ended"):
        through_socket(tmp_path, b"", n, **options)


def test_socket_nobody(tmp_path):
    """Who never listens is not waited for for ever."""
    with pytest.raises(saedb.ConnectionLost, match="No such file"):
        saedb.ShardWriter(f"unix:{tmp_path}/none", wait=.1)


def test_socket_unfinished(tmp_path):
    """An exception closes it without the last shard."""
    path = str(tmp_path / "s")
    reader = Reader(path, b"error it is not whole\n")
    with pytest.raises(KeyError):
        with saedb.ShardWriter(f"unix:{path}", shard_bytes=1, wait=10) as w:
            w.window([1], {"h": acts(1)})
            w.window([1], {"h": acts(1)})
            raise KeyError
    reader.join()
    assert all(b'"last"' not in s for s in split(reader.data))


# ---- what is refused ---------------------------------------------------------------


def window(**changes):
    """A window of two tokens, with changes."""
    def fill(w):
        w.window([1, 2], {"h": np.ones((2, 2), "f4")})
        what = dict(ids=[1, 2], activations={"h": np.ones((2, 2), "f4")}) | changes
        w.window(what.pop("ids"), what.pop("activations"), **what)
    return fill


NAN = np.array([[1, 2], [3, np.nan]], "f4")


@pytest.mark.parametrize("changes, words", [
    (dict(ids=[]), ["ids", "window 1", "0 tokens"]),
    (dict(ids=[1, -1]), ["ids of window 1", "-1 at 1"]),
    (dict(ids=[1, 1 << 31]), ["ids of window 1"]),
    (dict(ids=[1., 2.]), ["ids", "float64"]),
    (dict(ids=[[1, 2]]), ["ids", "(1, 2)"]),
    (dict(ids=np.arange(8193)), ["ids of window 1", 8193]),
    (dict(activations={"h": NAN}), ["activations['h'] of window 1", "position 1"]),
    (dict(activations={"h": NAN[:1]}), ["activations['h'] of window 1", "(1, 2)"]),
    (dict(activations={"h": NAN[0]}), ["activations['h'] of window 1", "(2,)"]),
    (dict(activations={"h": np.ones((2, 3), "f4")}), ["window 1", "widths"]),
    (dict(activations={"h": np.ones((2, 2), "f2")}), ["window 1", "dtypes"]),
    (dict(activations={"h": np.full((2, 2), 1e300)}), ["activations['h']", "inf"]),
    (dict(activations={"h": np.ones((2, 2), "i4")}), ["activations['h']", "int32"]),
    (dict(activations={"i": np.ones((2, 2), "f4")}), ["window 1", "hooks"]),
    (dict(activations={"tokens": NAN[:1]}), ["'tokens'"]),
    (dict(activations={"": NAN[:1]}), ["''"]),
    (dict(activations=None), ["window 1", "neither"]),
    (dict(spans=[[0, 0]] * 2), ["spans of window 1", "text"]),
    (dict(documents=[0, 0]), ["documents of window 1"]),
    (dict(images=[b"nothing"], image_grids=[[1, 1]], image_patches=[[0, 0]] * 2),
     ["images[0] of window 1", "PNG"]),
    (dict(images=[PNG]), ["images of window 1", "image_grids"]),
    (dict(image_patches=[[-1, 0]] * 2), ["images of window 1"]),
    (dict(images=[PNG], image_grids=[[1, 2]], image_patches=[[0, 2], [0, 1]]),
     ["image_patches of window 1", "patch 2 at position 0"]),
    (dict(images=[PNG], image_grids=[[1, 2]], image_patches=[[1, 0], [0, 1]]),
     ["image_patches of window 1"]),
    (dict(images=[PNG], image_grids=[[0, 2]], image_patches=[[0, 0], [0, 1]]),
     ["image_grids of window 1"]),
])
def test_bad_window(changes, words):
    """Each is named, with its place."""
    refused(window(**changes), *words)


ONE = np.ones(1, "f4")


@pytest.mark.parametrize("latents, words", [
    (([0, 1], [0], ONE), ["rows", "(2,)"]),
    (([0, 1, 0], [0], ONE), ["rows", "0 at 2"]),
    (([1, 1, 1], [0], ONE), ["rows", "1 at 0"]),
    (([0, 1, 2], [0], ONE), ["rows", "2 at 2"]),
    (([0, 2, 2], [3, 3], np.ones(2, "f4")), ["features", "3 after 3 at position 0"]),
    (([0, 0, 2], [4, 3], np.ones(2, "f4")), ["features", "3 after 4 at position 1"]),
    (([0, 0, 1], [-1], ONE), ["features", "-1"]),
    (([0, 0, 1], [5], -ONE), ["values", "-1.0 at position 1, feature 5"]),
    (([0, 0, 1], [5], ONE * np.nan), ["values", "nan at position 1"]),
    (([0, 0, 1], [5], ONE * 0), ["values", "0.0 at position 1"]),
    (([0, 0, 1], [5], np.ones(2, "f4")), ["1 features, values of (2,)"]),
    (np.ones((3, 4), "f4"), ["(3, 4)"]),
    (np.array([[0, -2.], [0, 0]]), ["-2.0 at position 0, feature 1"]),
])
def test_bad_latents(latents, words):
    """Each is named, with its place."""
    refused(lambda w: w.window([1, 2], latents={"s": latents}),
            "latents['s'] of window 0", *words)


def test_bad_documents():
    """Their order, their texts, their spans."""
    x = {"h": np.ones((2, 2), "f4")}

    def with_text(spans, text="four"):
        def fill(w):
            w.document(text)
            w.window([1, 2], x, spans=spans)
        return fill

    refused(with_text(None), "spans of window 0")
    refused(with_text([[0, 5], [0, 0]]), "spans of window 0", "5 is past the 4 bytes")
    refused(with_text([[0, 1], [2, 1]]), "[2, 1] at position 1")
    refused(with_text([[-1, 1], [2, 2]]), "spans of window 0", "-1")
    refused(with_text([[0, 0]] * 2, "\ud800"), "text of document 0")

    def twice(w):
        w.document()
        w.document()
        w.window([1, 2], x)

    def late(w):
        w.window([1, 2], x)
        w.document()

    def unlike(w):
        w.document("text")
        w.window([1, 2], x, spans=[[0, 0]] * 2)
        w.document()

    def unused(w):
        w.document()
        w.window([1, 2], x)
        w.document()

    refused(twice, "document 0 has no window")
    refused(late, "after windows without one")
    refused(unlike, "document 1 has no text")
    refused(unused, "document 1 has no window")
    refused(lambda w: None, "no window")
    refused(lambda w: w.document(meta={"a": float("nan")}), "meta of document 0")
    refused(lambda w: w.document(meta={"a": {1, 2}}), "meta of document 0")
    refused(lambda w: w.document(meta={"a": "x" * 70000}), "meta of document 0", 65536)
    refused(lambda w: w.document(id="a\0b"), "id of document 0")

    def jump(numbers):
        def fill(w):
            for _ in range(3):
                w.document()
            w.window([1, 2], x, documents=numbers)
        return fill

    refused(jump([0, 2]), "documents of window 0", "2 after 0")
    refused(jump([1, 1]), "documents of window 0", "1 after -1")
    refused(jump([0, 3]), "documents of window 0", "3 at 1")
    refused(jump([0, 1]), "document 2 has no window")


def test_after_the_end():
    """Nothing more goes in."""
    w = saedb.ShardWriter(io.BytesIO())
    w.window([1], {"h": acts(1)})
    w.close()
    w.close()
    with pytest.raises(saedb.Error, match="has ended"):
        w.window([1], {"h": acts(1)})


def test_explained_not_finite():
    """JSON has no NaN."""
    refused(lambda w: w.results(explained={"a": float("nan")}), "explained")
