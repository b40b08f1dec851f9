# SPDX-License-Identifier: ISC
"""Neighbors of features and vectors: what is asked, and the rows as arrays."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from .errors import BadArgument
from .extras import is_tensor, need
from .results import Neighbor

if TYPE_CHECKING:
    import numpy
    import pandas

Vector = Union[Sequence[float], "numpy.ndarray[Any, Any]", bytes]
Saes = Union[str, Sequence[str], None]
FeatureSet = Union[Iterable[Union[int, str]], "numpy.ndarray[Any, Any]", None]


class Neighbors(List[Neighbor]):
    """Neighbors, nearest first, and how they were found.

    metric: "cosine" or "ip"; of: "decoder" or "encoder". engine: "graph", "exact",
    "faiss", "approximate", or "mixed" over several SAEs. n_rows: features of the SAEs
    searched; n_allowed: those that could be found. searched: a dict of each SAE.
    """

    metric: str = "cosine"
    of: str = "decoder"
    engine: str = ""
    n_rows: int = 0
    n_allowed: int = 0
    searched: List[Dict[str, Any]]

    @classmethod
    def read(cls, m: Mapping[str, Any]) -> "Neighbors":
        """From an answer."""
        out = cls(Neighbor.of(x) for x in m["neighbors"])
        out.metric, out.of, out.engine = m["metric"], m["of"], m["engine"]
        out.n_rows, out.n_allowed = m["n_rows"], m["n_allowed"]
        out.searched = [dict(x) for x in m["searched"]]
        return out

    @property
    def features(self) -> List[str]:
        """The addresses."""
        return [x.feature for x in self]

    @property
    def indices(self) -> "numpy.ndarray[Any, Any]":
        """The features' indexes in their SAEs: (n,), int64."""
        return need("numpy").array([x.index for x in self], "i8")

    @property
    def scores(self) -> "numpy.ndarray[Any, Any]":
        """Cosines, or inner products: (n,), float32, descending."""
        return need("numpy").array([x.score for x in self], "f4")

    @property
    def densities(self) -> "numpy.ndarray[Any, Any]":
        """The share of tokens each fires on: (n,), float64; NaN where not known."""
        nan = float("nan")
        return need("numpy").array(
            [nan if x.density is None else x.density for x in self], "f8"
        )

    def frame(self) -> "pandas.DataFrame":
        """As a pandas DataFrame, a row each."""
        columns = ["feature", "index", "sae", self.metric, "density", "label", "source"]
        rows = [[getattr(x, c) for c in columns] for x in self]
        return need("pandas").DataFrame(rows, columns=columns)


def vector_bytes(vector: Any) -> Any:
    """A vector as little-endian float32; a list as it is, for the daemon to check."""
    if is_tensor(vector):
        vector = vector.detach().cpu().float().numpy()
    if not hasattr(vector, "astype"):
        return vector
    if vector.ndim != 1:
        raise BadArgument(f"vector: shape {tuple(vector.shape)}, not (d,)", "vector")
    with need("numpy").errstate(over="ignore"):  # the daemon refuses infinities
        return vector.astype("<f4").tobytes()


def feature_list(features: FeatureSet) -> Optional[List[Union[int, str]]]:
    """A set of indexes or addresses, or a mask (d_sae,) of bool, as a list."""
    if features is None:
        return None
    if isinstance(features, (str, bytes)):
        raise BadArgument("features: a list of indexes or addresses", "features")
    if is_tensor(features):
        features = features.detach().cpu().numpy()
    if hasattr(features, "dtype") and features.dtype.kind == "b":
        if features.ndim != 1:
            raise BadArgument(
                f"features: a mask of shape {tuple(features.shape)}, not (d_sae,)",
                "features",
            )
        features = features.nonzero()[0]
    return [x if isinstance(x, str) else _index(x) for x in features]


def _index(x: Any) -> int:
    if isinstance(x, bool) or not hasattr(x, "__index__"):
        raise BadArgument(f"features: {x!r} is neither index nor address", "features")
    return int(x.__index__())


def either(a: Any, b: Any, names: Tuple[str, str], preset: Any = None) -> Any:
    """The one that was given of two spellings of one argument."""
    if b is None:
        return a
    if a != preset:
        raise BadArgument(f"{names[0]} and {names[1]} are one argument", names[0])
    return b


def sae_names(sae: Saes) -> Union[str, List[str], None]:
    """A name as it is, several as a list."""
    return sae if sae is None or isinstance(sae, str) else list(sae)
