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
import re
import socket
import ssl

import aiohttp

from sdk_core.errors import ErrorDetails, Outcome
from sdk_core.operation import Effect, Operation

__all__ = ["is_stale_connection", "may_repeat", "of_failure", "of_refusal", "safe_cause"]

_PASSING_SERVER_ERRORS = frozenset({500, 502, 503, 504})
_ERROR_NUMBER = re.compile(r"\[Errno (\d{1,5})\]")


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
    return passing and (effect in {Effect.READ, Effect.IDEMPOTENT} or outcome in {Outcome.NOT_SENT, Outcome.REJECTED})


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


def safe_cause(error: BaseException) -> OSError | None:
    """Return an exception that says why a request failed below HTTP, and tells of no URL, header or byte of an answer.

    aiohttp's own texts often do: they name the full URL, with a member's ids in it, or the host, which may be a
    tenant's. So this one is put together anew, in the words of the system and of OpenSSL.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return OSError(f"the proxy answered {error.status}")
    failure = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for tls in (failure, failure.__cause__):
        if isinstance(tls, ssl.SSLError):
            # OpenSSL's own number: as an errno, 1 would read "Operation not permitted".
            return type(tls)(tls.errno, _tls_reason(tls))
    if isinstance(failure, socket.gaierror):
        return socket.gaierror(failure.errno, f"the host name could not be resolved: {failure.strerror}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OSError("the host name could not be resolved")
    numbers = _error_numbers(failure)
    if not numbers:
        return None
    text = ", ".join(dict.fromkeys(map(os.strerror, numbers)))
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        text = f"no connection to the proxy: {text}"
    return OSError(numbers[0], text)


def _tls_reason(failure: ssl.SSLError) -> str:
    # Not every SSLError comes from OpenSSL and has these attributes.
    if isinstance(failure, ssl.SSLCertVerificationError):
        # After a comma it names the host.
        return "certificate verify failed: " + getattr(failure, "verify_message", "").partition(",")[0]
    reason = str(getattr(failure, "reason", None)).replace("_", " ").lower()
    if "alert" not in reason:
        return f"TLS failed: {reason}"
    # An alert comes from the server. Up to TLS 1.2 it may be any, if what it misses is a certificate of the client.
    certificate = any(word in reason for word in ("certificate", "unknown ca", "access denied"))
    return f"the server refused the {'client certificate' if certificate else 'TLS handshake'}: {reason}"


def _error_numbers(failure: BaseException) -> list[int]:
    if isinstance(failure, OSError) and isinstance(failure.errno, int):
        return [failure.errno]
    if isinstance(failure, ConnectionResetError):
        # asyncio names no number when a connection ends during the handshake.
        return [errno.ECONNRESET]
    # Of a host with several addresses, each may have failed in its own way.
    return [int(number) for number in _ERROR_NUMBER.findall(str(failure))]


def _declares(operation: Operation[object], code: str | None) -> bool:
    declared = operation.retry_conflict
    return declared if isinstance(declared, bool) else code in declared
