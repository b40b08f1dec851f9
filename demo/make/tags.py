"""The tags side file, joined to tokens."""
import gzip
import json

import numpy as np


def byte_starts(encoding, text):
    """Byte offset at which each token of a byte-level encoding starts, and the end of the last."""
    sizes = [len(token) for token in encoding.tokens]      # one character a byte in byte-level BPE
    starts = np.concatenate([[0], np.cumsum(sizes)])
    assert starts[-1] == len(text.encode())
    return starts


class Tags:
    """Concepts, facts and results of each document; spans are bytes, `tokens` turns them into token ranges."""

    def __init__(self, path, tok, texts):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            self.sides = [json.loads(line) for line in lines]
        assert len(self.sides) == len(texts)
        self.starts = [byte_starts(tok.encode(t), t) for t in texts]

    def tokens(self, doc, span):
        """Tokens that overlap a span: (first, past the last)."""
        starts = self.starts[doc]
        first = int(np.searchsorted(starts, span["start"], side="right")) - 1
        last = int(np.searchsorted(starts, span["end"], side="left"))
        return first, last

    def first_rows(self, window_rows):
        """Row of each document's first token among all non-BOS tokens in order."""
        sizes = [len(s) - 1 for s in self.starts]
        assert sum(sizes) == window_rows[-1]
        return np.concatenate([[0], np.cumsum(sizes)])
