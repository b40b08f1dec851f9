# SPDX-License-Identifier: ISC
"""A line on standard error that says how far a long work is."""

from __future__ import annotations

import sys
import time
from typing import Optional, TextIO

_TERMINAL_S = 0.5
_PLAIN_S = 10.0


def _time(s: float) -> str:
    s = int(s)
    if s >= 3600:
        return f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}"
    return f"{s // 60}:{s % 60:02d}"


class Progress:
    """Tokens, rate and time left: rewritten on a terminal, else a line now and then."""

    def __init__(self, quiet: bool, file: Optional[TextIO] = None) -> None:
        self._file = sys.stderr if file is None else file
        self._terminal = bool(getattr(self._file, "isatty", lambda: False)())
        self._quiet = quiet
        self._start = self._last = time.monotonic()
        self._shown = False

    def show(self, n_tokens: int, share: Optional[float] = None) -> None:
        """share: of all the work, if known."""
        now = time.monotonic()
        if self._quiet or now - self._last < (
            _TERMINAL_S if self._terminal else _PLAIN_S
        ):
            return
        self._last = now
        spent = now - self._start
        text = f"{n_tokens:,} tokens, {n_tokens / spent:,.0f}/s"
        if share is not None and 0 < share <= 1:
            left = spent * (1 - share) / share
            text += f", {share:.0%}, {_time(left)} left"
        self._put(text)

    def _put(self, text: str) -> None:
        if self._terminal:
            self._file.write(f"\r\x1b[K{text}")
        else:
            self._file.write(f"{text}\n")
        self._file.flush()
        self._shown = True

    def end(self) -> None:
        """Wipes the line of a terminal."""
        if self._shown and self._terminal:
            self._file.write("\r\x1b[K")
            self._file.flush()
        self._shown = False
