"""The webhooks of the sandbox's studio: what is told of the effects that it applied."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID, uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout
from attrs import field, frozen

from membership_sdk.webhooks import WebhookEventType
from sdk_core import codec
from sdk_core.arguments import base_url, header_text, positive_int

__all__ = ["Webhook", "Webhooks"]

_PATIENCE: Final = 5.0
"""Seconds that the platform waits for an answer."""
_MOST_KEPT: Final = 1000


@frozen
class Webhook:
    """A webhook as it is posted. Its repr shows neither the key nor whom it is about."""

    id: UUID
    type: WebhookEventType
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Webhooks:
    """Told of what happened in the studio, and tells it to one receiver; at once, or when a test wants it.

    Only what the platform documents is told: nothing of what waits for the studio, and no withdrawal of a cancelation.

    Args:
        key: what webhooks come with.
        clock: returns seconds since the epoch.
    """

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self.waiting: deque[Webhook] = deque(maxlen=_MOST_KEPT)
        """What was not sent yet, in order; without a receiver, that is all. Of very many, the last 1,000."""
        self.sent: deque[tuple[Webhook, int | None]] = deque(maxlen=_MOST_KEPT)
        """What was sent, in order, with the status of the answer; None: none came within 5 s. The last 1,000."""
        self._key = key
        self._clock = clock
        self._url: str | None = None
        self._hold = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posting: set[asyncio.Task[object]] = set()

    def subscribe(self, url: str, *, key: str | None = None, hold: bool = False) -> None:
        """Send webhooks from now on.

        Args:
            url: where to, https or on this machine.
            key: what they come with; None: the sandbox's WEBHOOK_KEY.
            hold: keep them until `deliver()` sends them.

        Raises:
            ValueError: the URL or the key can't be one.
        """
        self._url = str(base_url("url", url))
        self._key = self._key if key is None else header_text("key", key)
        self._hold = hold

    def add(self, kind: str, entity_id: int, content: Mapping[str, object] | None = None) -> None:
        """Tell that something happened.

        The sandbox does it for its effects. Use it for what members don't do by themselves, and for types that nobody
        knows yet.

        Args:
            kind: the event's type, like `CONTRACT_UPDATED`.
            entity_id: of the types that are documented, the customer's id.
            content: by JSON names; None: there is none.
        """
        number = uuid4()
        event = {"timestamp": int(self._clock() * 1000), "type": kind, "content": content}
        body = codec.dump({"entityId": entity_id, "uuid": number, "payload": [event]})
        headers = {"x-api-key": self._key, "Content-Type": "application/json"}
        self.waiting.append(Webhook(number, WebhookEventType(kind), headers, body))
        if self._loop is not None and self._url is not None and not self._hold:
            # It may be told in another thread: by a test.
            self._loop.call_soon_threadsafe(self._begin)

    async def deliver(self, *, times: int = 1, reverse: bool = False) -> list[int | None]:
        """Send what is waiting, one after the other, and return the statuses of the answers.

        Args:
            times: how often each is sent; the second time after all others.
            reverse: whether the last comes first.

        Raises:
            RuntimeError: nobody has subscribed.
        """
        if self._url is None:
            raise RuntimeError("nobody has subscribed to webhooks: tell where to send them with subscribe()")
        webhooks = [*self.waiting]
        self.waiting.clear()
        ordered = (webhooks[::-1] if reverse else webhooks) * positive_int("times", times)
        async with ClientSession(timeout=ClientTimeout(total=_PATIENCE)) as session:
            return [await self._post(session, self._url, webhook) for webhook in ordered]

    def start(self) -> None:
        """Send on the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Send nothing more by itself."""
        self._loop = None
        for task in self._posting:
            task.cancel()
        await asyncio.gather(*self._posting, return_exceptions=True)

    def _begin(self) -> None:
        task = asyncio.ensure_future(self.deliver())
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, session: ClientSession, url: str, webhook: Webhook) -> int | None:
        try:
            # What a platform does with a redirect is not documented.
            async with session.post(url, data=webhook.body, headers=webhook.headers, allow_redirects=False) as answer:
                status: int | None = answer.status
        except (ClientError, TimeoutError):
            status = None
        self.sent.append((webhook, status))
        return status
