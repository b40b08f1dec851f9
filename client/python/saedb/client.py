# SPDX-License-Identifier: ISC
"""The client: a method for each method of the protocol, and a few on top."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from . import labelfile
from .errors import BadArgument, Error, NotFound
from .local import LocalDaemon, join
from .maps import Map
from .nearest import (
    FeatureSet,
    Neighbors,
    Saes,
    Vector,
    either,
    feature_list,
    sae_names,
    vector_bytes,
)
from .results import (
    Activations,
    Cooccurrence,
    Concept,
    Csr,
    Document,
    Example,
    Examples,
    Feature,
    FeatureDocument,
    FeatureRow,
    Image,
    Label,
    SplitNode,
    TokenFeature,
    TokenFeatures,
    Window,
)
from .wire import Connection

if TYPE_CHECKING:
    import numpy
    import pandas

PAGE = 1000  # rows asked for at once

F = TypeVar("F", bound=Callable[..., Any])
Run = Union[int, str, None]


def rpc(method: str) -> Callable[[F], F]:
    """Marks what asks a method of the protocol; a test reads it."""

    def mark(function: F) -> F:
        function.method = method  # type: ignore[attr-defined]
        return function

    return mark


def connect(address: str, timeout: Optional[float] = 60.0) -> "Client":
    """A client of the daemon at "unix:PATH", "tcp:HOST:PORT" or a socket's path.

    timeout: seconds that a call may take, None for any. ConnectionLost when
    nobody answers there.
    """
    return Client(Connection(address, timeout))


def open_store(
    store: Union[str, "os.PathLike[str]"], timeout: Optional[float] = 60.0
) -> "Client":
    """A client of a store's daemon: of the one that serves it, or of one started here.

    What was started ends with close(), or at the end of the with block.
    """
    path = Path(store)
    if not path.is_dir():
        raise NotFound(f"{path}: no store there", "store")
    joined = join(path, timeout)
    if joined is not None:
        return Client(joined)
    daemon = LocalDaemon(path)
    try:
        return Client(Connection(daemon.socket, timeout), daemon)
    except BaseException:
        daemon.stop()
        raise


class Client:
    """A connection to saedbd. Made by connect() or open_store().

    Threads may share a client: its requests go one at a time. Features are named by
    addresses, "8k/697" or "MODEL/8k/697". `run` is a run's number or id; None is the
    newest run that has the SAE. Errors are exceptions below saedb.Error.
    """

    def __init__(
        self, connection: Connection, daemon: Optional[LocalDaemon] = None
    ) -> None:
        self._connection = connection
        self._daemon = daemon

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_daemon", None) is not None:
            self.close()

    def close(self) -> None:
        """Ends the connection, and the daemon if it was started for it."""
        self._connection.close()
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop()

    def call(self, method: str, **params: Any) -> Any:
        """Any method: its result as it is, usually a dict. None leaves one out."""
        return self._connection.call(method, params)

    def call_many(self, requests: Sequence[Tuple[str, Mapping[str, Any]]]) -> List[Any]:
        """Several (method, parameters) at once; their results in order."""
        return self._connection.call_many(requests)

    def _pages(
        self, method: str, rows: str, limit: Optional[int], **params: Any
    ) -> Iterator[Mapping[str, Any]]:
        cursor: Optional[str] = None
        left = limit
        while left is None or left > 0:
            n = PAGE if left is None else min(PAGE, left)
            page = self.call(method, limit=n, cursor=cursor, **params)
            for row in page[rows]:
                yield row
            if left is not None:
                left -= len(page[rows])
            cursor = page.get("next")
            if cursor is None:
                return

    # ---- the server ------------------------------------------------------------

    @rpc("server.ping")
    def ping(self) -> int:
        """The generation that is served."""
        return int(self.call("server.ping")["generation"])

    @rpc("server.info")
    def info(self) -> Dict[str, Any]:
        """What the server is and has done: version, store, counters, limits."""
        return dict(self.call("server.info"))

    @rpc("server.methods")
    def methods(self) -> List[Dict[str, Any]]:
        """The table of methods: name, doc, needs, params."""
        return list(self.call("server.methods")["methods"])

    @rpc("model.list")
    def models(self) -> List[Dict[str, Any]]:
        """The language models."""
        return list(self.call("model.list")["models"])

    @rpc("sae.list")
    def saes(self, model: Optional[str] = None) -> List[Dict[str, Any]]:
        """The sparse autoencoders, or those of one model.

        explained is None where it is not known (latents made elsewhere).
        """
        return list(self.call("sae.list", model=model)["saes"])

    @rpc("run.list")
    def runs(self) -> List[Dict[str, Any]]:
        """The runs of SAEs over corpora; explained and mse are None where not known."""
        return list(self.call("run.list")["runs"])

    @rpc("run.get")
    def run(self, run: Union[int, str]) -> Dict[str, Any]:
        """One run with its provenance."""
        return dict(self.call("run.get", run=run))

    # ---- features ----------------------------------------------------------------

    @rpc("feature.get")
    def feature(self, feature: str, run: Run = None) -> Feature:
        """All about one feature: statistics, labels, logit effects."""
        return Feature.of(self.call("feature.get", feature=feature, run=run))

    @rpc("feature.many")
    def feature_many(
        self, features: Sequence[str], run: Run = None
    ) -> List[Optional[Feature]]:
        """Many features, in the order asked; None for what is not there."""
        out: List[Optional[Feature]] = []
        for i in range(0, len(features), PAGE):
            part = list(features[i : i + PAGE])
            answer = self.call("feature.many", features=part, run=run)["features"]
            out += [None if m is None else Feature.of(m) for m in answer]
        return out

    @rpc("feature.list")
    def features(
        self,
        sae: str,
        run: Run = None,
        sort: str = "index",
        descending: bool = False,
        min_density: float = 0,
        max_density: float = 1,
        min_max: float = 0,
        max_max: Optional[float] = None,
        min_count: int = 0,
        max_count: Optional[int] = None,
        dead: Optional[bool] = None,
        labelled: Optional[bool] = None,
        limit: Optional[int] = None,
    ) -> Iterator[FeatureRow]:
        """The features of an SAE, filtered and sorted, page by page as they are read.

        sort: index, count, density, max or mean. dead, labelled: only those that
        are (True), are not (False); labelled means by people or imports. limit:
        rows at most, None for all.
        """
        rows = self._pages(
            "feature.list",
            "features",
            limit,
            sae=sae,
            run=run,
            sort=sort,
            descending=descending,
            min_density=min_density,
            max_density=max_density,
            min_max=min_max,
            max_max=max_max,
            min_count=min_count,
            max_count=max_count,
            dead=dead,
            labelled=labelled,
        )
        return map(FeatureRow.of, rows)

    def features_frame(self, sae: str, **filters: Any) -> "pandas.DataFrame":
        """features() as a pandas DataFrame, indexed by the feature's index."""
        import pandas as pd

        columns = [
            "feature",
            "index",
            "count",
            "density",
            "max",
            "mean",
            "label",
            "source",
        ]
        rows = [[getattr(f, c) for c in columns] for f in self.features(sae, **filters)]
        return pd.DataFrame(rows, columns=columns).set_index("index")

    @rpc("feature.examples")
    def examples(
        self,
        feature: str,
        run: Run = None,
        interval: int = -1,
        limit: int = 20,
        context: int = 10,
        raw: bool = False,
    ) -> Examples:
        """Where a feature fires: its best windows, or a sample of an interval.

        interval: -1 the best, 0 to 9 a sample of that tenth of (0, max], -2 all.
        context: tokens on either side of the peak. raw: tokens as bytes. Shown
        in a notebook, tokens are shaded by the feature's value on them, and so are
        the patches of images.
        """
        r = self.call(
            "feature.examples",
            feature=feature,
            run=run,
            interval=interval,
            limit=limit,
            context=context,
            raw=raw,
        )
        load = self._images(r["run"])
        out = Examples(
            Example.of(x, most=r["max"], load=load if x.get("patches") else None)
            for x in r["examples"]
        )
        out.feature, out.max, out.intervals = feature, r["max"], r["intervals"]
        return out

    @rpc("feature.neighbors")
    def neighbors(
        self,
        feature: Union[str, Vector],
        run: Run = None,
        sae: Saes = None,
        k: int = 10,
        of: str = "decoder",
        metric: str = "cosine",
        engine: str = "auto",
        alive: Optional[bool] = None,
        min_density: float = 0,
        max_density: float = 1,
        labelled: Optional[bool] = None,
        features: FeatureSet = None,
        exclude_self: bool = True,
        *,
        saes: Saes = None,
        n_neighbors: Optional[int] = None,
    ) -> Neighbors:
        """The k (1 to 1000) features nearest to a feature, or to a vector (d,).

        feature: an address; or a numpy array, tensor, list or float32 bytes, as wide
        as the rows: then sae is needed. sae (or saes): a name, a list of names, or
        "all" whose rows can be compared; default the feature's own. k is also
        n_neighbors. of: "decoder" or "encoder" rows, on both sides. metric: "cosine",
        or "ip" for the inner product. engine: "auto", "exact", "faiss" or
        "approximate"; the answer's engine says which it was.

        Filters hold during the search, so that k are found where k pass: alive and
        labelled (True, or False for the others), min_density and max_density (share of
        tokens), features (at most 100,000 indexes or addresses, or a mask (d_sae,) of
        bool). They are of `run`, or of each SAE's newest.

        BadArgument: a vector of another width, of zeros, or not finite; an SAE of
        another width is saedb.Error "mismatch". NotFound: no such SAE or feature, a
        feature whose row is zero, or rows or an index that the store does not have.
        """
        asked: Dict[str, Any] = dict(
            run=run,
            sae=sae_names(either(sae, saes, ("sae", "saes"))),
            k=int(either(k, n_neighbors, ("k", "n_neighbors"), 10)),
            of=of,
            metric=metric,
            engine=engine,
            alive=alive,
            min_density=min_density,
            max_density=max_density,
            labelled=labelled,
            features=feature_list(features),
        )
        if not isinstance(feature, str):
            asked["vector"] = vector_bytes(feature)
            return Neighbors.read(self.call("vector.neighbors", **asked))
        asked.update(feature=feature, exclude_self=exclude_self)
        return Neighbors.read(self.call("feature.neighbors", **asked))

    neighbours = neighbors

    @rpc("feature.cooccurrence")
    def cooccurrence(
        self,
        feature: str,
        run: Run = None,
        sae: Union[str, Sequence[str], None] = None,
        k: int = 10,
        sort: str = "jaccard",
        min_count: int = 5,
    ) -> List[Cooccurrence]:
        """The k (at most 1000) features that fire most on the same tokens, exactly.

        sae: features of that SAE, of several, or "all" of those that ran over the same
        corpus; default its own. sort: jaccard, pmi or count. min_count: tokens on which
        both fire, at least. NotFound where no run has an SAE over that corpus.
        """
        if sae is not None and not isinstance(sae, str):
            sae = list(sae)
        r = self.call(
            "feature.cooccurrence",
            feature=feature,
            run=run,
            sae=sae,
            k=k,
            sort=sort,
            min_count=min_count,
        )
        return [Cooccurrence.of(x) for x in r["neighbors"]]

    @rpc("concept.neighbors")
    def concept(
        self,
        text: str,
        sae: Union[str, Sequence[str], None] = None,
        run: Run = None,
        via: str = "auto",
        k: int = 10,
        neighbors: int = 5,
        top: int = 3,
        as_is: bool = False,
        windows: int = 200,
    ) -> Concept:
        """The features (at most k, 1 to 200) for a text's words, best first.

        via: "labels", "examples" (places in the corpus where the words stand), "model"
        (what fires on the text), or "auto", all that are at hand; each feature's
        `found` says by which it was found, and the answer's `missing` what was not to
        be had and why. sae: a name or several; default all. The first `top` features
        have their `neighbors` nearest of each SAE. as_is: the model reads the text as
        a document by itself, not as inside a sentence. windows: examples looked at.

        NotFound: no such SAE, or no model with via="model". BadArgument: text is empty
        or longer than 4096 bytes.
        """
        return Concept.read(
            self.call(
                "concept.neighbors",
                text=text,
                sae=sae if sae is None or isinstance(sae, str) else list(sae),
                k=k,
                neighbors=neighbors,
                top=top,
                via=via,
                run=run,
                as_is=as_is,
                windows=windows,
            )
        )

    @rpc("feature.splitting")
    def splitting(
        self,
        feature: str,
        run: Run = None,
        direction: str = "children",
        by: str = "cosine",
        min_cosine: float = 0.5,
        min_share: float = 0.5,
        min_count: int = 5,
        k: int = 8,
    ) -> List[SplitNode]:
        """The tree of a feature through the wider SAEs on its hook, the root first.

        direction: children in wider SAEs, or parents in narrower ones. by: cosine of
        decoder rows, cooccurrence (share, min_count), or both. k: of each feature in
        the next SAE, at most 32. LimitExceeded where the tree has over 1000 features.
        """
        r = self.call(
            "feature.splitting",
            feature=feature,
            run=run,
            direction=direction,
            by=by,
            min_cosine=min_cosine,
            min_share=min_share,
            min_count=min_count,
            k=k,
        )
        return [SplitNode.of(x) for x in r["nodes"]]

    @rpc("map.feature")
    def map(
        self,
        feature: str,
        run: Run = None,
        sae: Optional[str] = None,
        points: int = 100,
        seed: int = 0,
    ) -> Map:
        """What lies around a feature: its neighbors and theirs, laid out by UMAP.

        sae: with features of that SAE beside its own; default all whose neighbors are
        stored. points: at most so many (500), the nearest by cosine of decoder rows.
        The same seed gives the same layout. NotFound where no neighbors are stored.
        """
        r = self.call(
            "map.feature", feature=feature, run=run, sae=sae, points=points, seed=seed
        )
        return Map.of(r)

    @rpc("feature.vector")
    def vector(self, feature: str) -> "numpy.ndarray[Any, Any]":
        """The decoder row: a numpy array (d_out,), float32."""
        import numpy as np

        data = self.call("feature.vector", feature=feature)["vector"]
        return np.frombuffer(data, dtype="<f4").astype(np.float32)

    @rpc("feature.documents")
    def feature_documents(
        self, feature: str, run: Run = None, limit: int = 100, offset: int = 0
    ) -> List[FeatureDocument]:
        """Documents where a feature fires, by maximum, descending."""
        r = self.call(
            "feature.documents", feature=feature, run=run, limit=limit, offset=offset
        )
        return [FeatureDocument.of(x) for x in r["documents"]]

    @rpc("vector.neighbors")
    def nearest(
        self,
        vector: Vector,
        sae: Union[str, Sequence[str]],
        k: int = 10,
        run: Run = None,
        of: str = "decoder",
        metric: str = "cosine",
        engine: str = "auto",
        alive: Optional[bool] = None,
        min_density: float = 0,
        max_density: float = 1,
        labelled: Optional[bool] = None,
        features: FeatureSet = None,
    ) -> Neighbors:
        """The k features nearest to a vector (d,); as neighbors()."""
        if isinstance(vector, str):
            raise BadArgument("vector: an address; neighbors() takes it", "vector")
        return self.neighbors(
            vector_bytes(vector),
            run,
            sae,
            k,
            of,
            metric,
            engine,
            alive,
            min_density,
            max_density,
            labelled,
            features,
        )

    # ---- documents, tokens, activations ----------------------------------------------

    @rpc("document.list")
    def documents(
        self,
        run: Run = None,
        key: Optional[str] = None,
        value: Optional[str] = None,
        limit: Optional[int] = None,
    ) -> Iterator[Document]:
        """The documents of a run's corpus, or those whose metadata has key = value."""
        rows = self._pages(
            "document.list", "documents", limit, run=run, key=key, value=value
        )
        return map(Document.of, rows)

    @rpc("document.get")
    def document(self, document: str, run: Run = None, raw: bool = False) -> Document:
        """One document with its text. raw: the text as bytes."""
        return Document.of(
            self.call("document.get", document=document, run=run, raw=raw)
        )

    @rpc("document.activations")
    def document_activations(
        self,
        document: str,
        sae: str,
        run: Run = None,
        first: int = 0,
        n: int = 256,
        top: int = 0,
        labels: bool = False,
        raw: bool = False,
    ) -> Activations:
        """What fires on a document's tokens first to first + n.

        top: only the strongest on each token; 0 for all. labels: with those of
        the features. raw: tokens as bytes.
        """
        return Activations.of(
            self.call(
                "document.activations",
                document=document,
                sae=sae,
                run=run,
                first=first,
                n=n,
                top=top,
                labels=labels,
                raw=raw,
            )
        )

    @rpc("window.activations")
    def window_activations(
        self,
        window: int,
        sae: str,
        run: Run = None,
        first: int = 0,
        n: int = 8192,
        top: int = 0,
        labels: bool = False,
        raw: bool = False,
    ) -> Activations:
        """What fires on a window's tokens; as document_activations()."""
        return Activations.of(
            self.call(
                "window.activations",
                window=window,
                sae=sae,
                run=run,
                first=first,
                n=n,
                top=top,
                labels=labels,
                raw=raw,
            )
        )

    @rpc("image.get")
    def image(self, image: str, run: Run = None) -> Image:
        """An image whose patches are tokens, by its SHA-256 or the first digits."""
        return Image.of(self.call("image.get", image=image, run=run))

    def _images(self, run: int) -> Callable[[str], Optional[Image]]:
        """What loads images for a notebook: None for those that are not to be had."""

        @functools.lru_cache(maxsize=8)
        def load(name: str) -> Optional[Image]:
            try:
                return self.image(name, run)
            except Error:
                return None

        return load

    @rpc("feature.activations")
    def activations(
        self,
        feature: str,
        run: Run = None,
        after: int = -1,
        limit: Optional[int] = None,
    ) -> Iterator[Tuple[int, int, float]]:
        """Every activation of a feature: (window, offset, value), by window.

        after: only windows behind that one. limit: of at most so many windows.
        """
        left = limit
        while left is None or left > 0:
            n = PAGE if left is None else min(PAGE, left)
            r = self.call(
                "feature.activations", feature=feature, run=run, after=after, limit=n
            )
            yield from zip(r["windows"], r["offsets"], r["values"])
            if left is not None:
                left -= len(set(r["windows"]))
            if r.get("next") is None:
                return
            after = r["next"]

    def activations_csr(
        self,
        what: Union[str, Sequence[str]],
        windows: Optional[Iterable[int]] = None,
        run: Run = None,
    ) -> Csr:
        """Activations as a scipy CSR matrix (positions, features), float32.

        what: addresses of features: a row for each position where one of them
        fires, in all windows or in those given. Or an SAE's name, with windows: a
        row for each of their tokens, a column for each of its features.
        """
        if isinstance(what, str):
            if windows is None:
                raise BadArgument("an SAE's activations need windows", "windows")
            return self._csr_of_windows(what, list(windows), run)
        return self._csr_of_features(list(what), windows, run)

    def _csr_of_windows(self, sae: str, windows: List[int], run: Run) -> Csr:
        import numpy as np
        from scipy.sparse import csr_matrix, vstack

        d_sae = next(
            (s["d_sae"] for s in self.saes() if sae in (s["name"], s["id"])), None
        )
        if d_sae is None:
            raise NotFound(f"no SAE {sae}", "sae")
        parts = [self.window_activations(w, sae, run) for w in windows]
        matrix = (
            vstack([p.csr(d_sae) for p in parts], format="csr")
            if parts
            else csr_matrix(np.zeros((0, d_sae), np.float32))
        )
        return Csr(
            matrix,
            np.asarray([w for p in parts for w in p.windows], np.int64),
            np.asarray([o for p in parts for o in p.offsets], np.int64),
            sae,
        )

    def _csr_of_features(
        self, features: List[str], windows: Optional[Iterable[int]], run: Run
    ) -> Csr:
        import numpy as np
        from scipy.sparse import csr_matrix

        wanted = None if windows is None else set(windows)
        place: Dict[Tuple[int, int], float] = {}
        entries: List[Tuple[int, int, int, float]] = []
        for column, feature in enumerate(features):
            for window, offset, value in self.activations(feature, run):
                if wanted is None or window in wanted:
                    entries.append((window, offset, column, value))
                    place[window, offset] = 0
        rows = {at: i for i, at in enumerate(sorted(place))}
        matrix = csr_matrix(
            (
                np.asarray([e[3] for e in entries], np.float32),
                (
                    np.asarray([rows[e[0], e[1]] for e in entries], np.int64),
                    np.asarray([e[2] for e in entries], np.int64),
                ),
            ),
            shape=(len(rows), len(features)),
        )
        at = np.asarray(sorted(place), np.int64).reshape(-1, 2)
        return Csr(matrix, at[:, 0], at[:, 1], features)

    @rpc("token.features")
    def token(
        self,
        token: str,
        sae: str,
        run: Run = None,
        min_share: float = 0,
        sort: str = "share",
        limit: int = 20,
    ) -> TokenFeatures:
        """The features that fire on a token's text (its leading space included).

        sort: by share of its occurrences, or by mean value on it.
        """
        r = self.call(
            "token.features",
            token=token,
            sae=sae,
            run=run,
            min_share=min_share,
            sort=sort,
            limit=limit,
        )
        features = [TokenFeature.of(x) for x in r["features"]]
        return TokenFeatures.of(r, token=token, features=features)

    # ---- labels ----------------------------------------------------------------

    @rpc("label.get")
    def labels(self, feature: str, run: Run = None) -> List[Label]:
        """A feature's labels, best first."""
        return [
            Label.of(x)
            for x in self.call("label.get", feature=feature, run=run)["labels"]
        ]

    @rpc("label.set")
    def set_label(
        self,
        feature: str,
        text: str,
        author: str = "",
        source: str = "person",
        score: Optional[float] = None,
    ) -> int:
        """Labels a feature, in place of the label of the same source and author.

        Its id.
        """
        r = self.call(
            "label.set",
            feature=feature,
            text=text,
            author=author,
            source=source,
            score=score,
        )
        return int(r["id"])

    @rpc("label.delete")
    def delete_label(self, id: int) -> None:
        """Deletes a label by its id."""
        self.call("label.delete", id=id)

    @rpc("label.import")
    def import_labels(
        self, labels: Iterable[Union[Mapping[str, Any], Label]]
    ) -> List[int]:
        """Sets many labels; their ids. All or none of each call's (a thousand at most).

        Each has feature, or sae_hash and index; text, explanation or description;
        and source, author, time_s, score where there are any.
        """
        rows = [labelfile.clean(x) for x in labels]
        ids: List[int] = []
        while rows:
            n = labelfile.batch(rows, PAGE)
            ids += self.call("label.import", labels=rows[:n])["ids"]
            rows = rows[n:]
        return ids

    @rpc("label.export")
    def export_labels(
        self, sae: Optional[str] = None, limit: Optional[int] = None
    ) -> Iterator[Label]:
        """All labels by people and imports, or those of one SAE."""
        return map(Label.of, self._pages("label.export", "labels", limit, sae=sae))

    def save_labels(
        self, path: Union[str, "os.PathLike[str]"], sae: Optional[str] = None
    ) -> int:
        """Writes export_labels() as JSON Lines, or CSV by the name; how many."""
        return labelfile.write(path, self.export_labels(sae))

    def load_labels(self, path: Union[str, "os.PathLike[str]"]) -> List[int]:
        """import_labels() from JSON Lines or CSV."""
        return self.import_labels(labelfile.read(path))

    @rpc("label.search")
    def search(
        self, query: str, sae: Optional[str] = None, limit: Optional[int] = 20
    ) -> Iterator[FeatureRow]:
        """Features by the words of their labels; people's labels first.

        All words must occur; "a phrase", prefix*, AND, OR, NOT are understood.
        """
        return map(
            FeatureRow.of,
            self._pages("label.search", "features", limit, query=query, sae=sae),
        )

    @rpc("text.search")
    def search_text(
        self, query: str, run: Run = None, limit: Optional[int] = 20
    ) -> Iterator[Window]:
        """Windows by the words of their text; the query as in search()."""
        return map(
            Window.of,
            self._pages("text.search", "windows", limit, query=query, run=run),
        )
