"""What is measured against what."""

from typing import Final, NamedTuple

__all__ = ["B_POST", "B_TEN", "CONCURRENCIES", "OURS", "ROWS", "B", "Row"]

CONCURRENCIES: Final = (1, 50, 1000)


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


B: Final = Row("aiohttp", "GET")
B_POST: Final = Row("aiohttp", "POST")
B_TEN: Final = Row("aiohttp", "GET ten")
OURS: Final = Row("membership_sdk", "GET")

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
    Row("membership_sdk, correlation scope", "GET"),
)
