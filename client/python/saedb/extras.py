# SPDX-License-Identifier: ISC
"""Libraries that only some of the package needs, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import Unsupported

_EXTRA = {"pyarrow": "parquet"}


class NotInstalled(Unsupported, ImportError):  # type: ignore[misc]
    """A library that is needed for this is not installed."""


def need(module: str) -> Any:
    """The module, or NotInstalled, which says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        top = module.partition(".")[0]
        extra = _EXTRA.get(top)
        how = f"pip install saedb[{extra or 'capture'}]"
        if extra is None and top not in ("numpy", "safetensors", "torch"):
            how += "" if top == "transformers" else f" {top}"
        raise NotInstalled(f"{module} cannot be imported ({e}): {how}") from e


def is_tensor(x: Any) -> bool:
    """Of torch, on any device; torch need not be installed to ask."""
    return hasattr(x, "detach") and hasattr(x, "cpu") and hasattr(x, "element_size")
