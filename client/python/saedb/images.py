# SPDX-License-Identifier: ISC
"""Tokens that are patches of images: as text, and drawn for a notebook."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple

if TYPE_CHECKING:
    from .results import Image, Patch

    from .shade import Token

TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
EMBED_BYTES = 4 << 20  # larger ones are not put into a notebook


def by_image(patches: Sequence["Patch"]) -> Dict[str, List["Patch"]]:
    """The patches of each image, in the order in which they stand."""
    out: Dict[str, List["Patch"]] = {}
    for p in patches:
        out.setdefault(p.image, []).append(p)
    return out


def name(patches: Sequence["Patch"], values: Sequence[float]) -> str:
    """An image in a line of text, by the strongest of its patches."""
    p = patches[values.index(max(values))]
    strongest = f" patch {p.row},{p.col}" if max(values) > 0 else ""
    return f"[image {p.image[:8]}{strongest} of {p.n_rows}x{p.n_cols}]"


def collapse(
    tokens: Sequence["Token"],
    values: Sequence[float],
    first: int,
    patches: Sequence["Patch"],
) -> Tuple[List["Token"], List[float]]:
    """Tokens and values with all patches of an image as one, where the first stands."""
    groups = by_image(patches)
    of = {p.token - first: p.image for p in patches}
    out: List["Token"] = []
    out_values: List[float] = []
    for i, (token, value) in enumerate(zip(tokens, values)):
        if i in of:
            group = groups.pop(of[i], None)
            if group is None:
                continue
            group_values = [values[p.token - first] for p in group]
            token, value = name(group, group_values), max(group_values)
        out.append(token)
        out_values.append(value)
    return out, out_values


def img(image: "Image") -> str:
    """The image as HTML, the bytes within; its name where it cannot be shown."""
    if image.type not in TYPES or len(image.data) > EMBED_BYTES:
        return html.escape(f"[image {image.image[:8]}: {len(image.data):,} bytes]")
    data = base64.b64encode(image.data).decode()
    return f'<img style="display:block;height:224px" src="data:{image.type};base64,{data}">'


def draw(
    image: "Image", patches: Sequence["Patch"], values: Sequence[float], most: float
) -> str:
    """The image with its patches shaded by their values, the strongest outlined."""
    marks = []
    top = max(values)
    for p, v in zip(patches, values):
        if v <= 0:
            continue
        outline = "outline:2px solid #d00;" if v == top else ""
        share = min(1.0, v / most) if most > 0 else 1.0
        marks.append(
            f'<span title="{p.row},{p.col}: {v:.4g}" style="position:absolute;{outline}'
            f"left:{100 * p.col / p.n_cols:.2f}%;top:{100 * p.row / p.n_rows:.2f}%;"
            f"width:{100 / p.n_cols:.2f}%;height:{100 / p.n_rows:.2f}%;"
            f'background:rgba(255,140,0,{0.6 * share:.2f})"></span>'
        )
    return (
        '<span style="position:relative;display:inline-block">'
        + img(image)
        + "".join(marks)
        + "</span>"
    )
