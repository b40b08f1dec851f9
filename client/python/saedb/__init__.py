# SPDX-License-Identifier: ISC
"""Ask about the features of sparse autoencoders: the Python client of saedbd.

Start with open_store(DIRECTORY) or connect(ADDRESS); both give a Client.
"""

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
from .results import (
    Activations,
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
    TokenEffect,
    TokenFeature,
    TokenFeatures,
    Window,
)

__version__ = "0.1.0"

__all__ = [
    "Activations",
    "BadArgument",
    "BadFormat",
    "Busy",
    "Client",
    "ConnectionLost",
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
    "InternalError",
    "Label",
    "LimitExceeded",
    "MissingArgument",
    "Neighbor",
    "NoSuchMethod",
    "NotFound",
    "Patch",
    "Stale",
    "Timeout",
    "TokenEffect",
    "TokenFeature",
    "TokenFeatures",
    "Unsupported",
    "Window",
    "connect",
    "open_store",
]
