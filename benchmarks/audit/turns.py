"""Letting others have their turn."""

import asyncio
from typing import Final

__all__ = ["settle"]

_TURNS: Final = 12


async def settle() -> None:
    """Give way until what was written or closed before has been noticed by all who share the event loop."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
