"""The way to an API, step by step: proxy, name, connection, TLS, clock. One request is made, without a credential."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from attrs import frozen
from yarl import URL

from sdk_core.errors import ConfigurationError
from sdk_core.transport.proxy import proxy_for

__all__ = ["Finding", "State", "clock", "reach"]

_SKEW: Final = 60.0
"""Seconds of difference that change nothing: a token lives for minutes."""
_DAY: Final = 86400
_SOON: Final = 14
_NO_TLS: Final = "WRONG_VERSION_NUMBER"
"""OpenSSL's reason where the answer to the first bytes is no TLS at all, like an error of HTTP."""
_HEAD_BYTES: Final = 2**14


class State(Enum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Finding:
    """What one check found."""

    check: str
    state: State
    said: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON data."""
        return {"check": self.check, "state": self.state.value, "said": self.said, "advice": self.advice}


async def reach(url: URL, timeout: float) -> AsyncIterator[tuple[Finding, str | None]]:
    """Give what each step to `url` found, and the Date header if there was an answer; the first failure is the last.

    Args:
        url: the API's base URL.
        timeout: seconds for each step.
    """
    try:
        proxy = proxy_for(url, None, trust_env=True)
    except ConfigurationError as error:
        yield Finding("proxy", State.FAILED, str(error), "Correct the variable, or unset it"), None
        return
    if proxy is not None:
        said = f"{proxy.host}:{proxy.port}, from the environment; it resolves and connects"
        yield Finding("proxy", State.OK, said), None
        return
    yield Finding("proxy", State.OK, "none"), None
    host, port = url.host or "", url.port or 443
    try:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    except (OSError, TimeoutError) as error:
        what = "Check the base URL, and the network of this machine"
        yield Finding("DNS", State.FAILED, f"{host} can't be resolved: {_reason(error)}", what), None
        return
    addresses = sorted({str(entry[4][0]) for entry in found})
    yield Finding("DNS", State.OK, f"{host} is {', '.join(addresses[:3])}"), None
    yield await _talk(url, host, port, timeout)


async def _talk(url: URL, host: str, port: int, timeout: float) -> tuple[Finding, str | None]:
    # In a thread: the certificates of the authorities are read from the disk.
    context = await asyncio.to_thread(ssl.create_default_context) if url.scheme == "https" else None
    connected = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            connected = True
            try:
                certificate = writer.get_extra_info("peercert")
                version = writer.get_extra_info("ssl_object") and writer.get_extra_info("ssl_object").version()
                writer.write(f"HEAD / HTTP/1.1\r\nHost: {url.authority}\r\nConnection: close\r\n\r\n".encode())
                head = await reader.read(_HEAD_BYTES)
            finally:
                writer.close()
    except ssl.SSLCertVerificationError as error:
        what = "Behind an intercepting proxy, name its authority with SSL_CERT_FILE; else check the clock and the URL"
        return Finding("TLS", State.FAILED, f"the certificate is refused: {error.verify_message}", what), None
    except ssl.SSLError as error:
        if error.reason == _NO_TLS:
            return Finding("TLS", State.FAILED, f"{host}:{port} does not speak TLS", "Is the URL http?"), None
        what = "Check the base URL, and what is between this machine and the server"
        return Finding("TLS", State.FAILED, f"no TLS with {host}:{port}: {error.reason or error}", what), None
    except (OSError, TimeoutError) as error:
        if connected:
            said = f"{host}:{port} takes the connection, and gives no answer: {_reason(error)}"
            return Finding("TLS", State.FAILED, said, "Check the base URL; or try again with a longer --timeout"), None
        what = "A firewall may be in between, or a proxy needed (HTTPS_PROXY)"
        return Finding("TLS", State.FAILED, f"no connection to {host}:{port}: {_reason(error)}", what), None
    return _certificate(certificate, version), _date_of(head)


def _certificate(certificate: dict[str, str] | None, version: str | None) -> Finding:
    if certificate is None:
        return Finding("TLS", State.SKIPPED, "connected without TLS, on this machine")
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // _DAY)
    said = f"{version}, certificate valid for {days} more days"
    return Finding("TLS", State.OK if days > _SOON else State.WARNING, said)


def _date_of(head: bytes) -> str | None:
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "date":
            return value.strip()
    return None


def clock(date: str | None) -> Finding:
    """Return how far this machine's clock is from that of the server, by its Date header."""
    try:
        skew = time.time() - parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return Finding("clock", State.SKIPPED, "the server told no time")
    # The header is cut to whole seconds.
    if abs(skew) <= _SKEW:
        return Finding("clock", State.OK, "as the server's, within a minute")
    said = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    return Finding("clock", State.WARNING, said, "Set it: tokens may be taken for expired, or not valid yet")


def _reason(error: Exception) -> str:
    return "it takes too long" if isinstance(error, TimeoutError) else str(getattr(error, "strerror", None) or error)
