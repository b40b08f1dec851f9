# SPDX-License-Identifier: ISC
"""The protocol's errors as exceptions."""

from __future__ import annotations

from typing import Any, Dict, Optional, Type


class Error(Exception):
    """What the daemon, or the way to it, says no with.

    code: the protocol's negative number. name: its stable name, such as
    "not_found". argument: the parameter at fault, or None.
    """

    code: int = -19
    name: str = "internal"

    def __init__(
        self,
        message: str,
        argument: Optional[str] = None,
        code: Optional[int] = None,
        name: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.argument = argument
        if code is not None:
            self.code = code
        if name is not None:
            self.name = name


class BadArgument(Error, ValueError):
    """An argument has the wrong type or is out of range."""

    code, name = -2, "bad_argument"


class MissingArgument(Error, TypeError):
    """A required argument is missing."""

    code, name = -3, "missing_argument"


class NotFound(Error, LookupError):
    """What was asked for is not there."""

    code, name = -4, "not_found"


class BadFormat(Error, ValueError):
    """A frame or an input is malformed."""

    code, name = -5, "bad_format"


class Unsupported(Error):
    """Understood, but not something saedb can do."""

    code, name = -6, "unsupported"


class ConnectionLost(Error, ConnectionError):
    """The connection could not be made, or broke."""

    code, name = -8, "io"


class Corrupt(Error):
    """Stored data fails its check."""

    code, name = -10, "corrupt"


class Busy(Error):
    """In use by another writer, or too many requests wait."""

    code, name = -11, "busy"


class LimitExceeded(Error, ValueError):
    """Larger than a stated limit."""

    code, name = -13, "limit"


class Denied(Error, PermissionError):
    """Not allowed on this connection."""

    code, name = -14, "denied"


class NoSuchMethod(Error):
    """The daemon has no such method."""

    code, name = -15, "no_method"


class Stale(Error):
    """A cursor of a generation that is gone: start again."""

    code, name = -16, "stale"


class Timeout(Error, TimeoutError):
    """A deadline passed."""

    code, name = -18, "timeout"


class InternalError(Error):
    """A mistake of saedb's own."""


_BY_CODE: Dict[int, Type[Error]] = {
    cls.code: cls
    for cls in (
        BadArgument,
        MissingArgument,
        NotFound,
        BadFormat,
        Unsupported,
        Corrupt,
        Busy,
        LimitExceeded,
        Denied,
        NoSuchMethod,
        Stale,
        Timeout,
        InternalError,
    )
}


def from_wire(value: Any) -> Error:
    """The exception for a response's error value."""
    if not isinstance(value, dict):
        return InternalError(str(value))
    code = value.get("code")
    cls = _BY_CODE.get(code, Error) if isinstance(code, int) else InternalError
    return cls(
        str(value.get("message", "the daemon gave no reason")),
        argument=value.get("argument"),
        code=code if isinstance(code, int) else None,
        name=value.get("name"),
    )
