"""What the answers of the CloudCockpit API become in Python."""

import json
import pickle
from collections.abc import Awaitable, Callable
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
    CancelConflict,
    CloudCockpitClient,
    ConflictError,
    Currency,
    Done,
    FieldError,
    InvalidResponseError,
    MarginRule,
    MigrationStatus,
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
    Transition,
    TransitionEvent,
)

CUSTOMER = UUID("44444444-4444-4444-8444-444444444444")
SUBSCRIPTION = UUID("11111111-1111-4111-8111-111111111111")
LIST = f"{DEFAULT_BASE_URL}/v1/customers/{CUSTOMER}/subscriptions"
DETAIL = f"{LIST}/{SUBSCRIPTION}"
REACTIVATE = f"{DETAIL}/reactivate"
IDS: dict[str, Any] = {"customer_id": CUSTOMER, "subscription_id": SUBSCRIPTION}

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

DESTINATION = UUID("77777777-7777-4777-8777-777777777777")
TRANSITION = Transition(
    destination_subscription_id=DESTINATION,
    destination_provider_subscription_id="9d3a1d2e",
    offer_name="Microsoft 365 Business Premium",
    offer_description="All of it",
    offer_id=UUID("33333333-3333-4333-8333-333333333333"),
    provider_offer_id="CFQ7TTC0LCHC:0002",
    provider_offer_id_with_availability="CFQ7TTC0LCHC:0002:CFQ7TTC0X5P8",
    image_url="https://images.example/premium.png",
    quantity=25,
    term_duration=TermDuration.ONE_YEAR,
    billing_frequency=BillingFrequency.MONTHLY,
    transition_type="transition_with_license_transfer",
    transition_events=(TransitionEvent(name="LicenseTransfer", status="Pending"),),
)


def client(**options: Any) -> CloudCockpitClient:
    return CloudCockpitClient("portal.example.com", "made.up.jwt", **{"retry": RetryPolicy.none(), **options})


def unfilled(value: Any, path: str = "$") -> list[str]:
    """Return the paths at which an answer holds nothing."""
    match value:
        case None | () | "":
            return [path]
        case tuple() | list():
            return [p for index, item in enumerate(value) for p in unfilled(item, f"{path}[{index}]")]
        case _ if attrs.has(type(value)):
            names = [attribute.alias for attribute in attrs.fields(type(value)) if hasattr(value, attribute.alias)]
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


ITEMS = json.dumps(json.loads(payload("cloudcockpit_subscription_page"))["items"]).encode()


@pytest.mark.parametrize(
    ("url", "body", "call", "value"),
    [
        (
            f"{DEFAULT_BASE_URL}/v1/subscriptions",
            payload("cloudcockpit_subscription_page"),
            lambda c: c.list_subscriptions(),
            PAGE,
        ),
        (
            f"{DETAIL}/eligible-transitions",
            payload("cloudcockpit_transitions"),
            lambda c: c.list_eligible_transitions(**IDS),
            [TRANSITION],
        ),
        (
            f"{DETAIL}/migration",
            payload("cloudcockpit_migration_status"),
            lambda c: c.get_migration_status(**IDS),
            MigrationStatus(
                is_completed=True,
                subscription_id=SUBSCRIPTION,
                destination_subscription_id=DESTINATION,
                destination_provider_subscription_id="9d3a1d2e",
            ),
        ),
        (f"{DETAIL}/azure-entitlements", ITEMS, lambda c: c.list_azure_entitlements(**IDS), [*PAGE.items]),
        (f"{DETAIL}/eligible-for-upgrade", ITEMS, lambda c: c.list_eligible_for_upgrade(**IDS), [*PAGE.items]),
        (f"{DETAIL}/eligible-for-upgrade", ITEMS[1:-1], lambda c: c.list_eligible_for_upgrade(**IDS), [*PAGE.items]),
    ],
    ids=["all subscriptions", "transitions", "migration", "entitlements", "upgradable", "lone upgradable"],
)
async def test_answer_with_every_documented_field(
    mocked: Any, url: str, body: bytes, call: Callable[[CloudCockpitClient], Awaitable[object]], value: object
) -> None:
    """Each field arrives as the value Python has for it, and no attribute stays empty."""
    mocked.get(url, body=body)
    async with client() as api:
        answer = await call(api)
    assert answer == value
    assert type(answer) is type(value)
    assert unfilled(answer) == []


async def test_audit_log_is_raw(mocked: Any) -> None:
    """The fields of an entry were not seen: whatever it is, as it is, money without a float in between."""
    mocked.get(f"{DEFAULT_BASE_URL}/v1/AuditLogs", body=payload("cloudcockpit_audit_log_page"))
    async with client() as api:
        page = await api.list_audit_logs()
    assert page == Page(
        items=(
            {
                "operation": "CreateOrder",
                "status": "Succeded",
                "amount": Decimal("5.10"),
                "correlationId": "csp-7f1f0c9e",
            },
            7,
        ),
        pagination_parameters={"pageNumber": 1, "pageSize": 25},
        total_pages=1,
        total_count=2,
        has_next_page=False,
        continuation_token="b3BhcXVl",
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'[{"date": "2026-01-31"}]', [{"date": "2026-01-31"}]),
        (b'{"a": 1.50}', {"a": Decimal("1.50")}),
        (b"[]", []),
        (b"null", None),
        (b'"x"', "x"),
        (b"7", 7),
    ],
)
async def test_custom_term_end_dates_are_raw(mocked: Any, body: bytes, value: object) -> None:
    """Any JSON, as it is: the shape was not seen."""
    mocked.get(f"{LIST}/custom-term-end-dates", body=body)
    async with client() as api:
        assert await api.get_custom_term_end_dates(customer_id=CUSTOMER) == value


@pytest.mark.parametrize("body", [b"", b"<html>", b"{"])
async def test_raw_answer_is_json_all_the_same(mocked: Any, body: bytes) -> None:
    """A page of something in between is no answer of the API."""
    mocked.get(f"{LIST}/custom-term-end-dates", body=body)
    async with client() as api:
        with pytest.raises(InvalidResponseError) as caught:
            await api.get_custom_term_end_dates(customer_id=CUSTOMER)
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("body", "updated"), [(b"true", True), (b"false", False), (b" false\n", False)])
async def test_reseller_change_answers_a_bare_boolean(mocked: Any, body: bytes, updated: bool) -> None:
    """False is no failure: only the support contact stayed as it was."""
    mocked.patch(f"{DETAIL}/associated-reseller", body=body)
    async with client() as api:
        assert await api.change_associated_reseller(**IDS, reseller_id=DESTINATION) is updated


@pytest.mark.parametrize("body", [b"null", b"1", b'"true"', b"{}", b"[true]"])
async def test_reseller_change_with_another_answer_was_applied(mocked: Any, body: bytes) -> None:
    """The API said yes, but nobody knows what it meant."""
    mocked.patch(f"{DETAIL}/associated-reseller", body=body)
    async with client() as api:
        with pytest.raises(InvalidResponseError) as caught:
            await api.change_associated_reseller(**IDS, reseller_id=DESTINATION)
    assert (caught.value.outcome, caught.value.problems) == (Outcome.APPLIED, ("$: expected true or false",))


ACCEPTING: dict[str, tuple[str, str, Callable[[CloudCockpitClient], Awaitable[object]]]] = {
    "update": ("PATCH", "", lambda c: c.update_subscription(**IDS, changes={"name": "x"})),
    "cancel": ("DELETE", "", lambda c: c.cancel_subscription(**IDS)),
    "suspend": ("POST", "/suspend", lambda c: c.suspend_subscription(**IDS)),
    "reactivate": ("POST", "/reactivate", lambda c: c.reactivate_subscription(**IDS)),
    "upgrade": ("POST", "/upgrade", lambda c: c.upgrade_subscription(**IDS, transition=TRANSITION)),
    "migration": ("POST", "/migration", lambda c: c.start_migration(**IDS, purchase_full_term=True, quantity=1)),
}
DOING: dict[str, tuple[str, str, Callable[[CloudCockpitClient], Awaitable[object]]]] = {
    "margin": ("PATCH", "/price-margin", lambda c: c.change_price_margin(**IDS, margin={"marginRule": {}})),
    "po number": ("PATCH", "/po-number", lambda c: c.change_po_number(**IDS, po_number="x")),
    "budget": ("PATCH", "/monthly-budget", lambda c: c.change_monthly_budget(**IDS, monthly_budget=None)),
    "owner": (
        "PUT",
        "/grant-owner-access/anna",
        lambda c: c.grant_owner_access(**IDS, user_email="anna"),
    ),
}


@pytest.mark.parametrize(("status", "body"), [(202, b""), (204, b""), (200, b"{}"), (202, b'{"id": 1}')])
@pytest.mark.parametrize(
    ("kind", "name"), [*((Accepted, name) for name in ACCEPTING), *((Done, name) for name in DOING)]
)
async def test_changes_say_whether_they_happened(
    mocked: Any, kind: type[Accepted | Done], name: str, status: int, body: bytes
) -> None:
    """Accepted: some time later. Done: it has. Either with the id that finds it in the audit log."""
    verb, path, call = (ACCEPTING | DOING)[name]
    mocked.add(DETAIL + path, method=verb, status=status, body=body)
    async with client(correlation_id=lambda: "our-id") as api:
        answer = await call(api)
    assert answer == kind(correlation_id="our-id")
    assert type(answer) is kind


async def test_conflict_of_a_cancellation(mocked: Any) -> None:
    """The 409 has a body of its own: it is at hand with the error, and nothing is repeated."""
    body = payload("cloudcockpit_cancel_conflict")
    mocked.delete(DETAIL, status=409, body=body, repeat=True)
    async with client(retry=RetryPolicy()) as api:
        with pytest.raises(ConflictError) as caught:
            await api.cancel_subscription(**IDS)
    error = caught.value
    assert (error.outcome, error.retryable, len(error.attempts)) == (Outcome.REJECTED, False, 1)
    assert sum(map(len, mocked.requests.values())) == 1
    assert error.message.startswith("status 409: the subscription does not allow it now")
    assert error.details.recognised
    conflict = CancelConflict.of(error)
    assert conflict is not None
    assert conflict.portal_subscription == json.loads(body)["portalSubscription"]
    # It names the customer's things: not in what is logged.
    assert "front desk" not in repr(conflict) + str(error) + repr(error) + str(error.to_dict())
    assert CancelConflict.of(pickle.loads(pickle.dumps(error))) is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b"null", b'{"statusCode": 409}', b'{"portalSubscription": null}']
)
async def test_any_other_conflict_is_none_of_those(mocked: Any, body: bytes) -> None:
    """None, whatever the body is."""
    mocked.delete(DETAIL, status=409, body=body)
    async with client() as api:
        with pytest.raises(ConflictError) as caught:
            await api.cancel_subscription(**IDS)
    assert CancelConflict.of(caught.value) is None


async def test_migration_that_is_not_completed(mocked: Any) -> None:
    """Its destination comes with its completion."""
    mocked.get(f"{DETAIL}/migration", payload={"isCompleted": False, "subscriptionId": str(SUBSCRIPTION)})
    mocked.get(f"{DETAIL}/migration", payload={"isCompleted": False, "destinationSubscriptionId": None})
    async with client() as api:
        first = await api.get_migration_status(**IDS)
        second = await api.get_migration_status(**IDS)
    assert first == MigrationStatus(is_completed=False, subscription_id=SUBSCRIPTION)
    assert second == MigrationStatus(is_completed=False)


async def test_transition_as_the_samples_show_it(mocked: Any) -> None:
    """Term and frequency without a name, nulls everywhere."""
    sample = {"quantity": 0, "termDuration": {}, "billingFrequency": {"name": None}, "transitionEvents": None}
    mocked.get(f"{DETAIL}/eligible-transitions", payload=[sample])
    async with client() as api:
        assert await api.list_eligible_transitions(**IDS) == [Transition(quantity=0)]


@pytest.mark.parametrize("body", [b'{"items": null}', b'{"items": [], "totalCount": 0}'])
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


@pytest.mark.parametrize(
    ("sent", "frequency"),
    [
        ({"billingFrequency": {"name": "Annual"}}, BillingFrequency.ANNUAL),
        ({"name": "Annual"}, BillingFrequency.ANNUAL),
        ({"name": "New"}, BillingFrequency("New")),
        ({"name": None}, None),
        ({"name": ""}, None),
        ({}, None),
    ],
)
async def test_next_billing_frequency_has_two_forms(mocked: Any, sent: object, frequency: object) -> None:
    """The page of the detail has one, those of update and cancellation have another."""
    subscription = {"id": str(SUBSCRIPTION), "status": {"name": "Active"}, "nextBillingFrequency": sent}
    mocked.get(DETAIL, payload=subscription)
    async with client() as api:
        detail = await api.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert detail.next_billing_frequency is not None
    assert detail.next_billing_frequency.billing_frequency == frequency


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
