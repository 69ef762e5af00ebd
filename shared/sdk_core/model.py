"""What all models have in common: that pydantic, and so FastAPI, takes them."""

from typing import TYPE_CHECKING, Any

from sdk_core.value import Value

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Model"]


class Model(Value):
    """Base of the models of both SDKs.

    It is no base of fields: a model's attributes are its own, and all models are frozen attrs classes.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic how the model is read from JSON, and written.

        Amounts are written as text, as pydantic does it; `to_json` writes them as the numbers that the API sends.
        """
        from sdk_core.pydantic_schema import model_schema  # noqa: PLC0415  who does not use pydantic need not have it

        return model_schema(source, handler)
