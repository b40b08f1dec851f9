# SPDX-License-Identifier: ISC
"""saedb.capture and saedb.from_cache against transformers and TransformerLens."""

import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "client/python"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import saedb  # noqa: E402

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import numpy as np  # noqa: E402
import torch_models  # noqa: E402
from saedb import progress  # noqa: E402
from saedb.hooks import SITES, normalized, runner_of  # noqa: E402
from saedb.windows import Texts  # noqa: E402
from transformers.convert_slow_tokenizer import bytes_to_unicode  # noqa: E402
from shard_check import PLAIN_TEXTS, read_directory, read_stream  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated")

CAPTURED = [k for k in torch_models.CONFIGS]
LENS = ["gpt2", "gpt_neox", "llama", "mistral", "qwen2", "gemma2"]
TEXTS = ["Once upon a time there was a small dog.", "Hi", "The dog ran and ran. " * 12,
         "A cat 🙂 sat — naïve, façade; 日本語.", ""]


@pytest.fixture(scope="module")
def models():
    """Each made once."""
    made = {}

    def get(family):
        if family not in made:
            made[family] = torch_models.make(family)
        return made[family]
    return get


def captured(model, dataset, hooks, **options):
    """The stream that capture writes, through a pipe."""
    out = io.BytesIO()
    options.setdefault("tokenizer", torch_models.tokenizer())
    saedb.capture(model, dataset, hooks, out, quiet=True, **options)
    return read_stream(out.getvalue())


def read_hooks(runner, hooks, ids):
    """Hooks of one batch."""
    runner.check(hooks)
    with runner.ready():
        return runner.run(hooks, ids, torch.ones_like(ids))


def close(a, b, tolerance=2e-5):
    """Equal but for rounding."""
    a, b = a.detach(), b.detach()
    scale = float(b.abs().max())
    assert a.shape == b.shape
    assert float((a - b).abs().max()) <= tolerance * max(scale, .05)


def names(layer, but=()):
    return {s: f"blocks.{layer}.{s}" for s in SITES if s not in but}


# ---- hooks -------------------------------------------------------------------------


@pytest.mark.parametrize("family", CAPTURED)
def test_hooks_against_transformers(models, family):
    """The stream is transformers' hidden_states; what is between are its own modules'
    doing and add up to it."""
    model = models(family)
    runner = runner_of(model, torch_models.tokenizer())
    ids = torch.randint(1, 4000, (2, 20), generator=torch.Generator().manual_seed(1))
    states = model(ids, output_hidden_states=True).hidden_states
    parallel = getattr(model.config, "use_parallel_residual", False)
    but = ("hook_resid_mid",) if parallel else ()
    for layer in range(3):
        hook = names(layer, but)
        x = read_hooks(runner, list(hook.values()), ids)
        x = {s: x[h] for s, h in hook.items()}
        close(x["hook_resid_pre"], states[layer])
        if layer < 2:
            close(x["hook_resid_post"], states[layer + 1])
        mid = x["hook_resid_pre"] + x["hook_attn_out"]
        if parallel:
            close(x["hook_resid_post"], mid + x["hook_mlp_out"])
            close(x["hook_mlp_in"], x["hook_resid_pre"])
        else:
            close(x["hook_resid_mid"], mid)
            close(x["hook_mlp_in"], mid)
            close(x["hook_resid_post"], mid + x["hook_mlp_out"])
        block, f = runner.layers[layer], runner.family
        norm = block.get_submodule(f.ln2)
        close(x["mlp.hook_in"], norm(x["hook_mlp_in"]))
        gain = norm.weight + (1 if family.startswith("gemma") else 0)
        bias = getattr(norm, "bias", None)
        close(x["ln2.hook_normalized"] * gain + (0 if bias is None else bias),
              x["mlp.hook_in"])
        out = block.get_submodule(f.out)(x["attn.hook_z"])
        if f.attn_norm:
            out = block.get_submodule(f.attn_norm)(out)
        close(x["hook_attn_out"], out)
        mlp = block.get_submodule(f.mlp)(x["mlp.hook_in"])
        modules = read_hooks(runner, [f"layers.{layer}.mlp", f"layers.{layer}"], ids)
        close(modules[f"layers.{layer}.mlp"], mlp)
        close(modules[f"layers.{layer}"], x["hook_resid_post"])
        if f.mlp_norm:
            mlp = block.get_submodule(f.mlp_norm)(mlp)
        close(x["hook_mlp_out"], mlp)


@pytest.mark.parametrize("family", LENS)
def test_hooks_against_transformer_lens(models, family):
    """Every hook of every layer, by its own run_with_cache; and capture of it."""
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    model = models(family)
    lens = torch_models.lens(model)
    ids = torch.randint(1, 4000, (2, 20), generator=torch.Generator().manual_seed(1))
    lens.set_use_hook_mlp_in(True)
    _, cache = lens.run_with_cache(ids)
    lens.set_use_hook_mlp_in(False)
    but = ["hook_resid_mid"] if family == "gpt_neox" else []
    hooks = [h for layer in range(3) for h in names(layer, but).values()]
    ours = read_hooks(runner_of(model, None), hooks, ids)
    theirs = read_hooks(runner_of(lens, None), hooks, ids)
    assert not lens.cfg.use_hook_mlp_in
    for hook in hooks:
        close(ours[hook], theirs[hook])
        if not hook.endswith("mlp.hook_in"):  # which the cache has not
            close(ours[hook], cache[hook].flatten(2))


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_hooks_of_the_bridge(models, family, tmp_path):
    """TransformerLens' other model, whose hooks have names of their own."""
    bridge = pytest.importorskip("transformer_lens.model_bridge",
                                 reason="this TransformerLens has no bridge")
    from safetensors.torch import load_file
    models(family).save_pretrained(tmp_path)
    torch_models.tokenizer().save_pretrained(tmp_path)
    lens = bridge.TransformerBridge.boot_transformers(
        str(tmp_path), device="cpu", dtype=torch.float32)
    ids = torch.randint(1, 4000, (2, 20))
    ours = read_hooks(runner_of(models(family), None), list(names(1).values()), ids)
    theirs = read_hooks(runner_of(lens, None), list(names(1).values()), ids)
    for hook in ours:
        close(ours[hook], theirs[hook])
    for name, model in (("a", lens), ("b", models(family))):
        saedb.save_model(model, tmp_path / name, tokenizer=torch_models.tokenizer())
    a, b = (load_file(tmp_path / x / "model.safetensors") for x in "ab")
    close(a["unembed"], b["unembed"])
    close(a["final_gain"], b["final_gain"])


def test_unknown_family(models):
    """The stream and modules, and a clear word about the rest."""
    model = transformers.OPTForCausalLM(transformers.OPTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, ffn_dim=64,
        vocab_size=4096, max_position_embeddings=64, word_embed_proj_dim=32)).eval()
    runner = runner_of(model, torch_models.tokenizer())
    ids = torch.randint(4, 4000, (2, 20))
    states = model(ids, output_hidden_states=True).hidden_states
    hooks = ["blocks.1.hook_resid_pre", "blocks.1.hook_resid_post",
             "model.decoder.layers.0.fc1"]
    x = read_hooks(runner, hooks, ids)
    close(x[hooks[0]], states[1])
    close(x[hooks[1]], states[2])
    assert x[hooks[2]].shape == (2, 20, 64)
    with pytest.raises(saedb.Unsupported, match="hook_mlp_out: where that is in a opt"):
        runner.check(["blocks.1.hook_mlp_out"])


@pytest.mark.parametrize("hook, words", [
    ("blocks.3.hook_resid_pre", "layers 0 to 2"),
    ("layers.3", "layers 0 to 2"),
    ("blocks.1.hook_nothing", "layer 1 has hook_resid_pre, "),
    ("nothing.at.all", "a hook is blocks.LAYER.NAME"),
    ("blocks.1.hook_resid_mid", "parallel residual"),
])
def test_no_such_hook(models, hook, words):
    """NotFound, with what there is."""
    with pytest.raises(saedb.NotFound, match=words):
        captured(models("gpt_neox"), TEXTS, hook)


# ---- capture -----------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "lens"])
def test_capture(models, family):
    """Windows as the rule has them, and at each what the model gives it alone."""
    if family == "lens":
        pytest.importorskip("transformer_lens", reason="transformer-lens is missing")
    hf = models("gpt2" if family == "lens" else family)
    model = torch_models.lens(hf) if family == "lens" else hf
    tok = torch_models.tokenizer()
    hooks = ["blocks.1.hook_resid_post", "blocks.0.attn.hook_z"]
    rows = [{"text": t, "id": i, "n": i} for i, t in enumerate(TEXTS)]
    s = captured(model, rows, hooks, context=10, batch_tokens=40, shard_bytes=9000)
    assert len(s.shards) > 2
    want = []
    for t in TEXTS:
        ids = tok(t, add_special_tokens=False)["input_ids"]
        want += [[tok.bos_token_id] + ids[i:i + 9] for i in range(0, len(ids), 9)]
    assert [w.ids.tolist() for w in s.windows] == want
    assert [d["id"] for d in s.documents] == ["0", "1", "2", "3"]  # 4 is empty
    assert [d["meta"] for d in s.documents] == [{"n": i} for i in range(4)]
    assert s.texts == [t.encode() for t in TEXTS[:4]]
    runner = runner_of(hf, tok)
    for w in s.windows:
        alone = read_hooks(runner, hooks, torch.tensor(w.ids[None].astype("i8")))
        for h in hooks:
            close(torch.tensor(w.hooks[h]), alone[h][0], 2e-6)


def test_spans(models):
    """Bytes of the text that each token stands over; BOS over none."""
    s = captured(models("gpt2"), TEXTS, "blocks.0.hook_resid_pre", context=10)
    tok = torch_models.tokenizer()
    byte = bytes_to_unicode()
    for w in s.windows:
        text = s.texts[w.documents[0]]
        assert w.spans[0, 0] == w.spans[0, 1] == w.spans[1, 0]
        for i, (a, b) in list(zip(w.ids, w.spans))[1:]:
            spelled = tok.convert_ids_to_tokens(int(i))
            assert "".join(byte[x] for x in text[a:b]) == spelled


def test_spans_against_saedb():
    """As the tokenizer of saedb-index has them, for BPE of both kinds."""
    tool = BUILD / "tests/model/tok_dump"
    if not tool.exists():
        pytest.skip(f"{tool} is not built")
    from tokenizers import Tokenizer
    data = ROOT / "tests/model/data"
    for name in ("tok-gpt2", "tok-llama3", "tok-split-removed", "tokk-gemma",
                 "tokk-llama", "tokk-llama-first", "tokk-fused"):
        texts = Texts(Tokenizer.from_file(str(data / name / "tokenizer.json")))
        out = subprocess.run([tool, data / name], check=True, stdout=subprocess.PIPE,
                             input="\x1e".join(PLAIN_TEXTS).encode()).stdout.decode()
        for text, line, (ids, spans) in zip(
                PLAIN_TEXTS, out.split("\n"), texts.encode(PLAIN_TEXTS)):
            got = [[int(i), *map(int, s)] for i, s in zip(ids, spans)]
            assert got == [list(map(int, x.split(":"))) for x in line.split()], \
                (name, text)


def test_tokenizers():
    """A fast one, a bare one; what is none is said."""
    fast = torch_models.tokenizer()
    want = fast(TEXTS[3], add_special_tokens=False)["input_ids"]
    for t in (fast, fast.backend_tokenizer):
        assert next(Texts(t).encode([TEXTS[3]]))[0].tolist() == want
    with pytest.raises(saedb.Unsupported, match="object cannot be made a fast one"):
        Texts(object())


def test_dtypes(models):
    """What is written is what was computed, rounded once."""
    model = models("llama")
    full = captured(model, TEXTS[:1], "layers.1")
    for name in ("bfloat16", "float16"):
        s = captured(model, TEXTS[:1], "layers.1", dtype=name)
        assert s.shards[0].dtype["layers.1"] == {"bfloat16": "BF16"}.get(name, "F16")
        want = torch.tensor(full.windows[0].hooks["layers.1"]).to(getattr(torch, name))
        assert torch.equal(torch.tensor(s.windows[0].hooks["layers.1"]), want.float())
    half = torch_models.make("llama").bfloat16()
    s = captured(half, TEXTS[:1], "layers.1")
    assert s.shards[0].dtype["layers.1"] == "F32"
    assert "bfloat16 on cpu" in s.shards[0].meta["made_by"]


def test_rule(models):
    """max_tokens ends before there are more; BOS and context as they are asked for."""
    model = models("gpt2")
    tok = torch_models.tokenizer()
    lengths = [len(tok(t)["input_ids"]) for t in TEXTS]
    hook = "blocks.0.hook_resid_pre"
    s = captured(model, TEXTS, hook, prepend_bos=False, max_tokens=sum(lengths[:2]))
    assert [len(w.ids) for w in s.windows] == lengths[:2]
    s = captured(model, TEXTS, hook, prepend_bos=False, max_tokens=sum(lengths[:2]) - 1)
    assert [len(w.ids) for w in s.windows] == lengths[:1]
    s = captured(model, TEXTS, hook)
    assert max(len(w.ids) for w in s.windows) == 64
    for bad in (65, 0, 1):
        with pytest.raises(saedb.BadArgument, match="context"):
            captured(model, TEXTS, hook, context=bad)
    bare = torch_models.tokenizer()
    bare.bos_token = None
    assert captured(model, TEXTS[:1], hook, tokenizer=bare).windows[0].ids[0] != 0
    with pytest.raises(saedb.BadArgument, match="bos_token"):
        captured(model, TEXTS, hook, tokenizer=bare, prepend_bos=True)


def test_rows_of_tokens(models):
    """Windows as they are, padding cut off; with images and what the model needs."""
    png = b"\x89PNG\r\n\x1a\n."
    hook = "blocks.2.hook_resid_post"
    rows = [{"input_ids": [5, 6, 7, 0], "attention_mask": [1, 1, 1, 0], "source": "a"},
            {"input_ids": torch.tensor([9, 8]), "images": [png], "image_grids": [[1, 1]],
             "image_patches": [[-1, 0], [0, 0]], "inputs": {
                 "position_ids": torch.tensor([[3, 4]])}}]
    s = captured(models("gpt2"), rows, hook)
    assert [w.ids.tolist() for w in s.windows] == [[5, 6, 7], [9, 8]]
    assert s.documents[0]["meta"] == {"source": "a"} and not s.texts
    assert s.windows[1].patches.tolist() == [[-1, 0], [0, 0]]
    assert s.windows[1].images == [png]
    want = models("gpt2")(torch.tensor([[9, 8]]), position_ids=torch.tensor([[3, 4]]),
                          output_hidden_states=True).hidden_states
    x = captured(models("gpt2"), rows, "blocks.1.hook_resid_post").windows[1]
    close(torch.tensor(x.hooks["blocks.1.hook_resid_post"]), want[2][0])
    for bad, words in (([{"input_ids": []}], "0 tokens"),
                       ([{"input_ids": [1] * 65}], "65 tokens"),
                       ([{"input_ids": [1, 2], "attention_mask": [0, 1]}], "right only"),
                       ([{"input_ids": [1.5]}], "input_ids in row 0"),
                       (rows[:1] + [{"text": "x"}], "row 1")):
        with pytest.raises(saedb.BadArgument, match=words):
            captured(models("gpt2"), bad, hook)


def test_model_that_sees(tmp_path):
    """Gemma 3 with images: the language model's layers, and patches among tokens."""
    torch.manual_seed(0)
    model = transformers.Gemma3ForConditionalGeneration(transformers.Gemma3Config(
        text_config=dict(torch_models.CONFIGS["gemma3"][1]),
        vision_config=dict(hidden_size=16, intermediate_size=32, num_hidden_layers=3,
                           num_attention_heads=2, image_size=16, patch_size=4),
        mm_tokens_per_image=4, image_token_index=4000, boi_token_index=4001,
        eoi_token_index=4002)).eval()
    png, hook = b"\x89PNG\r\n\x1a\n.", "blocks.1.hook_resid_post"
    ids = torch.tensor([5, 4001, 4000, 4000, 4000, 4000, 4002, 7])
    patches = [[0, i - 2] if 2 <= i < 6 else [-1, 0] for i in range(8)]
    pixels = torch.randn(1, 3, 16, 16)
    rows = [{"input_ids": ids, "images": [png], "image_grids": [[2, 2]],
             "image_patches": patches, "inputs": {"pixel_values": pixels}},
            {"input_ids": [5, 6, 7]}]
    s = captured(model, rows, hook)
    assert s.windows[0].patches.tolist() == patches
    for w, more in zip(s.windows, ({"pixel_values": pixels}, {})):
        want = model(input_ids=torch.tensor(w.ids[None].astype("i8")), **more,
                     output_hidden_states=True).hidden_states[2][0]
        close(torch.tensor(w.hooks[hook]), want)
    saedb.save_model(model, tmp_path, tokenizer=torch_models.tokenizer())
    assert json.loads((tmp_path / "config.json").read_text())["hidden_size"] == 32


def test_leaves_the_model_as_it_was(models):
    """Modes, hooks, gradients: after it ended well, and after an error."""
    model = torch_models.make("gpt2")
    model.train()
    model.transformer.h[1].eval()
    before = [m.training for m in model.modules()]

    def check():
        assert [m.training for m in model.modules()] == before
        assert torch.is_grad_enabled()
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    s = captured(model, TEXTS, "blocks.1.hook_resid_post")
    check()
    want = captured(models("gpt2"), TEXTS, "blocks.1.hook_resid_post")
    for a, b in zip(s.windows, want.windows):  # without dropout, so the same
        close(*(torch.tensor(x.hooks["blocks.1.hook_resid_post"]) for x in (a, b)))
    with pytest.raises(IndexError):
        captured(model, [{"input_ids": [5000]}], "blocks.1.hook_resid_post")
    check()


def test_directory_by_name(tmp_path, models):
    """A model by its name, and a directory with its description."""
    models("gpt2").save_pretrained(tmp_path / "model")
    torch_models.tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    got = saedb.capture(str(tmp_path / "model"), tmp_path / "c.jsonl",
                        ["blocks.1.hook_resid_post"], tmp_path / "shards", context=16)
    s = read_directory(tmp_path / "shards")
    assert got == saedb.Captured(s.n_tokens, len(s.windows), 4)
    head = tmp_path / "shards/model"
    assert json.loads((head / "config.json").read_text()) == {
        "model_type": "saedb_head", "hidden_size": 32, "num_hidden_layers": 3,
        "max_position_embeddings": 64, "vocab_size": 4096}
    assert (head / "tokenizer.json").exists()


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self):
        return True


@pytest.mark.parametrize("file, want", [
    (Terminal(), r"\r\x1b\[K1,000 tokens, \d+/s, 50%, 0:0\d left\r\x1b\[K"),
    (io.StringIO(), r"1,000 tokens, \d+/s, 50%, 0:0\d left\n"),
])
def test_progress(file, want, monkeypatch):
    """A line that is rewritten on a terminal, and one by one elsewhere."""
    monkeypatch.setattr(progress, "_TERMINAL_S", .01)
    monkeypatch.setattr(progress, "_PLAIN_S", .01)
    p = progress.Progress(False, file)
    p.show(1)
    time.sleep(1.2)
    p.show(1000, .5)
    p.show(2000, .6)
    p.end()
    assert re.fullmatch(want, file.getvalue()), repr(file.getvalue())
    quiet = io.StringIO()
    progress.Progress(True, quiet).show(5)
    assert quiet.getvalue() == ""


def test_bad_arguments(models):
    """Each by its name."""
    model = models("gpt2")
    for words, change in (("hooks", dict(hooks=[])), ("hooks", dict(hooks=["a", "a"])),
                          ("dtype", dict(dtype="int8")), ("model", dict(model=3)),
                          ("batch_tokens", dict(batch_tokens=0))):
        what = dict(model=model, dataset=TEXTS, hooks=["layers.1"], target=io.BytesIO(),
                    tokenizer=torch_models.tokenizer(), quiet=True) | change
        with pytest.raises(saedb.BadArgument, match=words):
            saedb.capture(**what)
    with pytest.raises(saedb.BadArgument, match="tokenizer"):
        captured(model, TEXTS, "layers.1", tokenizer=None)


# ---- the model's directory ---------------------------------------------------------


@pytest.mark.parametrize("family", CAPTURED)
def test_save_model(models, tmp_path, family):
    """Its logits follow from what is saved, whatever the family's norm is."""
    from safetensors.torch import load_file
    model = models(family)
    saedb.save_model(model, tmp_path, tokenizer=torch_models.tokenizer())
    t = load_file(tmp_path / "model.safetensors")
    core = model.base_model
    norm = next(getattr(core, n) for n in ("norm", "ln_f", "final_layer_norm")
                if hasattr(core, n))
    x = torch.randn(5, 32)
    want = model.get_output_embeddings()(norm(x))
    got = normalized(norm, x) * t["final_gain"]
    if getattr(norm, "bias", None) is not None:
        got = got + norm.bias
    close(got @ t["unembed"].T, want)


def test_save_lens_gemma(models, tmp_path):
    """A HookedTransformer has Gemma's gain as it is applied."""
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    from safetensors.torch import load_file
    saedb.save_model(torch_models.lens(models("gemma2")), tmp_path)
    close(load_file(tmp_path / "model.safetensors")["final_gain"],
          1 + models("gemma2").model.norm.weight)


@pytest.mark.parametrize("folded", [False, True])
def test_save_lens_model(models, tmp_path, folded):
    """A HookedTransformer as it is, and with its norms folded into its weights."""
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    from safetensors.torch import load_file
    lens = torch_models.lens(models("gpt2"))
    if folded:
        lens.process_weights_(center_writing_weights=False, center_unembed=False)
    saedb.save_model(lens, tmp_path)
    t = load_file(tmp_path / "model.safetensors")
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 4096
    want = models("gpt2").lm_head.weight * models("gpt2").transformer.ln_f.weight
    if folded:  # which also centres what a LayerNorm has centred
        want = want - want.mean(1, keepdim=True)
    close(t["unembed"] * t["final_gain"], want)


def test_save_model_without_weights(models, tmp_path):
    """Then there is only what tells its sizes."""
    saedb.save_model(models("llama"), tmp_path, tokenizer=torch_models.tokenizer(),
                     weights=False)
    assert not list(tmp_path.glob("*.safetensors"))


# ---- caches ------------------------------------------------------------------------


def cached(cache, tokens, **options):
    """The stream of a cache."""
    out = io.BytesIO()
    saedb.from_cache(cache, tokens, out, **options)
    return read_stream(out.getvalue())


def test_cache_of_transformer_lens(models):
    """With and without its batch dimension; what saedb knows is taken."""
    pytest.importorskip("transformer_lens", reason="transformer-lens is not installed")
    lens = torch_models.lens(models("gpt2"))
    ids = torch.randint(1, 4000, (3, 7))
    _, cache = lens.run_with_cache(ids)
    s = cached(cache, ids)
    assert set(s.windows[0].hooks) == {h for n in range(3) for h in names(
        n, ("hook_mlp_in", "mlp.hook_in")).values()}
    for i, w in enumerate(s.windows):
        assert (w.ids == ids[i].numpy()).all()
        for h, x in w.hooks.items():
            assert (x == cache[h][i].flatten(1).numpy()).all()
    _, cache = lens.run_with_cache(ids[:1], remove_batch_dim=True)
    s = cached(cache, ids[0], hooks="blocks.1.attn.hook_z")
    assert list(s.windows[0].hooks) == ["blocks.1.attn.hook_z"]
    want = cache["blocks.1.attn.hook_z"].flatten(1).numpy()
    assert (s.windows[0].hooks["blocks.1.attn.hook_z"] == want).all()


class Proxy:
    """As nnsight leaves what was saved."""

    def __init__(self, value):
        self.value = value


def test_cache_of_others():
    """Proxies, tuples, numpy; other names; lengths; several into one stream."""
    ids = np.arange(8).reshape(2, 4)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("f4")
    for cache in ({"model.layers.8": Proxy((torch.tensor(x), None))},
                  {"model.layers.8": (torch.tensor(x),)},
                  {"model.layers.8.output": x}):
        s = cached(cache, ids, lengths=[4, 2])
        assert [len(w.ids) for w in s.windows] == [4, 2]
        for i, w in enumerate(s.windows):
            assert (w.hooks["model.layers.8"] == x[i, :len(w.ids)]).all()
    s = cached({"a": x, "b": x}, ids.tolist(), hooks={"a": "blocks.0.hook_resid_pre"})
    assert list(s.windows[0].hooks) == ["blocks.0.hook_resid_pre"]
    out = io.BytesIO()
    with saedb.ShardWriter(out) as w:
        for _ in range(2):
            saedb.from_cache({"a": x}, ids, w)
    assert len(read_stream(out.getvalue()).windows) == 4


@pytest.mark.parametrize("cache, tokens, options, words", [
    ({"a": np.ones((2, 4, 3))}, np.ones((3, 4), int), {}, r"cache\['a'\]: shape \(2, 4, 3\)"),
    ({"a": np.ones((2, 3, 3))}, np.ones((2, 4), int), {}, "a has 3 positions, but row 0"),
    ({"a": np.ones((2, 4))}, np.ones((2, 4), int), {}, r"cache\['a'\]"),
    ({"a": np.ones((2, 4, 3))}, np.ones((2, 4), int), {"hooks": ["b"]}, "no 'b'"),
    ({"a": np.ones((2, 4, 3))}, np.ones((2, 4), int), {"lengths": [1]}, "lengths"),
    ([1], np.ones((2, 4), int), {}, "list is no mapping"),
])
def test_bad_cache(cache, tokens, options, words):
    """Each is named."""
    with pytest.raises(saedb.BadArgument, match=words):
        cached(cache, tokens, **options)
