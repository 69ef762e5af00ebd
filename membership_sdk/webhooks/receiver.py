"""What to do with a delivery, whatever framework it came through: key, repetitions, handler, answer in time."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from membership_sdk.webhooks.events import Delivery, UnreadableDeliveryError, WebhookEvent, read_delivery
from membership_sdk.webhooks.store import DeliveryStore, RecentDeliveries
from sdk_core.arguments import function, header_text, mapping, non_empty, of_type, seconds
from sdk_core.errors import ConfigurationError
from sdk_core.hooks import answer_of, notify

__all__ = ["WebhookReceiver"]

_log = logging.getLogger("sdk_core.webhooks")
_STORE_TIMEOUT: Final = 1.0

Read = Callable[[], Awaitable[bytes]]


class WebhookReceiver:
    """Receives the webhooks of one or several studios. `asgi.WebhookApp` and `aiohttp_web.webhook_handler` serve it.

    The answer waits for the handler, so that a delivery is acknowledged when it was taken over and not before. The
    platform waits 5 s, and forbids to call its API while a delivery is handled: a handler puts the event where a worker
    finds it (a queue, a table) and returns. A delivery that is repeated is not handled again; one that comes while the
    first is being handled gets the same answer. If the handler raises, the platform is told (500), and what it
    sends again is handled again.

    Args:
        keys: the key that each studio's webhooks come with (`x-api-key`), by a name that you choose.
        handle: is awaited with each event.
        store: remembers what was handled; None: the last 10,000 of this process.
        answer_within: seconds. A handler that takes longer is not interrupted, but the delivery is acknowledged before
            it has ended, and that is logged: if the process ends then, the delivery is lost.

    Raises:
        ConfigurationError: there is no key, one can't be sent in a header, or two studios have the same.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        handle: Callable[[WebhookEvent], Awaitable[None]],
        *,
        store: DeliveryStore | None = None,
        answer_within: float = 4.0,
    ) -> None:
        if store is not None:
            of_type(DeliveryStore)("store", store)
        self._studios = _digests(keys)
        function("handle", handle)
        self._handle = handle
        self._store = RecentDeliveries() if store is None else store
        self._answer_within = seconds("answer_within", answer_within)
        self._running: dict[UUID, asyncio.Task[HTTPStatus]] = {}

    def studio_of(self, key: str | None) -> str | None:
        """Return the name of the studio that has this key; None: nobody has. It takes as long for any key."""
        given, found = _digest(key or ""), None
        for digest, studio in self._studios.items():
            if hmac.compare_digest(digest, given):
                found = studio
        return found

    async def receive(self, key: str | None, read: Read) -> HTTPStatus:
        """Handle a delivery, and return the status to answer with.

        Args:
            key: the header `x-api-key`, if there was one.
            read: reads the body; called only if the key is right.
        """
        studio = self.studio_of(key)
        if studio is None:
            _log.warning("a webhook with a wrong key, or with none, was refused")
            return HTTPStatus.UNAUTHORIZED
        try:
            delivery = read_delivery(await read(), studio=studio)
        except UnreadableDeliveryError as error:
            _log.error("a webhook of %s is not of the documented form, and was refused: %s", studio, error)
            return HTTPStatus.BAD_REQUEST
        task = self._running.get(delivery.id)
        if task is None:
            task = self._running[delivery.id] = asyncio.create_task(self._process(delivery))
            task.add_done_callback(lambda _: self._running.pop(delivery.id, None))
        await asyncio.wait({task}, timeout=self._answer_within)
        if task.done():
            return HTTPStatus.INTERNAL_SERVER_ERROR if task.cancelled() else task.result()
        _log.warning(
            "delivery %s is acknowledged after %g s, but its handler has not ended: the platform waits no longer than "
            "5 s. Put events where a worker finds them, and return",
            delivery.id,
            self._answer_within,
        )
        return HTTPStatus.OK

    async def aclose(self, timeout: float = 30.0) -> None:
        """Wait for handlers that are slower than their answers. Call it before the process ends.

        Args:
            timeout: seconds. What has not ended then is logged.
        """
        if self._running:
            await asyncio.wait([*self._running.values()], timeout=timeout)
        for delivery_id in self._running:
            _log.error("the handler of delivery %s has not ended", delivery_id)

    async def _process(self, delivery: Delivery) -> HTTPStatus:
        unsure = partial(_note, "whether delivery %s was handled is not known: it is handled now", delivery.id)
        known = self._is_known(delivery.id)
        if await answer_of(known, otherwise=False, patience=_STORE_TIMEOUT, on_failure=unsure):
            return HTTPStatus.OK
        try:
            for event in delivery.events:
                await self._handle(event)
        except Exception:  # noqa: BLE001  whatever the application's code raises, the platform is to be told
            _log.exception("the handler of delivery %s failed", delivery.id)
            return HTTPStatus.INTERNAL_SERVER_ERROR
        except asyncio.CancelledError:
            # What the handler waited for, or this task: when the program ends, perhaps after the answer.
            _log.error("the handler of delivery %s was cancelled before its end", delivery.id)
            raise
        unsure = partial(
            _note, "delivery %s was handled, which could not be stored: it may be handled again", delivery.id
        )
        await notify(self._store.add, delivery.id, patience=_STORE_TIMEOUT, on_failure=unsure)
        return HTTPStatus.OK

    async def _is_known(self, delivery_id: UUID) -> bool:
        # A store may raise where it is called, too, and not only where it is waited for.
        return await self._store.is_known(delivery_id)


def _note(what: str, delivery_id: UUID, error: BaseException) -> None:
    _log.error(what, delivery_id, exc_info=error)


def _digests(keys: Mapping[str, str]) -> dict[bytes, str]:
    """Return the studios by their keys; digests are all of one length, and show no key."""
    try:
        checked = {
            non_empty("keys", studio): header_text(f"keys[{studio!r}]", key)
            for studio, key in mapping("keys", keys).items()
        }
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    found = {_digest(key): studio for studio, key in checked.items()}
    if not found or len(found) < len(checked):
        raise ConfigurationError("keys must name the key of at least one studio, and of each another")
    return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
