"""Code of the caller's that runs inside a call (rate limiter, telemetry): bounded in time, logged, never fatal."""

from asyncio import CancelledError, current_task, timeout
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["answer_of", "is_cancelled", "notify"]

T = TypeVar("T")


def is_cancelled() -> bool:
    """Return whether it was this task that somebody cancelled, not something it waited for."""
    return _cancellations() > 0


def _cancellations() -> int:
    task = current_task()
    return 0 if task is None else task.cancelling()


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
        CancelledError: the calling task was cancelled, even if the hook has swallowed that (`asyncio.wait_for` does,
            before Python 3.12); what only the hook waited for is a failure like any other.
    """
    before, result = _cancellations(), otherwise
    try:
        async with timeout(patience):
            result = await answer
    except (Exception, CancelledError) as error:
        if isinstance(error, CancelledError) and is_cancelled():
            raise
        on_failure(error)
    if _cancellations() > before:
        raise CancelledError
    return result


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
