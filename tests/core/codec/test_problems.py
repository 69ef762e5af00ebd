"""What does not fit is named by its path, all of it, and without a value."""

from typing import Any, get_origin

import pytest
from cases import goes_through, named
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from model_json import (
    ANSWER_SITES,
    CANARY,
    CANARY_NUMBER,
    JSON,
    REQUIRED_SITES,
    TYPED_SITES,
    Site,
    changed,
    dropped,
    full,
    of_each_model,
    value_at,
    wrong,
)
from wire import CannedAnswer, WireServer

from membership_sdk import (
    AdditionalModuleContractExtended,
    ContractData,
    InvalidResponseError,
    MembershipClient,
    Outcome,
    TimePeriod,
)
from sdk_core import codec

FEW = fuzzed(15)


@of_each_model(REQUIRED_SITES)
def test_required_field_may_be_neither_absent_nor_null(sites: list[Site]) -> None:
    """The JSON path is named, and nothing else fails."""
    for site in sites:
        # Null for a list is tolerated; of pages it is documented.
        null = [] if get_origin(site.shape) is tuple else [changed(site, None)]
        texts = null + ([] if site.is_item else [dropped(site)])
        for text in texts:
            with named(site), pytest.raises(codec.ShapeError) as caught:
                codec.load(text, site.root)
            (problem,) = caught.value.problems
            assert problem.startswith(f"{site.path}: ")


LISTS = [site for site in REQUIRED_SITES if get_origin(site.shape) is tuple and not site.is_nullable]


@goes_through("site", LISTS)
def test_null_for_a_list_is_an_empty_one_and_told(site: Site) -> None:
    """In what is read; not in what an application gives to be sent."""
    told: list[tuple[str, str]] = []
    read = codec.load(changed(site, None), site.root, tell=lambda path, kind: told.append((path, kind)))
    assert value_at(site, read) == ()
    assert told == [(site.path, "null for an empty list")]
    with pytest.raises(codec.ShapeError):
        codec.structure(codec.parse(changed(site, None)), site.root)


@of_each_model(TYPED_SITES)
def test_wrong_type_is_refused_with_its_path_and_without_its_value(sites: list[Site]) -> None:
    """No bool for int, no float for int, no str for list: nothing is converted."""
    for site, value in ((it, value) for it in sites for value in wrong(it)):
        with named(site), pytest.raises(codec.ShapeError) as caught:
            codec.load(changed(site, value), site.root)
        (problem,) = caught.value.problems
        assert problem.startswith(f"{site.path}: expected "), value
        told = repr(caught.value) + str(caught.value.__cause__) + repr(caught.value.__context__)
        assert CANARY not in told
        assert str(CANARY_NUMBER) not in told


def test_all_problems_are_named() -> None:
    """One answer, one look: not the first misfit only."""
    document = full(ContractData) | {"id": "7", "rateName": 5, "availableCancelationDates": ["2023-01-25", 5, "x"]}
    document["priceDetails"]["basePrice"] = {"amount": "20"}
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure(document, ContractData)
    assert sorted(caught.value.problems) == [
        "$.availableCancelationDates[1]: expected a date like 2023-01-25",
        "$.availableCancelationDates[2]: expected a date like 2023-01-25",
        "$.id: expected a whole number",
        "$.priceDetails.basePrice.amount: expected a number",
        "$.priceDetails.basePrice.currency: required, but missing",
        "$.rateName: expected a string",
    ]


async def test_misshapen_success_of_a_read_had_no_effect() -> None:
    """It is not repeated, and never APPLIED."""
    answer = full(AdditionalModuleContractExtended) | {"startDate": CANARY, "price": {"amount": True}}
    async with WireServer(CannedAnswer(body=answer)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_additional_module_contract(contract_id=1, additional_module_contract_id=2)
    error = caught.value
    assert (error.outcome, error.retryable, error.status) == (Outcome.REJECTED, False, 200)
    assert set(error.problems) == {
        "$.startDate: expected a date like 2023-01-25",
        "$.price.amount: expected a number",
        "$.price.currency: required, but missing",
    }
    assert "$.price.amount" in str(error)
    assert CANARY not in str(error)
    assert len(server.requests) == 1


async def test_misshapen_list_names_the_element() -> None:
    """Of a list, too."""
    answer = [full(ContractData), full(ContractData) | {"id": None}]
    async with WireServer(CannedAnswer(body=answer)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    assert caught.value.problems == ("$[1].id: expected a whole number",)


@FEW
@given(JSON, st.sampled_from(ANSWER_SITES))
def test_any_json_anywhere_is_read_or_refused_with_a_path(value: Any, site: Site) -> None:
    """Every misfit is at or below the place that was changed."""
    problems: tuple[str, ...] = (site.path,)
    try:
        codec.load(changed(site, value), site.root)
    except codec.ShapeError as error:
        problems = error.problems
    assert problems
    assert all(problem.startswith(site.path) for problem in problems)


def test_refusal_holds_no_error_of_the_fast_reader() -> None:
    """Python's own messages show values; as __context__ they would stand in every traceback."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b'{"periodValue": 1, "periodUnit": ["CANARY-VALUE"]}', TimePeriod)
    assert caught.value.__context__ is None
