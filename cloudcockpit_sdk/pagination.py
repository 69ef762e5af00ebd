"""Iteration over the items of a paged list; each page is fetched when it is needed.

A list that was read in part, and taken for the whole, is worse than an error. So a page that contradicts itself never
ends an iteration silently: as long as it says in one way that there are more, the next one is asked for. An iteration
ends with an error at the tenth empty page in a row, and at a page that holds the items of the first one or of the one
before. A server that repeats its pages otherwise (2, 3, 2, 3), or with something else in them each time, is asked on.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from cloudcockpit_sdk.models import Page
from sdk_core.arguments import function, instance, positive_int
from sdk_core.call import Reply
from sdk_core.errors import InvalidResponseError
from sdk_core.operation import Operation
from sdk_core.outcome import outcome_of_unreadable

__all__ = ["Paginator"]

T = TypeVar("T")
_log = logging.getLogger("sdk_core.pagination")

_EMPTY_PAGES: Final = 10
"""In a row, each followed by more, as it says: then the server is believed to have no more."""


class Paginator(Generic[T]):
    """Iterate over items, `async for item in paginator`, or over pages, `async for page in paginator.pages()`.

    Each page is a call of its own, with its own retries and correlation id. After an error or a `break`, a new
    iteration over items goes on with the item after the last one, and one over pages with `next_page`; after the end,
    it gives nothing.

    Raises:
        InvalidResponseError: a page repeats the one before, or the first one; or too many in a row are empty, and say
            that there are more. What was yielded before may be incomplete.
        SdkError: the call that fetches a page failed.
        TypeError, ValueError: an argument is invalid; `start_page` at once, any other when the first page is fetched.

    With the last page, `items_read` is held against `total_count`; if they differ, that is logged as a warning.
    """

    def __init__(
        self, operation: Operation[Page[T]], fetch: Callable[[int], Awaitable[Reply[Page[T]]]], *, start_page: int = 1
    ) -> None:
        instance("operation", operation, Operation)
        function("fetch", fetch)
        self._operation: Operation[Page[T]] = operation
        self._fetch: Callable[[int], Awaitable[Reply[Page[T]]]] = fetch
        self._from_first: bool = start_page == 1
        self._known: tuple[tuple[T, ...], ...] = ()
        self._empty_pages: int = 0
        self._more: bool = True
        self._rest: Iterator[T] = iter(())
        """What is left of the page in hand, for an iteration over items."""
        self.next_page: int = positive_int("start_page", start_page)
        """Number of the page that is fetched next, from 1."""
        self.items_read: int = 0
        """How many items the pages held that were fetched, the one in hand included."""
        self.total_count: int | None = None
        """How many there are on all pages, as the API said last; None if it did not."""

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Yield page by page; an empty page before the last one does not end the list."""
        while self._more:
            reply = await self._fetch(self.next_page)
            page = reply.value
            if (what := self._impossible(page)) is not None:
                raise self._error(what, reply)
            self._take(page)
            more = self._has_more(page)
            if more and self._empty_pages >= _EMPTY_PAGES:
                raise self._error(f"{_EMPTY_PAGES} pages in a row are empty, and each says that there are more", reply)
            self.next_page += 1
            self._more = more
            if not more:
                self._compare_with_total()
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        for item in self._rest:
            yield item
        async for page in self.pages():
            self._rest = iter(page.items)
            for item in self._rest:
                yield item

    def _compare_with_total(self) -> None:
        if self._from_first and self.total_count not in {None, self.items_read}:
            _log.warning(
                "%s: read %d items, but totalCount is %d", self._operation.name, self.items_read, self.total_count
            )

    def _impossible(self, page: Page[T]) -> str | None:
        if page.items and page.items in self._known:
            return (
                f"page {self.next_page} holds the items of an earlier page; the server may ignore the page number: "
                "read the list with one call and a larger page_size"
            )
        return None

    def _take(self, page: Page[T]) -> None:
        self.items_read += len(page.items)
        self._empty_pages = 0 if page.items else self._empty_pages + 1
        if page.total_count is not None:
            self.total_count = page.total_count
        if page.items:
            self._known = (*self._known[:1], page.items)

    def _has_more(self, page: Page[T]) -> bool:
        # A count that is passed was wrong.
        all_read = self._from_first and self.items_read == self.total_count
        if not page.items and all_read:
            # Whatever it says: there is nothing any more that it could hold.
            return False
        below_total = page.total_pages is not None and self.next_page < page.total_pages
        token = bool(page.continuation_token) and page.has_next_page is not False
        if page.has_next_page or below_total or token:
            return True
        if page.has_next_page is None and page.total_pages is None:
            # Only an empty page proves the end: one request too many is better than a missing page.
            return bool(page.items) and not all_read
        return False

    def _error(self, what: str, reply: Reply[Any]) -> InvalidResponseError:
        return InvalidResponseError(
            what,
            {
                "operation": self._operation.name,
                "request": str(self._operation),
                "outcome": outcome_of_unreadable(self._operation).value,
                "retryable": False,
                "correlation_id": reply.correlation_id,
                "attempts": [attempt.to_facts() for attempt in reply.attempts],
                "status": reply.status,
            },
        )
