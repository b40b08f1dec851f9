# SPDX-License-Identifier: ISC
"""saedb.index: what it gives to saedb-index, against SAELens; and, where saedb-index
takes shards, the store that comes of it, against one that saedb-index made by itself."""

import gzip
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(ROOT / "client/python"))
sys.path.insert(0, str(HERE))

import saedb  # noqa: E402

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import numpy as np  # noqa: E402
import torch_models  # noqa: E402
from saedb.hooks import runner_of  # noqa: E402
from shard_check import read_stream  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated")

HOOK = "blocks.1.hook_resid_post"
TEXTS = ["Once upon a time there was a small dog.", "Hi", "The dog ran and ran. " * 12,
         "A cat 🙂 sat — naïve."]


def make_sae(cls="StandardSAE", hook=HOOK, d_in=32, **more):
    """A small SAE of SAELens in which some features fire."""
    kind = getattr(sae_lens, cls, None) or getattr(sae_lens.saes, cls)
    config = getattr(sae_lens, f"{cls}Config", None) or \
        getattr(sae_lens.saes, f"{cls}Config")
    metadata = sae_lens.saes.sae.SAEMetadata(
        hook_name=hook, context_size=16, prepend_bos=True, model_name="tiny",
        **more.pop("metadata", {}))
    torch.manual_seed(2)
    sae = kind(config(d_in=d_in, d_sae=64, metadata=metadata, **more))
    with torch.no_grad():
        for p in sae.parameters():
            p.normal_(0, .2)
    return sae


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A place where fake_index.py leaves what it was given."""
    place = tmp_path / "fake"
    place.mkdir()
    program = tmp_path / "saedb-index"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {HERE / 'fake_index.py'} \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("SAEDB_INDEX", str(program))
    monkeypatch.setenv("FAKE_INDEX", str(place))
    return place


def option(place, name):
    """All values of an option in the command."""
    command = json.loads((place / "command").read_text())
    return [command[i + 1] for i, a in enumerate(command) if a == name]


def indexed(model, sae, place, dataset=None, **options):
    """The stream and what index() returned."""
    options.setdefault("tokenizer", torch_models.tokenizer())
    got = saedb.index(model, sae, dataset or TEXTS, place.parent / "store", quiet=True,
                      batch_tokens=64, **options)
    return read_stream((place / "stream").read_bytes()), got


def hook_values(model, hook, ids):
    """Of one window, by transformers' own states."""
    layer = int(hook.split(".")[1]) + hook.endswith("post")
    with torch.no_grad():
        return model(torch.tensor(ids[None].astype("i8")),
                     output_hidden_states=True).hidden_states[layer][0]


def same_latents(got, dense, tolerance=1e-4):
    """Those of one position against a dense row; at the threshold either may be."""
    for f in set(got) | set(dense.nonzero().flatten().tolist()):
        assert abs(got.get(f, 0) - float(dense[f])) <= tolerance


def check(s, got, model, saes):
    """Latents, explained variance and mse against plain computing in float64."""
    for name, sae in saes.items():
        rows, errors = [], 0.
        for w in s.windows:
            x = hook_values(model, sae.cfg.metadata.hook_name, w.ids)
            with torch.no_grad():
                acts = sae.encode(x.to(sae.dtype))
                back = sae.decode(acts)
            half = sae.dtype != torch.float32
            for i, row in enumerate(acts):
                same_latents(w.latents[name][i], row.float(), .05 if half else 1e-4)
            keep = torch.tensor(w.ids != 0)
            rows.append(x[keep].double())
            errors += float((x[keep].double() - back[keep].double()).pow(2).sum())
        x = torch.cat(rows)
        variance = float((x - x.mean(0)).pow(2).sum())
        close = dict(rel=1e-2 if half else 1e-5)
        assert got.explained[name] == pytest.approx(1 - errors / variance, **close)
        assert got.mse[name] == pytest.approx(errors / len(x), **close)
        last = s.shards[-1].meta
        assert json.loads(last["explained"])[name] == got.explained[name]
        assert json.loads(last["mse"])[name] == got.mse[name]


@pytest.fixture(scope="module")
def gpt2():
    """One for all."""
    return torch_models.make("gpt2")


@pytest.mark.parametrize("cls, more", [
    ("StandardSAE", {}),
    ("StandardSAE", {"normalize_activations": "layer_norm"}),
    ("StandardSAE", {"dtype": "bfloat16"}),
    ("TopKSAE", {"k": 5}),
    ("JumpReLUSAE", {}),
])
def test_latents(gpt2, fake, cls, more):
    """Of several kinds; the SAE that saedb-index reads is the one that encoded."""
    sae = make_sae(cls, **more)
    s, got = indexed(gpt2, sae, fake, name="tiny")
    check(s, got, gpt2, {"tiny": sae})
    assert (got.run, got.runs, got.n_tokens) == (5, [5], s.n_tokens)
    assert max(len(w.ids) for w in s.windows) == 16
    assert all(w.ids[0] == 0 for w in s.windows)
    assert [t.decode() for t in s.texts] == TEXTS
    again = sae_lens.SAE.load_from_disk(fake / "sae-tiny")
    x = torch.randn(3, 32).to(sae.dtype)
    assert torch.equal(again.encode(x), sae.encode(x))
    assert option(fake, "--latents") == ["-"]
    assert option(fake, "--corpus-name") == ["corpus"]
    assert json.loads((fake / "model/config.json").read_text())["model_type"] == \
        "saedb_head"


def test_several(gpt2, fake):
    """At several hooks, in one pass; names by a dict and by default."""
    a, b = make_sae(), make_sae("TopKSAE", hook="blocks.2.hook_resid_pre", k=3)
    s, got = indexed(gpt2, {"a": a, "b": b}, fake)
    check(s, got, gpt2, {"a": a, "b": b})
    c = make_sae(hook="blocks.0.hook_resid_pre")
    (fake / "model").rename(fake / "before")
    s, _ = indexed(gpt2, [b, c], fake, corpus_name="x", model_name="m",
                   options=["--memory", "1G"])
    assert set(s.windows[0].latents) == {
        "blocks.2.hook_resid_pre.64", "blocks.0.hook_resid_pre.64"}
    assert option(fake, "--corpus-name") == ["x"] and option(fake, "--memory") == ["1G"]
    assert option(fake, "--model-name") == ["m"]


def test_there(gpt2, fake):
    """Activations instead of latents, once for each hook."""
    saes = {"a": make_sae(), "b": make_sae("TopKSAE", k=3)}
    s, got = indexed(gpt2, saes, fake, encode="there")
    assert list(s.windows[0].hooks) == [HOOK] and not s.windows[0].latents
    for w in s.windows:
        want = hook_values(gpt2, HOOK, w.ids)
        assert np.abs(w.hooks[HOOK] - want.numpy()).max() < 1e-5
    assert got.explained == {} and option(fake, "--activations") == ["-"]


def test_of_a_path_and_a_lens(gpt2, fake, tmp_path):
    """A HookedTransformer, and an SAE on disk."""
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    sae = make_sae()
    sae.save_model(tmp_path / "mine")
    s, got = indexed(torch_models.lens(gpt2), tmp_path / "mine", fake)
    check(s, got, gpt2, {"mine": sae})
    assert option(fake, "--sae") == [f"mine={tmp_path}/mine"]


def test_centred(gpt2, fake):
    """An SAE of a stream without its mean, of a model that has it."""
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    with pytest.warns(UserWarning, match="model_from_pretrained_kwargs"):
        sae = make_sae(metadata=kwargs)
    s, got = indexed(gpt2, sae, fake, name="c")
    error, xs = 0., []
    for w in s.windows:
        x = hook_values(gpt2, HOOK, w.ids)
        mean = x.mean(1, keepdim=True)
        with torch.no_grad():
            acts = sae.encode(x - mean)
            back = sae.decode(acts) + mean
        for i, row in enumerate(acts):
            same_latents(w.latents["c"][i], row)
        keep = torch.tensor(w.ids != 0)
        error += float((x - back)[keep].double().pow(2).sum())
        xs.append(x[keep].double())
    x = torch.cat(xs)
    assert got.explained["c"] == pytest.approx(
        1 - error / float((x - x.mean(0)).pow(2).sum()), rel=1e-5)


def test_training(gpt2, fake):
    """One in training encodes as it will be loaded."""
    sae = make_sae("BatchTopKTrainingSAE", k=4, apply_b_dec_to_input=True)
    sae.topk_threshold.fill_(.7)
    s, got = indexed(gpt2, sae, fake, name="t")
    again = sae_lens.SAE.load_from_disk(fake / "sae-t")
    assert again.cfg.architecture() == "jumprelu"
    check(s, got, gpt2, {"t": again})


def test_head_outputs(gpt2, fake):
    """Heads side by side, also for an SAE that expects them apart."""
    sae = make_sae(hook="blocks.1.attn.hook_z", reshape_activations="hook_z")
    assert sae.hook_z_reshaping_mode
    s, _ = indexed(gpt2, sae, fake, name="z")
    assert sae.hook_z_reshaping_mode
    got = {}
    handle = gpt2.transformer.h[1].attn.c_proj.register_forward_pre_hook(
        lambda _, x: got.update(z=x[0]))
    w = s.windows[0]
    with torch.no_grad():
        gpt2(torch.tensor(w.ids[None].astype("i8")))
        dense = sae.encode(got["z"][0].reshape(len(w.ids), 4, 8))
    handle.remove()
    for i, row in enumerate(dense):
        same_latents(w.latents["z"][i], row)


def test_transcoder(gpt2, fake):
    """It is measured where it writes."""
    hooks = ["blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out"]
    sae = make_sae("Transcoder", hook=hooks[0], d_out=32, apply_b_dec_to_input=False,
                   metadata={"hook_name_out": hooks[1]})
    s, got = indexed(gpt2, sae, fake, name="t")
    runner = runner_of(gpt2, torch_models.tokenizer())
    runner.check(hooks)
    ys, error = [], 0.
    with runner.ready():
        for w in s.windows:
            ids = torch.tensor(w.ids[None].astype("i8"))
            x, y = (runner.run(hooks, ids, torch.ones_like(ids))[h][0] for h in hooks)
            acts = sae.encode(x)
            for i, row in enumerate(acts):
                same_latents(w.latents["t"][i], row)
            keep = torch.tensor(w.ids != 0)
            error += float((y - sae.decode(acts))[keep].double().pow(2).sum())
            ys.append(y[keep].double())
    y = torch.cat(ys)
    assert got.mse["t"] == pytest.approx(error / len(y), rel=1e-5)
    assert got.explained["t"] == pytest.approx(
        1 - error / float((y - y.mean(0)).pow(2).sum()), rel=1e-5)


def test_errors_of_saedb_index(gpt2, fake, monkeypatch):
    """What it says, whether it ends at once or behind the stream; and our own."""
    for text in ("late the store is full", "there is no such SAE"):
        monkeypatch.setenv("FAKE_ERROR", text)
        with pytest.raises(saedb.Error, match=text.replace("late ", "")):
            indexed(gpt2, make_sae(), fake, dataset=TEXTS * 200)
        for x in list(fake.glob("sae-*")) + [fake / "model"]:
            if x.exists():
                x.rename(x.with_name(f"old-{x.name}-{text[:5]}"))
    monkeypatch.delenv("FAKE_ERROR")
    with pytest.raises(saedb.BadArgument, match="row 1 of dataset"):
        indexed(gpt2, make_sae(), fake, dataset=["a" * 500, 3])
    monkeypatch.setenv("SAEDB_INDEX", "/nonexistent/saedb-index")
    with pytest.raises(saedb.NotFound, match="SAEDB_INDEX"):
        indexed(gpt2, make_sae(), fake)


def test_bad_arguments(gpt2, fake):
    """Each by its name."""
    both = {"a": make_sae(), "b": make_sae(k=3, cls="TopKSAE")}
    both["b"].cfg.metadata.context_size = 8
    bare, head = make_sae(), make_sae()
    bare.cfg.metadata.hook_name = None
    head.cfg.metadata.hook_head_index = 1
    for sae, options, words in (
            (both, {}, "context: the SAEs a, b ask for 16, 8"),
            (both, {"name": "x"}, "name"),
            ([both["a"], both["a"]], {}, "two are called"),
            ({"a/b": both["a"]}, {}, "'a/b' is no name"),
            ({}, {}, "sae: none"),
            (3, {"name": "x"}, "x: int is neither"),
            (bare, {}, "hook_name"),
            (both["a"], {"encode": "where"}, "encode")):
        with pytest.raises(saedb.BadArgument, match=words):
            indexed(gpt2, sae, fake, **options)
    with pytest.raises(saedb.Unsupported, match="hook_head_index"):
        indexed(gpt2, head, fake)
    with pytest.raises(saedb.NotFound, match="no such directory"):
        indexed(gpt2, "/nonexistent", fake)


# ---- the real thing ----------------------------------------------------------------


def real():
    """The saedb-index that takes shards, or a skip."""
    program = BUILD / "saedb-index"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    text = subprocess.run([program, "--help"], capture_output=True, text=True,
                          check=False).stdout
    if "--activations" not in text:
        pytest.skip("this saedb-index takes no shards")
    return program


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """One corpus, SAE and model: by saedb-index alone, through capture, through index
    in both ways, and with no more of the model than its head."""
    program = real()
    place = tmp_path_factory.mktemp("stores")
    os.environ["SAEDB_INDEX"] = str(program)
    if (BUILD / "saedbd").exists():
        os.environ["SAEDBD"] = str(BUILD / "saedbd")
    demo = ROOT / "demo"
    corpus = place / "corpus.jsonl"
    with gzip.open(demo / "corpus/demo.jsonl.gz", "rt") as f:
        corpus.write_text("".join(line for _, line in zip(range(25), f)))
    model = transformers.AutoModelForCausalLM.from_pretrained(demo / "model")
    sae = sae_lens.SAE.load_from_disk(demo / "sae/1k")
    run = [program, "--quiet", "--model", demo / "model", "--sae", f"1k={demo}/sae/1k"]
    subprocess.run([*run, "--store", place / "alone", "--corpus", corpus], check=True)
    saedb.capture(model, corpus, sae.cfg.metadata.hook_name, place / "shards",
                  context=128, quiet=True, shard_bytes=1 << 20)
    subprocess.run([*run, "--store", place / "captured", "--activations",
                    place / "shards"], check=True)
    results = {}
    for encode in ("here", "there"):
        results[encode] = saedb.index(model, {"1k": sae}, corpus, place / encode,
                                      encode=encode, quiet=True)
    head = saedb.save_model(model, place / "model")
    results["head"] = saedb.index(model, {"1k": sae}, corpus, place / "head",
                                  model_dir=head, quiet=True)
    return place, results


def features_of(store):
    """Every feature's count and maximum; the run; the documents."""
    with saedb.open_store(store) as db:
        rows = {r.index: r for r in db.features("1k")}
        return rows, db.runs()[0], list(db.documents())


@pytest.mark.parametrize("name", ["captured", "here", "there", "head"])
def test_store(stores, name):
    """The same windows, and the same features but for rounding at a threshold."""
    place, _ = stores
    want, want_run, want_documents = features_of(place / "alone")
    got, run, documents = features_of(place / name)
    assert documents == want_documents
    assert got.keys() == want.keys()
    differ = 0
    for f, row in want.items():
        differ += abs(got[f].count - row.count)
        assert got[f].max == pytest.approx(row.max, rel=1e-4, abs=1e-4), f
    assert differ <= 1e-4 * sum(r.count for r in want.values()) + 2
    for key in ("explained", "mse"):
        for a, b in zip(run["saes"], want_run["saes"]):
            if key in b:
                assert a[key] == pytest.approx(b[key], rel=1e-4)


def test_result(stores):
    """It opens the store, and says what saedb-index says."""
    _, results = stores
    for encode, r in results.items():
        with r.open() as db:
            assert [x["run"] for x in db.runs()] == r.runs
        assert (r.explained != {}) == (encode != "there")


@pytest.mark.parametrize("name", ["captured", "here", "head"])
def test_examples(stores, name):
    """The best window of a feature, token for token; and its logit effects."""
    place, _ = stores
    with saedb.open_store(place / "alone") as a, saedb.open_store(place / name) as b:
        features = [r.feature for r in a.features("1k", sort="max", descending=True,
                                                  limit=25)]
        for f in features:
            want, got = a.examples(f, limit=1)[0], b.examples(f, limit=1)[0]
            assert (got.document, got.offset, got.first, got.tokens) == \
                (want.document, want.offset, want.first, want.tokens)
            assert got.values == pytest.approx(want.values, rel=1e-3, abs=1e-3)
            want, got = a.feature(f), b.feature(f)
            assert [t.id for t in got.promoted] == [t.id for t in want.promoted]
            assert [t.value for t in got.promoted] == \
                pytest.approx([t.value for t in want.promoted], rel=1e-4)


def test_socket(stores, tmp_path):
    """The answer on a socket is the run."""
    place, _ = stores
    program, demo = real(), ROOT / "demo"
    address = f"unix:{tmp_path}/sock"
    with subprocess.Popen([program, "--quiet", "--store", tmp_path / "store", "--model",
                           demo / "model", "--sae", f"1k={demo}/sae/1k",
                           "--activations", address]) as p:
        model = transformers.AutoModelForCausalLM.from_pretrained(demo / "model")
        got = saedb.capture(model, ["Once upon a time."] * 3, "blocks.2.hook_resid_pre",
                            address, quiet=True)
    assert p.returncode == 0 and got.runs == [1]
    with pytest.raises(saedb.Error):
        with subprocess.Popen([program, "--quiet", "--store", tmp_path / "other",
                               "--model", demo / "model", "--sae", f"1k={demo}/sae/1k",
                               "--activations", address],
                              stderr=subprocess.DEVNULL) as p:
            saedb.capture(model, ["Once"], "blocks.1.hook_resid_pre", address,
                          quiet=True)
