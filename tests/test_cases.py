"""A test that goes through many cases fails for each of them that does."""

from typing import Any

import pytest
from cases import goes_through


@goes_through("divisor", {"two": 2, "none": 0, "one": 1})
def halves(divisor: int, seen: list[int]) -> None:
    seen.append(divisor)
    assert 4 // divisor < 4


@goes_through("left", [1, 2])
@goes_through(("right", "total"), [(1, 2), (2, 3)])
async def sums(left: int, right: int, total: int) -> None:
    assert left + right == total


def test_all_cases_are_gone_through_and_those_that_fail_are_named() -> None:
    seen: list[int] = []
    made: Any = halves
    with pytest.raises(ExceptionGroup) as caught:
        made(seen=seen)
    assert seen == [2, 0, 1]
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, AssertionError]
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: none"], ["case: one"]]


async def test_cases_of_several_arguments_and_of_several_lists() -> None:
    made: Any = sums
    with pytest.raises(BaseExceptionGroup) as caught:
        await made()
    assert caught.value.__notes__ == ["case: 2"]
    assert [error.__notes__ for error in caught.value.exceptions] == [["case: (1, 2)"], ["case: (2, 3)"]]


def test_pytest_s_own_failures_are_such_too() -> None:
    @goes_through("case", ["a"])
    def raises_nothing(case: str) -> None:
        with pytest.raises(ValueError, match=case):
            pass

    made: Any = raises_nothing
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as caught:
        made()
    assert caught.value.__notes__ == ["case: a"]


def test_without_cases_it_would_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="no case"):
        goes_through("case", [])
