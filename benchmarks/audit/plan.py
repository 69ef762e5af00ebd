"""What a call is going to be, drawn from the seed and its number: nothing here does anything."""

from random import Random
from typing import Any, Final

from attrs import frozen

import cloudcockpit_sdk.operations
import membership_sdk.operations
from benchmarks.audit import samples
from sdk_core.operation import Operation
from sdk_core.transport.multipart import Document

__all__ = [
    "ATTEMPT_TIMEOUT",
    "CLOUDCOCKPIT",
    "DEAD",
    "FLAPPING",
    "INJECTED",
    "LIMITED",
    "MEMBERSHIP",
    "OPERATIONS",
    "OWN",
    "STEADY",
    "Plan",
    "plan",
]

MEMBERSHIP: Final = "membership"
CLOUDCOCKPIT: Final = "cloudcockpit"
OPERATIONS: Final = (
    *((MEMBERSHIP, operation) for operation in membership_sdk.operations.OPERATIONS),
    (MEMBERSHIP, membership_sdk.operations.VERIFY_API_KEY),
    *((CLOUDCOCKPIT, operation) for operation in cloudcockpit_sdk.operations.OPERATIONS),
)

STEADY: Final = "steady"
"""A listener that is always there, through the SDK's own session."""
INJECTED: Final = "injected"
"""The same, through a session of the caller's. (Where clients outlive an event loop: through the SDK's own.)"""
FLAPPING: Final = "flapping"
"""A listener that goes away and comes back."""
DEAD: Final = "dead"
"""A port where nobody listens."""
LIMITED: Final = "limited"
"""The steady listener, through clients with a rate limiter to wait for, and a retry budget that gets used up."""
OWN: Final = "own"
"""The steady listener, through a client made for this call; CloudCockpit's gets its token from a bad source."""
_ROUTES: Final = {STEADY: 46, INJECTED: 22, FLAPPING: 16, LIMITED: 8, OWN: 5, DEAD: 3}

ATTEMPT_TIMEOUT: Final = 0.2
_LARGE: Final = 2**18
_GRACE: Final = 0.05
"""What the SDK grants an attempt that has sent its request, beyond the attempt timeout."""


@frozen
class Plan:
    """One logical call."""

    seed: int
    number: int
    api: str
    operation: Operation[Any]
    arguments: dict[str, Any]
    route: str
    total_timeout: float
    cancel_after: float | None
    """Seconds; None: never."""
    cancel_step: int | None
    """Turns of the event loop; None: never."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody is going to cancel it."""
        return self.cancel_after is not None or self.cancel_step is not None

    @property
    def needs_token(self) -> bool:
        """Whether it must get a token from the endpoint before anything else."""
        return self.route == OWN and self.api == CLOUDCOCKPIT and self.number % 3 > 0

    def __reduce__(self) -> tuple[Any, ...]:
        # Between processes go the two numbers that it was drawn from.
        return plan, (self.seed, self.number)


def plan(seed: int, number: int) -> Plan:
    """Return call `number` (from 1): all operations in turn, everything else at random."""
    rng = Random(f"{seed}:{number}")
    api, operation = OPERATIONS[number % len(OPERATIONS)]
    arguments = samples.slots(operation, number)
    if operation.body is not None:
        arguments["body"] = samples.value_of(operation.body)
    if operation.multipart and rng.random() < 0.7:
        content = bytes(rng.choice((0, 1000, _LARGE)))
        arguments["document"] = Document(source=content, content_type="application/pdf")
    for name, query in operation.query.items():
        if rng.random() < 0.3:
            arguments[name] = samples.value_of(query.kind)
    hurried, fate = rng.random() < 0.25, rng.random()
    return Plan(
        seed,
        number,
        api,
        operation,
        arguments,
        route=rng.choices(list(_ROUTES), list(_ROUTES.values()))[0],
        total_timeout=10 ** rng.uniform(-3, -0.3) if hurried else 2.0,
        cancel_after=_moment(rng) if fate < 0.06 else None,
        cancel_step=rng.randrange(40) if 0.06 <= fate < 0.12 else None,
    )


def _moment(rng: Random) -> float:
    """Return when to cancel: at any time, or just when an attempt times out."""
    if rng.random() < 0.2:
        return ATTEMPT_TIMEOUT + _GRACE + rng.uniform(-0.001, 0.008)
    return 10 ** rng.uniform(-3.5, -0.5)
