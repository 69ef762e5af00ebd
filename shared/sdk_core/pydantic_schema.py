"""What pydantic (2.11 or later) has to know of a model. Imported when pydantic asks a model, and never before.

Pydantic reads the JSON names and types of the API, and refuses what a model can't be made of, each misfit with its
place. It converts nothing but what its own JSON makes necessary: amounts come as text, too, because that is how
pydantic writes them. Unknown keys are ignored and unknown values of enumerations are kept, as in the API's answers.

What keeps the object that it was read from, because it is sent back as it came, is read by the rules of `from_json`,
and tolerates what those tolerate. It is written as it came, too, with its fractions as numbers: text in their place
would be sent back. Only a fraction that no float holds exactly is text, as pydantic has no other way to write it.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import GenericAlias, NoneType
from typing import Annotated, Any, Final, get_args, get_origin

import attrs
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, GetCoreSchemaHandler, Strict, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from sdk_core.codec import OpenEnumObject, Reading, ShapeError, as_list, as_object, structure, without_floats
from sdk_core.codec.shapes import is_enum, is_optional, json_name, original_of, typed_attributes
from sdk_core.model_json import to_dict

__all__ = ["model_schema"]


def model_schema(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return the schema of a model, or of a generic one with its argument, which names it in an OpenAPI document."""
    cls: Any = get_origin(source) or source
    # The object itself, as it was received, is no field of it.
    attributes = [item for item in typed_attributes(source) if item[0] != original_of(cls)]
    fields = {
        json_name(attribute): core_schema.typed_dict_field(
            handler.generate_schema(_annotated(kind)), required=attribute.default is attrs.NOTHING
        )
        for attribute, kind in attributes
    }
    if original_of(cls) is not None:
        return _kept_schema(source, cls, core_schema.typed_dict_schema(fields, cls=cls, cls_name=cls.__name__))
    arguments = {json_name(attribute): attribute.alias or attribute.name for attribute, _kind in attributes}

    def make(value: Any, read: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, cls):
            return value
        found: dict[str, Any] = read(value)
        return cls(**{arguments[name]: item for name, item in found.items()})

    return core_schema.no_info_wrap_validator_function(
        make,
        core_schema.typed_dict_schema(fields, cls=cls, cls_name=cls.__name__),
        ref=_reference(source),
        serialization=core_schema.plain_serializer_function_ser_schema(to_dict),
    )


def _kept_schema(source: Any, cls: Any, documented: CoreSchema) -> CoreSchema:
    """Return the schema of a model that keeps the object that it was read from; it is documented like any other."""

    def make(value: Any, _read: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, cls):
            return value
        try:
            return structure(without_floats(value), source, Reading())
        except ShapeError as error:
            problem = ", ".join(error.problems)
        raise ValueError(problem)

    def write(value: Any, info: core_schema.SerializationInfo) -> Any:
        written = to_dict(value)
        return _with_floats(written) if info.mode_is_json() else written

    return core_schema.no_info_wrap_validator_function(
        make,
        documented,
        ref=_reference(source),
        serialization=core_schema.plain_serializer_function_ser_schema(write, info_arg=True),
    )


def _reference(shape: Any) -> str:
    """Return the name of a shape in a schema, from which pydantic makes a short one that is unique."""
    cls = get_origin(shape) or shape
    arguments = ",".join(map(_reference, get_args(shape)))
    name = f"{cls.__module__}.{cls.__qualname__}"
    return f"{name}[{arguments}]" if arguments else name


def _annotated(kind: Any) -> Any:
    """Return the annotation by which pydantic reads what the codec reads as `kind`."""
    if is_optional(kind):
        return _annotated(next(member for member in get_args(kind) if member is not NoneType)) | None
    if get_origin(kind) is tuple:
        return GenericAlias(tuple, (_annotated(get_args(kind)[0]), ...))
    return _enumeration(kind) if is_enum(kind) else _ANNOTATED.get(kind, kind)


def _enumeration(kind: Any) -> Any:
    known = {"anyOf": [{"enum": [member.value for member in kind]}, {"type": "string"}], "title": kind.__name__}

    # Since Python 3.12, pydantic can't tell how the class itself is called.
    def member(value: str) -> Any:
        return kind(value)

    if not issubclass(kind, OpenEnumObject):
        return Annotated[str, Strict(), AfterValidator(member), WithJsonSchema(known)]
    named = {"type": "object", "properties": {"name": known}, "required": ["name"], "title": kind.__name__}
    return Annotated[dict[str, Any], AfterValidator(lambda value: member(_name(value))), WithJsonSchema(named)]


def _name(value: dict[str, Any]) -> str:
    name = value.get("name")
    if type(name) is not str:
        raise ValueError('expected an object {"name": "..."}')
    return name


def _no_number(value: object) -> object:
    """Refuse a timestamp: nobody knows whether it counts seconds, or whose midnight decides the day."""
    if type(value) in {int, float, Decimal, bool}:
        raise ValueError("expected text, not a number")
    return value


def _with_floats(value: Any) -> Any:
    """Return raw JSON with a float in place of each `Decimal` that it holds exactly, and so writes as a number."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else value
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in as_object(value).items()}
    return [_with_floats(item) for item in as_list(value)] if isinstance(value, list) else value


_ANNOTATED: Final[Mapping[Any, Any]] = {
    Any: Annotated[Any, AfterValidator(without_floats)],
    str: Annotated[str, Strict()],
    int: Annotated[int, Strict()],
    bool: Annotated[bool, Strict()],
    date: Annotated[date, BeforeValidator(_no_number)],
    datetime: Annotated[AwareDatetime, BeforeValidator(_no_number)],
}
