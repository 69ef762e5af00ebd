"""The fast reader reads what the exact one reads, to the same values."""

import copy
import pickle
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, Generic, TypeVar, get_origin

import attrs
import pytest
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from model_json import ANSWERS, ELSEWHERE, MODELS, REQUESTS, exact, full, outcome_of
from payloads import payload

from cloudcockpit_sdk import (
    MigrationStatus,
    Page,
    Price,
    Subscription,
    SubscriptionListItem,
    Transition,
    TransitionEvent,
)
from membership_sdk import (
    AdditionalModule,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodUpdatePreview,
    RemainingIdlePeriods,
)
from sdk_core import codec
from sdk_core.codec.twins import READERS, READERS_OF_LARGE
from sdk_core.returns import Empty

OTHERS = {*REQUESTS, *ELSEWHERE, Page, Transition, TransitionEvent}
RECORDS = tuple(model for model in MODELS if attrs.has(model) and not issubclass(model, Empty) and model not in OTHERS)
"""All but transitions, of which the JSON itself is kept: only the exact reader has it."""
SAMPLES: tuple[tuple[Any, Any], ...] = (
    *((root, full(root)) for root in ANSWERS if root is not Transition),
    *(
        (shape, codec.parse(payload(name)))
        for name, shape in {
            "membership_additional_modules": list[AdditionalModule],
            "membership_cancelation_reasons": list[ContractCancelationReason],
            "membership_contract_data": list[ContractData],
            "membership_idle_period": IdlePeriod,
            "membership_idle_period_config": IdlePeriodConfiguration,
            "membership_idle_period_preview": IdlePeriodUpdatePreview,
            "membership_module_contract": AdditionalModuleContractExtended,
            "membership_remaining_idle_periods": RemainingIdlePeriods,
            "cloudcockpit_audit_log_page": Page[Any],
            "cloudcockpit_migration_status": MigrationStatus,
            "cloudcockpit_subscription": Subscription,
            "cloudcockpit_subscription_page": Page[SubscriptionListItem],
        }.items()
    ),
)
ODDITIES = (
    *(None, True, 0, -1, Decimal("7.0"), "", "text", [], {}, [None], ["-"] * 10, "-" * 10),
    *("2023-01-25", "20230125", "2023-W04-3", "2023-02-30", "2023-01-25 ", "\u0662\u0660\u0662\u0663-01-25"),
    *("0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "7"),
    *("2024-05-04T09:42:00Z", "2024-05-04T09:42:00", "2024-05-04T09:42:00.1234567+02:00", "2024-05-04 09:42:00Z"),
    *("11111111-1111-4111-8111-111111111111", "{11111111111141118111111111111111}", "1_1111111-1111-4111-8111-1111111"),
    *("ACTIVE", "MONTH", {"name": "EUR"}, {"name": None}, {"name": ""}, {"name": 5}, {"name": []}, {"zzz": 1}),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield everything inside of a JSON value as (container, key)."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(item)


@st.composite
def damaged_samples(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw an answer in which a few values are gone, odd, or in the place of others."""
    shape, sample = draw(st.sampled_from(SAMPLES))
    document = copy.deepcopy(sample)
    for _ in range(draw(st.integers(0, 3))):
        spots = list(places(document))
        if not spots:
            break
        container, key = draw(st.sampled_from(spots))
        values = st.sampled_from(ODDITIES) | st.sampled_from(spots).map(lambda spot: spot[0][spot[1]])
        match draw(st.sampled_from(["drop", "change", "change", "change"])):
            case "drop":
                del container[key]
            case _:
                container[key] = copy.deepcopy(draw(values))
    return shape, document


def read_in_detail(text: bytes, shape: Any) -> Any:
    return codec.structure(codec.parse(text), shape, codec.Reading())


@fuzzed(50)
@given(damaged_samples())
@example((ContractData, []))
@example((Price, ""))
def test_fast_reader_and_converter_read_the_same(answer: tuple[Any, Any]) -> None:
    """What is read without the converter is what the converter would have read; it may leave more to it."""
    shape, value = answer
    text = codec.dump(value)
    detailed = outcome_of(lambda text: read_in_detail(text, shape), text)
    fast = outcome_of(READERS[shape], text)
    assert fast in ("refused", detailed)
    assert outcome_of(READERS_OF_LARGE[shape], text) == fast
    assert outcome_of(lambda text: codec.load(text, shape), text) == detailed


PIECES = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b"1", b".", b"e5", b" ", b"\n", b"\x00", b"\\", b"\xff"),
    *(b"null", b"true", b"NaN", b"\\u00e4", b"\\ud800", b"\xc3\xa4", b"\xed\xa0\x80", b"1e99999999999999999999"),
    *(
        b'"id":2,',
        b'"zzz":"\xff",',
        b'"zzz":"\\ud800",',
        b'"zzz":[1,],',
        b'"z\xffz":1,',
        b'"zzz":-1e99999999999999999999,',
    ),
)


@st.composite
def damaged_texts(draw: st.DrawFn) -> tuple[Any, bytes]:
    """Draw an answer in whose text something was inserted, lost or replaced."""
    shape, sample = draw(st.sampled_from(SAMPLES))
    text = codec.dump(sample)
    for _ in range(draw(st.integers(1, 3))):
        # Behind a brace, an insertion is most often a key that nobody knows.
        braces = [place + 1 for place, byte in enumerate(text) if byte == ord("{")]
        place = draw(st.sampled_from(braces) | st.integers(0, len(text)) if braces else st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(PIECES) | st.just(b"")) + text[place + draw(st.integers(0, 2)) :]
    return shape, text


@fuzzed(50)
@given(damaged_texts())
def test_fast_reader_and_converter_read_the_same_texts(answer: tuple[Any, bytes]) -> None:
    """To the byte, except that what is ignored may be no JSON in its encoding or in the size of a number."""
    shape, text = answer
    fast = outcome_of(READERS[shape], text)
    assert outcome_of(READERS_OF_LARGE[shape], text) == fast
    if fast == "refused":
        return
    try:
        codec.parse(text)
    except codec.NotJsonError:
        assert b"9999" in text or text.decode(errors="replace").encode() != text
    else:
        assert fast == exact(read_in_detail(text, shape))


# Seldom enough to be left to the converter, as the same text in another form.
SELDOM = ("", "{11111111111141118111111111111111}", "1_1111111-1111-4111-8111-1111111")


def _note(told: list[str], path: str, _kind: str) -> None:
    told.append(path)


@pytest.mark.parametrize("shape", [*RECORDS, Page[SubscriptionListItem]], ids=str)
def test_fast_reader_and_converter_read_the_same_oddities(shape: Any) -> None:
    """The same, for every attribute of every class; and of what the converter reads, nearly all is read without it."""
    document, read = full(shape), READERS[shape]
    for key in document:
        for oddity in (*ODDITIES, *([item] for item in ODDITIES)):
            text = codec.dump(document | {key: oddity})
            told: list[str] = []
            tell = partial(_note, told)
            detailed = outcome_of(partial(codec.load, shape=shape, tell=tell), text)
            fast = outcome_of(read, text)
            assert fast == detailed or (fast == "refused" and (told or oddity in SELDOM)), (key, oddity)
            assert not told or fast == "refused"


def test_all_answers_are_read_by_the_fast_reader() -> None:
    """A change of msgspec, of attrs or of a model must not make them slow unnoticed."""
    for shape, value in SAMPLES:
        text = codec.dump(value)
        assert exact(READERS[shape](text)) == exact(READERS_OF_LARGE[shape](text)) == exact(read_in_detail(text, shape))


@goes_through("root", ANSWERS)
def test_what_is_read_is_as_if_it_were_built(root: Any) -> None:
    """Same class, same value, same hash; frozen, copied and pickled alike."""
    value = codec.load(codec.dump(full(root)), root)
    built = attrs.evolve(value)
    assert type(value) is type(built) is (get_origin(root) or root)
    assert value == built == pickle.loads(pickle.dumps(value)) == copy.deepcopy(value)
    assert repr(value) == repr(built)
    with suppress(TypeError):  # Raw JSON can't be hashed.
        assert hash(value) == hash(built)
    name = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(value, name)


T = TypeVar("T")


@attrs.frozen
class Box(Generic[T]):
    value: T


def test_generic_class_without_other_names_in_json_is_read_as_its_argument_says() -> None:
    assert READERS[Box[int]](b'{"value":1}') == Box(1)
    with pytest.raises(Exception, match="int"):
        READERS[Box[int]](b'{"value":"1"}')
