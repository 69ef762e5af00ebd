"""What does not fit, in words that may be shown: each misfit with its JSON path, never with its value.

cattrs raises one error per object or list, which holds the errors inside of it. `problems_of` flattens such a tree:

    ClassValidationError(Contract)
      note "price": ClassValidationError(Money)
        note "amount": WrongTypeError         -->  $.price.amount: expected a number
        note "currency": KeyError             -->  $.price.currency: required, but missing
"""

from typing import get_origin

import attrs
from cattrs import ClassValidationError, IterableValidationError

from sdk_core.codec.shapes import json_name

__all__ = ["ShapeError", "WrongTypeError", "problems_of"]


class ShapeError(ValueError):
    """The JSON is not of the documented shape; `problems` are (JSON path, what was expected)."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems


class WrongTypeError(ValueError):
    """A value of another type than documented; the text says what was expected and holds no value."""


def problems_of(error: BaseException, path: str) -> list[str]:
    """Return all that does not fit in the value at `path`, as "path: what was expected"."""
    match error:
        case ClassValidationError():
            names = {
                attribute.name: json_name(attribute) for attribute in attrs.fields(get_origin(error.cl) or error.cl)
            }
            noted_attributes, others = error.group_exceptions()
            parts = [(part, f"{path}.{names.get(note.name, note.name)}") for part, note in noted_attributes]
        case IterableValidationError():
            noted_items, others = error.group_exceptions()
            parts = [(part, f"{path}[{note.index}]") for part, note in noted_items]
        case KeyError():
            return [f"{path}: required, but missing"]
        case WrongTypeError():
            return [f"{path}: {error}"]
        case _:
            # The text of an error that is not ours may show the value.
            return [f"{path}: not of the documented type"]
    parts += [(part, path) for part in others]
    return [problem for part, place in parts for problem in problems_of(part, place)]
