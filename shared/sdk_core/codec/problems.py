"""What is found while a value is read: what does not fit, and what was tolerated. Both by path, never by value.

A `Reading` goes along while rules.py walks through a value. It knows the path of the value in hand, so that a misfit
deep inside is named where it is found:

    {"price": {"amount": "20"}}  -->  $.price.amount: expected a number
                                      $.price.currency: required, but missing

It ends at 20 misfits: who repairs something needs no more, and an answer of a million misfits is no heavier than one of
twenty.
"""

from contextvars import ContextVar
from typing import Final

__all__ = [
    "ANY_ITEM",
    "MOST_PROBLEMS",
    "EnoughError",
    "MisfitError",
    "Reading",
    "ShapeError",
    "WrongTypeError",
    "current_reading",
]

MOST_PROBLEMS: Final = 20
_MOST_DEVIATIONS: Final = 100
"""Of one answer. They are told by path without indices, of which no model has as many."""
ANY_ITEM: Final = "[*]"


class ShapeError(ValueError):
    """The JSON is not of the documented shape; `problems` are (JSON path, what was expected), at most 20.

    `readable` is the value without those items of its lists that can't be read; None if something else does not fit,
    or if there are too many problems. An item in which a list would lose all of its own can't be read either. `raw` is
    the JSON value, if it was read from a text.
    """

    def __init__(self, problems: tuple[str, ...], readable: object = None, raw: object = None) -> None:
        super().__init__(problems)
        self.problems = problems
        self.readable = readable
        self.raw = raw


class WrongTypeError(ValueError):
    """A value of another type than documented; the text says what was expected and holds no value."""


class NoRuleError(Exception):
    """There is no way to read a value as this type."""


class MisfitError(Exception):
    """A value does not fit; what is wrong with it was noted already."""


class EnoughError(Exception):
    """So much does not fit that there is no use in reading on."""


class Reading:
    """What was found in one value so far, and where in it the reader is."""

    def __init__(self) -> None:
        self.path: list[str | int] = []
        """The way to the value in hand: keys (with a dot) and indices."""
        self.problems: list[str] = []
        self.deviations: dict[tuple[str, str], None] = {}
        """Path and kind of what was tolerated, each once: the items of a list have one path, `$.items[*].endDate`."""

    @property
    def is_inside_item(self) -> bool:
        """Whether the value in hand is a part of an item of a list or a mapping."""
        return any(isinstance(step, int) or step == ANY_ITEM for step in self.path)

    def note(self, error: Exception) -> None:
        """Note why the value in hand does not fit.

        Raises:
            EnoughError: it was the last that is noted.
        """
        if isinstance(error, MisfitError):
            return
        # The text of an error that is not ours may show the value.
        self.note_problem(str(error) if isinstance(error, WrongTypeError) else "not of the documented type")

    def note_problem(self, what: str) -> None:
        """Like `note`, in words that may be shown."""
        steps = (step if isinstance(step, str) else f"[{step}]" for step in self.path)
        self.problems.append(f"${''.join(steps)}: {what}")
        if len(self.problems) >= MOST_PROBLEMS:
            raise EnoughError

    def tolerate(self, kind: str) -> None:
        """Note that the value in hand was read although it is not as documented."""
        if len(self.deviations) < _MOST_DEVIATIONS:
            path = "".join(step if isinstance(step, str) else ANY_ITEM for step in self.path)
            self.deviations[f"${path}", kind] = None


current_reading: ContextVar[Reading] = ContextVar("current_reading")
"""A rule is given the value and the shape, and nothing else, as cattrs hands it no more."""
