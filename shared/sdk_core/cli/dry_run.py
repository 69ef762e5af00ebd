"""`--dry-run`: the request that a command begins with, as it would be sent, and nothing is."""

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from rich.text import Text

from sdk_core import codec
from sdk_core.call import Reply
from sdk_core.client import Client
from sdk_core.correlation import current_correlation_id
from sdk_core.operation import Operation
from sdk_core.transport.multipart import Multipart

__all__ = ["HIDDEN", "RequestShown", "dry"]

T = TypeVar("T")

HIDDEN = "***"
"""Stands for a credential: of a dry run, the real one is not even read."""


class RequestShown(Exception):  # noqa: N818  no error: it is how a dry run ends
    """Carries the request that would have been sent first."""

    def __init__(self, operation: Operation[Any], document: Mapping[str, Any]) -> None:
        super().__init__(operation.name)
        self.operation: Operation[Any] = operation
        self.document: Mapping[str, Any] = document

    def __str__(self) -> str:
        return self.operation.name

    def shown(self) -> Text:
        """Return the request as it looks on the wire."""
        parts = [f"{self.document['method']} {self.document['url']}"]
        parts += [f"{name}: {value}" for name, value in self.document["headers"].items()]
        if "body" in self.document:
            parts += ["", codec.dump(self.document["body"]).decode()]
        if "document" in self.document:
            parts += ["", "and the document {filename} ({contentType})".format_map(self.document["document"])]
        return Text("\n".join(parts))


class _DryClient(Client):
    """Builds requests, and sends none."""

    async def call(self, operation: Operation[T], /, **arguments: object) -> T:
        """Raise what would be sent."""
        self._show(operation, arguments)

    async def call_with_reply(self, operation: Operation[T], /, **arguments: object) -> Reply[T]:
        """Raise what would be sent."""
        self._show(operation, arguments)

    def _show(self, operation: Operation[Any], arguments: Mapping[str, object]) -> NoReturn:
        path, query, body = operation.request(arguments)
        backend = self._backend
        base = backend.base_url
        url = base.with_path(base.raw_path.rstrip("/") + path, encoded=True).with_query(query)
        headers = {**self._options.headers, **(backend.auth.headers or {})}
        if backend.correlation_header is not None:
            headers[backend.correlation_header] = current_correlation_id() or "(a new UUID)"
        document: dict[str, Any] = {"method": operation.method, "url": str(url), "headers": headers}
        data = body.data if isinstance(body, Multipart) else body
        if data is not None:
            headers["Content-Type"] = "multipart/form-data" if isinstance(body, Multipart) else "application/json"
            document["body"] = codec.parse(data)
        if isinstance(body, Multipart) and body.document is not None:
            document["document"] = {"filename": body.document.filename, "contentType": body.document.content_type}
        raise RequestShown(operation, document)


def dry(client: type[Client]) -> type[Client]:
    """Return a class of clients like `client` that send nothing."""
    return type(client.__name__, (_DryClient, client), {})
