"""Documents to windows of token ids, the way the language model and the SAEs read them."""
import gzip
import json

import numpy as np
from tokenizers import Tokenizer

CONTEXT = 128
BOS = 0             # <|endoftext|>


def read_texts(path):
    """The "text" of each line of a JSON Lines file, gzipped or not."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def load_tokenizer(model):
    tok = Tokenizer.from_file(str(model / "tokenizer.json"))
    assert tok.token_to_id("<|endoftext|>") == BOS
    return tok


def encode(tok, texts, step=5000):
    """Token ids of each text."""
    for i in range(0, len(texts), step):
        for e in tok.encode_batch(texts[i:i + step]):
            yield e.ids


def joined_windows(tok, texts):
    """Documents joined with BOS between, cut to windows that each begin with BOS: (n, CONTEXT) array."""
    stream = []
    for ids in encode(tok, texts):
        stream.extend(ids)
        stream.append(BOS)
    width = CONTEXT - 1
    n = len(stream) // width
    body = np.array(stream[:n * width], dtype=np.int16).reshape(n, width)
    return np.concatenate([np.full((n, 1), BOS, dtype=np.int16), body], axis=1)


def document_windows(ids):
    """One document by itself: windows of BOS and up to CONTEXT - 1 of its tokens, with the offset of the first."""
    width = CONTEXT - 1
    return [(i, [BOS] + ids[i:i + width]) for i in range(0, len(ids), width)]
