"""Models compare, hash and print as attrs would have them do, by methods that no import has to compile."""

import pickle
from datetime import date
from typing import Any

import attrs

import cloudcockpit_sdk.models
import membership_sdk.models
from cloudcockpit_sdk.sandbox import samples as cloudcockpit_samples
from membership_sdk.sandbox import samples as membership_samples
from sdk_core.model import Model

TODAY = date(2026, 11, 2)
MODELS = [
    kind
    for module in (membership_sdk.models, cloudcockpit_sdk.models)
    for name in module.__all__
    if attrs.has(kind := getattr(module, name))
]


def _instances() -> list[Any]:
    found: list[Any] = []
    pending: list[Any] = [
        *membership_samples.contracts(TODAY),
        membership_samples.sauna(TODAY),
        *membership_samples.modules_on_sale(),
        *cloudcockpit_samples.subscriptions(TODAY),
    ]
    while pending:
        value = pending.pop()
        if isinstance(value, Model):
            found.append(value)
            pending += [getattr(value, each.name) for each in attrs.fields(type(value))]
        elif isinstance(value, tuple):
            pending += value
    return found


def test_no_method_is_made_for_a_class() -> None:
    assert MODELS
    for kind in MODELS:
        methods = [vars(kind)[name] for name in ("__eq__", "__hash__", "__repr__")]
        assert methods == [Model.__eq__, Model.__hash__, Model.__repr__], kind


@attrs.frozen
class Named(Model):
    """As an application may make one."""

    name: str = attrs.field(eq=str.lower, repr=str.upper)
    note: str = attrs.field(default="", eq=False)


def test_functions_that_compare_and_print_are_asked() -> None:
    assert Named("Max", "a") == Named("max", "b")
    assert hash(Named("Max")) == hash(Named("max"))
    assert Named("Max") != Named("Moritz")
    assert repr(Named("Max")) == "Named(name=MAX, note='')"


def test_models_are_what_attrs_would_make() -> None:
    instances = _instances()
    assert len({type(each) for each in instances}) > 8
    for one in instances:
        kind = type(one)
        plain = attrs.make_class(
            kind.__name__,
            {each.name: attrs.field(repr=each.repr, eq=each.eq, hash=each.hash) for each in attrs.fields(kind)},
            frozen=True,
        )
        same = plain(*(getattr(one, each.name) for each in attrs.fields(kind)))
        assert repr(one) == repr(same)
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert (again != one) is False
        assert hash(again) == hash(one)
        assert one != same
        assert (one == object()) is False


def test_a_difference_in_any_field_is_one() -> None:
    contract = membership_samples.contracts(TODAY)[0]
    others = [attrs.evolve(contract, **{each.name: object()}) for each in attrs.fields(type(contract))]
    assert all(other != contract for other in others)
    assert len({contract, attrs.evolve(contract), *others}) == 1 + len(others)
