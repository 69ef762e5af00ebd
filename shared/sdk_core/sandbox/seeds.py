"""The data of a sandbox: checked when it is given, read from JSON and shown as JSON."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import attrs
from attrs import field, frozen

from sdk_core import codec
from sdk_core.codec.shapes import json_name, typed_attributes
from sdk_core.path import Check

__all__ = ["Seeds", "camel_case", "checked", "copied", "naming", "read_setting"]

T = TypeVar("T")


@frozen
class Seeds:
    """One kind of data of a sandbox, such as contracts."""

    shape: type[Any]
    """The class of the values."""
    add: Callable[..., object]
    """Adds a value from keyword arguments: `keys`, and any attributes of the class; the others get defaults."""
    items: Callable[[], Iterable[tuple[Mapping[str, object], object]]]
    """Returns all values, each with its `keys`."""
    clear: Callable[[], object]
    """Removes all values."""
    keys: Mapping[str, Check] = field(factory=dict[str, Check])
    """What a value is kept by, beside what it holds itself, with the checks: `customer_id` of a contract."""

    def add_all(self, name: str, values: object) -> None:
        """Add the values of a list of JSON objects.

        Args:
            name: what the list is called in errors.
            values: the list.

        Raises:
            ValueError, TypeError: it is none, or something in it is unknown or not as documented.
        """
        if type(values) is not list:
            raise TypeError(f"{name}: expected a list of objects")
        for index, value in enumerate(codec.as_list(values)):
            with naming(f"{name}[{index}]"):
                self.add(**self._read(value))

    def show(self) -> list[dict[str, Any]]:
        """Return all values as JSON objects."""
        return [
            {camel_case(name): key for name, key in keys.items()} | codec.as_object(codec.parse(codec.dump(value)))
            for keys, value in self.items()
        ]

    def _read(self, value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise TypeError("expected an object")
        given = dict(codec.as_object(value))
        arguments: dict[str, Any] = {}
        for name, check in self.keys.items():
            if (key := camel_case(name)) in given:
                arguments[name] = check(key, given.pop(key))
        return arguments | _read_fields(self.shape, given)


def read_setting(current: Any, shape: Any, value: object) -> Any:
    """Return a setting from JSON; of an object, what is not given stays as it is.

    Raises:
        ValueError, TypeError: it is not of that shape.
    """
    if attrs.has(shape) and type(value) is dict:
        return attrs.evolve(current, **_read_fields(shape, codec.as_object(value)))
    return _structured(value, shape)


@contextmanager
def naming(name: str) -> Generator[None]:
    """Put the name of what is read before the text of an error.

    Raises:
        ValueError: in place of a TypeError or ValueError.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        problem = f"{name}: {error}"
    else:
        return
    raise ValueError(problem)


def checked(name: str, value: object, shape: type[T]) -> T:
    """Return a `shape` as a client would read it: all of it can be served, and is as the documentation has it.

    Raises:
        TypeError: it is something else.
        ValueError: something in it is not as documented; the text names the field.
    """
    if not isinstance(value, shape):
        raise TypeError(f"{name} must be a {shape.__name__}, not {type(value).__name__}")
    fields: dict[str, Any] = {}
    model: Any = shape  # To mypy, a type[T] may be unhashable.
    for key, (attribute, kind) in _attributes(model).items():
        with naming(f"{name}: {key}"):
            served = codec.parse(codec.dump(getattr(value, attribute.name)))
            fields[attribute.alias or attribute.name] = _structured(served, kind)
    return shape(**fields)


def copied(value: Any) -> Any:
    """Return a copy of containers; what they hold in the end never changes, and is shared."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in cast("dict[object, object]", value).items()}
    if isinstance(value, list):
        return [copied(item) for item in codec.as_list(value)]
    return {*cast("set[object]", value)} if isinstance(value, set) else value


def camel_case(name: str) -> str:
    """Return the JSON key of a name."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _read_fields(shape: Any, given: Mapping[str, object]) -> dict[str, Any]:
    attributes = _attributes(shape)
    if unknown := given.keys() - attributes.keys():
        raise ValueError(f"{min(unknown)} is unknown here; known are {', '.join(attributes)}")
    fields: dict[str, Any] = {}
    for key, value in given.items():
        attribute, kind = attributes[key]
        with naming(key):
            fields[attribute.alias or attribute.name] = _structured(value, kind)
    return fields


@cache
def _attributes(shape: Any) -> "Mapping[str, tuple[attrs.Attribute[Any], Any]]":
    """Return the attributes of a class with their types, by their JSON keys."""
    return {json_name(attribute): (attribute, kind) for attribute, kind in typed_attributes(shape)}


def _structured(value: object, shape: Any) -> Any:
    try:
        return codec.structure(value, shape)
    except codec.ShapeError as error:
        problem = error.problems[0].removeprefix("$: ")
    raise ValueError(problem)
