"""A sandbox over HTTP, under `/_sandbox/`: JSON for scripts in any language, and a page for eyes."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from aiohttp import web
from attrs import frozen

from sdk_core import codec
from sdk_core.arguments import mapping
from sdk_core.sandbox.contents import Contents
from sdk_core.sandbox.events import stream
from sdk_core.sandbox.faults import read_fault
from sdk_core.sandbox.server import Server
from sdk_core.sandbox.show import show_clock, show_entry, show_queued, show_request, written

__all__ = ["Admin"]

_PREFIX: Final = "/_sandbox/"
_PAGE: Final = {"": "text/html", "inspector.js": "text/javascript", "inspector.css": "text/css"}
"""Files of the page, by their path."""
_PAGE_HEADERS: Final = {
    # What the page shows came from somewhere else: no script runs but its own, and nothing is loaded from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_UNITS: Final = frozenset({"days", "hours", "minutes", "seconds"})
_LONGEST: Final = 10**9


class _MissingError(Exception):
    """What a request names does not exist."""


@frozen
class Admin:
    """What answers under `/_sandbox/`. Each method below takes a request with its body and returns what is sent."""

    contents: Contents
    server: Server

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        for (method, path), answer in self._answers().items():
            router.add_route(method, _PREFIX + path, partial(self._serve, answer))
        router.add_get(_PREFIX + "events", self._stream)
        for path in _PAGE:
            router.add_get(_PREFIX + path, _page)
        router.add_get(_PREFIX.rstrip("/"), _to_page)
        router.add_route("*", _PREFIX + "{path:.*}", self._refuse)

    def _answers(self) -> "Mapping[tuple[str, str], Callable[[web.Request, bytes], object]]":
        return {
            ("GET", "state"): lambda _request, _body: self.contents.show_state(),
            ("POST", "state"): self._add_state,
            ("PUT", "state"): self._replace_state,
            ("POST", "reset"): self._reset,
            ("GET", "clock"): lambda _request, _body: show_clock(self.contents.clock),
            ("POST", "clock"): self._advance,
            ("GET", "faults"): lambda _request, _body: [show_queued(queued) for queued in self.contents.faults],
            ("POST", "faults"): self._queue_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("DELETE", "faults/{number}"): self._clear_fault,
            ("GET", "requests"): self._requests,
            ("GET", "ledger"): self._ledger,
        }

    async def _serve(self, answer: Callable[[web.Request, bytes], object], request: web.Request) -> web.Response:
        body = await request.read()
        try:
            value = answer(request, body)
        except (TypeError, ValueError) as error:
            return _refused(HTTPStatus.BAD_REQUEST, str(error))
        except _MissingError as error:
            return _refused(HTTPStatus.NOT_FOUND, str(error))
        if value is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        return web.Response(body=written(value), content_type="application/json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await stream(request, self.contents, self.server.closing)

    async def _refuse(self, request: web.Request) -> web.Response:
        answers = self._answers()
        wanted = request.path.removeprefix(_PREFIX)
        allowed = [method for method, path in answers if path == wanted or wanted in _PAGE]
        if allowed:
            refused = _refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Allowed here: {', '.join(allowed)}.")
            refused.headers["Allow"] = ", ".join(allowed)
            return refused
        known = ", ".join(f"{method} {_PREFIX}{path}" for method, path in answers)
        return _refused(HTTPStatus.NOT_FOUND, f"There is no such path. There are: {known}.")

    # What is asked for

    def _add_state(self, _request: web.Request, body: bytes) -> object:
        self.contents.seed(_object(body))
        return self.contents.show_state()

    def _replace_state(self, _request: web.Request, body: bytes) -> object:
        self.contents.seed(_object(body), replace=True)
        return self.contents.show_state()

    def _reset(self, _request: web.Request, _body: bytes) -> None:
        self.contents.reset()

    def _advance(self, _request: web.Request, body: bytes) -> object:
        given = _object(body)
        if not given or given.keys() - _UNITS:
            raise ValueError(f"expected one or more of {', '.join(sorted(_UNITS))}")
        self.contents.clock.advance(**{unit: _number(unit, value) for unit, value in given.items()})
        return show_clock(self.contents.clock)

    def _queue_fault(self, _request: web.Request, body: bytes) -> object:
        given = _object(body)
        operation, ids, times = given.pop("operation", None), given.pop("ids", None), given.pop("times", 1)
        if not isinstance(operation, str | None):
            raise TypeError("operation must be a name")
        ids = None if ids is None else mapping("ids", ids)
        (queued,) = self.contents.fail(read_fault(given), operation=operation, ids=ids, times=times)
        return show_queued(queued)

    def _clear_faults(self, _request: web.Request, _body: bytes) -> None:
        self.contents.clear_faults()

    def _clear_fault(self, request: web.Request, _body: bytes) -> None:
        number = request.match_info["number"]
        if not number.isdecimal() or not self.contents.clear_faults(int(number)):
            raise _MissingError("There is no such fault: it was cleared, or is used up.")

    def _requests(self, request: web.Request, _body: bytes) -> object:
        log = self.contents.requests
        return {"forgotten": log.forgotten, "requests": [show_request(*each) for each in log.after(_after(request))]}

    def _ledger(self, request: web.Request, _body: bytes) -> object:
        ledger = self.contents.ledger
        return {"forgotten": ledger.forgotten, "ledger": [show_entry(*each) for each in ledger.after(_after(request))]}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = codec.parse(body)
    except codec.NotJsonError:
        raise ValueError("the body must be JSON") from None
    if not isinstance(value, dict):
        raise TypeError("the body must be a JSON object")
    return dict(codec.as_object(value))


def _number(name: str, value: object) -> float:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value <= _LONGEST:
        return float(value)
    raise ValueError(f"{name} must be a number from 0 to {_LONGEST}")


def _after(request: web.Request) -> int:
    text = request.query.get("after", "0")
    if not text.isdecimal() or len(text) > 18 or request.query.keys() - {"after"}:
        raise ValueError("the one parameter is after: the number of the last one that is known")
    return int(text)


def _refused(status: HTTPStatus, problem: str) -> web.Response:
    return web.Response(status=status, body=written({"error": problem}), content_type="application/json")


async def _to_page(_request: web.Request) -> web.Response:
    raise web.HTTPFound(_PREFIX)


async def _page(request: web.Request) -> web.Response:
    path = request.path.removeprefix(_PREFIX)
    body = files("sdk_core.sandbox").joinpath("page", path or "inspector.html").read_bytes()
    return web.Response(body=body, content_type=_PAGE[path], charset="utf-8", headers=_PAGE_HEADERS)
