# SPDX-License-Identifier: ISC
"""Images whose patches are positions of a window."""

from __future__ import annotations

import io
import os
from typing import Any, List, Sequence, Tuple

from .arrays import in_range, integers
from .errors import BadArgument

_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def image_bytes(image: Any, what: str) -> bytes:
    """The bytes of an image file: given as such, as a path, or as a PIL.Image."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
    elif isinstance(image, (str, os.PathLike)):
        with open(image, "rb") as f:
            data = f.read()
    elif hasattr(image, "save"):
        out = io.BytesIO()
        image.save(out, format="PNG")
        data = out.getvalue()
    else:
        raise BadArgument(
            f"{what}: {type(image).__name__} is neither bytes, path nor PIL.Image", what
        )
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not webp and not data.startswith(_STARTS):
        raise BadArgument(f"{what}: neither PNG, JPEG, GIF nor WebP", what)
    return data


def checked_images(
    images: Sequence[Any], grids: Any, patches: Any, n: int, w: int
) -> Tuple[List[bytes], List[Tuple[int, int]], Any]:
    """Files, grids and patches (n, 2) of window w, which has n tokens."""
    files = [
        image_bytes(x, f"images[{i}] of window {w}") for i, x in enumerate(images)
    ]
    if not files:
        if patches is not None or grids is not None:
            raise BadArgument(f"images of window {w}: there are none", "images")
        return [], [], None
    if grids is None or patches is None:
        raise BadArgument(
            f"images of window {w}: they need image_grids and image_patches",
            "images",
        )
    g = integers(grids, "image_grids", [len(files), 2])
    in_range(g, 1, 1 << 15, f"image_grids of window {w}")
    p = integers(patches, "image_patches", [n, 2])
    in_range(p[:, 0], -1, len(files) - 1, f"image_patches of window {w}")
    of = p[:, 0] != -1
    most = g.prod(axis=1)[p[:, 0]]
    wrong = (of & ((p[:, 1] < 0) | (p[:, 1] >= most))).nonzero()[0]
    if len(wrong):
        i = int(wrong[0])
        raise BadArgument(
            f"image_patches of window {w}: patch {int(p[i, 1])} at position {i}, but "
            f"the image has {int(most[i])}",
            "image_patches",
        )
    return files, [(int(r), int(c)) for r, c in g], p
