#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes what is listed below in tests/model/data/ from nothing, with the libraries saedb
must agree with. What the other make_fixtures_*.py made there stays.

Only needed to rebuild the fixtures: pip install torch transformers tokenizers
sae-lens safetensors numpy, then run it from anywhere. Everything is seeded; the
versions used are written to data/versions.json.

  lm-*/         tiny random GPT-2s as transformers saves them
  lm-*/golden.safetensors   ids, window_start, and at every hook the values that
                PyTorch gives in float32 (log-probabilities: logprobs)
  sae-*/        tiny SAEs as SAELens saves them
  sae-*/golden.safetensors  x, what encode(x) gives, and what decode gives back
  tok-*/        byte-level BPE tokenizers
  tok-*/golden.json         ids of tok-texts.json's texts, with special tokens parsed
                and (ids_ordinary, where it differs) as ordinary text
"""

import json
import random
import shutil
import warnings
from pathlib import Path

import numpy
import safetensors.torch
import tokenizers
import torch
import transformers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

warnings.filterwarnings("ignore")
DATA = Path(__file__).resolve().parent / "data"
MINE = ["lm-f32", "lm-f16-bare", "lm-sharded", "lm-long", "sae-*", "tok-*"]


# ---- language models ---------------------------------------------------------

SITES = ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]


def hidden_states(model, ids):
    """Values at every hook of one window, taken from the modules themselves."""
    got = {}
    handles = []

    def keep(name, which):
        def hook(module, args, output):
            if which == "in":
                value = args[0]
            else:
                value = output[0] if isinstance(output, tuple) else output
            got[name] = value.detach()[0].clone()
        return hook

    for i, block in enumerate(model.transformer.h):
        add = lambda m, site, which: handles.append(
            m.register_forward_hook(keep(f"blocks.{i}.hook_{site}", which)))
        add(block.ln_1, "resid_pre", "in")
        add(block.attn, "attn_out", "out")
        add(block.ln_2, "resid_mid", "in")
        add(block.mlp, "mlp_out", "out")
        add(block, "resid_post", "out")
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    for h in handles:
        h.remove()
    got["logprobs"] = torch.log_softmax(logits.double(), -1).float()
    return got


def make_model(name, prefix, dtype, shards=False, old_config=False, **options):
    torch.manual_seed(len(name) + 7)
    out = DATA / f"lm-{name}"
    config = transformers.GPT2Config(
        vocab_size=options.pop("vocab_size", 37), n_positions=options.pop("n_ctx", 24),
        n_embd=options.pop("n_embd", 18), n_layer=2, n_head=options.pop("n_head", 3),
        bos_token_id=0, eos_token_id=0, **options)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in model.parameters():  # transformers starts biases at 0 and gains at 1
            p += torch.randn_like(p) * 0.1
    model = model.to(dtype)
    if not prefix:  # as in openai-community/gpt2: the inner model's names
        model.transformer.save_pretrained(out)
        config.architectures = ["GPT2LMHeadModel"]
        config.save_pretrained(out)
    elif shards:
        model.save_pretrained(out, max_shard_size="12KB")
    else:
        model.save_pretrained(out)
    (out / "generation_config.json").unlink(missing_ok=True)
    if old_config:  # as transformers 4 wrote it
        c = json.loads((out / "config.json").read_text())
        c["torch_dtype"] = c.pop("dtype", "float32")
        c["n_ctx"] = c["n_positions"]
        c["transformers_version"] = "4.40.0"
        (out / "config.json").write_text(json.dumps(c, indent=2))
    model = model.float()  # computing is in float32 whatever is stored
    rng = random.Random(3)
    windows = [[rng.randrange(config.vocab_size) for _ in range(n)]
               for n in (config.n_positions, 5, 1)]
    golden = {}
    for w in windows:
        for k, v in hidden_states(model, w).items():
            golden.setdefault(k, []).append(v)
    golden = {k: torch.cat(v).contiguous() for k, v in golden.items()
              if config.n_positions < 100 or k in ("blocks.0.hook_attn_out",
                                                   "blocks.1.hook_resid_post")}
    golden["ids"] = torch.tensor(sum(windows, []), dtype=torch.int32)
    golden["window_start"] = torch.tensor(
        numpy.cumsum([0] + [len(w) for w in windows]), dtype=torch.int32)
    safetensors.torch.save_file(golden, out / "golden.safetensors")


def make_models():
    make_model("f32", True, torch.float32)
    make_model("f16-bare", False, torch.float16, old_config=True)
    make_model("sharded", True, torch.float32, shards=True, n_inner=40,
               scale_attn_by_inverse_layer_idx=True)
    make_model("long", True, torch.bfloat16, n_ctx=140, n_embd=16, n_head=2,
               vocab_size=33, tie_word_embeddings=False)


# ---- SAEs --------------------------------------------------------------------

def make_sae(name, architecture, normalize="none", b_dec=True, kwargs=None,
             dtype="float32", **options):
    from sae_lens import SAE
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.registry import get_sae_class

    torch.manual_seed(len(name) * 31 + 5)
    d, n, m = 16, 48, 20
    sae_class, config_class = get_sae_class(architecture)
    config = config_class(
        d_in=d, d_sae=n, dtype=dtype, apply_b_dec_to_input=b_dec,
        normalize_activations=normalize,
        metadata=SAEMetadata(
            model_name="tiny", hook_name="blocks.1.hook_resid_pre", prepend_bos=True,
            context_size=24, model_from_pretrained_kwargs=kwargs or {}), **options)
    sae = sae_class(config)
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
        sae.W_dec *= 0.5 + torch.rand(n, 1)
        if hasattr(sae, "threshold"):
            sae.threshold.copy_(torch.rand(n) - 0.2)  # some below 0
    out = DATA / f"sae-{name}"
    sae.save_model(out)
    sae = SAE.load_from_disk(out)
    x = torch.randn(m, d) * 2 + 0.5
    x[3] = 0
    y = x
    if kwargs and kwargs.get("center_writing_weights"):
        y = x - x.mean(-1, keepdim=True)
    with torch.no_grad():
        acts = sae.encode(y.to(sae.dtype))
        back = sae.decode(acts)
    if kwargs and kwargs.get("center_writing_weights"):
        back = back + x.mean(-1, keepdim=True)
    if normalize == "constant_norm_rescale":
        acts[3] = 0  # SAELens divides by 0 there
        back[3] = 0
    safetensors.torch.save_file(
        {"x": x, "acts": acts.float().contiguous(), "back": back.float().contiguous()},
        out / "golden.safetensors")


def make_saes():
    make_sae("standard", "standard")
    make_sae("standard-plain-input", "standard", b_dec=False)
    make_sae("standard-expected", "standard", normalize="expected_average_only_in")
    make_sae("standard-centred", "standard", kwargs={"center_writing_weights": True})
    make_sae("jumprelu", "jumprelu", kwargs={"center_writing_weights": False})
    make_sae("jumprelu-constant", "jumprelu", normalize="constant_norm_rescale")
    make_sae("topk", "topk", k=7)
    make_sae("topk-rescaled", "topk", k=7, rescale_acts_by_decoder_norm=True)
    make_sae("topk-layer", "topk", normalize="layer_norm", k=40)
    make_sae("gated", "gated", normalize="layer_norm")
    make_batchtopk()


def make_batchtopk():
    """What SAELens exports a batchtopk SAE as."""
    from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

    torch.manual_seed(99)
    sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=16, d_sae=48, k=5.0))
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
        sae.topk_threshold = torch.tensor(0.7, dtype=torch.float64)
    sae.cfg.metadata.hook_name = "blocks.0.hook_mlp_out"
    sae.cfg.metadata.model_name = "tiny"
    out = DATA / "sae-batchtopk"
    sae.save_inference_model(out)
    x = torch.randn(20, 16) * 2 + 0.5
    sae = SAE.load_from_disk(out)
    with torch.no_grad():
        acts = sae.encode(x)
        back = sae.decode(acts)
    safetensors.torch.save_file({"x": x, "acts": acts, "back": back},
                                out / "golden.safetensors")


# ---- tokenizers --------------------------------------------------------------

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

TEXT = """The lighthouse keeper counted forty-two ships before the fog came in.
She'll write that it's the year's 1st storm; they've seen 12,345 of them, I'd say.
def add(a, b):
    # the sum, not the difference
    return a + b

    if (x != 0 && y >= 10) { printf("%d\\n", x / y); }
Le phare du vieux port s'éteint à l'aube; où sont les goélands?
Der Leuchtturmwärter zählt die Schiffe über die Straße, größer als zuvor.
El farero contó los barcos; mañana vendrán más, dijo la niña.
灯台守は霧が来る前に船を数えた。 守塔人数了四十二艘船。
Смотритель маяка сосчитал корабли. Ο φάρος σβήνει την αυγή.
عد حارس المنارة السفن ١٢٣ قبل الضباب. 🙂🙂 👍🏽
tab\tseparated\tvalues      and   runs    of     spaces
"""


def nasty():
    yield from ["", " ", "  ", "\n", "\r\n\r\n\r\n", "\t\t \t", "a" * 300, "a" * 49,
                "ab" * 100, " " * 200, "x" + " " * 31 + "y", "Hello world",
                " Hello  world ", "don't DON'T we'll WE'LL 'tis 's ''s", "it'\u017f 'S'\u017f",
                "\u017f's", "e\u0301te\u0301 \u00e9t\u00e9", "A\u030a \u212b \u2126 K \u212a",
                "a\u0323\u0307 a\u0307\u0323", "\u1100\u1161\u11a8 \uac01", "q\u0307\u0323",
                "\u0344 \u0958 \u2adc \ufb1d", "\u0301leading mark", "n\u0303o man\u0303ana",
                "١٢٣٤ ½²Ⅷ 一二三", "12 345 6789 x9y", "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪",
                "漢字かな한글ไทย", "\u00a0nbsp \u2003em\u3000ideo\u180e\u200b\ufeff\u0085z",
                "<|end|>", "a<|end|>b", " <|end|> ", "<|end|><|end|>", "<|end|",
                "x <|sep|> y", "x<|sep|>y", "  <|sep|>  \n z", "word", "a word b", "swords word",
                "word\u00e9 \u00e9word word!", "<nl>\n<nl>", "  <nl>", "é<é>é e\u0301<e\u0301>",
                "line one\r\nline two\rline three\n\n\n  four", "ﬁﬆǅΣσςẞß", "\x01\x7f\x1b[0m",
                "https://a.b/c?d=e&f=%20#g", "a_b__c-d--e...f", "\U0010ffff\ue000\ufffd"]
    yield "".join(chr(i) for i in range(1, 0x120))
    yield TEXT
    rng = random.Random(11)
    pools = ["abcdefgh", " \t\n\r", "0123456789", "'s't're've", "éüñçßſK", "\u0301\u0308\u0327",
             "١٢½²", "漢字한글", "👩‍👧🏽😀", "!?.,;-_(){}", "<|end|>", "\u1100\u1161\u11a8"]
    for _ in range(40):
        out = []
        for _ in range(rng.randrange(1, 25)):
            p = rng.choice(pools)
            out.append(p if rng.random() < .3 else
                       "".join(rng.choice(p) for _ in range(rng.randrange(1, 6))))
        yield "".join(out)


def make_tokenizer(name, pre, normalizer=None, ignore_merges=False, vocab_size=420,
                   config=None):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<|end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=1)
    t.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    t.add_special_tokens([AddedToken("<|sep|>", lstrip=True, rstrip=True, special=True,
                                     normalized=False)])
    t.add_tokens([AddedToken("word", single_word=True, normalized=False),
                  AddedToken("<nl>", rstrip=True, normalized=False),
                  AddedToken("<\u00e9>", normalized=True),
                  AddedToken("    ", normalized=True), AddedToken("  ", normalized=True)])
    out = DATA / f"tok-{name}"
    out.mkdir(parents=True)
    t.save(str(out / "tokenizer.json"), pretty=False)
    if config:
        (out / "tokenizer_config.json").write_text(json.dumps(config))
    t = Tokenizer.from_file(str(out / "tokenizer.json"))
    cases = []
    for text in nasty():
        ids = []
        for ordinary in (False, True):
            t.encode_special_tokens = ordinary
            ids.append(t.encode(text, add_special_tokens=False).ids)
        cases.append({"ids": ids[0]} if ids[0] == ids[1] else
                     {"ids": ids[0], "ids_ordinary": ids[1]})
    (out / "golden.json").write_text(json.dumps(cases, separators=(",", ":")))


def make_tokenizers():
    byte_level = pre_tokenizers.ByteLevel
    (DATA / "tok-texts.json").write_text(json.dumps(list(nasty())))
    make_tokenizer("gpt2", byte_level(add_prefix_space=False),
                   config={"bos_token": "<|end|>",
                           "eos_token": {"content": "<|sep|>", "special": True}})
    make_tokenizer("nfc-prefix", byte_level(add_prefix_space=True), vocab_size=380,
                   normalizer=normalizers.NFC())
    make_tokenizer("llama3", pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        byte_level(add_prefix_space=False, use_regex=False)]), ignore_merges=True,
        vocab_size=380)
    for behavior in ("removed", "merged_with_previous", "merged_with_next", "contiguous"):
        make_tokenizer(f"split-{behavior.replace('_', '-')}", pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=behavior == "removed"),
            pre_tokenizers.Split(Regex(r"\s|\W*[.]"), behavior,
                                 invert=behavior == "contiguous"),
            byte_level(add_prefix_space=behavior == "removed", use_regex=False)]),
            vocab_size=300)


def main():
    import sae_lens

    DATA.mkdir(parents=True, exist_ok=True)
    for pattern in MINE:
        for path in DATA.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
    make_models()
    make_saes()
    make_tokenizers()
    (DATA / "versions.json").write_text(json.dumps({
        "torch": torch.__version__, "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__, "sae_lens": sae_lens.__version__},
        indent=1) + "\n")


if __name__ == "__main__":
    main()
