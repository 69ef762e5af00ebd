"""What the workflows share: their timing, and the checks and choices of their arguments."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from membership_sdk.client import MembershipClient
from sdk_core.arguments import instance, int64_id, non_empty
from sdk_core.operation import Operation
from sdk_core.workflow import NotOfferedError, cannot

__all__ = ["POLL", "TIMEOUT", "check_ids", "check_reason", "choose", "of_studio"]

R = TypeVar("R")

TIMEOUT: Final = 30.0
POLL: Final = 0.5
"""The API does what it is asked before it answers: what happened shows at once, unless the answer was lost."""


def of_studio(client: object) -> MembershipClient:
    """Return the client if it is one of this API: another would ask its own server."""
    return instance("client", client, MembershipClient)


def check_ids(ids: Mapping[str, object]) -> None:
    """Raise TypeError or ValueError unless all are ids."""
    for name, value in ids.items():
        int64_id(name, value)


def check_reason(reason: object) -> None:
    """Raise TypeError or ValueError unless it is an id or a name."""
    if isinstance(reason, bool) or not isinstance(reason, int | str):
        raise TypeError(f"reason must be an id (int) or an exact name (str), not {type(reason).__name__}")
    if isinstance(reason, int):
        int64_id("reason", reason)
    else:
        non_empty("reason", reason)


def choose(
    offered: tuple[R, ...],
    wanted: int | str,
    argument: str,
    listed_by: Operation[Any],
    *,
    key: Callable[[R], int],
    name: Callable[[R], str],
) -> R:
    """Return the one entry with this id or exact name."""
    found = [entry for entry in offered if wanted in (key(entry), name(entry))]
    if not found:
        raise cannot(NotOfferedError, f"{argument} is not one of those the API offers; `{listed_by.name}` lists them")
    if len(found) > 1:
        raise cannot(NotOfferedError, f"{argument} names several of those the API offers: pass the id")
    return found[0]
