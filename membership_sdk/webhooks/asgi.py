"""Webhooks as an ASGI application: for Starlette, FastAPI, Litestar, or a server alone."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Final, cast

from membership_sdk.webhooks.receiver import WebhookReceiver
from sdk_core.arguments import instance

__all__ = ["WebhookApp"]

_LARGEST_BODY: Final = 2**20
"""Bytes; a delivery has a few hundred."""

Receive = Callable[[], Awaitable[Mapping[str, object]]]
Send = Callable[[dict[str, object]], Awaitable[None]]


class _TooLargeError(Exception):
    """The body is larger than a delivery can be."""


class _GoneError(Exception):
    """The sender has hung up."""


class WebhookApp:
    """An ASGI application that takes deliveries on any path, by POST.

    In FastAPI and Starlette: `app.router.routes.append(Route("/webhooks", WebhookApp(receiver), methods=["POST"]))`.
    (A `mount` would answer the path without a slash at its end with a redirect; that the platform follows one is not
    documented.) Close the receiver in your lifespan.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._receiver = instance("receiver", receiver, WebhookReceiver)

    async def __call__(self, scope: Mapping[str, object], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            # So says the specification: a server goes on without a lifespan.
            raise ValueError("webhooks come by HTTP only")
        if scope["method"] != "POST":
            await _answer(send, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"POST"))
            return
        try:
            status = await self._receiver.receive(_key(scope), lambda: _read(receive))
        except _TooLargeError:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        except _GoneError:
            return
        await _answer(send, status)


def _key(scope: Mapping[str, object]) -> str | None:
    for name, value in cast("Iterable[tuple[bytes, bytes]]", scope["headers"]):
        if name == b"x-api-key":
            return value.decode("latin-1")
    return None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        body += cast("bytes", message.get("body", b""))
        if len(body) > _LARGEST_BODY:
            raise _TooLargeError
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(send: Send, status: HTTPStatus, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {"type": "http.response.start", "status": status.value, "headers": [(b"content-length", b"0"), *headers]}
    )
    await send({"type": "http.response.body", "body": b""})
