"""The command `cloudcockpit-sdk`: what it has of its own."""

from collections.abc import Mapping, Sequence
from typing import Final

from cloudcockpit_sdk import operations, workflows
from cloudcockpit_sdk.auth import DEFAULT_SCOPE, DEFAULT_TOKEN_URL, ClientCredentials, TokenArgument
from cloudcockpit_sdk.client import DEFAULT_BASE_URL, CloudCockpitClient
from sdk_core.backend import ClientOptions
from sdk_core.cli import app
from sdk_core.cli.program import Program, Setting
from sdk_core.errors import ConfigurationError

__all__ = ["PROGRAM", "run"]

_JWT: Final = "eyJ"
"""So begins each: it is the Base64 of `{"`."""


def _connect(kind: type[CloudCockpitClient], settings: Mapping[str, str], options: ClientOptions) -> CloudCockpitClient:
    base_url = settings.get("base_url", DEFAULT_BASE_URL)
    return kind(settings["tenant"], _token(settings), base_url=base_url, **options)


def _token(settings: Mapping[str, str]) -> TokenArgument:
    if "token" in settings:
        return settings["token"]
    if settings["client_secret"].startswith(_JWT):
        raise ConfigurationError(
            "client_secret is a token, not a client secret: a token ends within hours, so that no profile holds it. "
            "Set CLOUDCOCKPIT_TOKEN to it, or take the secret of the Api Access"
        )
    return ClientCredentials(
        settings["client_id"],
        settings["client_secret"],
        token_url=settings.get("token_url", DEFAULT_TOKEN_URL),
        scope=settings.get("scope", DEFAULT_SCOPE),
    )


PROGRAM: Final = Program(
    name="cloudcockpit-sdk",
    about="The CloudCockpit subscription API: list, change, suspend, reactivate, cancel and migrate subscriptions.",
    settings=(
        Setting(
            name="tenant",
            variable="CLOUDCOCKPIT_TENANT",
            what="a domain of the tenant, like portal.example.com",
            header=True,
        ),
        Setting(name="client_id", variable="CLOUDCOCKPIT_CLIENT_ID", what="client id of an Api Access", unless="token"),
        Setting(
            name="client_secret",
            variable="CLOUDCOCKPIT_CLIENT_SECRET",
            what="the client secret of the Api Access (not a token)",
            secret=True,
            unless="token",
        ),
        Setting(
            name="token",
            variable="CLOUDCOCKPIT_TOKEN",
            what="a token, in place of client id and secret",
            secret=True,
            required=False,
        ),
        Setting(
            name="base_url",
            variable="CLOUDCOCKPIT_BASE_URL",
            what=f"URL of the API; left out: {DEFAULT_BASE_URL}",
            required=False,
        ),
        Setting(
            name="token_url",
            variable="CLOUDCOCKPIT_TOKEN_URL",
            what="URL of the token endpoint; left out: the documented one",
            required=False,
        ),
        Setting(
            name="scope",
            variable="CLOUDCOCKPIT_SCOPE",
            what="scope of the token; left out: the documented one",
            required=False,
        ),
    ),
    login="client_secret",
    operations=operations.OPERATIONS,
    workflows=tuple(getattr(workflows, name) for name in workflows.__all__ if name.islower()),
    follow_ups={
        operations.CANCEL_SUBSCRIPTION.name: "`cancel-and-wait --wait-only` waits for it",
        operations.REACTIVATE_SUBSCRIPTION.name: "`reactivate-and-wait --wait-only` waits for it",
        operations.START_MIGRATION.name: "`get-migration-status` shows when it is",
        operations.SUSPEND_SUBSCRIPTION.name: "`suspend-and-wait --wait-only` waits for it",
        operations.UPDATE_SUBSCRIPTION.name: "`get-subscription` shows when it is",
        operations.UPGRADE_SUBSCRIPTION.name: "`get-subscription` shows when it is",
    },
    labels={operations.CHANGE_ASSOCIATED_RESELLER.name: "support contact updated, too"},
    client=CloudCockpitClient,
    connect=_connect,
    credential_check=operations.LIST_SUBSCRIPTIONS,
    sandbox="cloudcockpit_sdk.sandbox:CloudCockpitSandbox",
    sandbox_settings=lambda sandbox: {
        "tenant": sandbox.TENANT,
        "client_id": sandbox.CLIENT_ID,
        "client_secret": sandbox.CLIENT_SECRET,
        "base_url": sandbox.url,
        "token_url": sandbox.token_url,
    },
    sandbox_ids=lambda sandbox: f"customer {sandbox.CUSTOMER_ID}; more: list-subscriptions",
    place=lambda settings: settings.get("base_url", DEFAULT_BASE_URL),
    bulk="cloudcockpit_sdk.bulk:CATALOGUE",
    rate_limit=None,
    demo="cloudcockpit_sdk.demo:demo",
)


def run(argv: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    return app.run(PROGRAM, argv)
