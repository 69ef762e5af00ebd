"""One id per logical call: made when it is first asked for, or taken from whoever calls us."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from random import getrandbits

from sdk_core.arguments import header_text

__all__ = ["correlation_scope", "current_correlation_id", "new_correlation_id"]

_MAX_LENGTH = 128
_scope: ContextVar[str | None] = ContextVar("sdk_correlation_id", default=None)


def correlation_scope(correlation_id: str) -> AbstractContextManager[str]:
    """Give every call inside the block this correlation id; other tasks are not affected.

    Args:
        correlation_id: up to 128 printable ASCII characters. CloudCockpit documents a UUID; what it does with
            other text is not known.

    Raises:
        ValueError: the id can't stand in a header.
    """
    return _Scope(checked_correlation_id(correlation_id))


class _Scope(AbstractContextManager[str]):
    """Made for each row of a bulk run: a generator would take three times as long."""

    __slots__ = ("_correlation_id", "_token")
    _token: Token[str | None]

    def __init__(self, correlation_id: str) -> None:
        self._correlation_id = correlation_id

    def __enter__(self) -> str:
        self._token = _scope.set(self._correlation_id)
        return self._correlation_id

    def __exit__(self, *_exc: object) -> None:
        _scope.reset(self._token)


current_correlation_id: Callable[[], str | None] = _scope.get
"""Return the id of the enclosing `correlation_scope`, or None."""


def new_correlation_id() -> str:
    """Return a fresh random UUID (version 4) as text.

    An id needs to be unique, not secret: the `random` module is three times as fast as `uuid4`, and reseeds
    itself in forked workers.
    """
    digits = f"{getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def checked_correlation_id(value: object) -> str:
    """Return `value` if it can be sent as a correlation id."""
    text = header_text("correlation_id", value)
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"correlation_id must be at most {_MAX_LENGTH} characters long")
    return text
