"""What is not as documented and read all the same: it costs a field at most, and is told."""

from typing import Any

import attrs
import pytest
from cases import goes_through, named
from model_json import ANSWER_SITES, Site, changed, full, of_each_model, tolerated, value_at

from cloudcockpit_sdk import Page, Subscription, SubscriptionListItem
from membership_sdk import AdditionalModuleContract, ContractData, IdlePeriodLists, RateCode
from sdk_core import codec

ODD_SITES = [site for site in ANSWER_SITES if tolerated(site)]


def read(text: bytes, shape: Any, **options: Any) -> tuple[Any, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    value = codec.load(text, shape, tell=lambda path, kind: told.append((path, kind)), **options)
    return value, told


@of_each_model(ODD_SITES)
def test_deviation_costs_a_field(sites: list[Site]) -> None:
    """The rest is as it would be without it, and the path is told; without indices, so that each is told once."""
    for site, (odd, expected) in ((it, case) for it in sites for case in tolerated(it)):
        with named(site):
            value, told = read(changed(site, odd), site.root)
            assert value_at(site, value) == expected
            assert type(value_at(site, value)) in (type(expected), site.shape)
            # The documentation has samples of it.
            paths = [] if odd == {} else [site.path.replace("[0]", "[*]")]
            assert [path for path, _kind in told] == paths
            assert all(kind for _path, kind in told)


def test_what_is_documented_is_not_told() -> None:
    """Else the first day's list would be noise."""
    for root in {site.root for site in ANSWER_SITES}:
        assert read(codec.dump(full(root)), root)[1] == []


def test_values_are_not_told() -> None:
    """Kinds are fixed words."""
    item = full(SubscriptionListItem) | {"startDate": "2024-05-04T09:42:11", "currency": "EUR", "resellerId": ""}
    text = codec.dump({"items": [item, item, item]})
    _value, told = read(text, Page[SubscriptionListItem])
    assert told == [
        ("$.items[*].resellerId", "an empty text for no value"),
        ("$.items[*].startDate", "a date-time without offset: left out"),
    ]


@goes_through("digits", ["", "-7", "7.0", "0x7", "\u0667", " 7", "7" * 20, "1_0"])
def test_only_digits_are_an_id(digits: str) -> None:
    """The id of a purchase is the only handle there is; anything else would be another one."""
    with pytest.raises(codec.ShapeError):
        codec.load(codec.dump({"id": digits}), AdditionalModuleContract)


@goes_through("text", [b"", b" \n", b"null"])
def test_nothing_is_an_empty_list(text: bytes) -> None:
    """Where a list is documented, and only there."""
    assert read(text, list[RateCode]) == ([], [("$", "nothing for an empty list")])
    with pytest.raises((codec.ShapeError, codec.NotJsonError)):
        codec.load(text, RateCode)


def test_page_that_holds_all_is_a_list() -> None:
    """What finds the items is the API's; what it does not know stays what it is."""
    page = codec.dump({"items": [{"name": "a"}]})
    unwrap = codec.as_object
    assert read(page, list[RateCode], unwrap=lambda found: unwrap(found).get("items")) == (
        [RateCode(name="a")],
        [("$", "a page for a list")],
    )
    with pytest.raises(codec.ShapeError):
        codec.load(page, list[RateCode], unwrap=lambda _found: None)
    assert read(b'{"name": "a"}', list[RateCode], lone_item=True, unwrap=lambda _found: None) == (
        [RateCode(name="a")],
        [("$", "a lone object for a list of one")],
    )


def test_items_that_can_be_read_are_at_hand() -> None:
    """The innermost list loses what does not fit; the error names it and has the rest."""
    good = full(ContractData)
    answer = [good, good | {"id": None}, good | {"availableCancelationDates": ["2023-01-25", "soon"]}]
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(codec.dump(answer), list[ContractData])
    contract = codec.structure(good, ContractData)
    assert caught.value.readable == [contract, contract]
    assert caught.value.problems == (
        "$[1].id: expected a whole number",
        "$[2].availableCancelationDates[1]: expected a date like 2023-01-25",
    )
    lists = full(IdlePeriodLists)
    lists["pastIdlePeriods"].append({})
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure(lists, IdlePeriodLists)
    assert caught.value.readable == codec.structure(full(IdlePeriodLists), IdlePeriodLists)


@goes_through("answer", [full(Subscription) | {"id": 7}, 7, [7]])
def test_nothing_is_readable_of_what_is_no_list(answer: Any) -> None:
    """An object without one of its fields would be another one."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure(answer, Subscription)
    assert caught.value.readable is None


def test_key_of_a_mapping_is_not_named() -> None:
    """Keys that no model has may be somebody's name."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure({"Jane Doe": "x"}, dict[str, int])
    assert caught.value.problems == ("$[*]: expected a whole number",)


def test_inherited_type_variable_is_known() -> None:
    """A subclass of `Page[Item]` is read as one."""

    @attrs.frozen
    class Own(Page[RateCode]):
        more: int = 0

    assert codec.load(b'{"items": [{"name": "a"}], "more": 1}', Own).items == (RateCode(name="a"),)


def test_nothing_is_tolerated_in_what_is_sent() -> None:
    """The sandboxes read requests with `structure`: what the API would do with such a one is not known."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure(full(Subscription) | {"resellerId": ""}, Subscription)
    assert caught.value.problems == ("$.resellerId: an empty text for no value",)
