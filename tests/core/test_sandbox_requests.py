"""What a sandbox reads from a request, shown on the Membership sandbox."""

from cases import goes_through
from membership_samples import CANCEL_PATH, CONTRACT, KEY, OFFERED, TODAY, send

from membership_sdk.sandbox import MembershipSandbox, ReceivedDocument

UNTYPED_PART = (
    b'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n'
    b'{"startDate":"2026-03-01","temporalUnit":"MONTH","termValue":1,"reasonId":21}\r\n--b--'
)
IDLE_PATH = f"/v1/memberships/{MembershipSandbox.CONTRACT_ID}/self-service/idle-periods"


@goes_through(
    ("content_type", "body"),
    [
        ("application/json", b'{"startDate":"2026-03-01","reasonId":21}'),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", UNTYPED_PART),
        ("multipart/mixed; boundary=b", b"--b--"),
    ],
)
async def test_a_multipart_request_needs_a_json_part_of_that_type(content_type: str, body: bytes) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        headers = {**KEY, "Content-Type": content_type}
        status, envelope = await send(sandbox, "POST", IDLE_PATH, headers=headers, data=body)
        assert (status, envelope["errorCode"], sandbox.ledger) == (400, "VALIDATION_ERROR", [])


async def test_a_multipart_request_by_anybodys_hand_is_understood() -> None:
    body = (
        b'--b\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="data"\r\n\r\n'
        b'{"startDate":"2026-03-01","temporalUnit":"MONTH","termValue":1,"reasonId":22}\r\n'
        b"--b\r\nContent-Disposition: form-data; name=document\r\n\r\n\r\n--b--\r\n"
    )
    async with MembershipSandbox(today=TODAY) as sandbox:
        headers = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
        status, period = await send(sandbox, "POST", IDLE_PATH, headers=headers, data=body)
        assert (status, period["endDate"], period["state"]) == (200, "2026-03-31", "ACCEPTED")
        assert {"id", "reason", "fee", "idlePeriodReason"} <= set(period)
        assert sandbox.ledger[0].arguments["document"] == ReceivedDocument(b"", "text/plain", None)


@goes_through(
    ("path", "data", "reference"),
    [
        ("/v1/memberships/abc/self-service/ordinary-contract-cancelation", b"{}", "customer_id"),
        ("/v1/memberships/0/self-service/ordinary-contract-cancelation", b"{}", "customer_id"),
        (CANCEL_PATH, b"", None),
        (CANCEL_PATH, b"not json", None),
        (CANCEL_PATH, b"[]", None),
        (CANCEL_PATH, b'{"cancelationDate":"2026-02-28","contractId":2002}', "cancelationReasonId"),
        (CANCEL_PATH, b'{"cancelationDate":"soon","cancelationReasonId":11,"contractId":2002}', "cancelationDate"),
    ],
)
async def test_a_malformed_path_or_body_is_400_and_names_the_field(
    path: str, data: bytes, reference: str | None
) -> None:
    async with MembershipSandbox() as sandbox:
        status, envelope = await send(sandbox, "POST", path, data=data)
        assert (status, envelope["errorCode"], envelope.get("reference")) == (400, "VALIDATION_ERROR", reference)
        assert sandbox.ledger == []


async def test_requests_are_kept_as_they_came_and_their_repr_shows_no_key() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(language="de") as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        (request,) = sandbox.requests
        assert (request.operation, request.method, request.path) == (
            "create_contract_cancelation_amendment",
            "POST",
            CANCEL_PATH,
        )
        assert request.headers["x-api-key"] == sandbox.API_KEY
        assert request.headers["Accept-Language"] == "de"
        assert b'"cancelationReasonId":11' in request.body
        assert sandbox.API_KEY not in repr(request)
