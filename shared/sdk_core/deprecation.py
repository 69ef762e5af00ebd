"""Deprecated operations are warned of once, at the line of the caller's that led here."""

import logging
import warnings
from inspect import currentframe
from typing import Any

from sdk_core.operation import Operation

__all__ = ["Deprecations", "OperationDeprecatedWarning"]

_log = logging.getLogger("sdk_core.deprecation")


class OperationDeprecatedWarning(DeprecationWarning):
    """An operation is marked deprecated by its documentation or by the server's answer."""


class Deprecations:
    """The warnings of one client.

    Args:
        module: a module of the SDK whose client it is: lines of its package are not the caller's.
    """

    def __init__(self, module: str) -> None:
        self._packages = {__name__.partition(".")[0], module.partition(".")[0]}
        self._warned: set[str] = set()

    def warn(self, operation: Operation[Any], why: str) -> None:
        """Warn of `operation`, unless that has been done."""
        if operation.name in self._warned:
            return
        self._warned.add(operation.name)
        # How many frames of the SDK lie between is not known here: telemetry, workflows and pages add theirs.
        level, frame = 1, currentframe()
        while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in self._packages:
            level, frame = level + 1, frame.f_back
        warnings.warn(f"{operation.name}: {why}", OperationDeprecatedWarning, stacklevel=level)

    def warn_after_success(self, operation: Operation[Any]) -> None:
        """Warn that the server announced the end of `operation`; never raises."""
        try:
            self.warn(operation, "the server announces the operation's end (Deprecation/Sunset header)")
        except Exception as error:  # noqa: BLE001  the call has succeeded, and its result must not be lost
            # With warnings as errors, it is the warning; or what shows warnings has failed: a closed stderr, a hook.
            _log.warning("%s", error if isinstance(error, OperationDeprecatedWarning) else type(error).__name__)
