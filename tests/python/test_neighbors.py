# SPDX-License-Identifier: ISC
"""Neighbors against numpy in float64, from the demo's own files of weights: every metric,
direction, pair of SAEs and a dozen filters. Ids are equal except where the float64 scores
differ by less than 1e-6, scores within 2e-6; of equal scores the order is that of the
SAEs, then of indexes. And the stored graph gives the bits of the search."""

import itertools
import json
import os

import numpy as np
import pytest

from demo_store import ROOT, daemon

NAMES = ["1k", "8k"]
K = 12
RUNS = int(os.environ.get("SAEDB_NEIGHBORS", "8"))  # features of each case
MARK = {"author": "test_neighbors"}  # of the labels set here


def tensors(name):
    """A safetensors file, read by hand."""
    data = (ROOT / "demo/sae" / name / "sae_weights.safetensors").read_bytes()
    n = int.from_bytes(data[:8], "little")
    out = {}
    for key, x in json.loads(data[8:8 + n]).items():
        if key != "__metadata__":
            dtype = {"F16": "<f2", "F32": "<f4"}[x["dtype"]]
            a, b = x["data_offsets"]
            out[key] = np.frombuffer(data[8 + n + a:8 + n + b], dtype).reshape(x["shape"])
    return out


class Sae:
    """What numpy knows of one."""

    def __init__(self, name):
        t = tensors(name)
        self.name = name
        self.rows = {"decoder": t["W_dec"].astype("f8"), "encoder": t["W_enc"].T.astype("f8")}
        self.unit = {of: x / np.linalg.norm(x, axis=1, keepdims=True)
                     for of, x in self.rows.items()}
        listed = daemon().pages("feature.list", "features", sae=name, limit=1000)
        self.density = np.array([f["density"] for f in listed])
        self.labelled = np.zeros(len(self.density), bool)

    def scores(self, vector, of, metric):
        """Of all rows, float64."""
        if metric == "cosine":
            return self.unit[of] @ (vector / np.linalg.norm(vector))
        return self.rows[of] @ vector


@pytest.fixture(scope="module")
def saes():
    """Both, some of their features labelled until the tests end."""
    out = {name: Sae(name) for name in NAMES}
    ids = []
    for name in NAMES:
        for i in range(5, 1024, 37):
            out[name].labelled[i] = True
            ids.append(daemon().call("label.set", feature=f"{name}/{i}", text="t", **MARK)["id"])
    yield out
    for i in ids:
        daemon().call("label.delete", id=i)


def has_rows(of):
    """Whether the store has rows of that direction."""
    try:
        daemon().call("feature.neighbors", feature="1k/0", of=of)
    except RuntimeError as e:
        assert "not_found" in str(e) and "encoder rows" in str(e), e
        return False
    return True


FILTERS = [
    {}, {"alive": True}, {"alive": False}, {"min_density": 0.001}, {"max_density": 0.001},
    {"min_density": 0.0005, "max_density": 0.002}, {"labelled": True}, {"labelled": False},
    {"alive": True, "labelled": True, "max_density": 0.01}, {"features": []},
    {"features": "third"}, {"features": "third", "alive": True, "min_density": 0.001},
    {"min_density": 1}, {"max_density": 0}, {"exclude_self": False},
]


def mask(sae, how):
    """Which features a filter lets through."""
    m = np.ones(len(sae.density), bool)
    if "alive" in how:
        m &= (sae.density > 0) == how["alive"]
    if "labelled" in how:
        m &= sae.labelled == how["labelled"]
    m &= (sae.density >= how.get("min_density", 0)) & (sae.density <= how.get("max_density", 1))
    if "features" in how:
        third = np.arange(len(m)) % 3 == 0
        m &= third if how["features"] else np.zeros(len(m), bool)
    return m


def asked(how, to):
    """The filter as the daemon takes it."""
    how = dict(how)
    if how.get("features"):
        how["features"] = [f"{s.name}/{i}" for s in to for i in range(0, len(s.density), 3)]
        if len(to) == 1:
            how["features"] = list(range(0, len(to[0].density), 3))
    return how


def check(reply, to, vector, of, metric, masks, k=K):
    """An answer against the scores of all rows."""
    all_scores = {s.name: s.scores(vector, of, metric) for s in to}
    scores = np.concatenate([all_scores[s.name][m] for s, m in zip(to, masks)])
    rows = reply["neighbors"]
    assert reply["n_allowed"] == len(scores)
    assert reply["n_rows"] == sum(len(s.density) for s in to)
    assert (reply["metric"], reply["of"]) == (metric, of)
    assert [s["sae"] for s in reply["searched"]] == [s.name for s in to]
    assert len(rows) == min(k, len(scores))
    order = {s.name: i for i, s in enumerate(to)}
    places = [(-r[metric], order[r["sae"]], r["index"]) for r in rows]
    assert places == sorted(places) and len(set(places)) == len(places)
    best = np.sort(scores)[::-1]
    for rank, r in enumerate(rows):
        own = all_scores[r["sae"]][r["index"]]
        assert masks[order[r["sae"]]][r["index"]], r
        assert abs(own - r[metric]) <= 2e-6, (own, r)
        assert abs(own - best[rank]) < 1e-6, (rank, r)
        assert r["density"] == to[order[r["sae"]]].density[r["index"]]


def targets(saes, which):
    return [saes[n] for n in (NAMES if which == "all" else which.split("+"))]


@pytest.mark.parametrize("of", ["decoder", "encoder"])
@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("own, which", list(itertools.product(NAMES, ["1k", "8k", "all", "8k+1k"])))
def test_features(saes, own, which, metric, of):
    """feature.neighbors."""
    if not has_rows(of):
        pytest.skip(f"the store has no {of} rows")
    to = targets(saes, which)
    rng = np.random.default_rng(len(which) + len(metric))
    for how in FILTERS:
        picks = rng.integers(0, len(saes[own].density), RUNS).tolist()
        params = [{"feature": f"{own}/{i}", "sae": which.split("+") if "+" in which else which,
                   "k": K, "metric": metric, "of": of, **asked(how, to)} for i in picks]
        for i, reply in zip(picks, list(daemon().many("feature.neighbors", params))):
            masks = [mask(s, how) for s in to]
            if how.get("exclude_self", True):
                for s, m in zip(to, masks):
                    if s.name == own:
                        m[i] = False
            check(reply, to, saes[own].rows[of][i], of, metric, masks)
            plain = of == "decoder" and metric == "cosine" and not set(how) - {"exclude_self"}
            graph = plain and (how.get("exclude_self", True) or which not in (own, "all", "8k+1k"))
            assert (reply["engine"] == "graph") == graph, (how, reply["engine"])


@pytest.mark.parametrize("of", ["decoder", "encoder"])
@pytest.mark.parametrize("metric", ["cosine", "ip"])
def test_vectors(saes, metric, of):
    """vector.neighbors, of any vector and of sums of rows; by FAISS where it can."""
    if not has_rows(of):
        pytest.skip(f"the store has no {of} rows")
    rng = np.random.default_rng(7)
    rows = saes["8k"].rows[of]
    for i, (which, how) in enumerate(itertools.product(["1k", "8k", "all"], FILTERS[:-1])):
        vector = rows[rng.integers(0, len(rows), 3)].sum(0) if i % 2 else rng.normal(size=192)
        vector = vector.astype("f4")
        if metric == "ip":
            vector /= np.linalg.norm(vector)
        to = targets(saes, which)
        masks = [mask(s, how) for s in to]
        for engine in ("auto", "exact"):
            reply = daemon().call("vector.neighbors", vector=vector.tobytes(), sae=which, k=K,
                                  metric=metric, of=of, engine=engine, **asked(how, to))
            check(reply, to, vector.astype("f8"), of, metric, masks)
        if not how and (metric, of) == ("cosine", "decoder"):
            reply = daemon().call("vector.neighbors", vector=vector.tolist(), sae=which, k=K,
                                  engine="faiss")
            assert reply["engine"] == "faiss"
            check(reply, to, vector.astype("f8"), of, metric, masks)


def test_all_rows(saes):
    """As many as there are."""
    vector = saes["1k"].rows["decoder"][3]
    reply = daemon().call("vector.neighbors", vector=vector.tolist(), sae="1k", k=1000)
    check(reply, [saes["1k"]], vector, "decoder", "cosine", [np.ones(1024, bool)], 1000)
    few = list(range(10))
    reply = daemon().call("vector.neighbors", vector=vector.tolist(), sae="1k", k=1000,
                          features=few)
    check(reply, [saes["1k"]], vector, "decoder", "cosine", [np.arange(1024) < 10], 1000)


@pytest.mark.parametrize("own, to", list(itertools.product(NAMES, NAMES)))
def test_graph_has_the_bits_of_the_search(own, to):
    """Of every feature."""
    params = [{"feature": f"{own}/{i}", "sae": to, "k": 32}
              for i in range({"1k": 1024, "8k": 8192}[own])]
    exact = [{**p, "engine": "exact"} for p in params]
    looked_up = list(daemon().many("feature.neighbors", params))
    for a, b in zip(looked_up, list(daemon().many("feature.neighbors", exact))):
        assert (a["engine"], b["engine"]) == ("graph", "exact")
        assert a["neighbors"] == b["neighbors"] and len(a["neighbors"]) == 32
