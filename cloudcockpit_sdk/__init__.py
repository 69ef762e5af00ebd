"""Async SDK for the CloudCockpit subscription API: list, read, suspend and reactivate subscriptions."""

from cloudcockpit_sdk import models, operations, workflows
from cloudcockpit_sdk.auth import DEFAULT_SCOPE, DEFAULT_TOKEN_URL, AccessToken, ClientCredentials, TokenCredential
from cloudcockpit_sdk.client import API_CLOUDCOCKPIT_COM, DEFAULT_BASE_URL, CloudCockpitClient
from cloudcockpit_sdk.models import *  # noqa: F403  models.__all__ is the list of models
from cloudcockpit_sdk.pagination import Paginator
from sdk_core.client import Reply
from sdk_core.correlation import correlation_scope
from sdk_core.errors import (
    ApiError,
    Attempt,
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    ErrorDetails,
    FieldError,
    InvalidResponseError,
    NotFoundError,
    NotOfferedError,
    NotSettledError,
    OperationDeprecatedWarning,
    Outcome,
    PermissionDeniedError,
    RateLimitError,
    SdkError,
    ServerError,
    ServiceUnavailableError,
    WorkflowError,
)
from sdk_core.operation import Effect, Operation, Query
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter
from sdk_core.retry import RetryBudget, RetryPolicy
from sdk_core.session import Connection
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.version import __version__
from sdk_core.workflow import Change, Settled

__all__ = [
    "API_CLOUDCOCKPIT_COM",
    "DEFAULT_BASE_URL",
    "DEFAULT_SCOPE",
    "DEFAULT_TOKEN_URL",
    "AccessToken",
    "ApiError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CallInfo",
    "CallTimeoutError",
    "Change",
    "ClientClosedError",
    "ClientCredentials",
    "CloudCockpitClient",
    "ConfigurationError",
    "ConflictError",
    "Connection",
    "ConnectionFailedError",
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
    "TokenCredential",
    "WorkflowError",
    "__version__",
    "correlation_scope",
    "models",
    "operations",
    "workflows",
]
__all__ += models.__all__
