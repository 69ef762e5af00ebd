"""Why a command of bulk runs can't be run like this; nothing was sent."""

from sdk_core.bulk.plan import PlanError
from sdk_core.bulk.records import JournalError
from sdk_core.cli.exits import Exit, exit_of
from sdk_core.cli.output import Output
from sdk_core.cli.settings import MissingSettingError
from sdk_core.errors import SdkError

__all__ = ["refused"]


def refused(output: Output, program: str, error: Exception) -> Exit:
    """Say what is wrong, all of it; return the exit code."""
    text, code = _said(error), _code(error)
    for line in f"{program}: {text}".splitlines():
        output.say(line, "red")
    problems = {"problems": list(error.problems)} if isinstance(error, PlanError) else {}
    return output.error({"type": "Refused", "message": text, **problems}, code)


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be read or written: {error.strerror}"
    if isinstance(
        error, MissingSettingError | PlanError | JournalError | SdkError | OSError | ValueError | ImportError
    ):
        # The notes of a missing setting name those that are missing, too.
        return "\n".join((str(error), *getattr(error, "__notes__", ())))
    return f"{type(error).__name__}: {error}"


def _code(error: Exception) -> Exit:
    if isinstance(error, MissingSettingError):
        return error.exit
    return exit_of(error, changes=False) if isinstance(error, SdkError) else Exit.USAGE
