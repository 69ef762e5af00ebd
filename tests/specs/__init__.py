"""Both APIs as OpenAPI documents, and how to read them."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from attrs import field, frozen

import cloudcockpit_sdk.errors
import cloudcockpit_sdk.models
import cloudcockpit_sdk.operations
import membership_sdk.errors
import membership_sdk.models
import membership_sdk.operations
from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import MembershipClient
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.client import Client
from sdk_core.sandbox import Sandbox

__all__ = ["SPECS", "Described", "Spec", "snake"]

METHODS = ("get", "put", "post", "patch", "delete")
_SLOT_TYPES = {"int64": "int", "uuid": "uuid", None: "str"}


@cache
def load(name: str) -> Any:
    # The loader in C, where there is one, needs a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(Path(__file__).with_name(f"{name}.yaml").read_text(), Loader=loader)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@frozen
class Described:
    """An operation as its document describes it, references resolved."""

    method: str
    path: str
    facts: dict[str, Any] = field(repr=False)
    parameters: list[dict[str, Any]] = field(repr=False)
    responses: dict[str, dict[str, Any]] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def parameters_in(self, place: str) -> dict[str, dict[str, Any]]:
        return {parameter["name"]: parameter for parameter in self.parameters if parameter["in"] == place}

    @property
    def sdk_path(self) -> str:
        """The path with the SDK's typed slots."""
        slots = self.parameters_in("path")

        def slot(match: re.Match[str]) -> str:
            return f"{{{snake(match[1])}:{_SLOT_TYPES[slots[match[1]]['schema'].get('format')]}}}"

        return re.sub(r"\{(\w+)\}", slot, self.path)


@frozen
class Spec:
    """A document, and the SDK it is about."""

    name: str
    client: type[Client]
    sandbox: type[Sandbox]
    models: ModuleType
    operations: ModuleType
    errors: ModuleType

    def __str__(self) -> str:
        return self.name

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = load(self.name)
        return document

    @property
    def schemas(self) -> dict[str, dict[str, Any]]:
        schemas: dict[str, dict[str, Any]] = self.document["components"]["schemas"]
        return schemas

    def resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            _, _, kind, name = value["$ref"].split("/")
            value = self.document["components"][kind][name]
        return value

    def described(self) -> Iterator[Described]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    facts = item[method]
                    parameters = [*item["parameters"], *facts.get("parameters", ())]
                    responses = {status: self.resolve(answer) for status, answer in facts["responses"].items()}
                    yield Described(method.upper(), path, facts, [*map(self.resolve, parameters)], responses)

    def as_promised(self) -> dict[str, Any]:
        """Return a copy in plain OpenAPI of what the SDK relies on: its own `required`, and its bounds of arguments."""
        document = copy.deepcopy(self.document)
        for schema in document["components"]["schemas"].values():
            if required := [name for name in schema.get("properties", ()) if is_required(schema, name)]:
                schema["required"] = required
            else:
                schema.pop("required", None)
            if document["info"].get("x-sdk-null-objects"):
                for name in {*schema.get("properties", ())} - {*schema.get("required", ())}:
                    facts = schema["properties"][name]
                    schema["properties"][name] = {"allOf": [facts], "nullable": True} if is_object(facts) else facts
        _apply_bounds(document)
        return document


def _apply_bounds(value: Any) -> None:
    if isinstance(value, dict):
        for mark, keyword in ("x-sdk-minimum", "minimum"), ("x-sdk-min-length", "minLength"):
            if mark in value:
                value[keyword] = value[mark]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        _apply_bounds(item)


def is_object(facts: dict[str, Any]) -> bool:
    return "$ref" in facts or "allOf" in facts or facts.get("type") == "object"


def is_required(schema: dict[str, Any], name: str) -> bool:
    """Whether the SDK requires the property."""
    required = schema["properties"][name].get("x-sdk-required", name in schema.get("required", ()))
    assert isinstance(required, bool)
    return required


SPECS = (
    Spec(
        "membership",
        MembershipClient,
        MembershipSandbox,
        membership_sdk.models,
        membership_sdk.operations,
        membership_sdk.errors,
    ),
    Spec(
        "cloudcockpit",
        CloudCockpitClient,
        CloudCockpitSandbox,
        cloudcockpit_sdk.models,
        cloudcockpit_sdk.operations,
        cloudcockpit_sdk.errors,
    ),
)
