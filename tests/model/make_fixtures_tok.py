#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""
Writes tests/model/data/tokk-*: small tokenizers of each kind and, beside each,
the ids and offsets that `tokenizers` and `transformers` give for the texts in
tokk-texts (which the byte 1E divides). Needs those two and sentencepiece, and a
folder of data, shared, beside the tree or where the variable of that name says.

golden.json: for each text its ids, those with special tokens as ordinary text
where they differ, the length of each token in bytes, and where one does not begin
at the end of the one before it: its number, and where.
"""

import json
import os
import random
import shutil
from pathlib import Path

import sentencepiece
import transformers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

from make_fixtures import TEXT

DATA = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("shared", Path(__file__).resolve().parents[3] / "shared"))


def texts():
    yield from ["", " ", "  ", "\n", "a", "▁", "▁a", " ▁", "a ", " a", "  a  ", "\t\n \r\n x",
                "Hello world", " Hello  world ", "The ships; they've 12,345 of them.",
                "a" * 120, "ab" * 40, " " * 60, "▁" * 20, "a " * 30, "é" * 30, "漢" * 20,
                "e\u0301te\u0301 \u00e9t\u00e9 A\u030a \u212b \u2126", "a\u0323\u0307 a\u0307\u0323b",
                "\u1100\u1161\u11a8 \uac01 q\u0307\u0323 \u0958 \u2adc \ufb1d",
                "\u0301leading mark", "trailing mark\u0301", "İstanbul ΣΑΣ ẞ ǅ Ａｂ ﬁ ½ ｶﾞ ㎏ ①²",
                "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪", "漢字かな한글ไทย עברית", "١٢٣ ½²Ⅷ 一二三 12 3456x9",
                "a\u00a0b\u2003c\u3000d\u180ee\u200bf\ufeffg\u0085h\u2028i", "a\x00b \x00", "\x01\x7f\x1b[0m",
                "don't WE'LL 'tis", "a.b,c!d?e(f)g-h_i/j\\k$l+m<n=o>p^q`r|s~t", "«a» „b” ‚c’ —d… ;e; ׃",
                "<s>", "a<s>b", " <s> ", "<s><s>", "<s", "<s>>", "<<s>", "<unk>a</s>", "x <sep> y",
                "x<sep>y", "  <sep>  \n z<sep>", "word", "a word b", "swords word", "word\u200d word\u0301",
                "\u200dword wordé éword word!", "word_ _word word2", "é<é>é e\u0301<e\u0301>", "WORD Word <É>",
                "<0x0A>", "<0x0A> <0xzz>\n", "\n\n\n\na\n\n", "\t\t\ta", "▁▁▁▁a    b", "<nl>\n<nl>", "  <nl>",
                "<a><ab><abc><abcd>", "ab<a>b<ab", "<b><b>  <b>", "line one\r\nline two\rthree\n\n\n  four",
                "if (x != 0) {\n    return a + b;\n\t}\n", "``quoted'' text   with  runs",
                "\U0010ffff\ue000\ufffd\U00010400", "Xx\u00a0Xx\u2009\u200a", "zq zq zzqq ξ ξξ zξz"]
    yield TEXT[:300]
    rng = random.Random(5)
    pools = ["abcdefgh", "   \t\n", "0123456789", "the ", "éüñß", "\u0301\u0308\u0327", "١²½", "漢字",
             "👩‍👧🏽", "!?.,-_()", "<s>", "<sep>", "word", "▁", "\u1100\u1161\u11a8", "ξz"]
    for _ in range(16):
        out = []
        for _ in range(rng.randrange(1, 12)):
            p = rng.choice(pools)
            out.append(p if rng.random() < .4 else
                       "".join(rng.choice(p) for _ in range(rng.randrange(1, 5))))
        yield "".join(out)


ALL = list(texts())


def offsets_of(kind):
    """How the offsets given are to be compared: tokenizers loses the bytes that
    marks were joined from, and counts wrongly behind what it leaves out."""
    return "none" if kind == "dropped" else "inside" if kind.startswith("nf") else "exact"


def golden(t, out, kind):
    """t: with its post-processor; offsets are taken without (it may trim them)."""
    d = json.loads(t.to_str())
    d["post_processor"] = None
    t = Tokenizer.from_str(json.dumps(d))
    cases = []
    for text in ALL:
        at = [0]
        for c in text:
            at.append(at[-1] + len(c.encode()))
        t.encode_special_tokens = False
        e = t.encode(text, add_special_tokens=False)
        case, last = {"ids": e.ids, "n": [], "at": []}, 0
        for i, (a, b) in enumerate(e.offsets):
            case["n"].append(at[b] - at[a])
            if at[a] != last:
                case["at"] += [i, at[a]]
            last = at[b]
        t.encode_special_tokens = True
        plain = t.encode(text, add_special_tokens=False).ids
        if plain != e.ids:
            case["plain"] = plain
        cases.append(case)
    (out / "golden.json").write_text(json.dumps(
        {"offsets": offsets_of(kind), "cases": cases}, separators=(",", ":")))


def train(pre, vocab_size, bytes_too=True, specials=("<unk>", "<s>", "</s>"), text=TEXT,
          missing=()):
    """vocab and merges: special tokens, <0xHH>, then what BPE finds in text."""
    t = Tokenizer(models.BPE())
    if pre:
        t.pre_tokenizer = pre
    else:
        text = text.replace(" ", "▁")
    t.train_from_iterator(text.splitlines(keepends=True), trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, min_frequency=1, limit_alphabet=90))
    m = json.loads(t.to_str())["model"]
    tokens = list(specials)
    if bytes_too:
        tokens += [x for x in (f"<0x{b:02X}>" for b in range(256)) if x not in missing]
    tokens += sorted(m["vocab"], key=m["vocab"].get)
    return {x: i for i, x in enumerate(tokens)}, [tuple(x) for x in m["merges"]]


def make(name, vocab, merges, normalizer=None, pre=None, decoder=None, post=None, added=(),
         strings=False, config=None, **options):
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    if decoder:
        t.decoder = decoder
    if post:
        t.post_processor = post
    for x in added:
        t.add_special_tokens([x]) if x.special else t.add_tokens([x])
    out = DATA / f"tokk-{name}"
    out.mkdir(parents=True)
    d = json.loads(t.to_str())
    if strings:
        d["model"]["merges"] = [" ".join(x) for x in d["model"]["merges"]]
    (out / "tokenizer.json").write_text(
        json.dumps(d, ensure_ascii=False, separators=(",", ":")))
    if config:
        (out / "tokenizer_config.json").write_text(json.dumps(config))
    golden(Tokenizer.from_file(str(out / "tokenizer.json")), out, name)


def special(*names, **flags):
    return [AddedToken(x, special=True, normalized=False, **flags) for x in names]


LLAMA = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
DECODE = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]


def make_sentencepiece_kinds():
    meta = pre_tokenizers.Metaspace
    words = train(meta(), 620)
    extra = [AddedToken("<sep>", lstrip=True, rstrip=True, special=True, normalized=False),
             AddedToken("word", single_word=True, normalized=False),
             AddedToken("<nl>", rstrip=True, normalized=False),
             AddedToken("<é>", normalized=True)]
    nested = [AddedToken(x, normalized=n) for x, n in
              (("<a>", False), ("<ab>", True), ("<abc>", False), ("<abcd>", True), ("<b>", True))]
    template = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    llama = dict(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    base = special("<unk>", "<s>", "</s>")

    make("llama", *words, normalizers.Sequence(LLAMA), None,
         decoders.Sequence(DECODE + [decoders.Strip(" ", 1, 0)]), template, base + nested,
         strings=True, **llama)
    make("llama-first", *words, None, meta(prepend_scheme="first", split=False),
         decoders.Sequence(DECODE + [decoders.Strip(" ", 1, 0)]),
         processors.Sequence([processors.ByteLevel(), template]), base + extra, **llama)
    make("llama-always", *words, normalizers.Prepend("x"),
         meta(prepend_scheme="always", split=False), decoders.Metaspace(), None,
         base + extra + nested, **llama)
    make("gemma", *train(None, 620, specials=("<pad>", "<eos>", "<s>", "<unk>")),
         normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"),
         decoders.Sequence(DECODE),
         processors.TemplateProcessing("<s> $A", None, [("<s>", 2)]),
         special("<pad>", "<eos>", "<s>", "<unk>")
         + [AddedToken(x, normalized=False) for x in ("\n\n", "\n\n\n\n", "\t\t", "▁▁", "▁▁▁▁", "<h1>")],
         config={"bos_token": "<s>", "eos_token": "<eos>"}, **llama)
    few = train(meta(), 330, bytes_too=False)
    make("split", *few, None, meta(split=True), decoders.Metaspace(), None, base + extra,
         unk_token="<unk>")
    make("fused", *few, None, meta(prepend_scheme="never", split=False), decoders.Metaspace(), None,
         base, unk_token="<unk>", fuse_unk=True)
    make("dropped", *few, None, meta(split=False), decoders.Metaspace(), None, base)
    make("ignore", *few, None, meta(split=True), decoders.Metaspace(), None, base,
         unk_token="<unk>", ignore_merges=True)
    # Some bytes lack: what is unknown comes behind the byte tokens that follow it.
    lacking = train(meta(), 620, missing=("<0xCE>", "<0x9F>", "<0xE6>"))
    make("lacking", *lacking, normalizers.Sequence(LLAMA), None, decoders.Sequence(DECODE), None,
         base, **llama)
    # Byte tokens that take part in merges.
    vocab, merges = train(meta(), 620)
    joined = [("<0xE6>", "<0xBC>"), ("<0xE6><0xBC>", "<0xA2>"), ("▁", "<0xE6><0xBC><0xA2>"), ("z", "q")]
    for x in [a + b for a, b in joined] + ["z", "q"]:
        vocab.setdefault(x, len(vocab))
    make("merged-bytes", vocab, merges + joined, normalizers.Sequence(LLAMA), None,
         decoders.Sequence(DECODE), None, base, **llama)


def make_normalizer_kinds():
    n, p = normalizers, pre_tokenizers
    base = special("<unk>", "<s>", "</s>")
    word = [AddedToken("word", single_word=True, normalized=True), AddedToken("<É>", normalized=True)]
    few = train(p.Whitespace(), 300, bytes_too=False, text=TEXT.lower())
    make("nfkd-lower", *few,
         n.Sequence([n.NFKD(), n.Sequence([n.StripAccents(), n.Lowercase()]), n.Strip(),
                     n.Replace(Regex(" {2,}"), " "), n.Replace("``", '"'), n.Replace("''", '"')]),
         p.Sequence([p.Whitespace(), p.Sequence([p.Punctuation("contiguous"), p.Digits(True)])]),
         None, processors.RobertaProcessing(("</s>", 2), ("<s>", 1)), base + word, unk_token="<unk>")
    few = train(p.WhitespaceSplit(), 300, bytes_too=False)
    make("nfkc", *few, n.NFKC(), p.Sequence([p.WhitespaceSplit(), p.CharDelimiterSplit("e"), p.Punctuation()]),
         None, processors.BertProcessing(("</s>", 2), ("<s>", 1)), base + word, unk_token="<unk>")
    make("nfd-strip", *few, n.Sequence([n.NFD(), n.Strip(left=True, right=False), n.Replace(Regex("s?"), "z")]),
         p.Sequence([p.Split("a", "removed"), p.Split(Regex("[oi]"), "merged_with_next", invert=True)]),
         None, None, base + word, unk_token="<unk>")
    make("lower-first", *few, n.Sequence([n.Lowercase(), n.Strip()]),
         p.Metaspace(prepend_scheme="first"), None, None, base + word, unk_token="<unk>")
    make("nfc-word", *train(p.WhitespaceSplit(), 200, bytes_too=False), n.NFC(),
         p.Sequence([p.Whitespace(), p.Metaspace(prepend_scheme="always")]), None, None,
         base + word, unk_token="<unk>", fuse_unk=True)


def put(out, **files):
    for name, value in files.items():
        (out / f"{name}.json").write_text(json.dumps(value))


def from_transformers(cls, out, name):
    t = cls.from_pretrained(str(out))
    golden(t.backend_tokenizer, out, name)


def make_gpt2_files():
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = byte_level
    t.train_from_iterator(TEXT.splitlines(keepends=True), trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|endoftext|>", "<s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    for name, config, added in (
            ("files-gpt2", None, None),
            ("files-gpt2-added", {
                "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "bos_token": "<s>",
                "added_tokens_decoder": {
                    "330": {"content": "<sep>", "lstrip": True, "rstrip": True, "normalized": False,
                            "single_word": False, "special": True},
                    "331": {"content": "word", "lstrip": False, "rstrip": False, "normalized": True,
                            "single_word": True, "special": False}}}, None)):
        out = DATA / f"tokk-{name}"
        out.mkdir(parents=True)
        t.model.save(str(out))
        put(out, config={"model_type": "gpt2"})
        if config:
            put(out, tokenizer_config=config)
        from_transformers(transformers.GPT2Tokenizer, out, name)


def trim(path, n_pieces):
    """Without the names of files, and what makes one large that is refused."""
    m = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    m.trainer_spec.ClearField("input")
    m.trainer_spec.ClearField("model_prefix")
    m.normalizer_spec.precompiled_charsmap = m.normalizer_spec.precompiled_charsmap[:16]
    del m.pieces[n_pieces:]
    path.write_bytes(m.SerializeToString())


def make_spm_files():
    corpus = DATA / "corpus.txt"
    corpus.write_text(TEXT + "aaaa aaaaaaa aa aaa\n" * 4)
    for name, cls, config, options in (
            ("spm-llama", transformers.LlamaTokenizer,
             {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"},
             {"user_defined_symbols": ["<sep>", "▁▁"]}),
            ("spm-legacy", transformers.LlamaTokenizer,
             {"tokenizer_class": "LlamaTokenizer", "legacy": True},
             {"remove_extra_whitespaces": False}),
            ("spm-gemma", transformers.GemmaTokenizer, {"tokenizer_class": "GemmaTokenizer"},
             {"add_dummy_prefix": False, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3,
              "pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>",
              "user_defined_symbols": ["<mask>", "\n\n", "▁▁"]})):
        out = DATA / f"tokk-{name}"
        out.mkdir(parents=True)
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(out / "tokenizer"), model_type="bpe",
            vocab_size=460, byte_fallback=True, normalization_rule_name="identity",
            minloglevel=2, character_coverage=0.98, num_threads=1, **options)
        os.remove(out / "tokenizer.vocab")
        trim(out / "tokenizer.model", 1000)
        put(out, tokenizer_config=config)
        from_transformers(cls, out, name)
    out = DATA / "tokk-spm-refused"
    out.mkdir()
    for name, options in (("unigram", {"model_type": "unigram"}),
                          ("nmt", {"model_type": "bpe", "normalization_rule_name": "nmt_nfkc"}),
                          ("word", {"model_type": "word"})):
        options = {"normalization_rule_name": "identity"} | options
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(out / name), vocab_size=160, minloglevel=2,
            num_threads=1,  hard_vocab_limit=False, **options)
        os.remove(out / f"{name}.vocab")
        trim(out / f"{name}.model", 20)
    corpus.unlink()


def make_stories():
    """Of a real model, which is not in this tree: tests skip without it."""
    model = SHARED / "data/stories260k/tok512.model"
    out = DATA / "tokk-stories"
    out.mkdir()
    shutil.copy(model, out / "tokenizer.model")
    put(out, tokenizer_config={"tokenizer_class": "LlamaTokenizer"})
    from_transformers(transformers.LlamaTokenizer, out, "stories")
    os.remove(out / "tokenizer.model")


def main():
    for x in DATA.glob("tokk-*"):
        shutil.rmtree(x) if x.is_dir() else x.unlink()
    (DATA / "tokk-texts").write_bytes("\x1e".join(ALL).encode())
    make_sentencepiece_kinds()
    make_normalizer_kinds()
    make_gpt2_files()
    make_spm_files()
    make_stories()


if __name__ == "__main__":
    main()
