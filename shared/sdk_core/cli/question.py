"""The question before something is changed."""

import sys
from collections.abc import Mapping

from sdk_core.cli.output import Output

__all__ = ["DeclinedError", "confirm"]


class DeclinedError(Exception):
    """Nobody said yes; nothing was sent."""


def confirm(output: Output, command: str, arguments: Mapping[str, object], where: str) -> None:
    """Ask whether to go on; only `y` and `yes` do.

    Args:
        output: where to ask: stderr, so that the answer can be piped.
        command: the command's name.
        arguments: its options, as they were understood.
        where: what it is going to change.

    Raises:
        DeclinedError: the answer was another, or there is no terminal to ask on.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise DeclinedError(f"{command} changes something: without a terminal to ask on, it needs --yes")
    output.say(f"{command} at {where}")
    for name, value in arguments.items():
        if value is None:
            continue
        output.say(f"  {name.replace('_', '-')}: {value}")
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeclinedError("nothing was sent")
