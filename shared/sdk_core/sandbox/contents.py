"""What a sandbox holds, apart from its server: state, faults, time, and what it received and applied."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, ClassVar, TypeVar

import attrs
from attrs import frozen

from sdk_core.arguments import function, instance, mapping, plain_date, positive_int, whole_number
from sdk_core.operation import Effect, Operation
from sdk_core.sandbox.clock import Clock
from sdk_core.sandbox.faults import Fault
from sdk_core.sandbox.queue import FaultQueue, Predicate, QueuedFault
from sdk_core.sandbox.recent import Recent
from sdk_core.sandbox.requests import LedgerEntry, ReceivedDocument, ReceivedRequest
from sdk_core.sandbox.seeds import Seeds, camel_case, copied, naming, read_setting

__all__ = ["Contents", "check_kind"]

T = TypeVar("T")


@frozen
class _Late:
    """A state that still shows, though it has changed."""

    state: Mapping[str, Any]
    reads_left: int


def check_kind(kind: type, **given: object) -> None:
    """Raise TypeError unless each argument is None or of the kind."""
    for name, value in given.items():
        if value is not None:
            instance(name, value, kind)


class Contents:
    """What a sandbox holds. Its methods may be called from any thread.

    Args:
        today: the date at the start, so that answers need not depend on the day of the test; None: today (UTC).
        clock: returns seconds since the epoch; None: the machine's time.
    """

    operations: ClassVar[tuple[Operation[Any], ...]]
    other_endpoints: ClassVar[frozenset[str]] = frozenset()
    """Names of endpoints that are no operations; a fault reaches them only if `fail()` names them."""
    state_names: ClassVar[tuple[str, ...]] = ()
    """The attributes that are its state: what `reset()` brings back."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """The attributes of the state that are single values, with their types."""

    def __init__(self, *, today: date | None = None, clock: Callable[[], float] | None = None) -> None:
        if today is not None:
            plain_date("today", today)
        if clock is not None:
            function("clock", clock)
        self.clock: Clock = Clock(today=today, source=clock)
        """The sandbox's time: `sandbox.clock.advance(days=30)`."""
        self.requests: Recent[ReceivedRequest] = Recent(_size_of_request)
        """The requests to the API, in order; the oldest of very many are forgotten."""
        self.ledger: Recent[LedgerEntry] = Recent(_size_of_entry)
        """The effects that were applied, in order, whatever the client was told of them; the oldest of very many are
        forgotten."""
        self.lock: AbstractContextManager[object] = threading.RLock()
        """Held while a request is applied, and by whatever changes the sandbox."""
        self._faults = FaultQueue(self.clock)
        self._late: _Late | None = None
        self._state_at_start: Mapping[str, Any] = {}

    @property
    def today(self) -> date:
        """The sandbox's date (UTC)."""
        return self.clock.today

    # Faults

    @property
    def faults(self) -> list[QueuedFault]:
        """The faults that are queued and not used up."""
        return list(self._faults)

    def fail(
        self,
        *faults: Fault,
        operation: str | None = None,
        ids: Mapping[str, object] | None = None,
        when: Predicate | None = None,
        times: int | None = 1,
    ) -> list[QueuedFault]:
        """Queue faults; of those that a request could meet, it meets the first one.

        A rate limit comes before all others, and what is used up before what stays until it is cleared.

        Args:
            *faults: what goes wrong, in this order.
            operation: name of the operation whose requests fail; None: any request to the API.
            ids: arguments that the request must have, like `{"contract_id": 2002}`.
            when: is given the request, and returns whether it fails; only for what `operation` and `ids` leave over.
            times: how many requests use up each of the faults; None: they stay until they are cleared.

        Returns:
            what was queued, with how often each fault was met.

        Raises:
            ValueError, TypeError: no request could ever meet them.
        """
        known = {known.name: known for known in self.operations}
        if operation is not None and operation not in known.keys() | self.other_endpoints:
            raise ValueError(f"operation must be one of {', '.join(sorted(known.keys() | self.other_endpoints))}")
        for fault in faults:
            instance("fault", fault, Fault)
            if fault.kind == "late" and operation is not None and not _changes(known.get(operation)):
                raise ValueError(f"{operation} changes nothing that could show late")
        if times is not None:
            positive_int("times", times)
        if when is not None:
            function("when", when)
        wanted = _checked_ids(
            {} if ids is None else mapping("ids", ids), [known[operation]] if operation in known else [*known.values()]
        )
        with self.lock:
            return [
                self._faults.add(fault, operation=operation, ids=wanted, when=when, times=times) for fault in faults
            ]

    def clear_faults(self, number: int | None = None) -> bool:
        """Remove one queued fault, or all of them; whether there was any."""
        if number is not None:
            whole_number("number", number)
        with self.lock:
            return self._faults.clear(number)

    # State

    def seeds(self) -> Mapping[str, Seeds]:
        """Return the kinds of data by their names in JSON."""
        return {}

    def check_settings(self) -> None:
        """Raise ValueError or TypeError if the settings make no sense; their types are as documented."""

    def keep_state(self) -> None:
        """Make the state as it is now the one that `reset()` brings back."""
        self._state_at_start = self.copy_of_state()

    def copy_of_state(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {name: copied(getattr(self, name)) for name in self.state_names}

    def reset(self) -> None:
        """Go back to how it was created: state, time, no faults; requests and ledger are empty."""
        with self.lock:
            self._set_state(copied(self._state_at_start))
            self._late = None
            self._faults.clear()
            self.requests.clear()
            self.ledger.clear()
            self.clock.reset()

    def show_state(self) -> dict[str, object]:
        """Return the whole state as JSON."""
        with self.lock:
            settings = {camel_case(name): getattr(self, name) for name in self.settings}
            return {**settings, **{name: seeds.show() for name, seeds in self.seeds().items()}}

    def seed(self, document: Mapping[str, object], *, replace: bool = False) -> None:
        """Add data from JSON, all of it or nothing.

        Args:
            document: lists of objects by kind, and settings, as `show_state()` has them. What an object does not say
                gets a default; one with the id of another takes its place.
            replace: whether all other data is removed.

        Raises:
            ValueError, TypeError: something is unknown or not as documented; nothing was changed.
        """
        mapping("document", document)
        instance("replace", replace, bool)
        kinds = self.seeds()
        settings = {camel_case(name): name for name in self.settings}
        if unknown := document.keys() - kinds.keys() - settings.keys():
            raise ValueError(f"{min(unknown)} is unknown; known are {', '.join([*settings, *kinds])}")
        with self.lock:
            before = self.copy_of_state()
            try:
                for seeds in kinds.values() if replace else ():
                    seeds.clear()
                for key, name in settings.items():
                    if key in document:
                        with naming(key):
                            value = read_setting(getattr(self, name), self.settings[name], document[key])
                        setattr(self, name, value)
                self.check_settings()
                # In the order of the kinds: what others belong to is added first.
                for key, seeds in kinds.items():
                    seeds.add_all(key, document.get(key, []))
            except Exception:
                self._set_state(before)
                raise

    # A state that shows late

    def hide_change(self, reads: int, apply: Callable[[], T]) -> T:
        """Apply a change, which the next `reads` reads do not show."""
        before = self.copy_of_state() if self._late is None else self._late.state
        result = apply()
        self._late = _Late(before, reads)
        return result

    def read_late(self, read: Callable[[], T]) -> T:
        """Return what a read gives, in a state from before a change that is hidden from it."""
        if self._late is None:
            return read()
        now = {name: getattr(self, name) for name in self.state_names}
        self._set_state(self._late.state)
        left = self._late.reads_left - 1
        self._late = _Late(self._late.state, left) if left else None
        try:
            return read()
        finally:
            self._set_state(now)

    def _set_state(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def _changes(operation: Operation[Any] | None) -> bool:
    return operation is not None and operation.effect is not Effect.READ


def _checked_ids(ids: Mapping[str, object], operations: list[Operation[Any]]) -> dict[str, object]:
    """Return the ids as requests have them; refuse names that no request has."""
    checks = {name: check for operation in operations for name, check in operation.slots.items()}
    others = {name for operation in operations for name in _names_in(operation)}
    if unknown := ids.keys() - checks.keys() - others:
        raise ValueError(f"no request has {min(unknown)}; ids may be {', '.join(sorted(checks.keys() | others))}")
    return {name: checks[name](name, value) if name in checks else value for name, value in ids.items()}


def _names_in(operation: Operation[Any]) -> Iterator[str]:
    yield from operation.query
    if operation.body is not None and attrs.has(operation.body):
        yield from (attribute.name for attribute in attrs.fields(operation.body))


def _size_of_request(request: ReceivedRequest) -> int:
    return len(request.body) + (0 if request.answer is None else len(request.answer.body))


def _size_of_entry(entry: LedgerEntry) -> int:
    document = entry.arguments.get("document")
    return len(document.content) if isinstance(document, ReceivedDocument) else 0
