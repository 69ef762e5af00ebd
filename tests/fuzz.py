"""How long hypothesis looks: little in the suite, `FUZZ` times as long when asked (see CONTRIBUTING)."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FUZZ", "1"))


def drawn(examples: int) -> settings:
    """Return settings that always draw the same examples, this many in the suite; nothing is kept for the next run."""
    return settings(
        max_examples=examples * FACTOR,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """Mark a property, looked at with this many examples in the suite."""

    def decorate(test: Any) -> Any:
        return pytest.mark.fuzz(settings(max_examples=examples * FACTOR, deadline=None)(test))

    return decorate
