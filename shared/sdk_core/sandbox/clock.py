"""The date and time of a sandbox."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day

__all__ = ["Clock"]

_NOON = time_of_day(12, tzinfo=UTC)


class Clock:
    """The sandbox's own time, in UTC: it runs as fast as the machine's, and only forward.

    Args:
        today: the date at the start, when it is noon; None: the time of the source.
        source: returns seconds since the epoch; None: the machine's time, which a test may have frozen.
    """

    def __init__(self, *, today: date | None = None, source: Callable[[], float] | None = None) -> None:
        self._source = source
        self._at_start = 0.0 if today is None else datetime.combine(today, _NOON).timestamp() - self._sourced()
        self._ahead = self._at_start

    def timestamp(self) -> float:
        """Return the seconds since the epoch."""
        return self._sourced() + self._ahead

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    @property
    def today(self) -> date:
        """The date in UTC."""
        return self.now().date()

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, without waiting for it.

        Raises:
            ValueError: the time would run backwards, or pass the year 9999.
            TypeError: something is no number.
        """
        try:
            passed = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
            _ = self.now() + passed
        except OverflowError:
            raise ValueError("the time must stay below the year 10000") from None
        if passed < timedelta():
            raise ValueError("time can't run backwards: advance by more than 0")
        self._ahead += passed.total_seconds()

    def reset(self) -> None:
        """Go back to the time that it would be if nothing had been advanced."""
        self._ahead = self._at_start

    def _sourced(self) -> float:
        # Not a default of the argument: libraries that freeze time replace `time.time`, but no reference to it.
        return time.time() if self._source is None else self._source()
