# SPDX-License-Identifier: ISC
"""Ask about the features of sparse autoencoders: the Python client of saedbd.

Start with open_store(DIRECTORY) or connect(ADDRESS); both give a Client. What fills a
store from Python: index(), capture(), from_cache(), ShardWriter and write_corpus().
"""

from .capturing import Captured, capture, from_cache
from .client import Client, connect, open_store
from .errors import (
    BadArgument,
    BadFormat,
    Busy,
    ConnectionLost,
    Corrupt,
    Denied,
    Error,
    InternalError,
    LimitExceeded,
    MissingArgument,
    NoSuchMethod,
    NotFound,
    Stale,
    Timeout,
    Unsupported,
)
from .extras import NotInstalled
from .indexing import Indexed, index
from .jsonlines import write_corpus
from .maps import Map, MapCluster, MapPoint
from .modeldir import save_model
from .nearest import Neighbors
from .results import (
    Activations,
    Cooccurrence,
    Concept,
    ConceptFeature,
    Csr,
    Document,
    Example,
    Examples,
    Feature,
    FeatureDocument,
    FeatureRow,
    Histogram,
    Image,
    Label,
    Neighbor,
    Patch,
    SplitNode,
    TokenEffect,
    TokenFeature,
    TokenFeatures,
    Window,
)
from .shards import ShardWriter

__version__ = "0.1.0"

__all__ = [
    "Activations",
    "BadArgument",
    "BadFormat",
    "Busy",
    "Captured",
    "Client",
    "Concept",
    "ConceptFeature",
    "ConnectionLost",
    "Cooccurrence",
    "Corrupt",
    "Csr",
    "Denied",
    "Document",
    "Error",
    "Example",
    "Examples",
    "Feature",
    "FeatureDocument",
    "FeatureRow",
    "Histogram",
    "Image",
    "Indexed",
    "InternalError",
    "Label",
    "LimitExceeded",
    "Map",
    "MapCluster",
    "MapPoint",
    "MissingArgument",
    "Neighbor",
    "Neighbors",
    "NoSuchMethod",
    "NotFound",
    "Patch",
    "NotInstalled",
    "ShardWriter",
    "SplitNode",
    "Stale",
    "Timeout",
    "TokenEffect",
    "TokenFeature",
    "TokenFeatures",
    "Unsupported",
    "Window",
    "capture",
    "connect",
    "from_cache",
    "index",
    "open_store",
    "save_model",
    "write_corpus",
]
