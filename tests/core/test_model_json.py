"""Models leave the process and come back: as JSON, as dicts, as pickles, over every model of both SDKs."""

import copy
import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from cases import goes_through, named
from model_json import CANARY, ENUMS, MODELS, ROOTS, SITES, full

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import CancelConflict, Done, MonthlyBudget, Page, Subscription, SubscriptionListItem
from membership_sdk import ContractData, ErrorDetails, Money, VoidResult, from_json, to_dict, to_json
from sdk_core import codec
from sdk_core.model import Model
from sdk_core.returns import Empty


def instances() -> dict[Any, Any]:
    """Return an instance of every model, with every field filled, by its shape."""
    shapes = dict.fromkeys((*ROOTS, *(site.shape for site in SITES if attrs.has(site.shape)), MonthlyBudget))
    found = {shape: codec.load(json.dumps(full(shape)).encode(), shape) for shape in shapes}
    others = (VoidResult(success={"raw": [1]}), Done(correlation_id="1"), cloudcockpit_sdk.Accepted(correlation_id="1"))
    return found | {type(value): value for value in (*others, CancelConflict(portal_subscription={"raw": [1]}))}


INSTANCES = instances()


def test_every_model_is_among_them() -> None:
    classes = {type(value) for value in INSTANCES.values()}
    assert [model for model in MODELS if model not in ENUMS and model not in classes] == []
    assert all(issubclass(model, Model) for model in classes)


def test_a_model_comes_back_from_its_json() -> None:
    for shape, value in INSTANCES.items():
        with named(shape):
            assert from_json(shape, to_json(value)) == value
            assert from_json(shape, to_json(value).decode()) == value
            assert from_json(list[shape], to_json([value, value])) == [value, value]


def test_the_dict_is_what_the_json_says() -> None:
    for shape, value in INSTANCES.items():
        with named(shape):
            assert json.loads(json.dumps(to_dict(value), default=float)) == json.loads(to_json(value))
            if shape not in {VoidResult, Done, cloudcockpit_sdk.Accepted, CancelConflict}:
                assert json.loads(to_json(value)) == full(shape)


def test_a_model_is_copied_pickled_and_evolved() -> None:
    for shape, value in INSTANCES.items():
        with named(shape):
            again = [copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), attrs.evolve(value)]
            assert again == [value] * 4
            assert {type(one) for one in again} == {type(value)}


def test_a_model_hashes_and_raw_json_takes_no_part_in_it() -> None:
    for shape, value in INSTANCES.items():
        with named(shape):
            raw = {field.alias: CANARY for field in attrs.fields(type(value)) if field.type is Any}
            assert hash(value) == hash(codec.load(to_json(value), shape) if not isinstance(value, Empty) else value)
            other = attrs.evolve(value, **raw)
            assert hash(other) == hash(value)
            assert (other == value) is not bool(raw)
            assert len({value, copy.deepcopy(value)}) == 1


def test_what_the_server_wrote_hashes() -> None:
    assert len({ErrorDetails(code="A", raw={"a": []}), ErrorDetails(code="A", raw={"a": []})}) == 1


def test_amounts_keep_every_digit() -> None:
    money = from_json(Money, b'{"amount": 12345678901234567890.10, "currency": "EUR"}')
    assert to_json(money) == b'{"amount":12345678901234567890.10,"currency":"EUR"}'
    assert to_dict(money) == {"amount": Decimal("12345678901234567890.10"), "currency": "EUR"}
    assert str(to_dict(money)["amount"]) == "12345678901234567890.10"
    whole = to_dict(Money(amount=Decimal(20), currency="EUR"))["amount"]
    assert (type(whole), str(whole)) == (Decimal, "20")


def test_dates_and_ids_are_text() -> None:
    item = SubscriptionListItem(id=UUID(int=1), start_date=datetime(2024, 5, 4, 9, 42, tzinfo=UTC))
    assert to_dict(item) == {"id": str(UUID(int=1)), "startDate": "2024-05-04T09:42:00+00:00"}


def test_what_an_api_added_comes_back() -> None:
    item = from_json(Subscription, json.dumps(full(Subscription) | {"status": {"name": "New"}, "added": 1}))
    assert not item.status.is_known
    assert to_dict(item)["status"] == {"name": "New"}


def test_what_can_not_be_sent_is_refused() -> None:
    with pytest.raises(TypeError, match="pass Decimal, not float"):
        to_dict(VoidResult(success=1.5))
    with pytest.raises(ValueError, match="finite"):
        to_json(Money(amount=Decimal("NaN"), currency="EUR"))


@goes_through(
    ("text", "problem"),
    [
        ("{", "it is no JSON"),
        (b"", "it is no JSON"),
        ("{}", r"\$.id: required, but missing, .*"),
        (json.dumps(full(ContractData) | {"id": CANARY}), r"\$.id: expected a whole number"),
    ],
)
def test_a_text_that_does_not_fit_is_refused_by_its_path_and_never_shown(text: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^text can't be read as ContractData: {problem}$") as caught:
        from_json(ContractData, text)
    assert CANARY not in repr(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("text", ["", b" "])
def test_no_text_at_all_is_no_list(text: Any) -> None:
    """Unlike an answer, which may be empty where there is nothing to list."""
    with pytest.raises(ValueError, match="it is no JSON"):
        from_json(list[ContractData], text)
    assert from_json(list[ContractData], "[]") == []


def test_a_page_names_itself_with_its_items() -> None:
    with pytest.raises(ValueError, match=r"SubscriptionListItem\]: \$.items: required"):
        from_json(Page[SubscriptionListItem], "{}")


def test_both_sdks_offer_them() -> None:
    for name in ("from_json", "to_dict", "to_json"):
        assert name in membership_sdk.__all__
        assert getattr(membership_sdk, name) is getattr(cloudcockpit_sdk, name)


def test_half_a_surrogate_pair_in_a_text_is_read_like_its_escape() -> None:
    """And no error holds the text."""
    kept = '{"amount":1,"currency":"E%s"}'
    assert from_json(Money, kept % "\ud800") == from_json(Money, kept % r"\ud800")
    with pytest.raises(ValueError, match="Money: it is no JSON"):
        from_json(Money, "{\ud800")
