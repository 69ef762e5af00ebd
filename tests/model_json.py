"""Every model of both SDKs as JSON: whole, with one field changed, or without it."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import ModuleType, NoneType
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
from cases import goes_through
from hypothesis import strategies as st

import cloudcockpit_sdk.models
import membership_sdk.models
from cloudcockpit_sdk import (
    CancelConflict,
    MigrationRequest,
    MigrationStatus,
    MonthlyBudget,
    Page,
    Subscription,
    SubscriptionListItem,
    Transition,
)
from membership_sdk import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractValidationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatusResult,
    MainContractCancelation,
    RemainingIdlePeriods,
)
from sdk_core import codec

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
NEW = "ZZZ_NEW"
CANARY = "CANARY-VALUE"
CANARY_NUMBER = 987654321
REQUESTS = (
    MainContractCancelation,
    AdditionalModuleContractCancelation,
    IdlePeriodValidationRequest,
    IdlePeriodCreateRequest,
    IdlePeriodUpdateRequest,
    AdditionalModuleContractRequest,
    MigrationRequest,
)
ROOTS: tuple[Any, ...] = (
    ContractData,
    ContractCancelationReason,
    IdlePeriodConfiguration,
    IdlePeriodValidationStatusResult,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    RemainingIdlePeriods,
    AdditionalModule,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    *REQUESTS,
    Page[SubscriptionListItem],
    Page[Any],
    Subscription,
    Transition,
    MigrationStatus,
)
"""What is sent and answered; every other model is a part of these."""
ELSEWHERE = {MonthlyBudget, CancelConflict}
"""Models of a kind of their own, with tests of their own: a required null, and a view of an error."""


@attrs.frozen
class Site:
    """A place in the JSON of a model."""

    root: Any
    keys: tuple[str | int, ...]
    shape: Any
    """Without `| None`."""
    required: bool
    default: Any = None
    is_item: bool = False
    attribute: str = ""
    is_nullable: bool = False

    @property
    def path(self) -> str:
        return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)

    def __str__(self) -> str:
        return f"{(get_origin(self.root) or self.root).__name__}{self.path.removeprefix('$')}"


def camel(attribute: "attrs.Attribute[Any]") -> str:
    head, *rest = attribute.alias.split("_")
    return head + "".join(map(str.capitalize, rest))


def bare(shape: Any) -> Any:
    members = [member for member in get_args(shape) if member is not NoneType]
    return members[0] if NoneType in get_args(shape) else shape


def fields_of(shape: Any) -> Iterator[tuple["attrs.Attribute[Any]", Any]]:
    for attribute in attrs.fields(attrs.resolve_types(get_origin(shape) or shape)):
        if attribute.metadata.get("original"):
            continue
        given: Any = attribute.type
        kind = bare(given)
        if get_origin(kind) is tuple and isinstance(get_args(kind)[0], TypeVar):
            items: Any = tuple[get_args(shape)[0], ...]  # type: ignore[misc]
            given = items if kind is given else items | None
        yield attribute, given


def sites(root: Any, shape: Any, keys: tuple[str | int, ...] = ()) -> Iterator[Site]:
    for attribute, given in fields_of(shape) if attrs.has(get_origin(shape) or shape) else ():
        here, kind = (*keys, camel(attribute)), bare(given)
        required = attribute.default is attrs.NOTHING
        nullable = kind is not given
        yield Site(root, here, kind, required, attribute.default, attribute=attribute.alias, is_nullable=nullable)
        if get_origin(kind) is tuple:
            yield Site(root, (*here, 0), get_args(kind)[0], required=True, is_item=True)
            yield from sites(root, get_args(kind)[0], (*here, 0))
        else:
            yield from sites(root, kind, here)


def of_each_model(sites: Iterable[Site]) -> Callable[[Any], Any]:
    """Give a test `sites`: those of one model, and so of each."""
    found: dict[str, list[Site]] = {}
    for site in sites:
        found.setdefault((get_origin(site.root) or site.root).__name__, []).append(site)
    return goes_through("sites", found)


def is_enum(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, Enum)


def is_optional_enum_object(site: Site) -> bool:
    return not site.required and is_enum(site.shape) and issubclass(site.shape, codec.OpenEnumObject)


def as_json(shape: Any, name: str) -> Any:
    """Return an enum's value as it travels."""
    return {"name": name} if issubclass(shape, codec.OpenEnumObject) else name


def full(shape: Any) -> Any:
    """Return the JSON of a model with every field filled; whoever gets it may change it."""
    return json.loads(_text_of_full(shape))


@cache
def _text_of_full(shape: Any) -> str:
    return json.dumps(_full(shape))


def _full(shape: Any) -> Any:
    if attrs.has(get_origin(shape) or shape):
        return {camel(attribute): _full(bare(kind)) for attribute, kind in fields_of(shape)}
    if get_origin(shape) is tuple:
        return [_full(get_args(shape)[0])]
    if is_enum(shape):
        return as_json(shape, next(iter(shape)).value)
    return {
        str: "text",
        int: 7,
        bool: True,
        Decimal: 12,
        date: "2023-01-25",
        datetime: "2024-05-04T09:42:00+00:00",
        UUID: "11111111-1111-4111-8111-111111111111",
        Any: {"raw": [1]},
    }[shape]


def wrong(site: "Site") -> list[Any]:
    """Return JSON values of other types, or of the same type with an impossible value."""
    return [value for value in _wrong(site.shape) if not any(same(value, odd) for odd, _read in tolerated(site))]


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def tolerated(site: "Site") -> list[tuple[Any, Any]]:
    """Return JSON values that are not of the documented type and read all the same, with what they become."""
    shape, read = site.shape, list[tuple[Any, Any]]()
    if is_enum(shape):
        value = next(iter(shape))
        is_object = issubclass(shape, codec.OpenEnumObject)
        read.append((value.value if is_object else {"name": value.value}, value))
        read.append((CANARY if is_object else {"name": CANARY}, CANARY))
    if site.is_nullable:
        if is_enum(shape):
            read.append(({"name": ""}, None))
        read += [("", None)] if shape is not str and shape is not Any else []
        if is_enum(shape) and issubclass(shape, codec.OpenEnumObject):
            read.append(({}, None))
        if shape is datetime:
            read += [(text, None) for text in ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "2024-05-04T09:42:00")]
    if site.root is AdditionalModuleContract:
        read.append(("7", 7))
    return read


def _wrong(shape: Any) -> list[Any]:
    if attrs.has(get_origin(shape) or shape):
        return [CANARY, CANARY_NUMBER, True, []]
    if get_origin(shape) is tuple:
        return [CANARY, CANARY_NUMBER, True, {}, {"0": 1}]
    if is_enum(shape):
        other = CANARY if issubclass(shape, codec.OpenEnumObject) else {"name": CANARY}
        return [other, CANARY_NUMBER, True, [], {}, {"name": CANARY_NUMBER}]
    not_dates = ["", CANARY, CANARY_NUMBER, True, [], "20230125", "2023-W04-3", "2023-02-30", "2023-1-25"]
    return {
        str: [CANARY_NUMBER, True, 1.5, [], {}, [CANARY]],
        int: [CANARY, "7", True, False, 1.5, 7.0, [], {}],
        bool: [CANARY, "true", 0, 1, [], {}],
        Decimal: [CANARY, "1.5", True, [], {}, {"amount": CANARY_NUMBER}],
        date: [*not_dates, "2023-01-25T00:00:00Z", "2023-01-25 "],
        datetime: [*not_dates, "2024-05-04", "2024-05-04T09:42:00", "2024-05-04T25:00:00Z", CANARY + "T"],
        UUID: ["", CANARY, CANARY_NUMBER, True, [], {}],
    }[shape]


def changed(site: Site, value: Any) -> bytes:
    document = full(site.root)
    parent = document
    for key in site.keys[:-1]:
        parent = parent[key]
    parent[site.keys[-1]] = value
    return json.dumps(document).encode()


def dropped(site: Site) -> bytes:
    document = full(site.root)
    parent = document
    for key in site.keys[:-1]:
        parent = parent[key]
    del parent[site.keys[-1]]
    return json.dumps(document).encode()


def value_at(site: Site, value: Any) -> Any:
    for key in site.keys:
        if isinstance(key, int):
            value = value[key]
        else:
            value = next(getattr(value, a.name) for a in attrs.fields(type(value)) if camel(a) == key)
    return value


SITES = tuple(site for root in ROOTS for site in sites(root, root))
ENUM_SITES = tuple(site for site in SITES if is_enum(site.shape))
OPTIONAL_SITES = tuple(site for site in SITES if not site.required)
REQUIRED_SITES = tuple(site for site in SITES if site.required and site.shape is not Any)
ANSWER_SITES = tuple(site for site in SITES if site.root not in REQUESTS)
TYPED_SITES = tuple(site for site in SITES if site.shape is not Any)
MODULES: tuple[ModuleType, ...] = (membership_sdk.models, cloudcockpit_sdk.models)
MODELS = [value for module in MODULES for value in map(vars(module).get, module.__all__) if isinstance(value, type)]
ENUMS = [model for model in MODELS if issubclass(model, Enum)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=10,
)
ANSWERS = tuple(root for root in ROOTS if root not in REQUESTS)


def exact(value: Any) -> Any:
    """Return a value in a form that is equal only where type and text are, at all levels."""
    kind = type(value)
    if attrs.has(kind):
        return kind, [exact(getattr(value, attribute.name)) for attribute in attrs.fields(kind)]
    if isinstance(value, dict):
        return kind, [(key, exact(item)) for key, item in value.items()]
    return (kind, [*map(exact, value)]) if isinstance(value, list | tuple) else (kind, str(value))


def outcome_of(read: Any, value: Any) -> Any:
    try:
        return exact(read(value))
    except Exception:  # noqa: BLE001  as the codec does
        return "refused"
