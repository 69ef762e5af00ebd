"""Async SDK for the Membership Self-service API: contracts, cancelations and their withdrawal, additional modules."""

from membership_sdk import models, operations, workflows
from membership_sdk.client import MembershipClient
from membership_sdk.models import *  # noqa: F403  models.__all__ is the list of models
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
from sdk_core.multipart import Document
from sdk_core.operation import Effect, Operation, Query
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter
from sdk_core.retry import RetryBudget, RetryPolicy
from sdk_core.session import Connection
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.version import __version__
from sdk_core.workflow import Change, Settled

__all__ = [
    "ApiError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CallInfo",
    "CallTimeoutError",
    "Change",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "Connection",
    "ConnectionFailedError",
    "Document",
    "Effect",
    "ErrorDetails",
    "FieldError",
    "InvalidResponseError",
    "LocalRateLimiter",
    "MembershipClient",
    "NotFoundError",
    "NotOfferedError",
    "NotSettledError",
    "Operation",
    "OperationDeprecatedWarning",
    "Outcome",
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
    "WorkflowError",
    "__version__",
    "correlation_scope",
    "models",
    "operations",
    "workflows",
]
__all__ += models.__all__
