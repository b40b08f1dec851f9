# SPDX-License-Identifier: ISC
"""The Python client against a real daemon and a small store.

Finds the built programs in $SAEDB_BUILD (default: build/release), saedbd also on PATH.
"""

import base64
import hashlib
import inspect
import json
import os
import pathlib
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import typing
import unittest
from xml.etree import ElementTree

ROOT = pathlib.Path(os.environ.get("SAEDB_ROOT", pathlib.Path(__file__).parents[3]))
BUILD = pathlib.Path(os.environ.get("SAEDB_BUILD", ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "client/python"))

import saedb  # noqa: E402
from saedb import shade  # noqa: E402
from saedb.client import Client  # noqa: E402

MAKE_STORE = BUILD / "tests/tools/make_store"

DEFAULT = ("cosine", "decoder")  # metric and rows

try:
    import numpy as np
except ImportError:
    np = None
try:
    import pandas
    import scipy
except ImportError:
    pandas = scipy = None


def have(module):
    """Skips without an optional library."""
    return unittest.skipIf(module is None, "an optional library is not installed")


class WithStore(unittest.TestCase):
    """A store of its own for each class, and a client that started a daemon on it."""

    @classmethod
    def setUpClass(cls):
        if not MAKE_STORE.exists():
            raise unittest.SkipTest(f"{MAKE_STORE} is not built")
        if (BUILD / "saedbd").exists():
            os.environ["SAEDBD"] = str(BUILD / "saedbd")
        cls.dir = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.dir.cleanup)
        cls.store = pathlib.Path(cls.dir.name) / "store"
        subprocess.run([MAKE_STORE, cls.store], check=True, stdout=subprocess.DEVNULL)
        cls.db = saedb.open_store(cls.store)
        cls.addClassCleanup(cls.db.close)


class Agreement(WithStore):
    """The table of methods against the client's methods."""

    def test_every_method(self):
        """Each has one, with the same parameters, order, defaults; and a docstring."""
        ours = {}
        for name, function in inspect.getmembers(Client, inspect.isfunction):
            if hasattr(function, "method") and name == function.__name__:
                self.assertNotIn(function.method, ours)
                ours[function.method] = function
        table = {m["name"]: m for m in self.db.methods()}
        self.assertEqual(set(ours), set(table))
        for name, row in table.items():
            with self.subTest(name):
                self.check(ours[name], row)

    def check(self, function, row):
        """One method's signature against its row."""
        self.assertTrue(inspect.getdoc(function))
        hints = (
            typing.get_type_hints(
                function, localns={"numpy": np or typing, "pandas": typing}
            )
            if "numpy" not in str(function.__annotations__)
            else function.__annotations__
        )
        self.assertIn("return", hints)
        parameters = dict(inspect.signature(function).parameters)
        for name in ("self", "saes", "n_neighbors"):  # and other spellings
            parameters.pop(name, None)
        paged = any(p["name"] == "cursor" for p in row["params"])
        rows = [p for p in row["params"] if p["name"] != "cursor"]
        self.assertEqual(list(parameters), [p["name"] for p in rows])
        for p in rows:
            mine = parameters[p["name"]]
            self.assertIn(p["name"], hints)
            if p["required"]:
                self.assertIs(mine.default, inspect.Parameter.empty)
            elif p["name"] == "limit" and (
                paged or row["name"] == "feature.activations"
            ):
                self.assertIn(mine.default, (None, p["default"]))
            else:
                self.assertEqual(mine.default, p["default"], p["name"])

    def test_call_reaches_every_method(self):
        """So does the command line's call, and it refuses what is none."""
        saedb_command = BUILD / "saedb"
        if not saedb_command.exists():
            self.skipTest("saedb is not built")
        some = {
            "feature": "alpha/3",
            "features": ["alpha/3"],
            "sae": "Beta",
            "run": 1,
            "vector": [1.0] * 8,
            "document": "doc-1",
            "window": 1,
            "image": "0" * 64,
            "token": " gate",
            "text": "t",
            "id": 1,
            "labels": [],
            "query": "bridge",
        }
        daemon = self.db._daemon
        for m in self.db.methods():
            params = {p["name"]: some[p["name"]] for p in m["params"] if p["required"]}
            done = subprocess.run(
                [
                    saedb_command,
                    "-c",
                    daemon.socket,
                    "call",
                    m["name"],
                    json.dumps(params),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            # It may be that there is no such thing, but not that it is asked badly.
            self.assertNotIn("no method", done.stderr)
            self.assertNotIn("has no parameter", done.stderr)
            self.assertNotIn("is missing", done.stderr)
            if done.returncode == 0:
                self.assertIn("generation", json.loads(done.stdout))


class Answers(WithStore):
    """What the methods give."""

    def test_server(self):
        self.assertGreaterEqual(self.db.ping(), 1)
        info = self.db.info()
        self.assertEqual((info["name"], info["protocol"]), ("saedbd", 1))
        self.assertEqual([s["name"] for s in self.db.saes()], ["alpha", "Beta"])
        self.assertEqual(self.db.models()[0]["name"], "tiny")
        self.assertEqual(self.db.runs()[0]["run"], 1)
        self.assertIn("provenance", self.db.run(1))
        self.assertEqual(self.db.run("1")["run"], 1)

    def test_feature(self):
        f = self.db.feature("alpha/3")
        self.assertEqual((f.feature, f.index, f.sae), ("alpha/3", 3, "alpha"))
        self.assertAlmostEqual(f.density, f.count / f.n_tokens)
        self.assertEqual(f.labels[0].text, f.label)
        self.assertIn("alpha/3", f._repr_html_())
        self.assertEqual(self.db.feature("ALPHA/3"), f)
        self.assertTrue(self.db.feature("alpha/9").dead)
        many = self.db.feature_many(["alpha/3", "alpha/999", "Beta/0"])
        self.assertEqual([m and m.feature for m in many], ["alpha/3", None, "Beta/0"])

    def test_pages(self):
        """All rows, once each, whatever the size of a page."""
        import saedb.client as module

        whole = list(self.db.features("alpha"))
        self.assertEqual([f.index for f in whole], list(range(40)))
        page, module.PAGE = module.PAGE, 7
        self.addCleanup(setattr, module, "PAGE", page)
        self.assertEqual(list(self.db.features("alpha")), whole)
        self.assertEqual(list(self.db.features("alpha", limit=9)), whole[:9])
        by_max = list(self.db.features("alpha", sort="max", descending=True))
        self.assertEqual(
            [f.max for f in by_max], sorted((f.max for f in whole), reverse=True)
        )
        dead = list(self.db.features("alpha", dead=True))
        self.assertEqual([f.index for f in dead], [9, 19, 29, 39])
        self.assertEqual(len(list(self.db.documents())), 6)
        acts = list(self.db.activations("alpha/3"))
        self.assertEqual(acts, sorted(acts))
        self.assertEqual(len(acts), len(set(acts)))

    def test_examples(self):
        found = self.db.examples("alpha/3", limit=3)
        x = found[0]
        self.assertEqual(x.values[x.offset - x.first], x.value)
        self.assertEqual(len(x.tokens), len(x.values))
        self.assertIn("{", str(found))
        self.assertIn("\033[38;5;16;48;5;208m", found.ansi())
        self.assertIn("rgba(255,140,0,1.00)", found._repr_html_())
        raw = self.db.examples("alpha/3", limit=3, raw=True)
        self.assertIsInstance(raw[0].tokens[0], bytes)
        self.assertEqual(raw[0].text, x.text)

    def test_neighbors(self):
        near = self.db.neighbors("alpha/3", sae="Beta", k=2)
        self.assertEqual(near[0].sae, "Beta")
        self.assertGreaterEqual(near[0].cosine, near[1].cosine)
        self.assertEqual((near.engine, near.metric, near.of), ("graph",) + DEFAULT)
        self.assertIs(Client.neighbours, Client.neighbors)

    @have(np)
    def test_neighbors_everywhere(self):
        near = self.db.neighbours("alpha/3", saes="all", n_neighbors=100)
        self.assertEqual(len(near), 59)  # all but itself
        self.assertEqual((near.n_rows, near.n_allowed), (60, 59))
        self.assertEqual([x["sae"] for x in near.searched], ["alpha", "Beta"])
        scores = near.scores
        self.assertEqual((scores.dtype, scores.shape), (np.float32, (59,)))
        self.assertTrue((scores[:-1] >= scores[1:]).all())
        self.assertEqual(near.indices.dtype, np.int64)
        self.assertTrue((near.densities >= 0).all())
        self.assertEqual(near.features[0], near[0].feature)
        both = self.db.neighbors("alpha/3", sae=("Beta", "alpha"), k=100)
        self.assertEqual(sorted(both.features), sorted(near.features))
        for bad in (
            dict(sae="all", saes="all"),
            dict(k=3, n_neighbors=4),
            dict(features="alpha/1"),
            dict(features=[1.5]),
            dict(features=[True]),
            dict(features=np.zeros((2, 2), bool)),
            dict(metric="l2"),
            dict(engine="faiss", alive=True),
            dict(min_density=0.5, max_density=0.4),
        ):
            with self.assertRaises(saedb.BadArgument, msg=bad):
                self.db.neighbors("alpha/3", **bad)
        with self.assertRaises(saedb.NotFound):
            self.db.neighbors("alpha/3", sae=["alpha", "gamma"])
        with self.assertRaises(saedb.MissingArgument):
            self.db.neighbors(np.ones(8))
        with self.assertRaises(saedb.BadArgument):
            self.db.nearest("alpha/3", "alpha")
        for bad in (np.ones((1, 8)), np.ones(7), np.zeros(8), [float("nan")] * 8):
            with self.assertRaises(saedb.BadArgument):
                self.db.neighbors(bad, sae="alpha")

    @have(np)
    def test_neighbors_with_filters(self):
        """By inner product, against numpy."""
        rows = np.stack([self.db.vector(f"alpha/{i}") for i in range(40)])
        scores = rows.astype("f8") @ rows[3]
        mask = np.arange(40) % 3 == 0
        for allowed in (mask, mask.nonzero()[0], [f"alpha/{i}" for i in range(0, 40, 3)]):
            near = self.db.neighbors("alpha/3", metric="ip", features=allowed, k=50)
            want = [i for i in np.argsort(-scores) if mask[i] and i != 3]
            self.assertEqual(near.indices.tolist(), want)
            np.testing.assert_allclose(near.scores, scores[want], atol=2e-6)
            self.assertIsNone(near[0].cosine)
            self.assertEqual(near.n_allowed, 13)
        dead = self.db.neighbors(rows[3], sae="alpha", alive=False)
        self.assertEqual(sorted(dead.indices.tolist()), [9, 19, 29, 39])
        self.assertEqual(len(self.db.neighbors("alpha/3", features=[])), 0)
        if pandas is not None:
            self.assertIn("cosine", self.db.neighbors("alpha/3").frame().columns)

    def test_cooccurrence(self):
        near = self.db.cooccurrence("alpha/3", sae=("alpha", "Beta"), min_count=1)
        self.assertNotIn("alpha/3", [n.feature for n in near])
        self.assertGreaterEqual(near[0].jaccard, near[1].jaccard)
        self.assertLessEqual(near[0].n_both, near[0].count)
        by = self.db.cooccurrence("alpha/3", sae="all", sort="count", k=2, min_count=1)
        self.assertGreaterEqual(by[0].n_both, by[1].n_both)
        with self.assertRaises(saedb.BadArgument):
            self.db.cooccurrence("alpha/3", sort="cosine")

    def test_concept(self):
        found = self.db.concept("Golden Gate bridge!", k=5, neighbors=2, top=1)
        self.assertTrue(found)
        self.assertIsInstance(found[0], saedb.ConceptFeature)
        self.assertEqual(found.text, "Golden Gate bridge!")
        self.assertEqual(
            [w["via"] for w in found.ways], ["labels", "examples", "model"]
        )
        self.assertIn("saedbd --model", found.missing["model"])
        for f in found:
            score = sum(1 / (60 + way["rank"]) for way in f.found.values())
            self.assertAlmostEqual(f.score, score, 12)
        self.assertEqual([f.score for f in found], sorted(
            (f.score for f in found), reverse=True))
        self.assertIsInstance(found[0].neighbors[0], saedb.Neighbor)
        self.assertEqual(found[1].neighbors, [])
        self.assertEqual(found[0].sae, "alpha")
        near = self.db.neighbors(found[0].feature, sae="Beta", k=2)
        self.assertEqual(
            [n for n in found[0].neighbors if n.sae == "Beta"],
            [n for n in near],
        )
        if np is not None:  # no graph is stored: a scan
            scan = self.db.nearest(self.db.vector(found[0].feature), "alpha", k=3)
            self.assertEqual(
                [n.feature for n in found[0].neighbors[:2]],
                [n.feature for n in scan[1:]],
            )
        one = self.db.concept("bridge", sae=["alpha"], via="labels")
        self.assertEqual({f.sae for f in one}, {"alpha"})
        with self.assertRaises(saedb.NotFound):
            self.db.concept("bridge", via="model")
        for bad in ("", "x" * 4097):
            with self.assertRaises(saedb.BadArgument):
                self.db.concept(bad)
        with self.assertRaises(saedb.NotFound):
            self.db.concept("bridge", sae=["alpha", "gamma"])

    def test_splitting(self):
        tree = self.db.splitting("Beta/3", min_cosine=-1, k=2)
        self.assertIsNone(tree[0].parent)
        self.assertTrue(all(n.parent == 0 and n.depth == 1 for n in tree[1:]))
        with self.assertRaises(saedb.BadArgument):
            self.db.splitting("Beta/3", by="name")

    @have(np)
    def test_vector(self):
        v = self.db.vector("alpha/3")
        self.assertEqual((v.dtype, v.shape), (np.float32, (8,)))
        for given in (v, v.tolist(), v.tobytes(), v.astype(np.float64)):
            best = self.db.nearest(given, "alpha", k=1)[0]
            self.assertEqual(best.feature, "alpha/3")
            self.assertAlmostEqual(best.cosine, 1, 5)

    def test_documents(self):
        d = self.db.document("doc-2")
        self.assertIn("ORANGE", d.text)
        self.assertEqual(d.meta["lang"], "en")
        self.assertIsInstance(self.db.document("doc-2", raw=True).text, bytes)
        self.assertEqual(
            [x.document for x in self.db.documents(key="lang", value="fr")], ["doc-1"]
        )
        found = self.db.feature_documents("alpha/3")
        self.assertTrue(found and found[0].max > 0)

    def test_tokens(self):
        a = self.db.document_activations("doc-2", "alpha", top=2, labels=True)
        self.assertEqual(len(a.row_start), len(a.tokens) + 1)
        self.assertEqual(len(a.windows), len(a.tokens))
        on = a.on(2)
        self.assertTrue(0 < len(on) <= 2)
        self.assertTrue(set(on) & set(a.labels))
        self.assertIn("<table>", a._repr_html_())
        feature = next(iter(on))
        self.assertEqual(a.values_of(feature)[2], on[feature])

    def test_search(self):
        hits = list(self.db.search("bridge", sae="alpha", limit=5))
        self.assertEqual(len(hits), 5)
        self.assertTrue(all("bridge" in h.label for h in hits))
        self.assertEqual(list(self.db.search("nowheretobefound")), [])
        self.assertTrue(
            any("bridge" in w.snippet for w in self.db.search_text("bridge"))
        )

    def test_token(self):
        with self.assertRaises(saedb.NotFound):
            self.db.token("zzzz", "alpha")

    @have(pandas)
    def test_frame(self):
        frame = self.db.features_frame("alpha", dead=False)
        self.assertEqual(len(frame), 36)
        self.assertEqual(frame.loc[3, "feature"], "alpha/3")

    @have(scipy)
    def test_csr(self):
        m = self.db.activations_csr(["alpha/3", "alpha/4"])
        self.assertEqual(m.matrix.shape, (len(m.windows), 2))
        acts = list(self.db.activations("alpha/3"))
        self.assertEqual(m.matrix[:, 0].nnz, len(acts))
        row = next(
            i
            for i in range(len(m.windows))
            if (m.windows[i], m.offsets[i]) == acts[0][:2]
        )
        self.assertEqual(m.matrix[row, 0], np.float32(acts[0][2]))
        whole = self.db.activations_csr("alpha", range(12))
        self.assertEqual(whole.matrix.shape, (120, 40))
        part = self.db.activations_csr(["alpha/3"], windows=[acts[0][0]])
        self.assertEqual(set(part.windows), {acts[0][0]})
        column = whole.matrix[:, 3].toarray().ravel()
        place = {(w, o): v for w, o, v in zip(whole.windows, whole.offsets, column)}
        for w, o, v in acts:
            self.assertEqual(place[w, o], np.float32(v))


class Labels(WithStore):
    """Labels by people."""

    def test_labels(self):
        db = self.db
        number = db.set_label("alpha/1", "one", author="ann", score=0.5)
        best = db.labels("alpha/1")[0]
        self.assertEqual(
            (best.text, best.author, best.score, best.id), ("one", "ann", 0.5, number)
        )
        self.assertEqual(db.feature("alpha/1").label, "one")
        db.import_labels([{"feature": "alpha/2", "explanation": "two"}, best])
        there = sorted(x.text for x in db.export_labels())
        self.assertEqual(there, ["one", "two"])
        for name in ("labels.jsonl", "labels.csv"):
            path = self.store.parent / name
            self.assertEqual(db.save_labels(path), 2)
            for label in list(db.export_labels()):
                db.delete_label(label.id)
            self.assertEqual(list(db.export_labels()), [])
            self.assertEqual(len(db.load_labels(path)), 2)
            self.assertEqual(sorted(x.text for x in db.export_labels()), there)
        with self.assertRaises(saedb.Error):
            db.import_labels(
                [
                    {"feature": "alpha/3", "text": "x"},
                    {"feature": "alpha/999", "text": "y"},
                ]
            )
        self.assertNotIn("x", [x.text for x in db.labels("alpha/3")])
        with self.assertRaises(saedb.NotFound):
            db.delete_label(123456)
        bad = self.store.parent / "bad.jsonl"
        bad.write_text('{"text": "a", "index": 1}\n{\n')
        with self.assertRaisesRegex(saedb.BadFormat, "line 2"):
            db.load_labels(bad)


class Maps(WithStore):
    """What lies around a feature."""

    def test_map(self):
        m = self.db.map("alpha/3", points=12)
        self.assertEqual((m.feature, m.points[0].feature), ("alpha/3", "alpha/3"))
        self.assertAlmostEqual(m.points[0].cosine, 1, 6)
        cosines = [p.cosine for p in m.points]
        self.assertEqual(cosines, sorted(cosines, reverse=True))
        self.assertEqual(m, self.db.map("alpha/3", points=12))
        ends = {i for a, b, _ in m.edges for i in (a, b)}
        self.assertLess(max(ends), len(m.points))
        if np:
            self.assertEqual(m.xy.shape, (len(m.points), 2))
        picture = ElementTree.fromstring(m._repr_svg_())
        circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
        self.assertEqual(len(circles), len(m.points))
        with self.assertRaises(saedb.NotFound):
            self.db.map("beta/3")
        with self.assertRaises(saedb.BadArgument):
            self.db.map("alpha/3", points=501)


class Connections(WithStore):
    """Errors, threads, and daemons that come and go."""

    def test_errors(self):
        with self.assertRaises(saedb.NotFound) as caught:
            self.db.feature("gamma/1")
        self.assertEqual(
            (caught.exception.code, caught.exception.name), (-4, "not_found")
        )
        with self.assertRaises(saedb.BadArgument) as caught:
            list(self.db.features("alpha", sort="size"))
        self.assertEqual(caught.exception.argument, "sort")
        with self.assertRaises(saedb.MissingArgument):
            self.db.call("feature.get")
        with self.assertRaises(saedb.NoSuchMethod):
            self.db.call("no.such")
        with self.assertRaises(saedb.BadArgument):
            self.db.call("feature.get", feature=object())
        with self.assertRaises(saedb.LimitExceeded):
            self.db.call("label.search", query="x" * (1 << 21))
        with self.assertRaises(saedb.BadArgument):
            saedb.connect("tcp:nohost")
        with self.assertRaises(saedb.ConnectionLost):
            saedb.connect("/nowhere/at/all")
        with self.assertRaises(saedb.NotFound):
            saedb.open_store("/nowhere/at/all")
        empty = self.store.parent / "empty"
        empty.mkdir(exist_ok=True)
        with self.assertRaisesRegex(saedb.ConnectionLost, "empty"):
            saedb.open_store(empty)
        self.assertGreaterEqual(self.db.ping(), 1)

    def test_threads(self):
        """A client shared by threads gives each its own answers."""
        wrong = []

        def ask(index):
            for _ in range(20):
                if self.db.feature(f"alpha/{index}").index != index:
                    wrong.append(index)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_many(self):
        asked = [("feature.get", {"feature": f"alpha/{i % 40}"}) for i in range(200)]
        got = self.db.call_many(asked)
        self.assertEqual([g["index"] for g in got], [i % 40 for i in range(200)])

    def test_join(self):
        """A daemon on the store's usual socket is joined, not doubled."""
        path = str(self.store / "saedbd.sock")
        log = open(self.store.parent / "log", "wb")
        self.addCleanup(log.close)
        daemon = subprocess.Popen(
            [os.environ.get("SAEDBD", "saedbd"), "--store", self.store], stderr=log
        )
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        for _ in range(200):
            try:
                saedb.connect("unix:" + path).close()
                break
            except saedb.ConnectionLost:
                threading.Event().wait(0.05)
        with saedb.open_store(self.store) as db:
            self.assertIsNone(db._daemon)
            self.assertGreaterEqual(db.ping(), 1)
        with self.assertRaises(saedb.ConnectionLost):
            db.ping()

    def test_made_elsewhere(self):
        """A store without logit effects, where it is not known what was explained."""
        store = self.store.parent / "elsewhere"
        subprocess.run(
            [MAKE_STORE, store, "1", "elsewhere"], check=True, stdout=subprocess.DEVNULL
        )
        with saedb.open_store(store) as db:
            self.assertEqual([s["explained"] for s in db.saes()], [None, None])
            self.assertEqual([s["mse"] for s in db.run(1)["saes"]], [None, None])
            f = db.feature("alpha/3")
            self.assertEqual((f.promoted, f.suppressed), ([], []))
            self.assertIn("no logit effects", f._repr_html_())
        self.assertIn("promotes", self.db.feature("alpha/3")._repr_html_())

    def test_own_daemon_ends(self):
        db = saedb.open_store(self.store)
        process, directory = db._daemon._process, pathlib.Path(db._daemon.socket).parent
        self.assertTrue(directory.exists())
        db.close()
        self.assertIsNotNone(process.poll())
        self.assertFalse(directory.exists())

    def test_bad_peers(self):
        """What is no answer, and what never comes."""
        for reply, error in (
            (b"\xc1", saedb.BadFormat),
            (b"\x07", saedb.BadFormat),
            (b"\x94\x01", saedb.ConnectionLost),
            (
                b"\x94\x01\x00\x83\xa4code\xfb\xa7message\xa1x\xa4name\xa1y\xc0",
                saedb.BadFormat,
            ),
            (None, saedb.Timeout),
        ):
            with self.subTest(reply=reply):
                self.bad_peer(reply, error)

    def bad_peer(self, reply, error):
        path = str(self.store.parent / "peer")
        if os.path.exists(path):
            os.unlink(path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen(1)
        self.addCleanup(server.close)
        db = saedb.connect(path, timeout=0.2)
        self.addCleanup(db.close)
        peer, _ = server.accept()
        if reply is not None:
            peer.sendall(reply)
            peer.shutdown(socket.SHUT_WR)
        with self.assertRaises(error):
            db.ping()
        peer.close()


class Images(WithStore):
    """Tokens that are patches of images, on a second run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.db.close()
        subprocess.run(
            [MAKE_STORE, cls.store, "1", "images"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        cls.db = saedb.open_store(cls.store)
        cls.addClassCleanup(cls.db.close)

    def test_image(self):
        x = self.db.examples("alpha/10")[0]
        image = self.db.image(x.patches[0].image)
        self.assertEqual(image.type, "image/png")
        self.assertEqual(len(image.data), 300)
        self.assertEqual(hashlib.sha256(image.data).hexdigest(), image.image)
        self.assertEqual(self.db.image(image.image[:8], run=2), image)
        self.assertNotIn("PNG", repr(image))
        data = base64.b64encode(image.data).decode()
        self.assertIn(f'src="data:image/png;base64,{data}"', image._repr_html_())
        with self.assertRaises(saedb.NotFound):
            self.db.image("0" * 64)
        with self.assertRaises(saedb.NotFound):
            self.db.image(image.image, run=1)
        with self.assertRaises(saedb.BadArgument):
            self.db.image("../../etc/passwd")

    def test_examples(self):
        self.assertEqual(self.db.examples("alpha/10", run=1)[0].patches, [])
        found = self.db.examples("alpha/10")
        x = found[0]
        self.assertEqual([p.token for p in x.patches], [2, 3, 4, 5, 6, 7])
        p = next(p for p in x.patches if p.token == x.offset)
        self.assertEqual((p.row, p.col, p.n_rows, p.n_cols), (0, 2, 2, 3))
        self.assertEqual(x.peak, "<patch>")
        self.assertEqual(x.heat(), x.heat(p.image[:8]))
        self.assertEqual([len(r) for r in x.heat()], [3, 3])
        self.assertEqual(x.heat()[0][2], x.value)
        self.assertEqual(x.heat("nothing"), [])
        for text in (str(x), str(found)):
            self.assertIn(f"[image {p.image[:8]} patch 0,2 of 2x3]{{8.27}}", text)
            self.assertNotIn("<patch>", text)
        self.assertNotIn("<patch>", found.ansi())
        raw = self.db.examples("alpha/10", raw=True)[0]
        self.assertEqual(str(raw), str(x))
        for shown in (x._repr_html_(), found._repr_html_()):
            self.assertIn('src="data:image/png;base64,', shown)
            self.assertEqual(shown.count("outline:"), 1)
            self.assertIn('title="0,2: 8.266"', shown)
            self.assertIn("left:66.67%;top:0.00%;width:33.33%;height:50.00%", shown)
        again = pickle.loads(pickle.dumps(x))
        self.assertEqual(again, x)
        self.assertNotIn("<img", again._repr_html_())
        self.assertEqual(self.db.examples("alpha/3")[0].heat(), [])

    def test_activations(self):
        r = self.db.window_activations(4, "alpha")
        self.assertEqual([(p.window, p.token) for p in r.patches][0], (4, 2))
        self.assertEqual(len(r.patches), 6)
        self.assertIn(f"[{r.patches[5].image[:8]} 1,2]", r._repr_html_())
        self.assertEqual(self.db.window_activations(5, "alpha").patches, [])
        self.assertEqual(len(self.db.document_activations("doc-2", "Beta").patches), 6)

    def test_hostile(self):
        """Nothing of a file reaches a notebook as markup."""
        bad = saedb.Image(image="<b>", type='image/png"><script>', data=b"x")
        self.assertNotIn("<script>", bad._repr_html_())
        self.assertNotIn("<b>", bad._repr_html_())
        large = saedb.Image(image="ab" * 32, type="image/png", data=bytes(5 << 20))
        self.assertEqual(large._repr_html_(), "[image abababab: 5,242,880 bytes]")
        svg = saedb.Image(image="ab" * 32, type="image/svg+xml", data=b"<svg/>")
        self.assertNotIn("svg", svg._repr_html_())


class Shading(unittest.TestCase):
    """Text with values on its tokens."""

    def test_split_characters(self):
        """A character of several tokens belongs to the first; others show as bytes."""
        cafe = "caf\u00e9".encode()
        self.assertEqual(
            shade.texts([cafe[:4], cafe[4:], b"\xff"]), ["caf\u00e9", "", "\\xFF"]
        )
        self.assertEqual(shade.plain(["a\n", "b"], [0, 1.5]), "a\u21b5b{1.5}")

    def test_escapes(self):
        self.assertNotIn("<script>", shade.as_html(["<script>"], [1], 1))
        self.assertNotIn("\033", shade.plain(["\033[31m"], [0]))


if __name__ == "__main__":
    unittest.main()
