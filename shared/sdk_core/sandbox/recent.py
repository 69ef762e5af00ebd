"""Lists that do not grow for ever: a sandbox may run for weeks."""

from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")

_MOST_ITEMS: Final = 10_000
_MOST_BYTES: Final = 64 * 2**20
_ITEM: Final = 2**12
"""Bytes that an item may still get after it was appended, for the estimate when to count again."""


class Recent(list[T]):
    """A list of which the oldest items are forgotten: it keeps 10,000, and of what `size` counts about 64 MiB.

    Args:
        size: returns the bytes that an item holds; they may grow after it was appended.
    """

    def __init__(self, size: Callable[[T], int]) -> None:
        super().__init__()
        self.forgotten: int = 0
        """How many items are no longer in the list."""
        self._size = size
        self._uncounted = 0

    def append(self, item: T, /) -> None:
        """Add an item, and forget the oldest ones that are too many."""
        super().append(item)
        if len(self) > _MOST_ITEMS:
            self._forget()
        self._uncounted += self._size(item) + _ITEM
        if self._uncounted > _MOST_BYTES // 8:
            self._uncounted = 0
            total = sum(map(self._size, self))
            while total > _MOST_BYTES and len(self) > 1:
                total -= self._size(self[0])
                self._forget()

    def clear(self) -> None:
        """Forget everything, and count from 0 again."""
        super().clear()
        self.forgotten = self._uncounted = 0

    def after(self, number: int) -> list[tuple[int, T]]:
        """Return the items with a number above `number`; the first one that ever was appended has the number 1."""
        first = max(0, number - self.forgotten)
        return list(enumerate(self[first:], self.forgotten + first + 1))

    def _forget(self) -> None:
        del self[0]
        self.forgotten += 1
