"""Pydantic and FastAPI take the models as they are, over every model of both SDKs."""

import json
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Annotated, Any, get_origin

import pytest
from attrs import evolve
from cases import goes_through, named
from model_json import ENUM_SITES, NEW, ROOTS, as_json, changed, full, value_at

from cloudcockpit_sdk import MonthlyBudget, Page, Price, Subscription, SubscriptionListItem, Transition
from membership_sdk import (
    AdditionalModuleContractCancelation,
    ContractData,
    MainContractCancelation,
    Money,
    from_json,
    to_json,
)
from sdk_core import codec

SHAPES = (*ROOTS, MonthlyBudget)


def adapter_of(shape: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def value_of(shape: Any) -> Any:
    return codec.load(json.dumps(full(shape)).encode(), shape)


def with_text_amounts(value: Any) -> Any:
    """Return JSON as pydantic writes it: all numbers of 12, which are the amounts, are text."""
    if isinstance(value, dict):
        return {key: with_text_amounts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_text_amounts(item) for item in value]
    return "12" if value == 12 else value


def test_a_model_goes_through_pydantic_and_comes_back() -> None:
    for shape in SHAPES:
        with named(shape):
            value, adapter = value_of(shape), adapter_of(shape)
            written = adapter.dump_json(value)
            assert json.loads(written) == with_text_amounts(full(shape))
            again = adapter.validate_json(written)
            assert again == value
            assert type(again) is type(value)
            assert to_json(again) == to_json(value)
            assert adapter.validate_python(value) is value


def test_the_api_s_own_json_is_read_too() -> None:
    for shape in SHAPES:
        with named(shape):
            assert adapter_of(shape).validate_json(to_json(value_of(shape))) == value_of(shape)


def test_the_schema_has_the_api_s_names() -> None:
    for shape, mode in product(SHAPES, ("validation", "serialization")):
        with named((shape, mode)):
            schema = adapter_of(shape).json_schema(mode=mode)
            assert set(schema["properties"]) == set(full(shape))
            assert schema["description"].startswith((get_origin(shape) or shape).__doc__.splitlines()[0])


def test_a_new_value_of_an_enumeration_is_kept() -> None:
    for site in ENUM_SITES:
        with named(site):
            read = adapter_of(site.root).validate_json(changed(site, as_json(site.shape, NEW)))
            assert value_at(site, read) == NEW
            assert not value_at(site, read).is_known


def test_a_schema_does_not_close_an_enumeration() -> None:
    schema = adapter_of(ContractData).json_schema()["properties"]["contractStatus"]
    assert schema["anyOf"] == [{"enum": ["ACTIVE", "INACTIVE"]}, {"type": "string"}]


@goes_through(
    ("body", "place", "problem"),
    [
        ({"cancelationReasonId": 1}, ("cancelationDate",), "Field required"),
        (
            {"cancelationDate": 1767139200, "cancelationReasonId": 1},
            ("cancelationDate",),
            "expected text, not a number",
        ),
        ({"cancelationDate": "soon", "cancelationReasonId": 1}, ("cancelationDate",), "valid date"),
        ({"cancelationDate": "2026-01-31", "cancelationReasonId": "1"}, ("cancelationReasonId",), "valid integer"),
        ({"cancelationDate": "2026-01-31", "cancelationReasonId": True}, ("cancelationReasonId",), "valid integer"),
        ({"cancelationDate": "2026-01-31", "cancelationReasonId": 0}, (), "cancelation_reason_id must be from 1 to"),
    ],
)
def test_a_misfit_is_refused_with_its_place(body: Any, place: Any, problem: str) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as caught:
        adapter_of(AdditionalModuleContractCancelation).validate_python(body)
    [error] = caught.value.errors()
    assert error["loc"] == place
    assert problem in error["msg"]


@pytest.mark.parametrize("wrong", ["Active", {}, {"name": 1}, 1, None])
def test_what_is_no_enumeration_is_refused(wrong: Any) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        adapter_of(Subscription).validate_python(full(Subscription) | {"status": wrong})


def test_a_moment_without_an_offset_is_refused() -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="timezone"):
        adapter_of(Subscription).validate_python(full(Subscription) | {"startDate": "2024-05-04T09:42:00"})


def test_raw_json_with_fractions_can_be_sent_again() -> None:
    read = adapter_of(Subscription).validate_json(json.dumps(full(Subscription) | {"offer": {"a": [1.25]}}))
    assert read.offer == {"a": [Decimal("1.25")]}
    assert b'"offer":{"a":[1.25]}' in to_json(read)


def test_a_model_is_a_field_of_a_pydantic_model() -> None:
    from pydantic import BaseModel

    class Bill(BaseModel):
        total: Money
        rest: Price | None = None

    bill = Bill(total=Money(amount=Decimal("20.50"), currency="EUR"))
    assert bill.model_dump() == {"total": {"amount": Decimal("20.50"), "currency": "EUR"}, "rest": None}
    assert bill.model_dump_json() == '{"total":{"amount":"20.50","currency":"EUR"},"rest":null}'
    assert Bill.model_validate_json(bill.model_dump_json()) == bill


OFFERED = {
    "quantity": 5,
    "termDuration": {},
    "billingFrequency": {"name": "NewOne", "more": [1]},
    "destinationSubscriptionId": "",
    "offerName": None,
    "transitionEvents": None,
    "undocumented": {"price": 1.5, "count": 10**20, "of": None},
}
"""A transition as the API's own samples have it, and with what nobody documented."""


@pytest.mark.parametrize("mode", ["json", "python"])
def test_what_is_sent_back_as_it_came_goes_through_pydantic_as_it_came(mode: Any) -> None:
    """A browser gets the transition, chooses it, and sends it: what the API gets is what it has offered."""
    adapter, text = adapter_of(Transition), json.dumps(OFFERED)
    read = adapter.validate_json(text) if mode == "json" else adapter.validate_python(json.loads(text))
    assert read == from_json(Transition, text)
    assert to_json(read) == to_json(from_json(Transition, text))
    if mode == "json":
        again = adapter.validate_json(adapter.dump_json(from_json(Transition, text)))
    else:
        again = adapter.validate_python(adapter.dump_python(from_json(Transition, text)))
    assert json.loads(to_json(again)) == OFFERED
    changed = evolve(again, quantity=6)
    assert json.loads(to_json(changed)) == OFFERED | {"quantity": 6}
    assert json.loads(adapter.dump_json(changed)) == OFFERED | {"quantity": 6}


def test_more_digits_than_a_float_has_are_kept_as_text() -> None:
    kept = adapter_of(Transition).dump_json(from_json(Transition, '{"quantity":1,"x":[0.12345678901234567890,0.10]}'))
    assert json.loads(kept) == {"quantity": 1, "x": ["0.12345678901234567890", 0.1]}


@pytest.mark.parametrize("wrong", [{}, {"quantity": "5"}, {"quantity": 1, "transitionEvents": [{"name": 1}]}, [], None])
def test_what_is_no_transition_is_refused(wrong: Any) -> None:
    """In the words of `from_json`, by path and without a value."""
    from pydantic import ValidationError

    with pytest.raises(ValueError, match="Transition: ") as ours:
        from_json(Transition, json.dumps(wrong))
    with pytest.raises(ValidationError) as caught:
        adapter_of(Transition).validate_python(wrong)
    [error] = caught.value.errors()
    assert error["msg"] == f"Value error, {str(ours.value).partition('Transition: ')[2]}"


# -- FastAPI -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def ask() -> Any:
    import httpx
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.get("/contracts")
    async def contracts() -> list[ContractData]:
        contract: ContractData = value_of(ContractData)
        return [contract]

    @app.get("/page")
    async def page() -> Page[SubscriptionListItem]:
        page: Page[SubscriptionListItem] = value_of(Page[SubscriptionListItem])
        return page

    @app.post("/cancel")
    async def cancel(body: Annotated[MainContractCancelation, Body()]) -> str:
        return f"{body.contract_id} {body.cancelation_date!r}"

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        yield http


async def test_a_route_answers_the_api_s_json(ask: Any) -> None:
    answer = await ask.get("/contracts")
    assert answer.json() == [with_text_amounts(full(ContractData))]
    assert (await ask.get("/page")).json() == with_text_amounts(full(Page[SubscriptionListItem]))


async def test_openapi_names_the_models(ask: Any) -> None:
    document = (await ask.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert {"ContractData", "PriceDetails", "Money", "Page_SubscriptionListItem_", "Price"} <= set(schemas)
    [answer] = document["paths"]["/contracts"]["get"]["responses"]["200"]["content"].values()
    assert answer["schema"]["items"] == {"$ref": "#/components/schemas/ContractData"}
    assert schemas["ContractData"]["required"] == ["id", "startDate", "contractStatus", "priceDetails"]
    assert schemas["ContractData"]["properties"]["priceDetails"] == {"$ref": "#/components/schemas/PriceDetails"}
    assert schemas["Money"]["properties"]["amount"]["type"] == "string"


async def test_a_route_takes_a_model(ask: Any) -> None:
    body = {"contractId": 2002, "cancelationDate": "2026-01-31", "cancelationReasonId": 1}
    assert (await ask.post("/cancel", json=body)).json() == f"2002 {date(2026, 1, 31)!r}"
    refused = await ask.post("/cancel", json=body | {"cancelationDate": 0})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "cancelationDate"])
