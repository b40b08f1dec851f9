# SPDX-License-Identifier: ISC
"""What answers hold. Fields have the protocol's names; see doc/protocol.md."""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass, field
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from . import images, shade

T = TypeVar("T", bound="Row")


class Row:
    """A map of an answer as an object; what a field does not name is left out."""

    @classmethod
    def of(cls: Type[T], m: Mapping[str, Any], **more: Any) -> T:
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{k: v for k, v in {**m, **more}.items() if k in names})


@dataclass(frozen=True)
class Label(Row):
    """A text for a feature. id is None for labels that are kept with a run."""

    text: str = ""
    source: str = ""
    author: str = ""
    id: Optional[int] = None
    feature: Optional[str] = None
    sae_hash: Optional[str] = None
    index: Optional[int] = None
    time_s: int = 0
    score: Optional[float] = None


@dataclass(frozen=True)
class FeatureRow(Row):
    """A feature in a list. density: share of tokens it fires on; mean: over those.

    None where the run sought only a range of features without this one."""

    feature: str = ""
    index: int = -1
    count: Optional[int] = 0
    density: Optional[float] = 0.0
    max: Optional[float] = 0.0
    mean: Optional[float] = 0.0
    label: Optional[str] = None
    source: Optional[str] = None
    rank: Optional[float] = None


@dataclass(frozen=True)
class Neighbor(Row):
    """A feature near another, or near a vector.

    cosine, or ip (the inner product), of the rows that were compared; the other is
    None. score: whichever it is. density: None where it is not known.
    """

    feature: str = ""
    index: int = -1
    sae: str = ""
    cosine: Optional[float] = None
    ip: Optional[float] = None
    density: Optional[float] = None
    label: Optional[str] = None
    source: Optional[str] = None

    @property
    def score(self) -> float:
        """By the metric that was asked for."""
        return float((self.ip if self.cosine is None else self.cosine) or 0.0)


@dataclass(frozen=True)
class Cooccurrence(Row):
    """A feature that fires on the same tokens as another.

    n_both: tokens on which both fire; jaccard: of those on which either does; pmi:
    log(P(both) / (P(one) P(other))), in nats; count, density: of this feature.
    """

    feature: str = ""
    index: int = -1
    sae: str = ""
    run: int = 0
    n_both: int = 0
    jaccard: float = 0.0
    pmi: float = 0.0
    count: int = 0
    density: float = 0.0
    label: Optional[str] = None
    source: Optional[str] = None


@dataclass(frozen=True)
class ConceptFeature(Row):
    """A feature for a text. score: of all ways together; found: by way, with the
    feature's rank and score there; neighbors: its nearest, by SAE."""

    feature: str = ""
    index: int = -1
    sae: str = ""
    run: int = 0
    count: Optional[int] = 0
    density: Optional[float] = 0.0
    max: Optional[float] = 0.0
    mean: Optional[float] = 0.0
    label: Optional[str] = None
    source: Optional[str] = None
    score: float = 0.0
    found: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    neighbors: List[Neighbor] = field(default_factory=list)


class Concept(List[ConceptFeature]):
    """The features for a text, best first. ways: what each way found; missing: by way,
    why it found nothing, or not all."""

    text: str = ""
    ways: List[Dict[str, Any]]

    @classmethod
    def read(cls, answer: Dict[str, Any]) -> "Concept":
        made = cls(
            ConceptFeature.of(
                {**x, "neighbors": [Neighbor.of(n) for n in x["neighbors"]]}
            )
            for x in answer["features"]
        )
        made.text, made.ways = answer["text"], answer["ways"]
        return made

    @property
    def missing(self) -> Dict[str, str]:
        return {w["via"]: w["missing"] for w in self.ways if w["missing"]}


@dataclass(frozen=True)
class SplitNode(Row):
    """A feature in the tree of a feature through SAEs of growing (shrinking) width.

    parent: index in the list of the node above, None for the root. cosine, n_both,
    jaccard: with that one. share: of the wider SAE's feature's tokens, those on which
    the narrower one's fires. None where the SAEs have no run over the same corpus.
    """

    feature: str = ""
    index: int = -1
    sae: str = ""
    depth: int = 0
    parent: Optional[int] = None
    cosine: Optional[float] = None
    n_both: Optional[int] = None
    share: Optional[float] = None
    jaccard: Optional[float] = None
    count: Optional[int] = None
    density: Optional[float] = None
    label: Optional[str] = None
    source: Optional[str] = None


@dataclass(frozen=True)
class TokenFeature(Row):
    """A feature on a token. share: n_fired / occurrences of the token."""

    feature: str = ""
    index: int = -1
    count: int = 0
    density: float = 0.0
    max: float = 0.0
    mean: float = 0.0
    label: Optional[str] = None
    source: Optional[str] = None
    n_fired: int = 0
    share: float = 0.0
    mean_on_token: float = 0.0


@dataclass(frozen=True)
class TokenFeatures(Row):
    """The features that fire on a token string."""

    token: str = ""
    ids: List[int] = field(default_factory=list)
    n_occurrences: int = 0
    features: List[TokenFeature] = field(default_factory=list)
    truncated: bool = False


@dataclass(frozen=True)
class TokenEffect(Row):
    """A token and a feature's direct effect on its logit."""

    token: str = ""
    id: int = -1
    value: float = 0.0


@dataclass(frozen=True)
class Histogram(Row):
    """Counts of values in bins; edges are the lower ones."""

    edges: List[float] = field(default_factory=list)
    counts: List[int] = field(default_factory=list)


@dataclass(frozen=True)
class Feature(Row):
    """All about one feature. intervals: populations of ten tenths of (0, max].

    promoted and suppressed are both empty where the store has no logit effects: it was
    made without the model's unembedding.
    """

    feature: str = ""
    index: int = -1
    run: Optional[int] = None
    sae: str = ""
    generation: int = 0
    count: int = 0
    n_tokens: int = 0
    density: float = 0.0
    n_windows: int = 0
    n_documents: int = 0
    sum: float = 0.0
    mean: float = 0.0
    sum_squares: float = 0.0
    max: float = 0.0
    max_window: int = 0
    max_offset: int = 0
    dead: bool = False
    histogram: Histogram = field(default_factory=Histogram)
    intervals: List[int] = field(default_factory=list)
    labels: List[Label] = field(default_factory=list)
    label: Optional[str] = None
    source: Optional[str] = None
    promoted: List[TokenEffect] = field(default_factory=list)
    suppressed: List[TokenEffect] = field(default_factory=list)
    decoder_norm: float = 0.0

    @classmethod
    def of(cls, m: Mapping[str, Any], **more: Any) -> "Feature":
        nested = dict(
            histogram=Histogram.of(m.get("histogram") or {}),
            labels=[Label.of(x) for x in m.get("labels") or ()],
            promoted=[TokenEffect.of(x) for x in m.get("promoted") or ()],
            suppressed=[TokenEffect.of(x) for x in m.get("suppressed") or ()],
        )
        return super().of(m, **{**nested, **more})

    def _repr_html_(self) -> str:
        def effects(list_: Sequence[TokenEffect]) -> str:
            return ", ".join(
                f"<code>{html.escape(repr(t.token))}</code> {t.value:+.3f}"
                for t in list_
            )

        logits = (
            f"promotes {effects(self.promoted)}<br>"
            f"suppresses {effects(self.suppressed)}"
            if self.promoted or self.suppressed
            else "no logit effects"
        )

        label = (
            f"{html.escape(self.label)} <i>({html.escape(self.source or '')})</i>"
            if self.label
            else ""
        )
        most = max(self.histogram.counts, default=0) or 1
        bars = "".join(
            f'<span title="{e:.3g}: {n}" style="display:inline-block;width:6px;'
            f'background:#69c;height:{max(1, round(40 * n / most))}px"></span>'
            for e, n in zip(self.histogram.edges, self.histogram.counts)
        )
        return (
            f"<b>{html.escape(self.feature)}</b> {label}<br>"
            f"fires on {self.count:,} of {self.n_tokens:,} tokens "
            f"({self.density:.3%}), mean {self.mean:.3g}, max {self.max:.3g}<br>{bars}<br>"
            f"{logits}"
        )


@dataclass(frozen=True)
class Patch(Row):
    """A token that is a patch of an image. token: its offset in the window.

    image: the SHA-256 of the file, for Client.image(). The image is covered by a grid
    of n_rows by n_cols; patch counts through it row by row from the upper left.
    """

    token: int = -1
    image: str = ""
    patch: int = -1
    row: int = -1
    col: int = -1
    n_rows: int = 1
    n_cols: int = 1
    window: Optional[int] = None


@dataclass(frozen=True)
class Image(Row):
    """An image file. image: the SHA-256 of data; type: as "image/png"."""

    image: str = ""
    type: str = ""
    data: bytes = field(default=b"", repr=False)
    run: Optional[int] = None

    @classmethod
    def of(cls, m: Mapping[str, Any], **more: Any) -> "Image":
        return super().of(m, **{"data": m["bytes"], **more})

    def _repr_html_(self) -> str:
        return images.img(self)


@dataclass(frozen=True)
class Example(Row):
    """A window in which a feature fires.

    tokens: those around the peak, from the window's offset `first` on; values: the
    feature's activation on each of them (float32). interval: -1 for the best, else
    the tenth of (0, max] that it is a sample of. most: what full shade stands for.
    patches: which of the tokens are patches of images. load: how a notebook gets an
    image; None where it is not shown.
    """

    window: int = -1
    offset: int = -1
    value: float = 0.0
    interval: int = -1
    document: str = ""
    tokens: List[Union[str, bytes]] = field(default_factory=list)
    first: int = 0
    values: List[float] = field(default_factory=list)
    most: float = 0.0
    patches: List[Patch] = field(default_factory=list)
    load: Optional[Callable[[str], Optional[Image]]] = field(
        default=None, repr=False, compare=False
    )

    @classmethod
    def of(cls, m: Mapping[str, Any], **more: Any) -> "Example":
        patches = [Patch.of(p) for p in m.get("patches") or ()]
        return super().of(m, **{"patches": patches, **more})

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "load": None}  # it has a connection

    def _collapsed(self) -> Tuple[List[shade.Token], List[float]]:
        return images.collapse(self.tokens, self.values, self.first, self.patches)

    def heat(self, image: Optional[str] = None) -> List[List[float]]:
        """The values on an image's patches, as rows of columns; 0 where none is shown.

        image: its SHA-256 or the beginning; None for the first image.
        """
        image = image or (self.patches[0].image if self.patches else "")
        group = [p for p in self.patches if image and p.image.startswith(image)]
        if not group:
            return []
        rows = [[0.0] * group[0].n_cols for _ in range(group[0].n_rows)]
        for p in group:
            rows[p.row][p.col] = self.values[p.token - self.first]
        return rows

    @property
    def text(self) -> str:
        """The tokens as one string."""
        return "".join(shade.texts(self.tokens))

    @property
    def peak(self) -> str:
        """The token on which it fires most."""
        at = self.offset - self.first
        return shade.texts(self.tokens)[at] if 0 <= at < len(self.tokens) else ""

    def ansi(self) -> str:
        """Shaded, for a terminal."""
        return shade.ansi(*self._collapsed(), self.most or self.value)

    def __str__(self) -> str:
        return shade.plain(*self._collapsed())

    def _repr_html_(self) -> str:
        out = shade.as_html(*self._collapsed(), self.most or self.value)
        for name, group in images.by_image(self.patches).items():
            image = self.load(name) if self.load else None
            values = [self.values[p.token - self.first] for p in group]
            if image is not None:
                drawn = images.draw(image, group, values, self.most or self.value)
                out += "<br>" + drawn
        return out


class Examples(List[Example]):
    """Examples of one feature. max: its maximum; intervals: populations."""

    feature: str = ""
    max: float = 0.0
    intervals: List[int]

    def __str__(self) -> str:
        return "\n".join(f"{x.value:10.4g}  {x}" for x in self)

    def ansi(self) -> str:
        """Shaded, for a terminal."""
        return "\n".join(f"{x.value:10.4g}  {x.ansi()}" for x in self)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:right">{x.value:.4g}</td>'
            f"<td>{html.escape(x.document or '')}</td>"
            f'<td style="text-align:left">{x._repr_html_()}</td></tr>'
            for x in self
        )
        return f"<b>{html.escape(self.feature)}</b><table>{rows}</table>"


@dataclass(frozen=True)
class FeatureDocument(Row):
    """A document where a feature fires."""

    document: str = ""
    number: int = -1
    max: float = 0.0
    n_fired: int = 0
    n_windows: int = 0


@dataclass(frozen=True)
class Document(Row):
    """A document. text and hash only from Client.document()."""

    document: str = ""
    number: int = -1
    n_bytes: int = 0
    meta: Dict[str, Any] = field(default_factory=dict)
    first_window: int = 0
    n_windows: int = 0
    hash: Optional[str] = None
    text: Union[str, bytes, None] = None


@dataclass(frozen=True)
class Window(Row):
    """A window found by its text."""

    window: int = -1
    document: str = ""
    snippet: str = ""
    rank: float = 0.0


@dataclass(frozen=True)
class Activations(Row):
    """What fires on a stretch of tokens, as compressed rows.

    Token i (tokens[i], at windows[i] and offsets[i]) has the features
    features[row_start[i]:row_start[i + 1]] with the values beside them (float32).
    """

    sae: str = ""
    run: Optional[int] = None
    tokens: List[Union[str, bytes]] = field(default_factory=list)
    ids: List[int] = field(default_factory=list)
    windows: List[int] = field(default_factory=list)
    offsets: List[int] = field(default_factory=list)
    row_start: List[int] = field(default_factory=list)
    features: List[int] = field(default_factory=list)
    values: List[float] = field(default_factory=list)
    n_tokens: int = 0
    labels: Dict[int, str] = field(default_factory=dict)
    document: Union[str, List[str], None] = None
    patches: List[Patch] = field(default_factory=list)

    @classmethod
    def of(cls, m: Mapping[str, Any], **more: Any) -> "Activations":
        labels = {int(k): v for k, v in (m.get("labels") or {}).items()}
        patches = [Patch.of(p) for p in m.get("patches") or ()]
        return super().of(m, **{"labels": labels, "patches": patches, **more})

    def on(self, token: int) -> Dict[int, float]:
        """The features on that token: index to value."""
        at = slice(self.row_start[token], self.row_start[token + 1])
        return dict(zip(self.features[at], self.values[at]))

    def csr(self, d_sae: int) -> Any:
        """A scipy CSR matrix of shape (tokens, d_sae), float32."""
        from scipy.sparse import csr_matrix
        import numpy as np

        return csr_matrix(
            (
                np.asarray(self.values, np.float32),
                np.asarray(self.features, np.int64),
                np.asarray(self.row_start, np.int64),
            ),
            shape=(len(self.tokens), d_sae),
        )

    def values_of(self, feature: int) -> List[float]:
        """One feature's value on each token."""
        return [self.on(i).get(feature, 0.0) for i in range(len(self.tokens))]

    def _repr_html_(self) -> str:
        texts = shade.texts(self.tokens)
        at = {(p.window, p.token): p for p in self.patches}
        for i, place in enumerate(zip(self.windows, self.offsets)):
            if place in at:
                p = at[place]
                texts[i] = f"[{p.image[:8]} {p.row},{p.col}]"
        rows = []
        for i, text in enumerate(texts):
            best = sorted(self.on(i).items(), key=lambda p: -p[1])[:3]
            shown = "; ".join(
                html.escape(f"{self.sae}/{f} {v:.3g} {self.labels.get(f, '')}")
                for f, v in best
            )
            rows.append(
                f"<tr><td><code>{html.escape(shade.visible(text))}</code></td>"
                f'<td style="text-align:left">{shown}</td></tr>'
            )
        return "<table>" + "".join(rows) + "</table>"


class Csr(NamedTuple):
    """Activations as a matrix, and what its rows and columns are.

    matrix: scipy CSR (positions, features), float32. windows, offsets: of each
    row. features: address of each column, or an SAE's name when all are there.
    """

    matrix: Any
    windows: Any
    offsets: Any
    features: Union[List[str], str]
