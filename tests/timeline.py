"""A clock for workflows: sleeping moves it, and what is planned for a moment happens when it has come."""

import asyncio
from collections.abc import Callable

from wire import FakeTime


class Timeline(FakeTime):
    """As `FakeTime`; `at` plans what the rest of the world does meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.started = self.now
        self._plans: list[tuple[float, Callable[[], object]]] = []

    @property
    def passed(self) -> float:
        return self.now - self.started

    def at(self, seconds: float, plan: Callable[[], object]) -> None:
        self._plans.append((self.started + seconds, plan))

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        for planned in sorted(self._plans, key=lambda planned: planned[0]):
            if planned[0] <= self.now:
                self._plans.remove(planned)
                planned[1]()
        await asyncio.sleep(0)
