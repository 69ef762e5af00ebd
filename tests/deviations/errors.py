"""Rows: error bodies of what stands in front, and the API's own in other forms. To add one, add a line."""

from typing import Any

from attrs import field, frozen

URL = "https://tools.ietf.org/html/rfc9110#section-15.5.1"
TRACE = "00-84c1fd4063c38d9f3900d06e56542d48-85d1d4-00"


@frozen
class Refusal:
    """A body with a status of 400 or above, and what the error must tell."""

    what: str
    mark: str
    body: Any
    code: str | None = None
    message: str | None = None
    trace_id: str | None = None
    fields: dict[str | None, tuple[str, ...]] = field(factory=dict)
    recognised_by: str | None = None
    """The API whose own envelope it is."""


R = Refusal
REFUSALS = (
    R("problem+json", "T", {"type": URL, "title": "Bad", "status": 400, "traceId": TRACE}, None, "Bad", TRACE),
    R(
        "problem with fields",
        "T",
        {"type": URL, "title": "T", "errors": {"Name": ["a", "b"]}},
        None,
        "T",
        None,
        {"Name": ("a", "b")},
    ),
    R("problem with detail", "T", {"type": "about:blank", "title": "T", "detail": "D"}, None, "D"),
    R("problem with a code as type", "T", {"type": "out_of_stock", "title": "T"}, "out_of_stock", "T"),
    R("problem with an urn", "T", {"type": "urn:problem:x", "title": "T"}, None, "T"),
    R("problem with an error code", "T", {"type": URL, "title": "T", "errorCode": "E7"}, "E7", "T"),
    R("problem in PascalCase", "T", {"Type": URL, "Title": "T", "TraceId": TRACE}, None, "T", TRACE),
    R(
        "ModelState",
        "T",
        {"Message": "Invalid.", "ModelState": {"x.Name": ["a"]}},
        None,
        "Invalid.",
        None,
        {"x.Name": ("a",)},
    ),
    R("ModelState of one text", "T", {"Message": "M", "ModelState": {"Name": "a"}}, None, "M", None, {"Name": ("a",)}),
    R("Web API exception", "T", {"Message": "M", "ExceptionType": "X"}, None, "M"),
    R("OData", "T", {"error": {"code": "Denied", "message": "M"}}, "Denied", "M"),
    R("OData with a number", "T", {"error": {"code": 429, "message": "M"}}, "429", "M"),
    R(
        "OData with details",
        "T",
        {"error": {"code": "C", "message": "M", "details": [{"target": "f", "message": "a"}]}},
        "C",
        "M",
        None,
        {"f": ("a",)},
    ),
    R("Graph", "T", {"error": {"code": "C", "message": "M", "innerError": {"request-id": "r-1"}}}, "C", "M", "r-1"),
    R(
        "Spring",
        "T",
        {"timestamp": "2026-01-31T00:00:00Z", "status": 400, "error": "Forbidden", "message": "M", "path": "/v1"},
        None,
        "M",
    ),
    R(
        "Spring with fields",
        "T",
        {"timestamp": 1, "error": "Bad Request", "message": "M", "errors": [{"field": "f", "defaultMessage": "a"}]},
        None,
        "M",
        None,
        {"f": ("a",)},
    ),
    R(
        "Spring without a message",
        "T",
        {"timestamp": "t", "status": 500, "error": "Internal Server Error", "path": "/"},
    ),
    R(
        "API Management",
        "T",
        {"statusCode": 401, "message": "Access denied due to missing subscription key."},
        None,
        "Access denied due to missing subscription key.",
    ),
    R(
        "API Management, throttled",
        "T",
        {"statusCode": 429, "message": "Rate limit is exceeded."},
        None,
        "Rate limit is exceeded.",
    ),
    R("API Management, with an id", "T", {"statusCode": 500, "message": "M", "activityId": "a-1"}, None, "M", "a-1"),
    R("a message only", "T", {"message": "M"}, None, "M"),
    R("OAuth", "T", {"error": "invalid_token", "error_description": "D"}, "invalid_token", "D"),
    R("OAuth in words", "T", {"error": "Not allowed"}),
    R("code and message", "T", {"code": "C", "message": "M", "requestId": "r"}, "C", "M", "r"),
    R("a list of errors", "T", [{"code": "C", "message": "M"}], "C", "M"),
    R("empty", "-", b""),
    R("HTML", "T", b"<html>502</html>"),
    R("half of JSON", "-", b'{"message": "M'),
    R("text", "T", b"upstream connect error"),
    R("null", "-", b"null"),
    R("a number", "-", b"7"),
    R("a list of none", "-", b"[]"),
    R("an object of none", "-", b"{}"),
    R("wrong types everywhere", "-", {"code": {}, "message": [], "errors": 7, "traceId": True, "error": [1]}),
    R(
        "fields of wrong types",
        "-",
        {"title": "T", "errors": {"f": [1, None, {}], "g": None}},
        None,
        "T",
        None,
        {"f": (), "g": ()},
    ),
    R(
        "own, CloudCockpit",
        "V",
        {"statusCode": 400, "type": "Kind", "description": "D", "correlationId": "c"},
        "Kind",
        "D",
        "c",
        {},
        "cloudcockpit",
    ),
    R(
        "own with nulls",
        "V",
        {"statusCode": 400, "type": None, "description": None, "correlationId": None, "errors": None},
        None,
        None,
        None,
        {},
        "cloudcockpit",
    ),
    R(
        "own with fields",
        "V",
        {"statusCode": 400, "type": "K", "errors": [{"propertyName": "f", "description": ["a"]}]},
        "K",
        None,
        None,
        {"f": ("a",)},
        "cloudcockpit",
    ),
    R(
        "own, one text for a field",
        "INF",
        {"statusCode": 400, "type": "K", "errors": [{"propertyName": "f", "description": "a"}]},
        "K",
        None,
        None,
        {"f": ("a",)},
        "cloudcockpit",
    ),
    R(
        "own, a map of fields",
        "INF",
        {"statusCode": 400, "type": "K", "errors": {"f": ["a"]}},
        "K",
        None,
        None,
        {"f": ("a",)},
        "cloudcockpit",
    ),
    R(
        "own, several descriptions",
        "INF",
        {"statusCode": 400, "type": "K", "description": ["D", "E"]},
        "K",
        "D E",
        None,
        {},
        "cloudcockpit",
    ),
    R(
        "own, a URL for a type",
        "INF",
        {"statusCode": 400, "type": URL, "description": "D"},
        None,
        "D",
        None,
        {},
        "cloudcockpit",
    ),
    R("own, Membership", "V", {"errorMessage": "M", "errorCode": "C", "traceId": "t"}, "C", "M", "t", {}, "membership"),
    R("own, nothing but a message", "V", {"errorMessage": "M"}, None, "M", None, {}, "membership"),
)
"""Each is served with each of STATUSES by both APIs, to every operation with at least two of them."""

STATUSES = (400, 403, 502)
