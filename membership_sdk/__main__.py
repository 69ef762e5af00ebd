"""`python -m membership_sdk` and the command `membership-sdk`."""

import gc
import sys
from typing import Final

__all__ = ["main"]

_EXTRA: Final = frozenset({"cyclopts", "platformdirs", "rich"})


def main() -> int:
    """Run the command line and return its exit code; 2 if the extra it needs is not installed."""
    try:
        from membership_sdk.cli import run  # noqa: PLC0415  needs the extra `cli`
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print("membership-sdk needs: pip install 'membership-cloudcockpit-sdk[cli]'", file=sys.stderr)
        return 2
    # What is imported stays until the end: to look through it again was a sixth of the time of a short command.
    gc.freeze()
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
