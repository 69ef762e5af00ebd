"""Faults: what goes wrong with a request because a test asked for it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, Literal, Self

from aiohttp import web
from attrs import field, frozen

from sdk_core import codec
from sdk_core.arguments import header_text, instance, positive_int, seconds, text
from sdk_core.sandbox.requests import RefusalError

__all__ = ["NO_FAULT", "Fault", "read_fault", "respond", "show_fault"]

_PROXY_PAGE: Final = "<html><body>Please sign in to the network.</body></html>"
_CODE: Final = "SCRIPTED_FAULT"
_MESSAGE: Final = "The sandbox was asked to fail."
_LONGEST_TEXT: Final = 10_000
_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})


@frozen(kw_only=True)
class Fault:
    """What goes wrong with a request. Build it with the methods below, queue it with `sandbox.fail(...)`."""

    kind: Literal["none", "status", "delay", "drop", "garbage", "truncated", "late", "rate_limit"]
    applies: bool
    """Whether the request takes effect all the same."""
    http_status: int = HTTPStatus.OK
    retry_after: float | str | None = None
    code: str = _CODE
    message: str = field(default=_MESSAGE, repr=False)
    body: bytes | None = field(default=None, repr=False)
    """Sent instead of the API's own error body."""
    seconds: float = 0.0
    requests: int = 0
    reads: int = 0

    @classmethod
    def status(
        cls,
        status: int,
        *,
        retry_after: float | str | None = None,
        code: str = _CODE,
        message: str = _MESSAGE,
        body: object = None,
    ) -> Self:
        """Answer with `status` and the API's own error body; the request has no effect.

        Args:
            status: 400 to 599; with a body of its own, 200 to 599.
            retry_after: the Retry-After header: seconds, or any text (an HTTP date, or an invalid value).
            code: the error code in the API's own error body.
            message: the message in it.
            body: what is sent instead of it: bytes as they are, anything else as JSON.

        Raises:
            ValueError, TypeError: one of them can't be sent, so that the fault would never happen as it was meant.
        """
        if status not in range(400 if body is None else 200, 600):
            raise ValueError("status must be an error: 400 to 599 (or 200 to 599, with a body)")
        if body is not None and status in _WITHOUT_BODY:
            raise ValueError(f"status {status} has no body")
        if retry_after is not None:
            header_text("retry_after", str(retry_after))
        return cls(
            kind="status",
            applies=False,
            http_status=status,
            retry_after=retry_after,
            code=text("code", code, maximum=_LONGEST_TEXT),
            message=text("message", message, maximum=_LONGEST_TEXT),
            body=body if body is None or isinstance(body, bytes) else codec.dump(body),
        )

    @classmethod
    def delay(cls, delay: float) -> Self:
        """Apply the request at once, but answer only after `delay` seconds."""
        return cls(kind="delay", applies=True, seconds=seconds("delay", delay))

    @classmethod
    def drop(cls, *, after_applying: bool = False) -> Self:
        """Abort the connection instead of answering, before or after the request took effect."""
        return cls(kind="drop", applies=instance("after_applying", after_applying, bool))

    @classmethod
    def garbage(cls, status: int = HTTPStatus.OK, *, after_applying: bool = False) -> Self:
        """Answer with an HTML page, as a proxy or sign-in portal between client and server does."""
        if status not in range(200, 600):
            raise ValueError("status must be 200 to 599")
        return cls(kind="garbage", applies=instance("after_applying", after_applying, bool), http_status=status)

    @classmethod
    def truncated(cls) -> Self:
        """Apply the request, announce more bytes than are sent, and close the connection."""
        return cls(kind="truncated", applies=True)

    @classmethod
    def late(cls, reads: int = 1) -> Self:
        """Apply and answer a change as usual, but the next `reads` reads still show the state from before it."""
        return cls(kind="late", applies=True, reads=positive_int("reads", reads))

    @classmethod
    def rate_limit(cls, requests: int, *, per: float = 60.0) -> Self:
        """Enforce a limit of `requests` requests of each operation in `per` seconds, until the fault is cleared.

        The request that exceeds it closes the operation: it and all others in the next `per` seconds get a 429 without
        Retry-After, and have no effect. It is the sandbox's own clock that counts.

        Source: the Membership API's general information ("the whole next minute is refused").
        """
        return cls(
            kind="rate_limit",
            applies=False,
            http_status=HTTPStatus.TOO_MANY_REQUESTS,
            code="TOO_MANY_REQUESTS",
            message="Too many requests: the limit of this operation is exceeded.",
            requests=positive_int("requests", requests),
            seconds=seconds("per", per),
        )


NO_FAULT: Final = Fault(kind="none", applies=True)
"""The request is applied and answered as it should be."""


@frozen
class _Kind:
    """How a kind of fault is written in JSON."""

    make: Callable[..., Fault]
    keys: Mapping[str, tuple[str, str]]
    """Each key, the argument it stands for, and the attribute that holds it."""
    required: str | None = None


_AFTER: Final = {"afterApplying": ("after_applying", "applies")}
_KINDS: Final[Mapping[str, _Kind]] = {
    "status": _Kind(
        Fault.status,
        {
            "status": ("status", "http_status"),
            "retryAfter": ("retry_after", "retry_after"),
            "code": ("code", "code"),
            "message": ("message", "message"),
            "body": ("body", "body"),
        },
        required="status",
    ),
    "delay": _Kind(Fault.delay, {"seconds": ("delay", "seconds")}, required="seconds"),
    "drop": _Kind(Fault.drop, _AFTER),
    "garbage": _Kind(Fault.garbage, {"status": ("status", "http_status"), **_AFTER}),
    "truncated": _Kind(Fault.truncated, {}),
    "late": _Kind(Fault.late, {"reads": ("reads", "reads")}),
    "rateLimit": _Kind(
        Fault.rate_limit, {"requests": ("requests", "requests"), "per": ("per", "seconds")}, required="requests"
    ),
}


def read_fault(value: Mapping[str, Any]) -> Fault:
    """Return the fault that a JSON object describes: `{"kind": "status", "status": 409}`.

    Raises:
        ValueError, TypeError: there is no such fault.
    """
    name = value.get("kind")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}")
    given = {key: item for key, item in value.items() if key != "kind" and item is not None}
    if unknown := given.keys() - kind.keys.keys():
        known = ", ".join(kind.keys) or "nothing else"
        raise ValueError(f"a fault of kind {name} has no {min(unknown)}; it has: {known}")
    if kind.required is not None and kind.required not in given:
        raise ValueError(f"a fault of kind {name} needs {kind.required}")
    return kind.make(
        **{
            kind.keys[key][0]: float(item) if isinstance(item, Decimal) and key != "body" else item
            for key, item in given.items()
        }
    )


def show_fault(fault: Fault) -> dict[str, object]:
    """Return a fault as the JSON object that describes it."""
    name = "rateLimit" if fault.kind == "rate_limit" else fault.kind
    shown: dict[str, object] = {"kind": name}
    for key, (_, attribute) in _KINDS[name].keys.items():
        value = getattr(fault, attribute)
        if value is not None:
            shown[key] = codec.parse_or_none(value) if isinstance(value, bytes) else value
    return shown


async def respond(
    request: web.Request,
    fault: Fault,
    *,
    apply: Callable[[], web.Response],
    refuse: Callable[[RefusalError], web.Response],
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Answer a request as the fault wants it.

    Args:
        request: what is answered.
        fault: what goes wrong.
        apply: applies the request and returns its answer.
        refuse: returns the answer to a request that is refused.
        closing: set when the server stops; it ends a delay.
    """
    response = apply() if fault.applies else web.Response()
    match fault.kind:
        case "delay":
            with suppress(TimeoutError):
                async with asyncio.timeout(fault.seconds):
                    await closing.wait()
        case "status" | "rate_limit":
            response = refuse(RefusalError(fault.http_status, fault.code, fault.message))
            if fault.body is not None:
                response = web.Response(status=fault.http_status, body=fault.body, content_type="application/json")
            if fault.retry_after is not None:
                response.headers["Retry-After"] = str(fault.retry_after)
        case "drop":
            if request.transport is not None:
                request.transport.abort()
        case "garbage":
            response = web.Response(status=fault.http_status, text=_PROXY_PAGE, content_type="text/html")
        case "truncated":
            return await _truncate(request, response)
        case "none" | "late":
            pass
    return response


async def _truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    truncated = web.StreamResponse(status=response.status)
    truncated.content_type = "application/json"
    truncated.content_length = len(body) + 100
    await truncated.prepare(request)
    await truncated.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return truncated
