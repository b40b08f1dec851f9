# SPDX-License-Identifier: ISC
"""One pass over the corpus beside the store: counts, maxima, sums, window peaks
and every activation compared, kept small enough to compare at the end."""

import dataclasses

import numpy as np
import torch

TOLERANCE = 1e-5  # of ||x|| ||w|| + |b|, see reference.py


@dataclasses.dataclass
class Tally:
    """What the recomputation found of one SAE over the whole corpus."""

    count: np.ndarray
    maximum: np.ndarray
    total: np.ndarray
    peak_window: list = dataclasses.field(default_factory=list)
    peak_feature: list = dataclasses.field(default_factory=list)
    peak_offset: list = dataclasses.field(default_factory=list)
    peak_value: list = dataclasses.field(default_factory=list)
    n_tokens: int = 0
    n_pairs: int = 0
    near: list = dataclasses.field(default_factory=list)   # listed differences
    wrong: list = dataclasses.field(default_factory=list)  # beyond the tolerance
    worst: float = 0.0   # largest value difference in units of the scale
    unit: np.ndarray = None  # largest scale seen per feature
    near_count: np.ndarray = None  # near-threshold differences per feature
    residual: float = 0.0
    sum_x: np.ndarray = None
    sum_xx: float = 0.0

    @classmethod
    def empty(cls, n, d):
        """Nothing seen yet, for n features on a stream of width d."""
        return cls(np.zeros(n, np.int64), np.zeros(n, np.float32), np.zeros(n),
                   unit=np.zeros(n), near_count=np.zeros(n, np.int64),
                   sum_x=np.zeros(d))

    def explained(self):
        """Fraction of variance explained."""
        variance = self.sum_xx - (self.sum_x @ self.sum_x) / self.n_tokens
        return 1 - self.residual / variance


def stored_dense(reply, n_tokens, n_features):
    """A window's stored activations as a dense array, and its ids."""
    dense = np.zeros((n_tokens, n_features), np.float32)
    start = np.asarray(reply["row_start"])
    rows = np.repeat(np.arange(len(start) - 1), np.diff(start))
    dense[rows, np.asarray(reply["features"], np.int64)] = reply["values"]
    return dense


def compare_window(tally, sae, x, ours, theirs, counted, window):
    """Adds one window: x (n, d), ours and theirs (n, d_sae)."""
    x64 = x.double().numpy()
    differ = np.argwhere((ours > 0) != (theirs > 0))
    if len(differ):
        rows, features = differ[:, 0], differ[:, 1]
        margin = sae.margin(x64[rows], features)
        unit = sae.scale(x64[rows], features)
        for row, feature, m, u in zip(rows, features, margin, unit):
            bucket = tally.near if m <= TOLERANCE * u else tally.wrong
            bucket.append((window, int(row), int(feature), float(m), float(u)))
            tally.near_count[feature] += bool(counted[row])
    both = np.argwhere((ours > 0) & (theirs > 0))
    rows, features = both[:, 0], both[:, 1]
    unit = sae.scale(x64[rows], features)
    error = np.abs(ours[rows, features] - theirs[rows, features]) / unit
    tally.worst = max(tally.worst, float(error.max(initial=0)))
    np.maximum.at(tally.unit, features, unit)
    tally.n_pairs += len(both)


def add_statistics(tally, sae, x, theirs, counted, window):
    """Counts, sums, maxima and the window's peaks, excluded positions left out."""
    kept = np.where(counted[:, None], theirs, 0)
    tally.count += (kept > 0).sum(0)
    tally.total += kept.sum(0, dtype=np.float64)
    peak = kept.max(0)
    np.maximum(tally.maximum, peak, out=tally.maximum)
    features = np.flatnonzero(peak)
    tally.peak_window.append(np.full(len(features), window))
    tally.peak_feature.append(features)
    tally.peak_offset.append(kept[:, features].argmax(0))
    tally.peak_value.append(peak[features])
    x = x.double()[torch.from_numpy(counted)]
    x_hat = sae.decode(torch.from_numpy(theirs))[torch.from_numpy(counted)].double()
    tally.residual += float(((x - x_hat) ** 2).sum())
    tally.sum_x += x.sum(0).numpy()
    tally.sum_xx += float((x ** 2).sum())
    tally.n_tokens += int(counted.sum())


def best_windows(tally, tokens, feature, k, radius):
    """The k best windows of a feature by value, window, offset; of windows that
    have the same tokens within radius of the peak only the best. One place
    more is returned, for ties: (value, window, offset) rows."""
    of_feature = tally.by_feature[feature]
    order = sorted(of_feature, key=lambda p: (-p[0], p[1], p[2]))
    seen, best = set(), []
    for value, window, offset in order:
        ids = tokens[window]
        around = (min(offset, radius), tuple(ids[max(0, offset - radius):offset + radius + 1]))
        if around not in seen:
            seen.add(around)
            best.append((value, window, offset))
            if len(best) > k:
                break
    return best


def index_peaks(tally):
    """Makes tally.by_feature: the list of (value, window, offset) of each feature."""
    feature = np.concatenate(tally.peak_feature)
    order = np.argsort(feature, kind="stable")
    columns = [np.concatenate(c)[order] for c in (
        tally.peak_value, tally.peak_window, tally.peak_offset)]
    ends = np.cumsum(np.bincount(feature, minlength=len(tally.count)))
    starts = np.concatenate([[0], ends[:-1]])
    tally.by_feature = [
        list(zip(*(c[a:b].tolist() for c in columns))) for a, b in zip(starts, ends)]
