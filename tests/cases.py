"""For tests that go through many cases: a failure says which ones it is of."""

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest


@contextmanager
def named(case: object) -> Iterator[None]:
    """Add the case to what is raised."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {case}")
        raise


def goes_through(names: str | Collection[str], cases: Iterable[Any]) -> Callable[[Any], Any]:
    """Have one test go through all cases, where `parametrize` makes a test of each: for what takes a few milliseconds.

    All of them are gone through, and those that fail are named. What they share is the event loop, and the fixtures.

    Args:
        names: of one argument of the test, or of several.
        cases: what is given for it, or for them; a mapping has it by the case's name.
    """
    keys = (names,) if isinstance(names, str) else tuple(names)
    of_name = tuple(cases.items()) if isinstance(cases, Mapping) else tuple((case, case) for case in cases)
    assert of_name, "there is no case"

    def decorate(test: Any) -> Any:
        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in keys]

        @wraps(test)
        def through(**fixtures: Any) -> None:
            failures = _Failures()
            for name, case in of_name:
                with failures.of(name):
                    test(**fixtures, **_given(keys, case))
            failures.tell()

        @wraps(test)
        async def through_async(**fixtures: Any) -> None:
            failures = _Failures()
            for name, case in of_name:
                with failures.of(name):
                    await test(**fixtures, **_given(keys, case))
            failures.tell()

        made: Any = through_async if inspect.iscoroutinefunction(test) else through
        made.__signature__ = signature.replace(parameters=others)
        return made

    return decorate


def _given(keys: tuple[str, ...], case: Any) -> dict[str, Any]:
    return {keys[0]: case} if len(keys) == 1 else dict(zip(keys, case, strict=True))


class _Failures:
    def __init__(self) -> None:
        self._errors: list[BaseException] = []

    @contextmanager
    def of(self, case: object) -> Iterator[None]:
        """Keep what fails, and go on."""
        try:
            with named(case):
                yield
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  it is raised in the end
            self._errors.append(error)

    def tell(self) -> None:
        if len(self._errors) > 1:
            raise BaseExceptionGroup(f"{len(self._errors)} cases fail", self._errors)
        for error in self._errors:
            raise error
