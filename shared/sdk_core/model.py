"""What all models have in common: how they compare and print, and that pydantic, and so FastAPI, takes them."""

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Model"]


class Model:
    """Base of the models of both SDKs.

    It is no base of fields: a model's attributes are its own, and all models are frozen attrs classes.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # attrs makes no method that a class has of its own. These do the same as those that it would write, and
        # compile, for each class: that took more than half of the time in which the models are imported.
        methods: tuple[Any, ...] = (Model.__eq__, Model.__hash__, Model.__repr__)
        for method in methods:
            setattr(cls, method.__name__, method)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in _fields(self) if each.eq)

    def __hash__(self) -> int:
        hashed = (each for each in _fields(self) if (each.eq if each.hash is None else each.hash))
        return hash((type(self), *(getattr(self, each.name) for each in hashed)))

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in _fields(self) if each.repr)
        return f"{type(self).__qualname__.rpartition('>.')[2]}({', '.join(shown)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic how the model is read from JSON, and written.

        Amounts are written as text, as pydantic does it; `to_json` writes them as the numbers that the API sends.
        """
        from sdk_core.pydantic_schema import model_schema  # noqa: PLC0415  who does not use pydantic need not have it

        return model_schema(source, handler)


def _fields(model: Model) -> "tuple[attrs.Attribute[Any], ...]":
    kind: type[Any] = type(model)
    found: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
    return found
