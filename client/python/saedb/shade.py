# SPDX-License-Identifier: ISC
"""Text with values on its tokens: HTML, terminals, plain text."""

from __future__ import annotations

import html
from typing import List, Sequence, Union

Token = Union[str, bytes]

_SYMBOLS = {"\n": "\u21b5", "\t": "\u21e5", "\r": "\\r"}
_RAMP = (230, 229, 228, 222, 221, 215, 214, 208)  # of the terminal's 256 colours


def visible(text: str) -> str:
    """Newlines as symbols, other controls as escapes."""
    out = []
    for ch in text:
        if ch in _SYMBOLS:
            out.append(_SYMBOLS[ch])
        elif ord(ch) < 32 or 127 <= ord(ch) < 160:
            out.append(f"\\x{ord(ch):02X}")
        else:
            out.append(ch)
    return "".join(out)


def texts(tokens: Sequence[Token]) -> List[str]:
    """Tokens as text. A character of several tokens belongs to the first."""
    if all(isinstance(t, str) for t in tokens):
        return [str(t) for t in tokens]
    raw = [t.encode() if isinstance(t, str) else t for t in tokens]
    whole = b"".join(raw)
    out = [""] * len(raw)
    starts: List[int] = []
    for i, t in enumerate(raw):
        starts += [i] * len(t)
    at = 0
    while at < len(whole):
        for n in (1, 2, 3, 4):
            try:
                ch = whole[at : at + n].decode()
                break
            except UnicodeDecodeError:
                ch = ""
        if not ch:
            n, ch = 1, f"\\x{whole[at]:02X}"
        out[starts[at]] += ch
        at += n
    return out


def _share(value: float, most: float) -> float:
    return min(1.0, value / most) if most > 0 and value > 0 else 0.0


def plain(tokens: Sequence[Token], values: Sequence[float]) -> str:
    """Each value behind its token, in braces."""
    return "".join(
        visible(t) + (f"{{{v:.3g}}}" if v > 0 else "")
        for t, v in zip(texts(tokens), values)
    )


def ansi(tokens: Sequence[Token], values: Sequence[float], most: float) -> str:
    """Shaded by value, for a terminal of 256 colours."""
    out = []
    for t, v in zip(texts(tokens), values):
        share = _share(v, most)
        shown = visible(t)
        if share > 0:
            shade = _RAMP[min(len(_RAMP) - 1, int(share * len(_RAMP)))]
            shown = f"\033[38;5;16;48;5;{shade}m{shown}\033[0m"
        out.append(shown)
    return "".join(out)


def as_html(tokens: Sequence[Token], values: Sequence[float], most: float) -> str:
    """Shaded by value; the value shows when pointed at."""
    out = []
    for t, v in zip(texts(tokens), values):
        shown = html.escape(visible(t))
        share = _share(v, most)
        if share > 0:
            shown = (
                f'<span title="{v:.4g}" style="background:rgba(255,140,0,{share:.2f})">'
                f"{shown}</span>"
            )
        out.append(shown)
    return '<span style="white-space:pre-wrap">' + "".join(out) + "</span>"
