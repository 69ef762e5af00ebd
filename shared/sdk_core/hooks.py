"""Code of the caller's that runs inside a call (rate limiter, telemetry): bounded in time, logged, never fatal."""

from asyncio import CancelledError, current_task, timeout
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["answer_of", "is_cancelled", "notify"]

T = TypeVar("T")


def is_cancelled() -> bool:
    """Return whether it was this task that somebody cancelled, not something it waited for."""
    task = current_task()
    return task is not None and task.cancelling() > 0


async def answer_of(
    answer: Awaitable[T], *, otherwise: T, patience: float, on_failure: Callable[[BaseException], None]
) -> T:
    """Wait for what a hook will answer.

    Args:
        answer: what it returned.
        otherwise: what to return if it fails.
        patience: seconds after which it has failed.
        on_failure: told of the failure.

    Raises:
        CancelledError: the calling task was cancelled; what only the hook waited for is a failure like any other.
    """
    try:
        async with timeout(patience):
            return await answer
    except (Exception, CancelledError) as error:
        if isinstance(error, CancelledError) and is_cancelled():
            raise
        on_failure(error)
        return otherwise


async def notify(
    hook: Callable[..., Awaitable[None] | None],
    *arguments: Any,
    patience: float,
    on_failure: Callable[[BaseException], None],
) -> None:
    """Tell a hook something, and wait for it if it takes its time; see `answer_of`."""
    try:
        answer = hook(*arguments)
    except (Exception, CancelledError) as error:  # noqa: BLE001  whatever it is, the call goes on
        # Of something else that was cancelled: a cancellation of this task comes only where it waits.
        on_failure(error)
        return
    if answer is not None:
        await answer_of(answer, otherwise=None, patience=patience, on_failure=on_failure)
