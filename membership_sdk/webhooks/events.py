"""What a webhook tells: a delivery's JSON as typed events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import attrs
from attrs import field, frozen

from sdk_core import codec
from sdk_core.arguments import instance
from sdk_core.codec import OpenEnum

__all__ = [
    "ContractEvent",
    "Delivery",
    "IdlePeriodEvent",
    "ModuleContractEvent",
    "UnreadableDeliveryError",
    "WebhookEvent",
    "WebhookEventType",
    "read_delivery",
]


class WebhookEventType(OpenEnum):
    """What happened. The platform spells these with two l, and its API with one.

    Nothing is sent for what waits for the studio to verify it, nor for the withdrawal of a cancelation.
    """

    CONTRACT_CREATED = "CONTRACT_CREATED"
    CONTRACT_UPDATED = "CONTRACT_UPDATED"
    CONTRACT_CANCELLED = "CONTRACT_CANCELLED"
    CONTRACT_IDLE_PERIOD_CREATED = "CONTRACT_IDLE_PERIOD_CREATED"
    CONTRACT_IDLE_PERIOD_UPDATED = "CONTRACT_IDLE_PERIOD_UPDATED"
    CONTRACT_IDLE_PERIOD_CANCELLED = "CONTRACT_IDLE_PERIOD_CANCELLED"
    CONTRACT_ADDITIONAL_MODULE_CREATED = "CONTRACT_ADDITIONAL_MODULE_CREATED"
    CONTRACT_ADDITIONAL_MODULE_UPDATED = "CONTRACT_ADDITIONAL_MODULE_UPDATED"
    CONTRACT_ADDITIONAL_MODULE_CANCELLED = "CONTRACT_ADDITIONAL_MODULE_CANCELLED"
    CONTRACT_ADDITIONAL_MODULE_DELETED = "CONTRACT_ADDITIONAL_MODULE_DELETED"

    if TYPE_CHECKING:
        _UNLISTED = ""


@frozen(kw_only=True)
class WebhookEvent:
    """Something that happened in a studio.

    Of this very class are events of types that this release does not know, and those whose content is not as it is
    documented; all others are a `ContractEvent` or one of its subclasses. None says how things are now: events may be
    late, lost or out of order, so that what counts is what the API says when it is asked.
    """

    studio: str
    """Whose key came with it: a name of the receiver's `keys`."""
    delivery_id: UUID
    """The same when the platform sends a delivery again."""
    entity_id: int
    """Of known types, the customer's id."""
    type: WebhookEventType
    occurred_at: datetime | None
    """In UTC; None: the platform's `timestamp` is none."""
    content: Mapping[str, Any] = field(hash=False)
    """As it was sent; empty if there was none."""


@frozen(kw_only=True)
class ContractEvent(WebhookEvent):
    """Something happened to a main contract, or to what belongs to it."""

    contract_id: int

    @property
    def customer_id(self) -> int:
        """The member."""
        return self.entity_id


@frozen(kw_only=True)
class IdlePeriodEvent(ContractEvent):
    """Something happened to an idle period."""

    idle_period_id: int
    idle_period_amount: Any = field(default=None, hash=False)
    """As it was sent: its form is not documented."""
    used_free_terms_in_days: int | None = None


@frozen(kw_only=True)
class ModuleContractEvent(ContractEvent):
    """Something happened to the contract of an additional module."""

    module_contract_id: int
    """Presumably the `additional_module_contract_id` of the API."""


@frozen(kw_only=True)
class Delivery:
    """One webhook."""

    id: UUID
    events: tuple[WebhookEvent, ...]
    """At present it is one."""


class UnreadableDeliveryError(ValueError):
    """A delivery is not of the documented form. Its text and `problems` name JSON paths, and no values."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@frozen(kw_only=True)
class _Item:
    type: WebhookEventType
    timestamp: Any = None
    content: Any = None


@frozen(kw_only=True)
class _Body:
    entity_id: int
    uuid: UUID
    payload: tuple[_Item, ...]


@frozen(kw_only=True)
class _Contract:
    contract_id: int


@frozen(kw_only=True)
class _IdlePeriod(_Contract):
    idle_period_id: int
    idle_period_amount: Any = None
    used_free_terms_in_days: int | None = None


@frozen(kw_only=True)
class _ModuleContract(_Contract):
    module_contract_id: int


_KINDS: Final[Mapping[str, tuple[type[_Contract], type[ContractEvent]]]] = {
    "CONTRACT_": (_Contract, ContractEvent),
    "CONTRACT_IDLE_PERIOD_": (_IdlePeriod, IdlePeriodEvent),
    "CONTRACT_ADDITIONAL_MODULE_": (_ModuleContract, ModuleContractEvent),
}
"""By the beginning of the type's name, up to the last word."""


def read_delivery(body: bytes, *, studio: str) -> Delivery:
    """Return a webhook's events.

    Args:
        body: JSON of `entityId`, `uuid` and `payload`; what else it holds is ignored.
        studio: whose key came with it.

    Raises:
        UnreadableDeliveryError: it is something else.
        TypeError: `body` is no bytes, or `studio` no text.

    Source: the vendor's general information and list of event types (1.9.0, 1.11.0).
    """
    instance("studio", studio, str)
    try:
        read = codec.load(instance("body", body, bytes), _Body)
    except codec.NotJsonError:
        problems: tuple[str, ...] = ("$: no JSON",)
    except codec.ShapeError as error:
        problems = error.problems
    else:
        return Delivery(id=read.uuid, events=tuple(_event(read, item, studio) for item in read.payload))
    # Out of the handlers: what they caught may show values.
    raise UnreadableDeliveryError(problems)


def _event(delivery: _Body, item: _Item, studio: str) -> WebhookEvent:
    sent: object = item.content
    content = codec.as_object(sent) if type(sent) is dict else {}
    facts: dict[str, Any] = {
        "studio": studio,
        "delivery_id": delivery.uuid,
        "entity_id": delivery.entity_id,
        "type": item.type,
        "occurred_at": _moment(item.timestamp),
        "content": content,
    }
    if not item.type.is_known:
        return WebhookEvent(**facts)
    shape, kind = _KINDS[item.type.rpartition("_")[0] + "_"]
    try:
        known = codec.structure(content, shape, codec.Reading())
    except codec.ShapeError:
        return WebhookEvent(**facts)
    return kind(**facts, **attrs.asdict(known, recurse=False))


def _moment(milliseconds: object) -> datetime | None:
    if type(milliseconds) is not int:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
