"""Authentication of the CloudCockpit API: the sources of its bearer token."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, Unpack, runtime_checkable

import attrs
from aiohttp import ClientSession, ClientTimeout
from attrs import field, frozen
from yarl import URL

from cloudcockpit_sdk.entra import advice, explain, read_refusal
from sdk_core import codec
from sdk_core.arguments import base_url, header_text, instance, valid
from sdk_core.auth import Auth, BearerToken, FixedToken, Token, TokenSource, jwt_expiry
from sdk_core.errors import AuthenticationError, ConnectionFailedError, Facts, SdkError
from sdk_core.outcome import Outcome
from sdk_core.retry import retry_after_of
from sdk_core.transport.cause import safe_cause
from sdk_core.transport.exchange import EXCHANGE_ERRORS, read_at_most

__all__ = ["DEFAULT_SCOPE", "DEFAULT_TOKEN_URL", "AccessToken", "ClientCredentials", "TokenArgument", "TokenCredential"]

DEFAULT_TOKEN_URL: Final = "https://login.microsoftonline.com/4e806121-ff28-4286-ab4e-3be0a08f9ce0/oauth2/v2.0/token"  # noqa: S105  a URL
"""The documented token endpoint (topic "Authentication guide")."""
DEFAULT_SCOPE: Final = "api://b92a36a4-feb8-4f47-a69c-29a180aa6d0a/.default"
"""The documented scope (same page)."""

_TIMEOUT: Final = ClientTimeout(total=30)
_BODY_LIMIT: Final = 2**16


def _check_text(_instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if not instance(attribute.name, value, str) or not value.isprintable():
        raise ValueError(f"{attribute.name} must be non-empty text without control characters")


@frozen
class ClientCredentials:
    """An "Api Access" of the portal: OAuth2 client_credentials; the token is fetched and renewed as needed.

    Raises:
        ValueError: a value is empty or has control characters, or `token_url` is neither https nor on this machine.
    """

    client_id: str = field(validator=_check_text)
    client_secret: str = field(repr=False, validator=_check_text)
    token_url: str = field(default=DEFAULT_TOKEN_URL, kw_only=True, repr=False, validator=valid(base_url))
    scope: str = field(default=DEFAULT_SCOPE, kw_only=True, validator=_check_text)


class AccessToken(Protocol):
    """What azure-identity's credentials return."""

    @property
    def token(self) -> str:
        """The JWT."""
        ...

    @property
    def expires_on(self) -> int:
        """Seconds since the epoch."""
        ...


@runtime_checkable
class TokenCredential(Protocol):
    """Any of azure-identity's asynchronous credentials (`azure.identity.aio`)."""

    async def get_token(self, *scopes: str) -> AccessToken:
        """Return a token for `scopes`."""
        ...


TokenArgument = str | Callable[[], Awaitable[str]] | ClientCredentials | TokenCredential
"""What `CloudCockpitClient(token=...)` takes."""


def bearer(token: TokenArgument) -> Auth:
    """Return the authentication for the argument `token` of the client."""
    match token:
        case str():
            return FixedToken("Authorization", f"Bearer {header_text('token', token)}")
        case ClientCredentials():
            return BearerToken(_client_credentials(token))
        case TokenCredential():
            return BearerToken(_credential(token))
        case _ if callable(token):
            return BearerToken(_provider(token))
        case _:
            raise TypeError(
                "token must be a str, an async callable, ClientCredentials or an object with an async get_token(), "
                f"not {type(token).__name__}"
            )


def _provider(provide: Callable[[], Awaitable[str]]) -> TokenSource:
    async def fetch(_session: ClientSession) -> Token:
        value = await provide()
        expiry = jwt_expiry(value)
        return Token(value, None if expiry is None else expiry - time.time())

    return fetch


def _credential(credential: TokenCredential) -> TokenSource:
    async def fetch(_session: ClientSession) -> Token:
        token = await credential.get_token(DEFAULT_SCOPE)
        return Token(token.token, token.expires_on - time.time())

    return fetch


def _client_credentials(credentials: ClientCredentials) -> TokenSource:
    form = {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": credentials.scope,
        "grant_type": "client_credentials",
    }
    url = URL(credentials.token_url)

    async def fetch(session: ClientSession) -> Token:
        try:
            async with session.post(
                url,
                data=form,
                headers={"Accept": "application/json"},
                allow_redirects=False,
                timeout=_TIMEOUT,
                raise_for_status=False,
            ) as response:
                status = response.status
                retry_after = retry_after_of(status, response.headers, now=time.time())
                body = await read_at_most(response, _BODY_LIMIT) or b""
        except EXCHANGE_ERRORS as error:
            cause = safe_cause(error)
            text = "could not reach the token endpoint" + (f": {cause.strerror or cause}" if cause is not None else "")
            raise ConnectionFailedError(text, _facts(retryable=True, cause=type(error).__name__)) from None
        token = _read_token(body) if status == 200 else None
        if token is None:
            raise _refused(status, body, retry_after)
        return token

    return fetch


def _read_token(body: bytes) -> Token | None:
    """Return the token in an answer, or None if there is none. Without `expires_in` its lifetime is unknown."""
    answer = codec.as_object(codec.parse_or_none(body))
    value, lifetime = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(value, str):
        return None
    return Token(value, float(lifetime) if isinstance(lifetime, int) else None)


def _refused(status: int, body: bytes, retry_after: float | None) -> SdkError:
    details = read_refusal(body)
    temporary = status == 429 or status >= 500
    facts = _facts(retryable=temporary, status=status, retry_after=retry_after)
    said = explain(details)
    text = f"the token endpoint answered {status}" + (f" ({said})" if said else "")
    if not temporary:
        text += ": " + (advice(details) or "check client id, secret, scope and token URL")
    return AuthenticationError.from_details(text, facts, details)


def _facts(**more: Unpack[Facts]) -> Facts:
    return {"outcome": Outcome.NOT_SENT.value, **more}
