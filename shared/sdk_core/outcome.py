"""The outcome table: what is known of a request's effect, and whether it may be repeated.

"In between" are proxies, load balancers and CDNs: they know nothing of the operation, and may have forwarded a request
before they gave up on it. What they send lacks the API's own error envelope. A body of 64 KiB or more that comes
with an error status is not read, and so is none either.

| what happened                                    | who says so        | outcome  | READ, IDEMPOTENT | WRITE  |
|--------------------------------------------------|--------------------|----------|------------------|--------|
| DNS, proxy, connect or TLS failed: nothing sent  | nobody             | NOT_SENT | repeat           | repeat |
| the same for good: a certificate, a proxy's 4xx  | the proxy, nobody  | NOT_SENT | raise            | raise  |
| 409 declared as "changed concurrently"           | the API            | REJECTED | repeat           | repeat |
| 429                                              | anybody            | REJECTED | repeat           | repeat |
| 503 where the API documents it as throttling     | the API            | REJECTED | repeat           | repeat |
| 401                                              | anybody            | REJECTED | a fresh token, once       ||
| 408, 460, 499 without the API's envelope         | in between         | UNKNOWN  | repeat           | raise  |
| 413, 431: too large to be taken in               | anybody            | REJECTED | raise            | raise  |
| any other 4xx                                    | anybody            | REJECTED | raise            | raise  |
| dropped, reset, timed out after sending          | nobody             | UNKNOWN  | repeat           | raise  |
| 500, 502, 503, 504                               | anybody            | UNKNOWN  | repeat           | raise  |
| 520 to 527                                       | a CDN, in between  | UNKNOWN  | repeat           | raise  |
| any other 5xx                                    | anybody            | UNKNOWN  | raise            | raise  |
| 2xx with JSON of another shape, of a READ        | the API            | REJECTED | raise            |        |
| 2xx with JSON of another shape, of any other     | the API            | APPLIED  | raise            | raise  |
| 2xx with an error's body, of a READ              | anybody            | REJECTED | raise            |        |
| 2xx with an error's body, of any other           | anybody            | UNKNOWN  | raise            | raise  |
| 2xx that is no JSON; 3xx                         | in between         | UNKNOWN  | raise            | raise  |
| a head or a compression that can't be read       | anybody            | UNKNOWN  | raise            | raise  |
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Self

import aiohttp
from attrs import frozen

from sdk_core.details import ErrorDetails
from sdk_core.operation import Effect, Operation
from sdk_core.value import Value

__all__ = ["Attempt", "Outcome", "may_repeat", "outcome_of_failure", "outcome_of_status", "outcome_of_unreadable"]

_PASSING_SERVER_ERRORS = frozenset({500, 502, 503, 504, *range(520, 528)})
_GAVE_UP = frozenset({408, 460, 499})
"""A timeout in between, or a client or balancer that hung up: by then the request may have been forwarded."""


class Outcome(Enum):
    """What is known of a failed call's effect on the server."""

    NOT_SENT = "not_sent"
    """No byte of a request reached the server: nothing happened."""
    REJECTED = "rejected"
    """Nothing happened: the server refused; or it answered a READ, which has no effect, with what can't be read."""
    UNKNOWN = "unknown"
    """The request may have taken effect: read the state before doing it again."""
    APPLIED = "applied"
    """The server said yes, but its answer can't be read: it happened, do not repeat."""


@frozen
class Attempt(Value):
    """One try of a call."""

    number: int
    """From 1."""
    status: int | None
    """HTTP status; None if no complete answer came."""
    error: str | None
    """What went wrong below HTTP (an exception's name); None if an answer came."""
    delay: float
    """Seconds waited before this attempt."""
    elapsed: float
    """Seconds the attempt took."""
    outcome: Outcome | None
    """What is known of this attempt's effect; None for a success. NOT_SENT: the server saw nothing of it."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild an attempt from the JSON data of an error."""
        outcome = facts["outcome"]
        rebuilt: dict[str, Any] = {**facts, "outcome": None if outcome is None else Outcome(outcome)}
        return cls(**rebuilt)

    def to_facts(self) -> dict[str, Any]:
        """Return the attempt as JSON data, its times to the millisecond."""
        return {
            "number": self.number,
            "status": self.status,
            "error": self.error,
            "delay": round(self.delay, 3),
            "elapsed": round(self.elapsed, 3),
            "outcome": None if self.outcome is None else self.outcome.value,
        }


def outcome_of_status(
    operation: Operation[object], status: int, details: ErrorDetails, *, throttles_with_503: bool
) -> tuple[Outcome, bool]:
    """Return what an error status (400 and above) says of the effect, and whether the same request may succeed soon."""
    match status:
        case 429:
            return Outcome.REJECTED, True
        # Without the API's own envelope it came from something in between, which knows nothing of the operation.
        case 409:
            return Outcome.REJECTED, details.recognised and _declares(operation, details.code)
        case 503 if throttles_with_503 and details.recognised:
            return Outcome.REJECTED, True
        case _ if status in _GAVE_UP and not details.recognised:
            return Outcome.UNKNOWN, True
        case _ if status < 500:
            return Outcome.REJECTED, False
        case _:
            return Outcome.UNKNOWN, status in _PASSING_SERVER_ERRORS


def outcome_of_unreadable(operation: Operation[Any], *, tells_failure: bool = False) -> Outcome:
    """Return what JSON of another shape, which came with a success, says of the effect. A READ has none.

    The API said yes; unless the body is an error's: then status and body contradict each other.
    """
    if operation.effect is Effect.READ:
        return Outcome.REJECTED
    return Outcome.UNKNOWN if tells_failure else Outcome.APPLIED


def outcome_of_failure(error: BaseException) -> Outcome:
    """Return what a failure below HTTP says of the effect."""
    match error:
        case (
            aiohttp.ClientConnectorError()
            | aiohttp.ConnectionTimeoutError()
            | aiohttp.ServerFingerprintMismatch()
            | aiohttp.ClientHttpProxyError()
            | aiohttp.InvalidURL()
        ):
            return Outcome.NOT_SENT
        case _:
            return Outcome.UNKNOWN


def may_repeat(effect: Effect, outcome: Outcome, *, passing: bool) -> bool:
    """Return whether the same request may be sent again.

    It may if it can succeed soon (`passing`), and if that can't have the effect of a WRITE twice.
    """
    return passing and (effect in {Effect.READ, Effect.IDEMPOTENT} or outcome in {Outcome.NOT_SENT, Outcome.REJECTED})


def _declares(operation: Operation[object], code: str | None) -> bool:
    declared = operation.retry_conflict
    return declared if isinstance(declared, bool) else code in declared
