"""What is measured against what."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

__all__ = [
    "BUSY",
    "B_POST",
    "B_TEN",
    "CONCURRENCIES",
    "DECODED",
    "OURS",
    "PACKAGES",
    "PENDING",
    "ROWS",
    "B",
    "Row",
    "not_installed",
]

CONCURRENCIES: Final = (1, 50, 1000)
BUSY: Final = (1, 50)
"""Of those, the ones that most targets are for."""
DECODED: Final = (1, 10, 1000)
"""Contracts in an answer."""
PENDING: Final = 10_000
"""Calls that wait at the same time."""


class Row(NamedTuple):
    """One client doing one thing over and over."""

    client: str
    operation: str
    loop: str = "asyncio"

    def __str__(self) -> str:
        return f"{self.client}: {self.operation}" + (f" ({self.loop})" if self.loop != "asyncio" else "")

    @property
    def baseline(self) -> "Row":
        """What it is compared with: naive aiohttp doing the same, on a server that refuses nothing."""
        loop = "asyncio" if self.client == "aiohttp" else self.loop
        return Row("aiohttp", self.operation.partition(",")[0], loop)

    @property
    def packages(self) -> tuple[str, ...]:
        """What must be installed beside the SDK."""
        return PACKAGES.get(self.client, ()) + PACKAGES.get(self.loop, ())


PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "openapi-generator": ("openapi-generator-cli", "aiohttp-retry", "pydantic", "python-dateutil"),
    "openapi-python-client": ("openapi-python-client", "httpx", "python-dateutil"),
    "azure-core": ("azure-core",),
    "httpx": ("httpx",),
    "aiohttp-retry": ("aiohttp-retry",),
    "uvloop": ("uvloop",),
}

DEPENDENCIES: Final = "aiohttp, attrs, cattrs, tenacity"
"""Of the SDKs, as they are imported."""

PEERS: Final = ("aiohttp-retry", "openapi-generator", "azure-core", "httpx", "openapi-python-client")

B: Final = Row("aiohttp", "GET")
B_POST: Final = Row("aiohttp", "POST")
B_TEN: Final = Row("aiohttp", "GET ten")
OURS: Final = Row("membership_sdk", "GET")
TAILS: Final = (B, OURS)
"""Whose slowest calls are compared."""
TAILS_AT: Final = 50
"""The concurrency at which they are."""

ROWS: Final = (
    B,
    B_POST,
    B_TEN,
    Row("aiohttp, not decoded", "GET"),
    OURS,
    Row("membership_sdk", "POST"),
    Row("membership_sdk", "GET ten"),
    Row("membership_sdk", "GET, every tenth refused once"),
    Row("membership_sdk", "GET, refused once"),
    Row("aiohttp", "GET same member"),
    Row("membership_sdk", "GET same member"),
    Row("aiohttp", "POST same member"),
    Row("membership_sdk", "POST same member"),
    Row("membership_sdk, no rate limiter", "GET"),
    Row("membership_sdk, no rate limiter", "POST"),
    Row("membership_sdk, correlation scope", "GET"),
    Row("membership_sdk, telemetry hooks", "GET"),
    Row("aiohttp", "GET", "uvloop"),
    Row("membership_sdk", "GET", "uvloop"),
    *(Row(peer, "GET") for peer in PEERS),
    *(Row(peer, "POST") for peer in PEERS),
)


def not_installed(packages: tuple[str, ...]) -> list[str]:
    """Return which of them are not there."""
    missing: list[str] = []
    for package in packages:
        try:
            version(package)
        except PackageNotFoundError:
            missing.append(package)
    return missing
