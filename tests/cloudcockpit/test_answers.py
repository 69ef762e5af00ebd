"""What the answers of the CloudCockpit API become in Python."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from payloads import payload

from cloudcockpit_sdk import (
    DEFAULT_BASE_URL,
    Accepted,
    ApiError,
    AuthenticationError,
    AutoRenewSettings,
    BadRequestError,
    BillingFrequency,
    CloudCockpitClient,
    ConflictError,
    Currency,
    FieldError,
    InvalidResponseError,
    MarginRule,
    NextBillingFrequency,
    NotFoundError,
    OfferType,
    Outcome,
    Page,
    PermissionDeniedError,
    Price,
    PriceMargin,
    RateLimitError,
    RetryPolicy,
    Segment,
    ServerError,
    ServiceUnavailableError,
    Subscription,
    SubscriptionListItem,
    SubscriptionStatus,
    TermDuration,
)

CUSTOMER = UUID("44444444-4444-4444-8444-444444444444")
SUBSCRIPTION = UUID("11111111-1111-4111-8111-111111111111")
LIST = f"{DEFAULT_BASE_URL}/v1/customers/{CUSTOMER}/subscriptions"
DETAIL = f"{LIST}/{SUBSCRIPTION}"
REACTIVATE = f"{DETAIL}/reactivate"

START = datetime(2024, 5, 4, 9, 42, tzinfo=UTC)
END = datetime(2025, 5, 4, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=2)))
CANCELABLE = datetime(2024, 5, 11, 9, 42, tzinfo=UTC)

PAGE = Page(
    items=(
        SubscriptionListItem(
            id=SUBSCRIPTION,
            order_id=UUID("22222222-2222-4222-8222-222222222222"),
            offer_id=UUID("33333333-3333-4333-8333-333333333333"),
            customer_id=CUSTOMER,
            provider_instance_id=UUID("55555555-5555-4555-8555-555555555555"),
            reseller_id=UUID("66666666-6666-4666-8666-666666666666"),
            subscription_name="Office for the front desk",
            offer_name="Microsoft 365 Business Basic",
            offer_type=OfferType.LICENSE,
            is_addon_offer=True,
            is_trial_offer=False,
            provider_offer_id="CFQ7TTC0LH18:0001",
            subscription_status=SubscriptionStatus.ACTIVE,
            start_date=START,
            end_date=END,
            cancellation_allowed_until=CANCELABLE,
            quantity=25,
            assigned_licenses=17,
            list_price=Price(value=Decimal("61.20"), currency=Currency("EUR")),
            revenue_price=Price(value=Decimal(70), currency=Currency("CHF")),
            erp_price=Price(value=Decimal("1e-7"), currency=Currency("USD")),
            custom_margin=PriceMargin(margin_rule=MarginRule.ERP_MINUS_DISCOUNT),
            billing_frequency=BillingFrequency.MONTHLY,
            term_duration=TermDuration.ONE_YEAR,
        ),
    ),
    pagination_parameters={"pageNumber": 1, "pageSize": 25},
    total_pages=1,
    total_count=1,
    has_next_page=False,
    continuation_token="b3BhcXVl",
)
DETAILED = Subscription(
    id=SUBSCRIPTION,
    customer_id=CUSTOMER,
    provider_instance_id=UUID("55555555-5555-4555-8555-555555555555"),
    reseller_id=UUID("66666666-6666-4666-8666-666666666666"),
    name="Office for the front desk",
    provider_subscription_id="9d3a1d2e",
    status=SubscriptionStatus.SUSPENDED,
    start_date=START,
    end_date=END,
    cancellation_allowed_until=CANCELABLE,
    quantity=25,
    term_duration=TermDuration.THREE_YEARS,
    billing_frequency=BillingFrequency.ANNUAL,
    next_billing_frequency=NextBillingFrequency(
        scheduled_date=datetime(2025, 5, 5, tzinfo=UTC), billing_frequency=BillingFrequency.MONTHLY
    ),
    segment=Segment.NON_PROFIT,
    auto_renew_enabled=True,
    auto_renew_settings=AutoRenewSettings(
        term=TermDuration.ONE_YEAR,
        billing_frequency=BillingFrequency.NONE,
        custom_term_end_date=datetime(2026, 5, 4, tzinfo=UTC),
    ),
    margin=PriceMargin(margin_rule=MarginRule.SPLIT_MARGIN),
    internal_id="K-4711",
    po_number="PO-2024-05",
    offer={
        "name": "Microsoft 365 Business Basic",
        "isAddon": False,
        "prices": [{"costPrice": {"value": Decimal("5.10")}}],
    },
    offer_price={"costPrice": {"value": Decimal("5.10"), "currency": {"name": "EUR"}}},
    provider_data='{"skuId": "0001"}',
)


def client(**options: Any) -> CloudCockpitClient:
    return CloudCockpitClient("portal.example.com", "made.up.jwt", **{"retry": RetryPolicy.none(), **options})


def unfilled(value: Any, path: str = "$") -> list[str]:
    """Return the paths at which an answer holds nothing."""
    match value:
        case None | () | "":
            return [path]
        case tuple():
            return [p for index, item in enumerate(value) for p in unfilled(item, f"{path}[{index}]")]
        case _ if attrs.has(type(value)):
            names = [attribute.name for attribute in attrs.fields(type(value))]
            return [p for name in names for p in unfilled(getattr(value, name), f"{path}.{name}")]
        case _:
            return []


async def test_page_with_every_documented_field(mocked: Any) -> None:
    """Each field arrives as the value Python has for it, and no attribute stays empty."""
    mocked.get(LIST, body=payload("cloudcockpit_subscription_page"))
    async with client() as api:
        page = await api.list_customer_subscriptions(customer_id=CUSTOMER)
    assert page == PAGE
    assert unfilled(page) == []
    (item,) = page.items
    assert item.list_price is not None
    assert str(item.list_price.value) == "61.20"
    assert isinstance(item.list_price.currency, Currency)
    assert item.end_date is not None
    assert item.end_date.utcoffset() == timedelta(hours=2)


async def test_subscription_with_every_documented_field(mocked: Any) -> None:
    """Each field arrives, raw parts with their prices as Decimal, and no attribute stays empty."""
    mocked.get(DETAIL, body=payload("cloudcockpit_subscription"))
    async with client() as api:
        subscription = await api.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert subscription == DETAILED
    assert unfilled(subscription) == []


@pytest.mark.parametrize("body", [b"{}", b'{"items": null}', b'{"items": [], "totalCount": 0}'])
async def test_empty_pages_are_answers(mocked: Any, body: bytes) -> None:
    """A customer without subscriptions, however the API spells it."""
    mocked.get(LIST, body=body)
    async with client() as api:
        assert (await api.list_customer_subscriptions(customer_id=CUSTOMER)).items == ()


async def test_lone_subscription_is_no_list(mocked: Any) -> None:
    """Nothing in this API's documentation hints at one."""
    mocked.get(LIST, body=b"[]")
    async with client() as api:
        with pytest.raises(InvalidResponseError, match="expected an object"):
            await api.list_customer_subscriptions(customer_id=CUSTOMER)


async def test_detail_needs_its_status(mocked: Any) -> None:
    """Without a status a subscription is useless: better an error than a guess."""
    mocked.get(DETAIL, payload={"id": str(SUBSCRIPTION), "status": {"name": None}})
    async with client() as api:
        with pytest.raises(InvalidResponseError) as caught:
            await api.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert caught.value.problems == ('$.status: expected an object {"name": "..."}',)


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"null", b"[]", b'"accepted"', b"true"])
async def test_acceptance_needs_no_body(mocked: Any, status: int, body: bytes) -> None:
    """Any 2xx counts; the id to look for in the audit log comes with it."""
    mocked.post(REACTIVATE, status=status, body=body)
    async with client(correlation_id=lambda: "our-id") as api:
        accepted = await api.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert accepted == Accepted(correlation_id="our-id")


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (400, BadRequestError, Outcome.REJECTED),
        (401, AuthenticationError, Outcome.REJECTED),
        (403, PermissionDeniedError, Outcome.REJECTED),
        (404, NotFoundError, Outcome.REJECTED),
        (409, ConflictError, Outcome.REJECTED),
        (418, ApiError, Outcome.REJECTED),
        (429, RateLimitError, Outcome.REJECTED),
        (500, ServerError, Outcome.UNKNOWN),
        (503, ServiceUnavailableError, Outcome.UNKNOWN),
    ],
)
async def test_error_envelope(mocked: Any, status: int, kind: type[ApiError], outcome: Outcome) -> None:
    """Every field of the documented example, under the same error tree as the sibling's."""
    body = payload("cloudcockpit_error")
    mocked.post(REACTIVATE, status=status, body=body, headers={"Retry-After": "7"})
    async with client() as api:
        with pytest.raises(ApiError) as caught:
            await api.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    error = caught.value
    assert type(error) is kind
    # The HTTP status, not the body's: the example's 42 is no status.
    assert (error.status, error.outcome, error.retry_after) == (status, outcome, 7.0)
    assert error.code == error.details.code == "string"
    assert error.details.message == "string"
    assert error.details.reference is None
    assert error.details.trace_id == "string"
    assert error.details.fields == (FieldError("string", ("string",)),)
    assert error.details.recognised
    assert error.details.raw == json.loads(body)
    assert error.details.body == body


@pytest.mark.parametrize("status", [401, 403])
async def test_refusals_without_a_body(mocked: Any, status: int) -> None:
    """401 and 403 are documented without a schema."""
    mocked.post(REACTIVATE, status=status, body=b"")
    async with client() as api:
        with pytest.raises(ApiError, match="without the API's error envelope") as caught:
            await api.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert (caught.value.code, caught.value.details.recognised) == (None, False)


@pytest.mark.parametrize(
    ("errors", "fields"),
    [
        (None, ()),
        ([], ()),
        (
            [{"propertyName": "a", "description": ["x", "y"]}, {"propertyName": "b", "description": None}],
            (FieldError("a", ("x", "y")), FieldError("b")),
        ),
        ([{"propertyName": None, "description": ["x"]}], (FieldError(None, ("x",)),)),
        ([{"description": ["x"]}], (FieldError(None, ("x",)),)),
        ("text", ()),
        ([1], (FieldError(None),)),
    ],
    ids=["null", "empty", "two", "null name", "no name", "no list", "no object"],
)
async def test_field_errors_in_every_documented_form(mocked: Any, errors: Any, fields: tuple[FieldError, ...]) -> None:
    """All of it is nullable, and a .NET server may leave nulls out."""
    mocked.post(REACTIVATE, status=400, payload={"statusCode": 400, "errors": errors})
    async with client() as api:
        with pytest.raises(BadRequestError) as caught:
            await api.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert caught.value.details.fields == fields
