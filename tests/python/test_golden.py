# SPDX-License-Identifier: ISC
"""The demo's store against numbers that transformers, SAELens and numpy gave
(tests/reference/reference.py --golden), without needing any of them. Tolerances
are the reference's: 1e-5 of u = ||x|| ||w|| + |b| for a value, the listed places near
a threshold for a count."""

import json

import numpy as np
import pytest

from demo_store import GOLDEN, daemon

RECORD = json.loads(GOLDEN.read_text(encoding="utf-8"))
NAMES = sorted(RECORD["saes"])


@pytest.fixture(params=NAMES)
def sae(request):
    """(name, golden numbers) of each SAE."""
    return request.param, RECORD["saes"][request.param]


def rows(name):
    """All feature rows of an SAE, by index."""
    return list(daemon().pages("feature.list", "features", sae=name, limit=1000))


def test_token_ids():
    """Every window has the ids that `tokenizers` gives, by a weighted sum."""
    run = daemon().call("run.list")["runs"][0]
    assert run["n_windows"] == RECORD["n_windows"]
    windows = [{"window": w, "sae": NAMES[0]} for w in range(run["n_windows"])]
    ids = [reply["ids"] for reply in daemon().many("window.activations", windows)]
    assert sum(map(len, ids)) == RECORD["n_ids"]
    assert sum((w + 1) * sum(i) for w, i in enumerate(ids)) == RECORD["id_sum"]


def test_counts(sae):
    """Firing counts of all features, but for places near a threshold."""
    name, golden = sae
    count = np.array([r["count"] for r in rows(name)])
    near = np.zeros(len(count), int)
    for feature, n in golden["near"].items():
        near[int(feature)] = n
    assert len(count) == len(golden["count"])
    assert np.flatnonzero(np.abs(count - golden["count"]) > near).tolist() == []


def test_maxima(sae):
    """Maxima of all features."""
    name, golden = sae
    error = np.abs(np.array([r["max"] for r in rows(name)]) - golden["max"])
    assert (error <= 1e-5 * np.maximum(golden["unit"], 1e-30)).all()


def test_run_statistics(sae):
    """Tokens counted, L0 and explained variance."""
    name, golden = sae
    row = next(s for s in daemon().call("sae.list")["saes"] if s["name"] == name)
    assert row["n_tokens"] == golden["n_tokens"]
    assert row["l0"] == pytest.approx(golden["l0"], rel=1e-4)
    assert row["explained"] == pytest.approx(golden["explained"], abs=1e-5)


def test_neighbors(sae):
    """Cosines of the ten nearest features."""
    name, golden = sae
    for feature, cosine in zip(golden["features"], golden["cosine"]):
        reply = daemon().call("feature.neighbors", feature=f"{name}/{feature}", k=10)
        ours = [n["cosine"] for n in reply["neighbors"]]
        assert ours == pytest.approx(cosine, abs=1e-6)


def test_logit_effects(sae):
    """The ten most promoted tokens' direct effects."""
    name, golden = sae
    for feature, promoted in zip(golden["features"], golden["promoted"]):
        row = daemon().call("feature.get", feature=f"{name}/{feature}")
        ours = [t["value"] for t in row["promoted"]]
        assert ours == pytest.approx(promoted, abs=2e-5 * max(map(abs, promoted)))


def around(name, place):
    """The tokens within 5 of a peak, by which examples are told to be alike."""
    window, offset = place
    ids = daemon().call("window.activations", window=window, sae=name)["ids"]
    return min(offset, 5), ids[max(0, offset - 5):offset + 6]


def test_examples(sae):
    """The best windows but for ties: at the last place, or of windows that are alike
    around the peak. Values within 1e-5 u, in order too."""
    name, golden = sae
    for feature, places in zip(golden["features"], golden["examples"]):
        reply = daemon().call("feature.examples", feature=f"{name}/{feature}", limit=20,
                              context=0)
        ours = {(e["window"], e["offset"]): e["value"] for e in reply["examples"]}
        theirs = {(w, o): v for w, o, v in places}
        slack = 2e-5 * golden["unit"][feature]
        assert len(ours) == len(theirs)
        last = min(theirs.values())
        assert sorted(ours.values()) == pytest.approx(sorted(theirs.values()), abs=slack)
        for place in set(ours) ^ set(theirs):
            value = ours.get(place, theirs.get(place))
            assert abs(value - last) <= slack or any(
                abs(value - v) <= slack and around(name, p) == around(name, place)
                for p, v in {**ours, **theirs}.items() if p != place)
        for place in set(ours) & set(theirs):
            assert abs(ours[place] - theirs[place]) <= slack
