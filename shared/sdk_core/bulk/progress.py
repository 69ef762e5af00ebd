"""How far a run is, while it is under way."""

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field

from sdk_core.bulk.result import FAILURES, Ending, RowOutcome
from sdk_core.ratelimit import RateLimiter

__all__ = ["Pause", "Progress"]

_WINDOW = 30.0
"""Seconds over which the rate is measured."""


@define(eq=False)
class Progress:
    """The figures of a run, which change while it goes on."""

    total: int
    outcomes: Counter[RowOutcome] = field(factory=Counter[RowOutcome])
    """Of rows that have ended, those of earlier runs included."""
    under_way: int = 0
    unsettled: int = 0
    """Rows whose request has an unknown outcome: they are settled when all others were sent."""
    retries: int = 0
    """How often requests of this run were sent again."""
    failures: int = 0
    """Rows of this run that a person has to look at."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _ends: deque[tuple[float, int]] = field(init=False, repr=False, factory=deque[tuple[float, int]])
    """Moments, a second or more from one to the next, and how many rows had ended before each."""
    _count: int = field(init=False, repr=False, default=0)

    @property
    def ended(self) -> int:
        """Rows that have ended."""
        return self.outcomes.total()

    @property
    def rate(self) -> float:
        """Rows that ended per second, in the last half minute."""
        now = self.clock()
        while self._ends and self._ends[0][0] < now - _WINDOW:
            self._ends.popleft()
        if not self._ends:
            return 0.0
        since, before = self._ends[0]
        return (self._count - before) / max(1.0, now - since)

    @property
    def seconds_left(self) -> float | None:
        """Until the end at this rate; None: nothing ended lately."""
        rate = self.rate
        return (self.total - self.ended) / rate if rate else None

    def note_sent(self, attempts: int, *, before: int) -> None:
        """Count how often a request was sent that had been sent so often before."""
        self.retries += attempts if before else max(0, attempts - 1)

    def note(self, ending: Ending, *, before: int = 0) -> None:
        """Count a row that ended, whose request had been sent so often before."""
        self.outcomes[ending.outcome] += 1
        self.note_sent(ending.attempts, before=before)
        self.failures += ending.outcome in FAILURES
        now = self.clock()
        if not self._ends or now >= self._ends[-1][0] + 1:
            self._ends.append((now, self._count))
        self._count += 1


class Pause:
    """A rate limiter that passes on what another says, and keeps how long it makes calls wait.

    Args:
        limiter: decides.
        clock: monotonic seconds.
    """

    def __init__(self, limiter: RateLimiter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._clock = clock
        self._until: dict[str, float] = {}

    @property
    def waits(self) -> Mapping[str, float]:
        """The seconds that the next call of each operation has to wait, where it has to."""
        now = self._clock()
        return {operation: until - now for operation, until in self._until.items() if until > now}

    def acquire(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Ask the other limiter."""
        wait = self._limiter.acquire(operation, patience)
        return self._noted(operation, wait) if isinstance(wait, int | float) else self._awaited(operation, wait)

    def confirm(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Ask the other limiter once a slot is due."""
        wait = self._limiter.confirm(operation, patience)
        return self._noted(operation, wait) if isinstance(wait, int | float) else self._awaited(operation, wait)

    def on_rate_limited(self, operation: str, retry_after: float) -> Awaitable[None] | None:
        """Tell the other limiter of a refusal."""
        self._noted(operation, retry_after)
        return self._limiter.on_rate_limited(operation, retry_after)

    def give_back(self, operation: str, wait: float) -> Awaitable[None] | None:
        """Give a slot back to the other limiter."""
        return self._limiter.give_back(operation, wait)

    async def _awaited(self, operation: str, wait: Awaitable[float]) -> float:
        return self._noted(operation, await wait)

    def _noted(self, operation: str, wait: float) -> float:
        if wait > 0:
            self._until[operation] = self._clock() + wait
        return wait
