"""For tests that go through many cases: a failure says which one it was."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def named(case: object) -> Iterator[None]:
    """Add the case to what is raised."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {case}")
        raise
