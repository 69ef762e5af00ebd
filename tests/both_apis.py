"""Both APIs, for tests that hold for either: a client on a URL, all operations, an error body of its own."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from attrs import NOTHING, fields, frozen, resolve_types

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.operations import OPERATIONS as CLOUDCOCKPIT
from membership_sdk import MembershipClient
from membership_sdk.operations import OPERATIONS as MEMBERSHIP
from sdk_core.arguments import int64_id, uuid_id
from sdk_core.client import Client
from sdk_core.operation import Operation
from sdk_core.transport.multipart import Document


@frozen
class Api:
    name: str
    client: Callable[..., Client]
    operations: tuple[Operation[Any], ...]
    envelope: dict[str, Any]


APIS = (
    Api(
        "membership",
        lambda url, **options: MembershipClient(url, "key", **options),
        MEMBERSHIP,
        {"errorMessage": "no", "errorCode": "SOME_CODE"},
    ),
    Api(
        "cloudcockpit",
        lambda url, **options: CloudCockpitClient("tenant.example", "token", base_url=url, **options),
        CLOUDCOCKPIT,
        {"statusCode": 400, "type": "SomeType", "description": "no"},
    ),
)

_VALUES: dict[Any, Any] = {
    int: 7,
    int64_id: 7,
    uuid_id: UUID(int=7),
    bool: True,
    date: date(2026, 1, 31),
    UUID: UUID(int=7),
    str: "x",
    dict: {"name": "x"},
    Decimal | None: Decimal(7),
}


def valid_arguments(operation: Operation[Any]) -> dict[str, Any]:
    """Return arguments that `operation` accepts, from its slots and its body alone."""
    # A slot of type `str` has no check of its own to tell it by.
    arguments = {name: _VALUES.get(check, "x") for name, check in operation.slots.items()}
    if operation.body in _VALUES:
        arguments["body"] = _VALUES[operation.body]
    elif operation.body is not None:
        needed = [field for field in fields(resolve_types(operation.body)) if field.default is NOTHING]
        arguments["body"] = operation.body(**{field.name: _VALUES[field.type] for field in needed})
    if operation.multipart:
        arguments["document"] = Document(source=b"proof", content_type="image/png")
    return arguments
