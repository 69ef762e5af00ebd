"""What does not fit, by its JSON path, never by its value."""

from typing import get_origin

import attrs
from cattrs import ClassValidationError, IterableValidationError

from sdk_core.codec.shapes import json_name


class ShapeError(ValueError):
    """The JSON is not of the documented shape; `problems` are (JSON path, what was expected)."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems


class WrongTypeError(ValueError):
    """A value of another type than documented; the text says what was expected and holds no value."""


def problems_of(error: BaseException, path: str) -> list[str]:
    match error:
        case ClassValidationError():
            names = {
                attribute.name: json_name(attribute) for attribute in attrs.fields(get_origin(error.cl) or error.cl)
            }
            noted, bare = error.group_exceptions()
            found = [
                p for inner, note in noted for p in problems_of(inner, f"{path}.{names.get(note.name, note.name)}")
            ]
        case IterableValidationError():
            noted_items, bare = error.group_exceptions()
            found = [p for inner, note in noted_items for p in problems_of(inner, f"{path}[{note.index}]")]
        case KeyError():
            return [f"{path}: required, but missing"]
        case WrongTypeError():
            return [f"{path}: {error}"]
        case _:
            return [f"{path}: not of the documented type"]
    return found + [problem for inner in bare for problem in problems_of(inner, path)]
