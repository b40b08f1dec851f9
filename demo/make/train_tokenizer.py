"""Train the byte-level BPE on the training text, every entity's words repeated evenly so that siblings cut alike.

Usage: train_tokenizer.py --work DIR --out MODEL_DIR"""
import argparse
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tables import KINDS, THEMES, entities

END = "<|endoftext|>"
EVEN = 400          # times each entity's words are repeated
SAMPLE = 60000      # training documents read


def even_block():
    """Names with a space before, as they stand in a sentence; element names capitalised too; small numbers."""
    for theme in THEMES:
        for name, facts in entities(theme):
            words = [name]
            if theme == "element":
                words.append(name.title())
            for _ in range(EVEN):
                yield " " + " ".join(words)
            for kind in KINDS[theme]:
                for _ in range(EVEN // 8):
                    yield " " + facts[kind]
    for n in range(100):
        for _ in range(EVEN):
            yield f"({n}, {n})"


def texts(path):
    with open(path, encoding="utf-8") as lines:
        for i, line in enumerate(lines):
            if i == SAMPLE:
                return
            yield json.loads(line)["text"]


def everything(path):
    yield from texts(path)
    yield from even_block()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=4096)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=args.vocabulary, special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(everything(args.work / "train.jsonl"), trainer)
    tok.save(str(args.out / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "unk_token": END,
              "model_max_length": 128, "add_prefix_space": False, "clean_up_tokenization_spaces": False}
    (args.out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    special = {"bos_token": END, "eos_token": END, "unk_token": END}
    (args.out / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    pieces = [(len(tok.encode(" " + n).tokens) / len(n.split()), n) for t in THEMES for n, _ in entities(t)]
    print(f"vocabulary {tok.get_vocab_size()}; entities cut to more than a token a word:",
          [n for ratio, n in pieces if ratio > 1])


if __name__ == "__main__":
    main()
