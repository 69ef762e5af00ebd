"""Iteration over the items of a paged list; each page is fetched when it is needed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

from cloudcockpit_sdk.models import Page

__all__ = ["Paginator"]

T = TypeVar("T")


class Paginator(Generic[T]):
    """Iterate over items, `async for item in paginator`, or over pages, `async for page in paginator.pages()`.

    Each page is a call of its own, with its own retries and correlation id. After an error or a `break`, a new
    iteration goes on with page `next_page`, the first that was not yielded yet.
    """

    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], *, start_page: int = 1) -> None:
        self._fetch: Callable[[int], Awaitable[Page[T]]] = fetch
        self.next_page: int = start_page
        """Number of the page that is fetched next, from 1."""

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Yield page by page; an empty page before the last one does not end the list."""
        more = True
        while more:
            page = await self._fetch(self.next_page)
            more = _has_more(page, self.next_page)
            self.next_page += 1
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item


def _has_more(page: Page[Any], number: int) -> bool:
    # The total takes precedence: a server that always says "more" would be asked for ever.
    if page.total_pages is not None:
        return number < page.total_pages
    if page.has_next_page is not None:
        return page.has_next_page
    # Without both fields only an empty page proves the end: one request too many is better than a missing page.
    return bool(page.items)
