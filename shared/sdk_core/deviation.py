"""What an API sent otherwise than documented, told to whoever wants to know."""

import logging
from collections.abc import Callable

from attrs import frozen

from sdk_core.value import Value

__all__ = ["Deviation", "tell"]

_log = logging.getLogger("sdk_core.deviation")


@frozen
class Deviation(Value):
    """A part of an answer that is not as documented, and was read all the same. It holds nothing that was sent."""

    operation: str
    """Name of the operation, like `get_contract_data`."""
    path: str
    """JSON path; all items of a list have one: `$[*].endDate`."""
    kind: str
    """What is odd about it, in fixed words."""


def tell(on_unexpected: Callable[[Deviation], None] | None, deviation: Deviation) -> None:
    """Tell of a deviation. What the callback raises is logged by its type: the answer is good all the same."""
    fields = {"sdk_operation": deviation.operation}
    _log.info("%s: %s at %s", deviation.operation, deviation.kind, deviation.path, extra=fields)
    if on_unexpected is None:
        return
    try:
        on_unexpected(deviation)
    except Exception as error:  # noqa: BLE001  somebody else's code
        _log.warning("on_unexpected failed with %s", type(error).__name__)
