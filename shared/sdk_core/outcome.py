"""The outcome table: what is known of a request's effect, and whether it may be repeated.

| what happened                                             | outcome  | READ, IDEMPOTENT | WRITE |
|-----------------------------------------------------------|----------|------------------|-------|
| DNS, connect or TLS failed before a byte was sent         | NOT_SENT | repeat           | repeat|
| 409 the operation declares as "changed concurrently"      | REJECTED | repeat           | repeat|
| 429; 503 with the API's envelope, where it throttles so   | REJECTED | repeat           | repeat|
| other 4xx (401: a fresh token, once)                      | REJECTED | raise            | raise |
| dropped, reset, timed out after sending; 500 502 503 504  | UNKNOWN  | repeat           | raise |
| 2xx with JSON of another shape                            | APPLIED  | raise            | raise |
| 2xx that is no JSON; 3xx; any other 5xx                   | UNKNOWN  | raise            | raise |
"""

import errno
import os
import ssl

import aiohttp

from sdk_core.errors import ErrorDetails, Outcome
from sdk_core.operation import Effect, Operation

__all__ = ["is_stale_connection", "may_repeat", "of_failure", "of_refusal", "safe_cause"]

_PASSING_SERVER_ERRORS = frozenset({500, 502, 503, 504})


def of_refusal(
    operation: Operation[object], status: int, details: ErrorDetails, *, throttles_with_503: bool
) -> tuple[Outcome, bool]:
    """Return what an error status (400 and above) says of the effect, and whether the failure is a passing one."""
    match status:
        case 429:
            return Outcome.REJECTED, True
        # Without the API's own envelope it came from something in between, which knows nothing of the operation.
        case 409:
            return Outcome.REJECTED, details.recognised and _declares(operation, details.code)
        case 503 if throttles_with_503 and details.recognised:
            return Outcome.REJECTED, True
        case _ if status < 500:  # noqa: PLR2004
            return Outcome.REJECTED, False
        case _:
            return Outcome.UNKNOWN, status in _PASSING_SERVER_ERRORS


def of_failure(error: BaseException) -> Outcome:
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
    """Return whether the same request may be sent again: it could help, and can't do a WRITE twice."""
    return passing and (effect is not Effect.WRITE or outcome in {Outcome.NOT_SENT, Outcome.REJECTED})


def is_stale_connection(error: BaseException) -> bool:
    """Return whether the peer hung up without a byte of an answer, as it may on any connection that was kept."""
    match error:
        # With bytes of an answer, the message is what was parsed of them.
        case aiohttp.ServerDisconnectedError():
            return isinstance(error.message, str)
        case aiohttp.ClientOSError():
            return error.errno in {errno.ECONNRESET, errno.EPIPE}
        case _:
            return False


def safe_cause(error: BaseException) -> BaseException | None:
    """Return an exception to chain that tells of no URL, header or byte of an answer.

    aiohttp's own texts often do: they name the full URL, with a member's ids in it.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return OSError(f"the proxy answered {error.status}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error
    for failure in (error, error.__cause__):
        if isinstance(failure, ssl.SSLError):
            # OpenSSL's own number: as an errno, 1 would read "Operation not permitted". Its text names reasons only.
            return ssl.SSLError(failure.errno, failure.strerror)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return OSError(error.errno, os.strerror(error.errno))
    return None


def _declares(operation: Operation[object], code: str | None) -> bool:
    declared = operation.retry_conflict
    return declared if isinstance(declared, bool) else code in declared
