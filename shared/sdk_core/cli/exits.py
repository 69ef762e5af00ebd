"""The exit codes of both command lines: the one place where they are given and explained."""

from enum import IntEnum
from typing import Final

from sdk_core.errors import AuthenticationError, ConfigurationError, PermissionDeniedError, SdkError, ThrottledError
from sdk_core.outcome import Outcome

__all__ = ["EXPLAINED", "Exit", "exit_of"]


class Exit(IntEnum):
    """What a command ends with."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CREDENTIAL = 4
    RATE_LIMITED = 5
    UNKNOWN = 6
    INTERRUPTED = 130


EXPLAINED: Final = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; nothing was changed",
    Exit.USAGE: "the command or a setting is not right, or the change was not confirmed; nothing was sent",
    Exit.CREDENTIAL: "no key or token, or it was refused, or it lacks a right",
    Exit.RATE_LIMITED: "too many requests; nothing was changed",
    Exit.UNKNOWN: "it may have happened, or has: read the state before you do it again",
    Exit.INTERRUPTED: "Ctrl-C; what was applied and what is unknown is told on stderr",
}


def exit_of(error: Exception, *, changes: bool) -> Exit:
    """Return the exit code for what a command raised.

    Args:
        error: an SdkError, or the TypeError or ValueError of an argument.
        changes: whether the command changes something: a read has no effect that could be unknown.
    """
    if not isinstance(error, SdkError):
        return Exit.USAGE if isinstance(error, TypeError | ValueError) else Exit.FAILED
    # What may have happened goes before why it failed: who repeats it could do it twice.
    if changes and error.outcome in {Outcome.UNKNOWN, Outcome.APPLIED}:
        return Exit.UNKNOWN
    match error:
        case ConfigurationError():
            return Exit.USAGE
        case AuthenticationError() | PermissionDeniedError():
            return Exit.CREDENTIAL
        case ThrottledError():
            return Exit.RATE_LIMITED
        case _:
            return Exit.FAILED
