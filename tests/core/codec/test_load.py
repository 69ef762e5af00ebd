"""`load()` as a whole: its errors, its encodings, what it ignores."""

import gc
import json
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from model_json import ENCODINGS, JSON, ROOTS, full
from payloads import payload

from cloudcockpit_sdk import TermDuration
from membership_sdk import CancelationStatus, ContractData, RateCode
from sdk_core import codec
from sdk_core.codec.twins import READERS

SHAPES: list[Any] = [*ROOTS, list[ContractData], int, str, Decimal, datetime, UUID, CancelationStatus, TermDuration]


@fuzzed(38)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(SHAPES))
@example(b"1e99999999999999999999", Decimal)
@example(b"1e-99999999999999999999", Decimal)
@example(b'{"zzz": 1e99999999999999999999}', ContractData)
@example(b"9" * 5000, int)
@example(b"[" * 100_000, ContractData)
@example(b"[" * 900 + b"]" * 900, ContractData)
@example(b'{"a":' * 100_000, ContractData)
@example(b'"\\ud800"', CancelationStatus)
@example(b"\xff\xfe\x00", str)
@example(b"\xef\xbb\xbf{}", ContractData)
@example(b"", str)
def test_load_raises_nothing_but_its_two_errors(text: bytes, shape: Any) -> None:
    with suppress(codec.NotJsonError, codec.ShapeError):
        codec.load(text, shape)


def test_what_is_ignored_is_not_looked_at() -> None:
    """An answer that is complete is not lost because of a field that nobody reads."""
    text = codec.dump(full(ContractData))
    for ignored in (b'"zzz":1e99999999999999999999', b'"zzz":"\xff"', b'"z\xffz":{"zzz":[null]}'):
        value = codec.load(text[:-1] + b"," + ignored + b"}", ContractData)
        assert value == codec.load(text, ContractData)


@goes_through("encoding", ENCODINGS)
def test_lone_object_is_a_list_of_one(encoding: str) -> None:
    """In any encoding; but what is no JSON does not become one by it, and what does not fit is named."""
    lone = json.dumps(full(RateCode), indent=1)
    for text in (lone, f" {lone}", f"[{lone}]"):
        assert codec.load(text.encode(encoding), list[RateCode], lone_item=True) == [
            RateCode(name="text", identifier="text")
        ]
    for text in (f"{lone},{lone}", f"{lone},1", f"{lone}]"):
        with pytest.raises(codec.NotJsonError):
            codec.load(text.encode(encoding), list[RateCode], lone_item=True)
    for text, problem in (("7", "$: expected a list"), ('{"name": 7}', "$[0].name: expected a string")):
        with pytest.raises(codec.ShapeError) as caught:
            codec.load(text.encode(encoding), list[RateCode], lone_item=True)
        assert caught.value.problems == (problem,)
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "error", [AttributeError, SystemError, RecursionError, ExceptionGroup("", [OSError()])], ids=repr
)
def test_whatever_the_fast_reader_raises_the_exact_one_decides(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An answer that says what was done is not lost because of an error that nobody foresaw."""
    text = payload("membership_contract_data")
    expected = codec.load(text, list[ContractData])

    def fail(_text: bytes) -> Any:
        raise error

    for shape in (list[ContractData], ContractData):
        monkeypatch.setitem(READERS, shape, fail)
    assert codec.load(text, list[ContractData]) == expected
    lone = codec.dump(codec.parse(text)[0])
    assert codec.load(lone, list[ContractData], lone_item=True) == expected[:1]
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b"{}", list[ContractData])
    assert caught.value.__context__ is None


def test_decoding_leaves_no_cyclic_garbage() -> None:
    """Thousands of answers must not wait for the collector."""
    text = payload("membership_contract_data")
    codec.load(text, list[ContractData])
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            codec.load(text, list[ContractData])
        assert gc.collect() == 0
    finally:
        gc.enable()
