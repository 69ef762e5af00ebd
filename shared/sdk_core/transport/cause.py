"""Why a request failed below HTTP, in words that are safe to show, and whether that may pass by itself.

aiohttp's own texts often name the full URL, with a member's ids in it, or the host, which may be a tenant's, and repeat
what the server wrote. So none of them is passed on: a cause is put together anew, in fixed words and those of the
operating system and of OpenSSL.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp
from aiohttp.http_exceptions import BadHttpMessage, ContentEncodingError, HttpProcessingError, LineTooLong
from yarl import URL

__all__ = ["is_passing", "is_stale_connection", "safe_cause", "unreadable"]

_ERROR_NUMBER = r"\[Errno (\d{1,5})\]"
_PASSING_REFUSALS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def safe_cause(error: BaseException, proxy: URL | None = None) -> OSError | None:
    """Return an exception that says why a request failed, without a URL, a header or a byte of an answer in it.

    Args:
        error: how it failed.
        proxy: what the request was to go through, if it failed on the way there: the cause says what the proxy did.

    Returns:
        An OSError, ssl.SSLError or socket.gaierror; None if nothing is known but the type of `error`.
    """
    whose = "the" if proxy is None else "the proxy's"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return OSError(f"the proxy answered {error.status}")
    failure = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    tls = _tls_failure(error)
    if tls is not None:
        # OpenSSL's own number: as an errno, 1 would read "Operation not permitted".
        return type(tls)(tls.errno, _of_proxy(error, proxy) + _tls_reason(tls))
    if isinstance(failure, socket.gaierror):
        return socket.gaierror(failure.errno, f"{whose} host name could not be resolved: {failure.strerror}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OSError(f"{whose} host name could not be resolved")
    numbers = _error_numbers(failure)
    if not numbers:
        return None if proxy is None else OSError(_proxy_fault(error))
    text = ", ".join(dict.fromkeys(map(os.strerror, numbers)))
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        text = f"no connection to the proxy: {text}"
    elif proxy is not None:
        text = f"no connection through the proxy: {text}"
    return OSError(numbers[0], text)


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may fare better a moment later: nobody has to change a setting first."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _PASSING_REFUSALS
        case aiohttp.InvalidURL():
            return False
        case aiohttp.ClientError() | HttpProcessingError() | OSError():
            tls = _tls_failure(error)
            return unreadable(error) is None and not (tls is not None and _is_about_certificates(tls))
        case _:
            # No failure of a connection, but of code: aiohttp's, a session's owner's.
            return False


def unreadable(error: BaseException) -> str | None:
    """Return in fixed words what is wrong with an answer that came, but is not taken in; None if that is not it."""
    for link in _chain(error):
        match link:
            case LineTooLong():
                return "the head of the answer is larger than allowed, see Connection.max_header_bytes"
            case ContentEncodingError():
                return "the body of the answer is not what its Content-Encoding says"
            case BadHttpMessage() if "Too many headers" in link.message:
                return "the answer has more header fields than allowed, see Connection.max_header_bytes"
            case _:
                pass
    return None


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
    reason = _openssl_words(failure)
    if "alert" not in reason:
        return f"TLS failed: {reason}"
    # An alert comes from the server. Up to TLS 1.2 it may be any, if what it misses is a certificate of the client.
    refused = "client certificate" if _is_about_certificates(failure) else "TLS handshake"
    return f"the server refused the {refused}: {reason}"


def _openssl_words(failure: ssl.SSLError) -> str:
    return str(getattr(failure, "reason", None)).replace("_", " ").lower()


def _is_about_certificates(failure: ssl.SSLError) -> bool:
    """Return whether one side does not accept the certificate of the other."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return True
    reason = _openssl_words(failure)
    return "alert" in reason and any(word in reason for word in ("certificate", "unknown ca", "access denied"))


def _tls_failure(error: BaseException) -> ssl.SSLError | None:
    # Not only aiohttp hides it: in a tunnel through an https proxy, asyncio fails over it with a TypeError.
    return next((link for link in _chain(error) if isinstance(link, ssl.SSLError) and _is_own(link)), None)


def _is_own(failure: ssl.SSLError) -> bool:
    # aiohttp's own are SSLErrors too, around the real one.
    return not isinstance(failure, aiohttp.ClientError)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and those it was made from, outermost first."""
    link: BaseException | None = error
    while link is not None:
        yield link
        if isinstance(link, aiohttp.ClientConnectorError):
            yield link.os_error
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _of_proxy(error: BaseException, proxy: URL | None) -> str:
    """Return the words that tell the proxy's TLS from that of the server behind it."""
    if proxy is None or not isinstance(error, aiohttp.ClientConnectorError):
        return ""
    return "the proxy: " if (error.host, error.port) == (proxy.raw_host, proxy.port) else ""


def _proxy_fault(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the proxy hung up"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the proxy's answer is no HTTP" if unreadable(error) is None else "the proxy's answer is too large"
    return "no connection through the proxy"


def _error_numbers(failure: BaseException) -> list[int]:
    if isinstance(failure, OSError) and isinstance(failure.errno, int):
        return [failure.errno]
    if isinstance(failure, ConnectionResetError):
        # asyncio names no number when a connection ends during the handshake.
        return [errno.ECONNRESET]
    # Of a host with several addresses, each may have failed in its own way.
    return [int(number) for number in re.findall(_ERROR_NUMBER, str(failure))]
