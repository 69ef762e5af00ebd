"""Async SDK for the CloudCockpit subscription API: read, change, suspend, cancel and migrate subscriptions."""

from importlib import import_module
from typing import TYPE_CHECKING

from cloudcockpit_sdk import models, operations
from cloudcockpit_sdk.auth import DEFAULT_SCOPE, DEFAULT_TOKEN_URL, AccessToken, ClientCredentials, TokenCredential
from cloudcockpit_sdk.client import API_CLOUDCOCKPIT_COM, DEFAULT_BASE_URL, CloudCockpitClient
from cloudcockpit_sdk.models import *  # noqa: F403  models.__all__ is the list of models
from cloudcockpit_sdk.pagination import Paginator
from sdk_core.call import Reply
from sdk_core.correlation import correlation_scope
from sdk_core.deadline import deadline_scope
from sdk_core.deprecation import OperationDeprecatedWarning
from sdk_core.details import ErrorDetails, FieldError
from sdk_core.deviation import Deviation
from sdk_core.errors import (
    AnsweredError,
    ApiError,
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    ClientClosedError,
    ClientThrottledError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    SdkError,
    ServerError,
    ServiceUnavailableError,
    ThrottledError,
)
from sdk_core.model_json import from_json, to_dict, to_json
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Attempt, Outcome
from sdk_core.query import Query
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter
from sdk_core.retry import RetryBudget, RetryPolicy
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.transport.connection import Connection
from sdk_core.version import __version__

if TYPE_CHECKING:
    from cloudcockpit_sdk import workflows
    from sdk_core.problem import Problem, to_problem
    from sdk_core.workflow import Change, NotOfferedError, NotSettledError, Settled, WorkflowError
else:
    _LATER = {
        "Problem": "sdk_core.problem",
        "to_problem": "sdk_core.problem",
        **dict.fromkeys(
            ("Change", "NotOfferedError", "NotSettledError", "Settled", "WorkflowError"), "sdk_core.workflow"
        ),
    }

    def __getattr__(name: str) -> object:
        """Import what a call does not need when it is first asked for."""
        if name == "workflows":
            return import_module(f"{__name__}.workflows")
        if name in _LATER:
            return getattr(import_module(_LATER[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "API_CLOUDCOCKPIT_COM",
    "DEFAULT_BASE_URL",
    "DEFAULT_SCOPE",
    "DEFAULT_TOKEN_URL",
    "AccessToken",
    "AnsweredError",
    "ApiError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CallInfo",
    "CallTimeoutError",
    "Change",
    "ClientClosedError",
    "ClientCredentials",
    "ClientThrottledError",
    "CloudCockpitClient",
    "ConfigurationError",
    "ConflictError",
    "Connection",
    "ConnectionFailedError",
    "Deviation",
    "Effect",
    "ErrorDetails",
    "FieldError",
    "InvalidResponseError",
    "LocalRateLimiter",
    "NotFoundError",
    "NotOfferedError",
    "NotSettledError",
    "Operation",
    "OperationDeprecatedWarning",
    "Outcome",
    "Paginator",
    "PermissionDeniedError",
    "Problem",
    "Query",
    "RateLimitError",
    "RateLimiter",
    "Reply",
    "RetryBudget",
    "RetryPolicy",
    "SdkError",
    "ServerError",
    "ServiceUnavailableError",
    "Settled",
    "Telemetry",
    "ThrottledError",
    "TokenCredential",
    "WorkflowError",
    "__version__",
    "correlation_scope",
    "deadline_scope",
    "from_json",
    "models",
    "operations",
    "to_dict",
    "to_json",
    "to_problem",
    "workflows",
]
__all__ += models.__all__
