"""Why a request failed below HTTP, in words that are safe to show.

aiohttp's own texts often name the full URL, with a member's ids in it, or the host, which may be a tenant's. So none
of them is passed on: a cause is put together anew, in the words of the operating system and of OpenSSL.
"""

import errno
import os
import re
import socket
import ssl

import aiohttp

__all__ = ["is_stale_connection", "safe_cause"]

_ERROR_NUMBER = re.compile(r"\[Errno (\d{1,5})\]")


def safe_cause(error: BaseException) -> OSError | None:
    """Return an exception that says why a request failed, without a URL, a header or a byte of an answer in it.

    Returns:
        An OSError, ssl.SSLError or socket.gaierror; None if nothing is known but the type of `error`.
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


def is_stale_connection(error: BaseException) -> bool:
    """Return whether the peer hung up without a byte of an answer, as it may on any connection that was kept."""
    match error:
        # If bytes of an answer came, the message is what was parsed of them, and no text.
        case aiohttp.ServerDisconnectedError():
            return isinstance(error.message, str)
        case aiohttp.ClientOSError():
            return error.errno in {errno.ECONNRESET, errno.EPIPE}
        case _:
            return False


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
