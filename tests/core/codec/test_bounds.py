"""Whatever a server sends: 20 problems at most, in time that grows with the answer as reading it does."""

import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from cloudcockpit_sdk import Page, SubscriptionListItem, Transition
from cloudcockpit_sdk.errors import read_error
from membership_sdk import ContractData, IdlePeriodLists, Money, RateCode
from membership_sdk.errors import read_error as read_membership_error
from sdk_core import codec

SIZE = 2**18
"""A quarter of it is enough to tell."""


def filled(piece: bytes, before: bytes = b"[", after: bytes = b"]", size: int = SIZE) -> bytes:
    return before + b",".join([piece] * (size // (len(piece) + 1))) + after


ANSWERS: dict[str, tuple[Callable[[], bytes], Any]] = {
    "empty objects": (lambda: filled(b"{}"), list[ContractData]),
    "empty objects in a page": (lambda: filled(b"{}", b'{"items":[', b"]}"), Page[SubscriptionListItem]),
    "nulls": (lambda: filled(b"null"), list[ContractData]),
    "lists of misfits": (lambda: filled(filled(b"{}")[:99] + b"{}]"), list[list[ContractData]]),
    "two lists of misfits": (
        lambda: b'{"pastIdlePeriods":' + filled(b"{}") + b',"currentAndUpcomingIdlePeriods":' + filled(b"{}") + b"}",
        IdlePeriodLists,
    ),
    "misfits in a mapping": (
        lambda: json.dumps({str(number): None for number in range(70_000)}).encode(),
        dict[str, int],
    ),
    "tolerated objects": (lambda: filled(b'{"quantity":1,"offerId":""}'), list[Transition]),
    "tolerated texts": (lambda: filled(b"{}", b"[", b',{"name":"x","identifier":7}]'), list[RateCode]),
    "many keys": (lambda: json.dumps({str(number): 1 for number in range(80_000)}).encode(), ContractData),
    "one key": (lambda: filled(b'"id":7', b"{", b"}"), ContractData),
    "deep": (lambda: b"[" * SIZE, list[ContractData]),
    "deep objects": (lambda: b'{"a":' * (SIZE // 5), ContractData),
    "deep and closed": (lambda: b"[" * 900 + b"]" * 900, list[ContractData]),
    "huge number": (lambda: b"9" * SIZE, int),
    "huge number within": (lambda: b'{"id":' + b"9" * SIZE + b"}", ContractData),
    "large numbers": (lambda: filled(b"9" * 4300), list[int]),
    "huge fraction": (lambda: b'{"amount":0.' + b"9" * SIZE + b',"currency":"EUR"}', Money),
    "huge exponents": (lambda: filled(b'{"amount":1e999999999,"currency":7}'), list[Money]),
    "long text": (lambda: b'{"id":"' + b"x" * SIZE + b'"}', ContractData),
    "long text for a date-time": (
        lambda: filled(b'{"id":1,"startDate":"' + b"2" * 1000 + b'T"}'),
        list[SubscriptionListItem],
    ),
    "escapes": (lambda: b'"' + b"\\ud800" * (SIZE // 6) + b'"', str),
    "other encoding": (lambda: filled(b"{}").decode().encode("utf-16"), list[ContractData]),
}
"""What makes a text, as no process that only collects tests needs it; and what it is read as."""


def spent(function: Callable[[], object]) -> float:
    started = time.process_time()
    with suppress(ValueError, RecursionError):
        function()
    return time.process_time() - started


@cache
def parsing() -> float:
    """Return the seconds that the parser of the standard library takes."""
    text = filled(b'{"id":1}')
    return min(spent(lambda: json.loads(text)) for _ in range(5))


@pytest.mark.parametrize("name", ANSWERS)
def test_reading_takes_about_as_long_as_parsing(name: str) -> None:
    """In the time of this process, beside the parser of the standard library: a machine may be slow or busy."""
    made, shape = ANSWERS[name]
    text = made()
    problems: tuple[str, ...] = ()
    codec.load(b"{}", RateCode)

    def load() -> None:
        nonlocal problems
        try:
            codec.load(text, shape)
        except codec.ShapeError as error:
            problems = error.problems

    # What can be read takes as long as it takes to make its objects, which may be 350,000 in a MiB.
    factor = 80 if name.startswith("tolerated") else 12
    limit = factor * parsing() * max(len(text) / SIZE, 1)
    assert any(spent(load) < limit for _ in range(3))
    assert len(problems) <= 20
    assert sum(map(len, problems)) < 4000


def test_answer_of_misfits_takes_little_memory() -> None:
    """Beside the value itself: a bomb of 600 bytes of gzip took 1.5 GB."""
    text = filled(b"{}")
    tracemalloc.start()
    try:
        with suppress(codec.ShapeError):
            codec.load(text, list[ContractData])
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 240 * SIZE


LARGEST = codec.LARGE - 100
"""Of an error's body that is read at all, but for what is around it."""


@pytest.mark.parametrize("piece", [b"{}", b"[" * 400 + b"]" * 400, b"1.5", b'{"name":"x"}', b'"x"'])
def test_error_bodies_are_bounded_too(piece: bytes) -> None:
    """Whoever logs the fields of an envelope logs 20 of them; and a larger body is not read."""
    text = filled(piece, b'{"errors":[', b"]}", LARGEST)
    for read in (read_error, read_membership_error):
        assert any(spent(lambda: read(text)) < 12 * parsing() for _ in range(3))  # noqa: B023  called at once
        assert read(text).raw is not None
        assert len(read(text).fields) <= 20
        assert read(text.ljust(codec.LARGE)).raw is None


def test_messages_of_a_field_are_bounded() -> None:
    """A list in each of the list's items."""
    text = json.dumps({"errors": [{"propertyName": "a", "description": ["x"] * 1000}] * 3}).encode()
    assert [len(field.messages) for field in read_error(text).fields] == [5] * 3


@pytest.mark.parametrize("text", ["1E+1000000", "1E-1000000", "0E+999999999", "-7.5E+999999999999", "1e-999999999999"])
def test_number_that_is_sent_back_is_as_short_as_it_came(text: str) -> None:
    """Written digit by digit, these are megabytes."""
    number = Decimal(text)
    assert codec.parse(text.encode()) == number
    assert len(codec.dump({"a": number})) < 40
    assert codec.parse(codec.dump([number])) == [number]
    assert codec.parse(codec.dump(Money(amount=number, currency="EUR")))["amount"] == number
