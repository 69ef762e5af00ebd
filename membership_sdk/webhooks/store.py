"""Which deliveries were handled: the platform may send one again."""

from typing import Protocol, runtime_checkable
from uuid import UUID

from sdk_core.arguments import positive_int

__all__ = ["DeliveryStore", "RecentDeliveries"]


@runtime_checkable
class DeliveryStore(Protocol):
    """Remembers deliveries that were handled. One of your own keeps them for several processes and over a restart.

    What raises here or takes longer than a second holds nothing up: it is logged, and the delivery is handled, which
    may then be twice.
    """

    async def is_known(self, delivery_id: UUID) -> bool:
        """Return whether the delivery was handled."""
        ...

    async def add(self, delivery_id: UUID) -> None:
        """Remember that the delivery was handled."""
        ...


class RecentDeliveries:
    """The deliveries that this process has handled last.

    Args:
        most: how many are remembered; about 150 bytes each.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = positive_int("most", most)
        # In the order in which they came: a set has none.
        self._ids: dict[UUID, None] = {}

    async def is_known(self, delivery_id: UUID) -> bool:
        """Return whether the delivery was handled, and is remembered."""
        return delivery_id in self._ids

    async def add(self, delivery_id: UUID) -> None:
        """Remember the delivery, and forget the oldest if there are too many."""
        self._ids[delivery_id] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
