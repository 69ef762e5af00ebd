"""The SDKs against the documents of record: operations, models, and any document a server may send."""

import inspect
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
import pytest
from cases import named
from fuzz import drawn
from hypothesis import given
from hypothesis import strategies as st

from cloudcockpit_sdk.models import Accepted, Done, Page, SubscriptionListItem
from membership_sdk import models as membership
from sdk_core import codec
from sdk_core.details import FieldError
from sdk_core.operation import Effect, Operation
from sdk_core.returns import Empty
from specs import SPECS, Described, Spec, is_required, snake

BOUNDED = drawn(4)
NEW = "ZZZ_NEW"
OTHER_NAMES: dict[str, Any] = {
    "MembershipSelfServiceContractData": membership.ContractData,
    "MembershipSelfServiceMainContractCancelation": membership.MainContractCancelation,
    "ContractPaymentFrequency": membership.PaymentFrequency,
    "AdditionalModulePaymentFrequency": membership.PaymentFrequency,
    "ContractMonthDayToPrice": membership.MonthDayToPrice,
    "AdditionalModuleMonthDayToPrice": membership.MonthDayToPrice,
    "ContractTermToPrice": membership.TermToPrice,
    "AdditionalModuleTermToPrice": membership.TermToPrice,
    "SubscriptionPage": Page[SubscriptionListItem],
    "AuditLogPage": Page[Any],
}
"""Models whose schema has another name; elsewhere the names are the same."""

MARKS = {
    "absent",
    "argument",
    "deprecated",
    "error",
    "lone-item",
    "min-length",
    "minimum",
    "null-objects",
    "open-query",
}
MARKS |= {"raw", "reason", "required", "retry"}
"""What follows `x-sdk-` in the documents."""

each_spec = pytest.mark.parametrize("spec", SPECS, ids=str)


# Operations


def operation_of(spec: Spec, described: Described) -> Operation[Any]:
    (operation,) = (
        operation
        for operation in spec.operations.OPERATIONS
        if (operation.method, operation.path) == (described.method, described.sdk_path)
    )
    assert isinstance(operation, Operation)
    return operation


@each_spec
def test_operations_are_those_of_the_document(spec: Spec) -> None:
    """Each exactly once, by method and path with the types of its slots; and no other."""
    documented = [(described.method, described.sdk_path) for described in spec.described()]
    assert sorted((operation.method, operation.path) for operation in spec.operations.OPERATIONS) == sorted(documented)
    assert len({operation.name for operation in spec.operations.OPERATIONS}) == len(documented)


def test_membership_has_its_twenty_operations() -> None:
    """The whole group, not a part of it."""
    assert len(SPECS[0].operations.OPERATIONS) == 20


@each_spec
def test_operation_says_what_the_document_says(spec: Spec) -> None:
    """Name, credentials, answer, body and the rest of its row."""
    for described in spec.described():
        with named(described):
            operation, facts = operation_of(spec, described), described.facts
            page = facts.get("operationId") or re.sub(r"\{\w+\}", "parameter", described.path).replace("/", "-").lower()
            assert operation.source.endswith(page)
            assert operation.name == snake(facts.get("operationId", operation.name))
            assert isinstance(operation.effect, Effect)
            assert operation.effect is Effect.READ or operation.method != "GET"
            assert operation.scopes == tuple(facts.get("x-required-scopes", ()))
            assert operation.roles == tuple(facts.get("x-roles", ()))
            assert bool(operation.deprecated) == (
                facts.get("deprecated", False) or facts.get("x-sdk-deprecated", False)
            )
            assert operation.lone_item == facts.get("x-sdk-lone-item", False)
            assert operation.open_query == facts.get("x-sdk-open-query", False)
            assert operation.retry_conflict == described.responses.get("409", {}).get("x-sdk-retry", False)
            media, schema = body_of(described)
            assert operation.multipart == (media == "multipart/form-data")
            assert operation.body == (None if schema is None else python_type(spec, schema, raw=dict))
            assert operation.returns == returned(spec, described)
            assert set(facts.get("x-inferred-statuses", ())) <= set(described.responses)


@each_spec
def test_query_is_the_documented_one(spec: Spec) -> None:
    """Names on the wire, types and bounds."""
    for described in spec.described():
        with named(described):
            kinds: dict[Any, type] = {"int32": int, "uuid": UUID, "date-time": datetime, None: str}
            assert {
                query.name: (argument, query.kind, query.minimum, query.maximum)
                for argument, query in operation_of(spec, described).query.items()
            } == {
                name: (snake(name), kinds[schema.get("format")], minimum(schema), schema.get("maximum"))
                for name, parameter in described.parameters_in("query").items()
                for schema in [parameter["schema"]]
            }


@each_spec
def test_client_method_takes_exactly_what_the_document_names(spec: Spec) -> None:
    """Path, query and body, by keyword only; required where the API or the SDK requires it."""
    for described in spec.described():
        with named(described):
            signature = inspect.signature(getattr(spec.client, operation_of(spec, described).name))
            _self, *parameters = signature.parameters.values()
            assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}
            assert {parameter.name: parameter.default is parameter.empty for parameter in parameters} == arguments(
                spec, described
            )


@each_spec
def test_sandbox_plays_the_operation(spec: Spec) -> None:
    """It serves the route, and has a method of that name."""
    for described in spec.described():
        with named(described):
            operation = operation_of(spec, described)
            assert operation in spec.sandbox.operations
            assert callable(getattr(spec.sandbox, operation.name, None))


def minimum(schema: dict[str, Any]) -> Any:
    return schema.get("minimum", schema.get("x-sdk-minimum"))


def body_of(described: Described) -> tuple[str | None, dict[str, Any] | None]:
    """Return media type and schema of the body; of multipart, the schema of its JSON part."""
    for media, content in described.facts.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        return media, schema["properties"]["data"] if media == "multipart/form-data" else schema
    return None, None


def python_type(spec: Spec, schema: dict[str, Any], *, raw: type) -> Any:
    """Return the type that a body or an answer has in the SDK."""
    facts = spec.resolve(schema)
    if facts.get("x-sdk-raw"):
        return raw
    if "$ref" in schema:
        return model(spec, schema["$ref"].rpartition("/")[2])
    if facts["type"] == "array":
        return list[python_type(spec, facts["items"], raw=raw)]  # type: ignore[misc]
    return {"boolean": bool, "string": UUID if facts.get("format") == "uuid" else str}[facts["type"]]


def returned(spec: Spec, described: Described) -> Any:
    (success,) = (status for status in described.responses if status.startswith("2"))
    content = described.responses[success].get("content")
    if content is None:
        return {"202": Accepted, "204": Done}[success]
    return python_type(spec, content["application/json"]["schema"], raw=object)


def arguments(spec: Spec, described: Described) -> dict[str, bool]:
    """Return the arguments of the client's method, and whether each is required."""
    names = {snake(name): True for name in described.parameters_in("path")}
    query = described.parameters_in("query")
    names |= {parameter.get("x-sdk-argument", snake(name)): False for name, parameter in query.items()}
    media, schema = body_of(described)
    argument = described.facts.get("requestBody", {}).get("x-sdk-argument")
    if argument:
        names[argument] = True
    elif schema is not None:
        facts = spec.resolve(schema)
        names |= {snake(name): is_required(facts, name) for name in facts["properties"]}
    if media == "multipart/form-data":
        names["document"] = False
    if described.facts.get("x-sdk-open-query"):
        names["query"] = False
    return names


# Models


def model(spec: Spec, name: str) -> Any:
    return OTHER_NAMES.get(name) or getattr(spec.models, name)


def is_enum_object(schema: dict[str, Any]) -> bool:
    return list(schema.get("properties", ())) == ["name"] and "enum" in schema["properties"]["name"]


def is_model(schema: dict[str, Any]) -> bool:
    marked = schema.get("x-sdk-raw") or schema.get("x-sdk-error")
    return schema["type"] == "object" and not marked and not is_enum_object(schema)


def models_of(spec: Spec) -> list[str]:
    return [name for name, schema in spec.schemas.items() if is_model(schema)]


MODELS = [pytest.param(spec, name, id=f"{spec} {name}") for spec in SPECS for name in models_of(spec)]
SCALARS = {
    ("integer", "int32"): "int",
    ("integer", "int64"): "int",
    ("number", None): "Decimal",
    ("number", "double"): "Decimal",
    ("boolean", None): "bool",
    ("string", None): "str",
    ("string", "ISO 4217"): "str",
    ("string", "date"): "date",
    ("string", "date-time"): "datetime",
    ("string", "uuid"): "UUID",
}


def values_of(members: Any) -> str:
    return "{" + ", ".join(sorted(value for value in members if value is not None)) + "}"


def documented(spec: Spec, schema: dict[str, Any]) -> str:
    """Return a schema in words, the ones that `declared` has for a type."""
    schema = schema["allOf"][0] if "allOf" in schema else schema
    facts = spec.resolve(schema)
    if facts.get("x-sdk-raw"):
        return "Any"
    if is_enum_object(facts):
        return "OpenEnumObject" + values_of(facts["properties"]["name"]["enum"])
    if "enum" in facts:
        return "OpenEnum" + values_of(facts["enum"])
    if facts["type"] == "array":
        return f"tuple of {documented(spec, facts['items'])}"
    if facts["type"] == "object":
        kind: type = model(spec, schema["$ref"].rpartition("/")[2])
        return kind.__name__
    return SCALARS[facts["type"], facts.get("format")]


def declared(kind: Any) -> str:
    """Return a type in words."""
    if kind is Any:
        return "Any"
    if get_origin(kind) is tuple:
        return f"tuple of {declared(get_args(kind)[0])}"
    if issubclass(kind, codec.OpenEnum):
        base = codec.OpenEnumObject if issubclass(kind, codec.OpenEnumObject) else codec.OpenEnum
        return base.__name__ + values_of(kind)
    assert isinstance(kind, type)
    return kind.__name__


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


def attributes(kind: Any) -> Iterator[tuple["attrs.Attribute[Any]", Any, bool]]:
    """Yield attribute, type without None, and whether None is allowed."""
    for attribute in attrs.fields(attrs.resolve_types(get_origin(kind) or kind)):
        if attribute.metadata.get("original"):
            continue
        members = [member for member in get_args(attribute.type) if member is not NoneType]
        nullable = NoneType in get_args(attribute.type)
        shape: Any = members[0] if nullable else attribute.type
        if get_origin(shape) is tuple and isinstance(get_args(shape)[0], TypeVar):
            shape = tuple[get_args(kind)[0], ...]  # type: ignore[misc]
        yield attribute, shape, nullable


@each_spec
def test_model_has_exactly_the_fields_of_its_schema(spec: Spec) -> None:
    """Names, types, enumeration values, and what is required."""
    for name in models_of(spec):
        with named(name):
            schema, expected = spec.schemas[name], {}
            for field, facts in schema["properties"].items():
                if facts.get("x-sdk-absent"):
                    continue
                shape, required = documented(spec, facts), is_required(schema, field)
                has_none = (not required or facts.get("nullable", False)) and not shape.startswith(("tuple", "Any"))
                expected[field] = shape, "or None" if has_none else "", "required" if required else "optional"
            assert {
                camel(attribute.alias): (
                    declared(kind),
                    # An attribute of a list is an empty one where the API sends null.
                    "or None" if nullable and get_origin(kind) is not tuple else "",
                    "required" if attribute.default is attrs.NOTHING else "optional",
                )
                for attribute, kind, nullable in attributes(model(spec, name))
            } == expected


@each_spec
def test_every_model_and_enumeration_is_documented(spec: Spec) -> None:
    """Nothing in the SDK that the document does not know."""
    modelled = [model(spec, name) for name, schema in spec.schemas.items() if is_model(schema)]
    enums = set(re.findall(r"OpenEnum\w*\{.*?\}", " ".join(text_of_enums(spec))))
    public = [value for name in spec.models.__all__ if isinstance(value := getattr(spec.models, name), type)]
    classes = {get_origin(kind) or kind for kind in modelled}
    assert [
        kind.__name__
        for kind in public
        if kind not in classes
        and not (issubclass(kind, Empty) and kind in {Accepted, Done})
        and not (issubclass(kind, codec.OpenEnum) and declared(kind) in enums)
    ] == []


def text_of_enums(spec: Spec) -> Iterator[str]:
    for schema in spec.schemas.values():
        if "enum" in schema or is_enum_object(schema):
            yield documented(spec, schema)
        elif is_model(schema):
            yield from (documented(spec, facts) for facts in schema["properties"].values())


@each_spec
def test_every_difference_has_a_reason(spec: Spec) -> None:
    """An `x-sdk-` mark says why; and only the known ones are used."""

    def marked(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        if isinstance(value, dict):
            if marks := [key.removeprefix("x-sdk-") for key in value if key.startswith("x-sdk-")]:
                yield path, value, marks
            for key, item in value.items():
                yield from marked(item, f"{path}.{key}")
        elif isinstance(value, list):
            for item in value:
                yield from marked(item, path)

    obvious = {"argument", "minimum", "min-length", "reason"}
    for path, value, marks in marked(spec.document, "$"):
        assert set(marks) <= MARKS, path
        assert set(marks) <= obvious or value.get("x-sdk-reason"), path


# Any document


def documents(spec: Spec, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for the JSON of a schema: what it allows, values it may grow, and nulls for what may be absent.

    Numbers with a fraction are floats, so `json.dumps` writes them.
    """
    schema = schema["allOf"][0] if "allOf" in schema else schema
    facts = spec.resolve(schema)
    if "enum" in facts:
        return st.sampled_from([*facts["enum"], NEW])
    match facts.get("type"), facts.get("format"):
        case None, _:
            strategy = RAW
        case "array", _:
            strategy = st.lists(documents(spec, facts["items"]), max_size=2)
        case "object", _ if "properties" in facts:
            strategy = objects(spec, facts)
        case "object", _:
            strategy = st.dictionaries(TEXT, RAW, max_size=2)
        case "integer", bits:
            lowest, highest = facts.get("minimum", facts.get("x-sdk-minimum")), 2 ** (int(bits[3:]) - 1) - 1
            strategy = st.integers(-highest - 1 if lowest is None else lowest, highest)
        case kind, form:
            strategy = LEAVES[kind, form if form in FORMATS else None]
    return st.none() | strategy if facts.get("nullable") else strategy


def objects(spec: Spec, schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    needed: dict[str, Any] = {}
    free: dict[str, Any] = {"zzzNew": RAW} if schema.get("additionalProperties", True) else {}
    for name, facts in schema["properties"].items():
        value = documents(spec, facts)
        if is_required(schema, name):
            # A required enumeration has a name.
            needed[name] = value.filter(bool).filter(lambda it: it != {"name": None}) if "allOf" in facts else value
        elif not facts.get("x-sdk-absent"):
            free[name] = value | st.none()
    return st.fixed_dictionaries(needed, optional=free)


FORMATS = {"date", "date-time", "uuid"}
TEXT = st.text(max_size=6)
NUMBER = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
RAW = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
INSTANTS = st.datetimes(
    # The year 1 stands for no date.
    min_value=datetime(2, 1, 3),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    ("number", None): NUMBER,
    ("boolean", None): st.booleans(),
    ("string", None): TEXT,
    ("string", "date"): st.dates().map(date.isoformat),
    ("string", "uuid"): st.uuids().map(str),
    ("string", "date-time"): INSTANTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
}


def essence(value: Any) -> Any:
    """Return what counts of a document: without new keys and what means "left out", moments as instants."""
    match value:
        case dict():
            items = {key: essence(item) for key, item in value.items() if key != "zzzNew"}
            return {key: item for key, item in items.items() if item not in (None, [], {})}
        case list():
            return [essence(item) for item in value]
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)", value):
            return datetime.fromisoformat(value).astimezone(UTC)
        case bool():
            return ("true or false", value)
        case int() | Decimal():
            return Decimal(value)
        case _:
            return value


@pytest.mark.parametrize(("spec", "name"), MODELS)
@pytest.mark.fuzz
def test_any_documented_value_survives_a_round_trip(spec: Spec, name: str) -> None:
    """Whatever the schema allows is read, and written as it was."""

    @BOUNDED
    @given(document=documents(spec, spec.schemas[name]))
    def survives(document: Any) -> None:
        text = json.dumps(document).encode()
        value = codec.load(text, model(spec, name))
        assert essence(codec.parse(codec.dump(value))) == essence(codec.parse(text))

    survives()


@each_spec
@pytest.mark.fuzz
def test_any_documented_error_is_read(spec: Spec) -> None:
    """Every field of the envelope has its place; the whole of it is kept."""

    @BOUNDED
    @given(envelope=documents(spec, spec.schemas["ErrorResponse"]))
    def is_read(envelope: Any) -> None:
        assert_error_is_read(spec, envelope)

    is_read()


def assert_error_is_read(spec: Spec, envelope: Any) -> None:
    places = {
        "membership": {"errorCode": "code", "errorMessage": "message", "reference": "reference", "traceId": "trace_id"},
        "cloudcockpit": {"type": "code", "description": "message", "correlationId": "trace_id"},
    }[spec.name]
    text = json.dumps(envelope).encode()
    details = spec.errors.read_error(text)
    assert details.recognised == isinstance(envelope.get("errorMessage", envelope.get("statusCode")), str | int)
    if not details.recognised:
        return
    assert {place: getattr(details, place) for place in places.values()} == {
        place: envelope.get(name) for name, place in places.items()
    }
    assert details.raw == codec.parse(text)
    if spec.name == "cloudcockpit":
        assert details.fields == tuple(
            FieldError(item.get("propertyName"), tuple(item.get("description") or ()))
            for item in envelope.get("errors") or ()
        )
