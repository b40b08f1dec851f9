# SPDX-License-Identifier: ISC
"""Maps: features laid out in the plane, as arrays and as a picture."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Sequence, Tuple

from .results import Row

if TYPE_CHECKING:
    import numpy

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH, HEIGHT, MARGIN = 800.0, 600.0, 40.0


@dataclass(frozen=True)
class MapPoint(Row):
    """A feature on a map. cosine: of its decoder row to the middle's; density: share
    of tokens it fires on; cluster: a place in clusters, or None."""

    feature: str = ""
    index: int = -1
    sae: str = ""
    x: float = 0.0
    y: float = 0.0
    cosine: float = 0.0
    density: Optional[float] = None
    label: Optional[str] = None
    source: Optional[str] = None
    cluster: Optional[int] = None


@dataclass(frozen=True)
class MapCluster(Row):
    """Points that belong together. name: words of their labels; x, y: their mean."""

    name: Optional[str] = None
    n: int = 0
    x: float = 0.0
    y: float = 0.0


def _scaled(points: Sequence[MapPoint]) -> List[Tuple[float, float]]:
    """Places in the picture, all in one scale."""
    xs, ys = [p.x for p in points], [p.y for p in points]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    scale = min(
        (WIDTH - 2 * MARGIN) / max(wide, 1e-3), (HEIGHT - 2 * MARGIN) / max(high, 1e-3)
    )
    return [
        (
            WIDTH / 2 + scale * (x - min(xs) - wide / 2),
            HEIGHT / 2 - scale * (y - min(ys) - high / 2),
        )
        for x, y in zip(xs, ys)
    ]


def _shown(text: str) -> str:
    """Text that XML may hold."""
    return html.escape("".join(c if c.isprintable() else "\ufffd" for c in text))


@dataclass(frozen=True)
class Map(Row):
    """What lies around a feature. points: the feature, then by cosine; edges: places of
    two points, and their cosine. A notebook shows it as a picture, in which pointing at
    a feature shows its label; `saedb map FEATURE -o map.svg` writes one for print."""

    feature: str = ""
    points: List[MapPoint] = field(default_factory=list)
    edges: List[Tuple[int, int, float]] = field(default_factory=list)
    clusters: List[MapCluster] = field(default_factory=list)
    seed: int = 0

    @classmethod
    def of(cls, m: Mapping[str, Any], **more: Any) -> "Map":
        nested = {
            "points": [MapPoint.of(x) for x in m["points"]],
            "edges": [(x["a"], x["b"], x["cosine"]) for x in m["edges"]],
            "clusters": [MapCluster.of(x) for x in m["clusters"]],
        }
        return super().of(m, **{**nested, **more})

    @property
    def xy(self) -> "numpy.ndarray[Any, Any]":
        """Where the points lie: a numpy array (n, 2), float32."""
        import numpy as np

        return np.array([(p.x, p.y) for p in self.points], dtype=np.float32)

    def _repr_svg_(self) -> str:
        at = _scaled(self.points)
        saes = sorted({p.sae for p in self.points})
        lines = "".join(
            f'<path d="M{at[a][0]:.1f} {at[a][1]:.1f}L{at[b][0]:.1f} {at[b][1]:.1f}"/>'
            for a, b, _ in self.edges
        )
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if i else 7}"'
            f' fill="{COLORS[saes.index(p.sae) % len(COLORS)]}">'
            f"<title>{_shown(p.feature)} {_shown(p.label or '')}"
            f" (cosine {p.cosine:.3f})</title></circle>"
            for i, (p, (x, y)) in enumerate(zip(self.points, at))
        )
        names = "".join(
            f'<text x="{MARGIN + 90 * i:.0f}" y="20"'
            f' fill="{COLORS[i % len(COLORS)]}">{_shown(s)}</text>'
            for i, s in enumerate(saes)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}"'
            f' height="{HEIGHT:.0f}" font-family="sans-serif">'
            f'<g stroke="#cccccc">{lines}</g>{dots}{names}</svg>'
        )
