"""The queue of a sandbox's faults: which request meets which."""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count

from attrs import define, field

from sdk_core.sandbox.clock import Clock
from sdk_core.sandbox.faults import NO_FAULT, Fault
from sdk_core.sandbox.requests import ReceivedRequest, RefusalError

__all__ = ["FaultQueue", "QueuedFault"]

Predicate = Callable[[ReceivedRequest], bool]


@define
class _Lane:
    """One operation under a rate limit."""

    opened: float
    requests: int = 0
    closed_until: float = 0.0


@define(eq=False)
class QueuedFault:
    """A fault that waits for its requests."""

    number: int
    """Unique in its sandbox."""
    fault: Fault
    operation: str | None = None
    ids: Mapping[str, object] = field(factory=dict[str, object], repr=False)
    when: Predicate | None = None
    times: int | None = 1
    """How many requests use it up; None: it stays until it is cleared."""
    used: int = 0
    """How many requests have met it."""
    _lanes: dict[str | None, _Lane] = field(factory=dict[str | None, _Lane], init=False, repr=False)

    def meets(self, request: ReceivedRequest, arguments: Callable[[], Mapping[str, object]]) -> bool:
        """Whether it is meant for the request, whose arguments are asked for only if that depends on them."""
        if self.ids:
            try:
                found = arguments()
            except RefusalError:
                return False
            if any(found.get(name) != wanted for name, wanted in self.ids.items()):
                return False
        return self.when is None or self.when(request)

    def closes(self, operation: str | None, now: float) -> bool:
        """Count a request of the operation; whether it is over the limit. Only for a rate limit."""
        lane = self._lanes.setdefault(operation, _Lane(opened=now))
        if now < lane.closed_until:
            return True
        if now >= lane.opened + self.fault.seconds or lane.closed_until:
            lane.opened, lane.requests, lane.closed_until = now, 0, 0.0
        lane.requests += 1
        if lane.requests > self.fault.requests:
            lane.closed_until = now + self.fault.seconds
            return True
        return False


class FaultQueue:
    """The faults of a sandbox. A rate limit is looked at first, then what is used up, then what stays."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._queued: list[QueuedFault] = []

    def __iter__(self) -> Iterator[QueuedFault]:
        return iter([*self._queued])

    def add(
        self,
        fault: Fault,
        *,
        operation: str | None,
        ids: Mapping[str, object],
        when: Predicate | None,
        times: int | None,
    ) -> QueuedFault:
        """Queue a fault behind those that are queued."""
        if fault.kind == "rate_limit":
            times = None
        queued = QueuedFault(next(self._numbers), fault, operation, ids, when, times)
        self._queued.append(queued)
        return queued

    def clear(self, number: int | None = None) -> bool:
        """Remove one fault, or all of them; whether there was any."""
        kept = [] if number is None else [queued for queued in self._queued if queued.number != number]
        found, self._queued = len(kept) < len(self._queued), kept
        return found

    def take(
        self,
        request: ReceivedRequest,
        targets: Collection[str | None],
        arguments: Callable[[], Mapping[str, object]],
        *,
        changes: bool,
    ) -> Fault:
        """Return the fault that the request meets, and count it.

        Args:
            request: what was received.
            targets: what the operation of a fault may be.
            arguments: returns the request's arguments, or raises RefusalError.
            changes: whether the request may change anything; otherwise it can't show late.
        """
        found = NO_FAULT
        for queued in sorted(self._queued, key=_precedence):
            if queued.operation not in targets or (queued.fault.kind == "late" and not changes):
                continue
            if not queued.meets(request, arguments):
                continue
            if queued.fault.kind == "rate_limit" and not queued.closes(request.operation, self._clock.timestamp()):
                continue
            found = queued.fault
            queued.used += 1
            if queued.used == queued.times:
                self._queued.remove(queued)
            break
        return found


def _precedence(queued: QueuedFault) -> int:
    """Sort by it: the order of queueing is kept among equals."""
    if queued.fault.kind == "rate_limit":
        return 0
    return 1 if queued.times is not None else 2
