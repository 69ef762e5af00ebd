"""Authentication of the CloudCockpit API: the sources of its bearer token."""

import inspect
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final, Protocol, Unpack, cast, runtime_checkable

import attrs
from aiohttp import ClientTimeout
from attrs import field, frozen
from yarl import URL

from cloudcockpit_sdk.entra import advice, explain, read_refusal
from sdk_core import codec
from sdk_core.arguments import base_url, bearer_token, instance, valid
from sdk_core.auth import Auth, BearerToken, FixedToken, Token, TokenSession, TokenSource, jwt_expiry, no_token
from sdk_core.errors import AuthenticationError, ConnectionFailedError, Facts, InvalidResponseError, SdkError
from sdk_core.outcome import Outcome
from sdk_core.retry import retry_after_of
from sdk_core.transport.cause import is_passing, safe_cause, unreadable
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
"""What `CloudCockpitClient(token=...)` takes. A token is given alone: with `Bearer` before it, it is refused."""


def bearer(token: TokenArgument) -> Auth:
    """Return the authentication for the argument `token` of the client."""
    given: object = token
    if isinstance(given, type):
        raise TypeError(f"token must be an instance: {given.__name__} is a class")
    match token:
        case str():
            return FixedToken("Authorization", f"Bearer {bearer_token('token', token)}")
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
    async def fetch(_token_session: TokenSession) -> Token:
        answer: object = provide()
        if not inspect.isawaitable(answer):
            raise no_token(f"the token callable returned {type(answer).__name__}: it must be async")
        value = await answer
        return Token(value, _seconds_until(_expiry_of(value)))

    return fetch


def _credential(credential: TokenCredential) -> TokenSource:
    async def fetch(_token_session: TokenSession) -> Token:
        answer: object = credential.get_token(DEFAULT_SCOPE)
        if not inspect.isawaitable(answer):
            raise no_token("the credential's get_token() must be async: take the credential from azure.identity.aio")
        token: object = await answer
        value = getattr(token, "token", None)
        expiry = _positive(getattr(token, "expires_on", None))
        return Token(cast("str", value), _seconds_until(_expiry_of(value) if expiry is None else expiry))

    return fetch


def _expiry_of(token: object) -> float | None:
    return jwt_expiry(token) if isinstance(token, str) else None


def _seconds_until(moment: float | None) -> float | None:
    return None if moment is None else moment - time.time()


def _positive(value: object) -> float | None:
    """Return a number of seconds that may come as text; None if it is none, or none above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if 0 < found < float("inf") else None


def _client_credentials(credentials: ClientCredentials) -> TokenSource:
    form = {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": credentials.scope,
        "grant_type": "client_credentials",
    }
    url = URL(credentials.token_url)

    async def fetch(token_session: TokenSession) -> Token:
        try:
            async with (
                token_session(url) as session,
                session.post(
                    url,
                    data=form,
                    headers={"Accept": "application/json"},
                    allow_redirects=False,
                    timeout=_TIMEOUT,
                    raise_for_status=False,
                ) as response,
            ):
                status = response.status
                retry_after = retry_after_of(status, response.headers, now=time.time())
                body = await read_at_most(response, _BODY_LIMIT) or b""
        except SdkError:
            raise
        except EXCHANGE_ERRORS as error:
            raise _unreachable(error) from None
        token = _read_token(body) if status == 200 else None
        if token is None:
            raise _refused(status, body, retry_after)
        return token

    return fetch


def _unreachable(error: Exception) -> SdkError:
    facts = _facts(retryable=is_passing(error), cause=type(error).__name__)
    if (what := unreadable(error)) is not None:
        return InvalidResponseError(f"the token endpoint answered, but {what}", facts)
    cause = safe_cause(error)
    text = "could not reach the token endpoint" + (f": {cause.strerror or cause}" if cause is not None else "")
    return ConnectionFailedError(text, facts)


def _read_token(body: bytes) -> Token | None:
    """Return the token in an answer, or None if there is none. Without `expires_in`, the token itself may name its end.

    `expires_in` is a number by RFC 6749 (5.1); some endpoints send it as text.
    """
    answer = codec.as_object(codec.parse_or_none(body))
    value, lifetime = answer.get("access_token"), _positive(answer.get("expires_in"))
    if not isinstance(value, str):
        return None
    return Token(value, _seconds_until(_expiry_of(value)) if lifetime is None else lifetime)


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
