"""Enumerations that the APIs may extend."""

import copy
import json
import pickle
from enum import Enum

from cases import goes_through, named
from model_json import ENUM_SITES, ENUMS, NEW, Site, as_json, changed, of_each_model, value_at

from cloudcockpit_sdk import BillingFrequency, Price, SubscriptionStatus
from membership_sdk import CancelationStatus
from sdk_core import codec


@goes_through("kind", ENUMS)
def test_enumeration_has_members(kind: type[Enum]) -> None:
    """Python looks no value up, known or not, in an enumeration without any."""
    assert len(kind) > 0


@of_each_model(ENUM_SITES)
def test_unknown_enum_value_is_kept_and_sent_back(sites: list[Site]) -> None:
    """A value the API adds tomorrow neither fails the answer nor changes on its way back."""
    for site in sites:
        with named(site):
            text = changed(site, as_json(site.shape, NEW))
            value = codec.load(text, site.root)
            member = value_at(site, value)
            assert type(member) is site.shape
            assert (member.value, member.is_known) == (NEW, False)
            assert codec.parse(codec.dump(value)) == json.loads(text)


def test_enum_object_may_grow_too() -> None:
    """A second key beside `name` is ignored like any other."""
    assert codec.load(b'{"currency": {"name": "EUR", "zzzNew": 1}}', Price).currency == "EUR"


@goes_through("text", [NEW, "", "active", "ä\n\x00", "_value_", "name"])
def test_open_member_behaves_like_its_text(text: str) -> None:
    """Equality, hash, pickle, copy, JSON and format, all as of the str it is; in every enumeration."""
    for kind in ENUMS:
        with named(kind):
            _behaves_like(kind, text)


def _behaves_like(kind: type[codec.OpenEnum], text: str) -> None:
    member = kind(text)
    assert (member.value, member.name, str(member), f"{member}", member.is_known) == (text, text, text, text, False)
    assert member == text
    assert member == kind(text)
    assert member != kind("another")
    assert hash(member) == hash(text)
    assert {member: 1}[text] == 1
    assert {text, kind(text), member} == {text}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(member, protocol))
        assert (type(again), again, again.is_known) == (kind, text, False)
    assert copy.copy(member) == copy.deepcopy(member) == member
    assert json.loads(json.dumps({"a": member})) == {"a": text}
    assert list(kind) == list(kind.__members__.values()), "an unknown value must not become a known one"


@goes_through("kind", ENUMS)
def test_known_member_behaves_like_its_text(kind: type[codec.OpenEnum]) -> None:
    """The very same object for the same text, known, and equal to it in sets and dicts."""
    for member in kind:
        assert kind(member.value) is member
        assert member.is_known
        assert {member.value: 1}[member] == 1
        assert pickle.loads(pickle.dumps(member)) is member


def test_one_enum_does_not_know_the_others_values() -> None:
    """Known is a matter of the type."""
    assert not CancelationStatus("ACTIVE").is_known
    assert BillingFrequency("Monthly") is BillingFrequency.MONTHLY
    assert not SubscriptionStatus("Monthly").is_known
