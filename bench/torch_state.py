# SPDX-License-Identifier: ISC
"""The peers' encoders and statistics in PyTorch, as a careful user would write them
for a CPU: what is dense is touched as rarely as can be, the rest goes by the pairs
that fire. Per feature: count, sum, sum of squares, a histogram on log bins, and the
20 best windows by running top-k."""

import torch

BEST = 20
BINS = 64   # log2 bins of 1/4 octave from 2^-8


def by_saelens(sae):
    """SAELens' encode: x (tokens, d) to tokens, features, values that fire."""
    def encode(x):
        f = sae.encode(x)
        token, feature = f.nonzero(as_tuple=True)
        return token, feature, f[token, feature]
    return encode


def by_hand(sae):
    """The same, written out: one product into memory that is kept, and nothing is
    written where nothing fires."""
    bias = sae.b_enc - sae.b_dec @ sae.W_enc if sae.cfg.apply_b_dec_to_input else sae.b_enc
    threshold = getattr(sae, "threshold", torch.zeros(()))
    kept = torch.empty(0)

    def encode(x):
        nonlocal kept
        if len(kept) < len(x):
            kept = torch.empty(len(x), len(bias))
        f = torch.addmm(bias, x, sae.W_enc, out=kept[:len(x)])
        if sae.cfg.architecture() == "topk":
            value, feature = f.topk(sae.cfg.k, sorted=False)
            token, place = (value > 0).nonzero(as_tuple=True)
            return token, feature[token, place], value[token, place]
        token, feature = (f > threshold).nonzero(as_tuple=True)
        return token, feature, f[token, feature]
    return encode


ENCODERS = {"SAELens": by_saelens, "PyTorch by hand": by_hand}


class State:
    """What is known of n features."""

    def __init__(self, n):
        self.n = n
        self.count = torch.zeros(n, dtype=torch.int64)
        self.sum = torch.zeros(n)
        self.squares = torch.zeros(n)
        self.histogram = torch.zeros(n * BINS, dtype=torch.int64)
        self.best = torch.zeros(BEST, n)
        self.where = torch.zeros(BEST, n, dtype=torch.int64)

    def add(self, window, feature, value):
        """Pairs that fire, in windows that no other call has."""
        self.count += torch.bincount(feature, minlength=self.n)
        self.sum.index_add_(0, feature, value)
        self.squares.index_add_(0, feature, value * value)
        bin_ = ((value.log2() + 8) * 4).long().clamp(0, BINS - 1)
        self.histogram += torch.bincount(feature * BINS + bin_,
                                         minlength=self.n * BINS)
        self.merge(*self.peaks(window, feature, value))

    def peaks(self, window, feature, value):
        """The largest value of each feature in each window, where it may still
        enter: windows, features, values, by feature and value descending."""
        first, n_windows = int(window.min()), int(window.max() - window.min()) + 1
        pair, index = (feature * n_windows + window - first).unique(return_inverse=True)
        peak = torch.zeros(len(pair)).scatter_reduce_(0, index, value, "amax")
        feature = pair // n_windows
        enters = peak > self.best[BEST - 1][feature]
        pair, peak, feature = pair[enters], peak[enters], feature[enters]
        order = peak.argsort(descending=True, stable=True)
        order = order[feature[order].argsort(stable=True)]
        return pair[order] % n_windows + first, feature[order], peak[order]

    def merge(self, window, feature, peak):
        """The running top-k, of the features that something enters."""
        n_of = torch.bincount(feature, minlength=self.n)
        rank = torch.arange(len(feature)) - (n_of.cumsum(0) - n_of)[feature]
        keep = rank < BEST
        rank, feature = rank[keep], feature[keep]
        changed = n_of.nonzero()[:, 0]
        column = torch.zeros(self.n, dtype=torch.int64)
        column[changed] = torch.arange(len(changed))
        shape = (min(int(n_of.max()), BEST), len(changed))
        best, where = torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
        best[rank, column[feature]] = peak[keep]
        where[rank, column[feature]] = window[keep]
        best = torch.cat([self.best[:, changed], best])
        where = torch.cat([self.where[:, changed], where])
        best, index = best.topk(BEST, dim=0)
        self.best[:, changed] = best
        self.where[:, changed] = where.gather(0, index)
