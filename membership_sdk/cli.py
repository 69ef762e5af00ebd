"""The command `membership-sdk`: what it has of its own."""

from collections.abc import Mapping, Sequence
from typing import Final

from membership_sdk import operations, workflows
from membership_sdk.client import RATE_LIMIT, MembershipClient
from sdk_core.backend import ClientOptions
from sdk_core.cli import app
from sdk_core.cli.program import Program, Setting

__all__ = ["PROGRAM", "run"]


def _connect(kind: type[MembershipClient], settings: Mapping[str, str], options: ClientOptions) -> MembershipClient:
    return kind(settings["base_url"], settings["api_key"], language=settings.get("language"), **options)


PROGRAM: Final = Program(
    name="membership-sdk",
    about="The Membership Self-service API: contracts, cancelations and their withdrawal, idle periods, modules.",
    settings=(
        Setting(
            name="base_url",
            variable="MEMBERSHIP_BASE_URL",
            what="URL of the API, https://<tenant>.open-api.magicline.com",
        ),
        Setting(name="api_key", variable="MEMBERSHIP_API_KEY", what="the studio's API key", secret=True),
        Setting(
            name="language",
            variable="MEMBERSHIP_LANGUAGE",
            what="language of messages, like de-CH",
            required=False,
            preference=True,
            header=True,
        ),
    ),
    login="api_key",
    operations=operations.OPERATIONS,
    workflows=tuple(getattr(workflows, name) for name in workflows.__all__ if name.islower()),
    client=MembershipClient,
    connect=_connect,
    credential_check=operations.VERIFY_API_KEY,
    sandbox="membership_sdk.sandbox:MembershipSandbox",
    sandbox_settings=lambda sandbox: {"base_url": sandbox.url, "api_key": sandbox.API_KEY},
    sandbox_ids=lambda sandbox: (
        f"member {sandbox.CUSTOMER_ID}, contracts {sandbox.CONTRACT_ID} and {sandbox.CANCELED_CONTRACT_ID} (canceled)"
    ),
    place=lambda settings: settings["base_url"],
    bulk="membership_sdk.bulk:CATALOGUE",
    rate_limit=RATE_LIMIT,
    demo="membership_sdk.demo:demo",
)


def run(argv: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    return app.run(PROGRAM, argv)
