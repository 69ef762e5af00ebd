"""The server's rule: so many requests a period; above that, all of the next period are refused.

That is the documented one, 1000 a minute and endpoint, in scaled time. Where its minutes begin is documented nowhere,
so there are servers of both kinds: with fixed windows, and with one that slides.
"""

import random
import time
from typing import Final

from aiohttp import web

from membership_sdk.sandbox import MembershipSandbox
from sdk_core.sandbox.requests import RefusalError

__all__ = ["FixedWindows", "LimitedSandbox", "SlidingWindow"]


class FixedWindows:
    """Windows that follow each other; the first begins some time before the server starts."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._window = self._count = 0
        self._begun = time.monotonic() - random.random() * period
        self._closed_until = 0

    def permits(self, requests: int = 1) -> bool:
        """Count requests that come now; return whether they are within the limit."""
        window = int((time.monotonic() - self._begun) / self._period)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += requests
        if self._count > self._limit:
            self._closed_until = window + 2
        return window >= self._closed_until


class SlidingWindow:
    """The window ends now, whenever that is."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._requests: list[float] = []
        self._closed_until = 0.0

    def permits(self, requests: int = 1) -> bool:
        """Count requests that come now; return whether they are within the limit."""
        now = time.monotonic()
        if now < self._closed_until:
            return False
        self._requests = [request for request in self._requests if request > now - self._period]
        self._requests += [now] * requests
        if len(self._requests) > self._limit:
            self._closed_until = now + self._period
            return False
        return True


RULES: Final[dict[str, type[FixedWindows] | type[SlidingWindow]]] = {"fixed": FixedWindows, "sliding": SlidingWindow}


class LimitedSandbox(MembershipSandbox):
    """The sandbox with a limit, and a note of when it answered what.

    Args:
        windows: `fixed` or `sliding`.
        limit: requests per period.
        period: seconds.
    """

    def __init__(self, windows: str, limit: int, period: float) -> None:
        super().__init__()
        self._rule = RULES[windows](limit, period)
        self._limit, self._period = limit, period
        self.accepted: list[float] = []
        """When requests were, on the monotonic clock."""
        self.refused = 0

    def authenticate(self, request: web.Request) -> None:
        """Refuse what is above the limit, without Retry-After: the API documents none."""
        super().authenticate(request)
        if not self._rule.permits():
            self.refused += 1
            raise RefusalError(429, "TOO_MANY_REQUESTS", "Too many requests.")
        self.accepted.append(time.monotonic())

    def add_foreign(self, requests: int) -> None:
        """Count requests of somebody else with the same key, who knows nothing of our limiter."""
        self._rule.permits(requests)

    @property
    def throughput(self) -> float:
        """What was let through, as a share of what could have been.

        Of the first request and so many whole limits after it: the periods that the rule needs for them, by the time
        they took.
        """
        periods = (len(self.accepted) - 1) // self._limit
        if periods < 1:
            return 0.0
        return periods * self._period / (self.accepted[periods * self._limit] - self.accepted[0])
