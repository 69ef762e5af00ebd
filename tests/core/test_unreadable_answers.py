"""An answer that can't be read is not lost: the live error carries it, and nothing else does."""

import copy
import gzip
import json
import logging
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Self
from uuid import UUID

import pytest
from attrs import frozen
from cases import goes_through
from payloads import payload
from wire import CannedAnswer, Raw, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import ContractData, Deviation, InvalidResponseError, MembershipClient, Outcome, RetryPolicy
from sdk_core import codec
from sdk_core.operation import Effect, Operation
from sdk_core.returns import Checked, Empty

CONTRACT = json.loads(payload("membership_contract_data"))[0]
SECRET = "Jane Doe 4711"
BUY = {"contract_id": 1, "additional_module_id": 2, "payment_frequency_id": 3, "book_trial_period": False}
IDS: dict[str, Any] = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}


async def failure(answer: Any, **options: Any) -> InvalidResponseError:
    async with WireServer(answer) as server, MembershipClient(server.url, "key", **options) as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.purchase_additional_module_contract(**BUY)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("answer", "raw", "outcome"),
    [
        (CannedAnswer(body={"id": SECRET}), {"id": SECRET}, Outcome.APPLIED),
        (CannedAnswer(body=f"<p>{SECRET}" + "x" * 5000), None, Outcome.UNKNOWN),
        (CannedAnswer(302, {"id": SECRET}), {"id": SECRET}, Outcome.UNKNOWN),
    ],
    ids=["other shape", "no JSON", "redirect"],
)
async def test_body_is_with_the_live_error_only(
    answer: CannedAnswer, raw: Any, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    """The id of what was bought may be in it. It may be a member's name, too: nowhere else."""
    caplog.set_level(logging.DEBUG)
    error = await failure(answer)
    assert error.outcome is outcome
    assert (error.details.raw, error.details.recognised) == (raw, False)
    assert SECRET.encode() in error.details.body
    assert len(error.details.body) > 5000 or raw is not None
    for shown in (str(error), repr(error), repr(error.details), json.dumps(error.to_dict()), repr(pickle.dumps(error))):
        assert SECRET not in shown
    assert SECRET not in caplog.text
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error), type(error)(*error.args)):
        assert (other.details.raw, other.details.body, other.readable) == (None, b"", None)
        assert other.to_dict() == error.to_dict()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (CannedAnswer(body=""), "status 200 with an empty answer"),
        (CannedAnswer(body=" \n"), "status 200 with an empty answer"),
        (Raw(b"HTTP/1.1 204 X\r\n\r\n"), "status 204 with an empty answer"),
        (CannedAnswer(body="OK"), "a body that is no JSON"),
    ],
    ids=["empty", "blank", "204", "text"],
)
async def test_empty_answer_is_called_so(answer: Any, text: str) -> None:
    """Nobody looks for broken JSON where nothing came."""
    assert text in (await failure(answer)).message


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_text_is_no_answer_to_a_command(status: int) -> None:
    """Whoever wrote "OK", it was not the documented API: the body is at hand, and the outcome is not known."""
    async with (
        WireServer(CannedAnswer(status, "OK", content_type="text/plain")) as server,
        CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url) as client,
    ):
        with pytest.raises(InvalidResponseError) as caught:
            await client.suspend_subscription(**IDS)
    assert (caught.value.outcome, caught.value.details.body) == (Outcome.UNKNOWN, b"OK")


@goes_through("left", [0, 1, 10, 12, 15, 60])
async def test_compressed_list_that_breaks_off_is_not_empty(left: int) -> None:
    """Whether nothing or a part of it came out of the stream; all bytes that were announced came."""
    stream = gzip.compress(json.dumps([CONTRACT] * 50).encode())[:left]
    head = b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(stream)
    async with (
        WireServer(Raw(head + stream)) as server,
        MembershipClient(server.url, "key", retry=RetryPolicy.none()) as client,
    ):
        if not left:
            assert await client.get_contract_data(customer_id=1) == []
            return
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    assert caught.value.outcome in {Outcome.UNKNOWN, Outcome.REJECTED}


BROKEN = [CONTRACT, CONTRACT | {"id": SECRET}, CONTRACT | {"endDate": SECRET}, CONTRACT]


async def test_readable_items_are_with_the_error() -> None:
    """One member's contract does not hide the others."""
    async with WireServer(CannedAnswer(body=BROKEN)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    contract = codec.structure(codec.parse(json.dumps(CONTRACT).encode()), ContractData)
    assert caught.value.readable == [contract, contract]
    assert caught.value.details.raw == codec.parse(json.dumps(BROKEN).encode())
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["$[1].id", "$[2].endDate"]


async def test_unreadable_items_are_left_out_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Logged with their paths; what is no list fails as ever, and so does a list that is all wrong."""
    caplog.set_level(logging.WARNING)
    answers = [CannedAnswer(body=body) for body in (BROKEN, CONTRACT | {"id": None}, [{}] * 30)]
    retry = RetryPolicy.none()
    async with (
        WireServer(*answers) as server,
        MembershipClient(server.url, "key", retry=retry, skip_unreadable_items=True) as client,
    ):
        assert [contract.id for contract in await client.get_contract_data(customer_id=1)] == [CONTRACT["id"]] * 2
        (record,) = [record for record in caplog.records if record.name == "sdk_core.verdict"]
        assert "get_contract_data" in record.getMessage()
        assert "$[1].id: expected a whole number, $[2].endDate: expected a date" in record.getMessage()
        assert SECRET not in caplog.text
        fields = [getattr(record, f"sdk_{name}") for name in ("operation", "attempt", "outcome")]
        assert fields == ["get_contract_data", 1, "success"]
        with pytest.raises(InvalidResponseError, match=r"\$\[0\]\.id"):
            await client.get_contract_data(customer_id=1)
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    assert (len(caught.value.problems), caught.value.readable) == (20, None)


PERIOD = {"id": 1, "startDate": "2026-01-01", "state": "ACCEPTED"}
SUBSCRIPTION = {"id": str(UUID(int=1))}
UNREADABLE = {"id": SECRET}
SKIPPING: dict[str, Callable[[str], Any]] = {
    "membership": lambda url: MembershipClient(url, "key", skip_unreadable_items=True),
    "cloudcockpit": lambda url: CloudCockpitClient("x", "token", base_url=url, skip_unreadable_items=True),
}


LISTS: dict[str, tuple[str, Callable[[Any], Any], Any, Callable[[list[Any]], Any]]] = {
    "list": ("membership", lambda c: c.get_contract_data(customer_id=1), CONTRACT, list),
    "page": ("cloudcockpit", lambda c: c.list_subscriptions(), SUBSCRIPTION, lambda items: {"items": items}),
    "page for a list": (
        "cloudcockpit",
        lambda c: c.list_azure_entitlements(**IDS),
        SUBSCRIPTION,
        lambda items: {"items": items},
    ),
    "one of two lists": (
        "membership",
        lambda c: c.get_idle_periods(contract_id=1),
        PERIOD,
        lambda items: {"pastIdlePeriods": [PERIOD], "currentAndUpcomingIdlePeriods": items},
    ),
}


@pytest.mark.parametrize(("api", "read", "item", "answer"), LISTS.values(), ids=LISTS)
async def test_list_that_lost_all_its_items_is_no_empty_list(
    api: str, read: Callable[[Any], Any], item: Any, answer: Callable[[list[Any]], Any]
) -> None:
    """Whatever else the answer holds: nobody would know that there was something. A list without items is one."""
    answers = [[item, UNREADABLE], [UNREADABLE, UNREADABLE], []]
    async with (
        WireServer(*(CannedAnswer(body=answer(items)) for items in answers)) as server,
        SKIPPING[api](server.url) as client,
    ):
        await read(client)
        with pytest.raises(InvalidResponseError, match=r"\[0\]\.id: expected") as caught:
            await read(client)
        await read(client)
    assert caught.value.outcome is Outcome.REJECTED
    assert caught.value.readable is not None


async def test_iteration_does_not_end_at_a_page_that_lost_all_its_items() -> None:
    """Where the API names no totals, only an empty page is the end."""
    pages = [{"items": [SUBSCRIPTION]}, {"items": [UNREADABLE]}, {"items": [SUBSCRIPTION]}]
    async with (
        WireServer(*(CannedAnswer(body=page) for page in pages)) as server,
        SKIPPING["cloudcockpit"](server.url) as client,
    ):
        paginator = client.iter_subscriptions()
        with pytest.raises(InvalidResponseError, match=r"\$\.items\[0\]\.id"):
            _ = [item async for item in paginator]
    assert (paginator.next_page, paginator.items_read) == (2, 1)


async def test_views_skip_or_not() -> None:
    """What is shown may lack something, what is decided by must not."""
    async with WireServer(CannedAnswer(body=BROKEN)) as server, MembershipClient(server.url, "key") as client:
        showing = client.with_options(skip_unreadable_items=True)
        assert len(await showing.get_contract_data(customer_id=1)) == 2
        for deciding in (client, showing.with_options(skip_unreadable_items=False, language="de")):
            with pytest.raises(InvalidResponseError):
                await deciding.get_contract_data(customer_id=1)
    with pytest.raises(TypeError, match="skip_unreadable_items"):
        client.with_options(skip_unreadable_items=1)  # type: ignore[arg-type]


async def test_item_in_which_a_list_lost_all_its_items_is_left_out() -> None:
    """A contract that seems to offer no day to cancel on: an app would tell its member that there is none."""
    offers = [["2027-01-31"], [SECRET], [SECRET, "2027-01-31"], []]
    body = [CONTRACT | {"id": number, "availableCancelationDates": days} for number, days in enumerate(offers)]
    async with WireServer(CannedAnswer(body=body)) as server, SKIPPING["membership"](server.url) as client:
        read = await client.get_contract_data(customer_id=1)
    assert [(contract.id, len(contract.available_cancelation_dates)) for contract in read] == [(0, 1), (2, 1), (3, 0)]


@frozen
class Strange(Checked):
    """One of the caller's, which knows more than its types."""

    names: tuple[UUID, ...]

    def misfit(self, _query: Mapping[str, str], /) -> str | None:
        return "$.names: too few" if len(self.names) < 2 else None


async def test_answer_without_its_unreadable_items_is_checked_like_any_other() -> None:
    """What makes a wrong answer of the right types no right one holds for what is left of it, too."""
    operation = Operation(name="do_it", method="GET", path="/it", returns=Strange, effect=Effect.READ)
    good = [str(UUID(int=1)), str(UUID(int=2))]
    answers = [CannedAnswer(body={"names": [*names, SECRET]}) for names in (good, good[:1])]
    async with WireServer(*answers) as server, SKIPPING["membership"](server.url) as client:
        assert len((await client.call(operation)).names) == 2
        with pytest.raises(InvalidResponseError):
            await client.call(operation)


async def test_whoever_asks_is_told_of_deviations(caplog: pytest.LogCaptureFixture) -> None:
    """Operation, path and kind; a callback that fails costs nothing."""
    caplog.set_level(logging.INFO)
    told: list[Deviation] = []

    def note(deviation: Deviation) -> None:
        told.append(deviation)
        raise RuntimeError(SECRET)

    body = [CONTRACT | {"cancelationStatus": {"name": SECRET}, "endDate": ""}] * 2
    async with (
        WireServer(CannedAnswer(body=body), CannedAnswer(body=[CONTRACT])) as server,
        MembershipClient(server.url, "key", on_unexpected=note) as client,
    ):
        assert [contract.end_date for contract in await client.get_contract_data(customer_id=1)] == [None, None]
        found = {
            Deviation("get_contract_data", "$[*].cancelationStatus", "an object for the text of an enumeration"),
            Deviation("get_contract_data", "$[*].endDate", "an empty text for no value"),
        }
        assert (set(told), len(told)) == (found, 2)
        await client.get_contract_data(customer_id=1)
        assert len(told) == 2
    assert "$[*].endDate" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("option", [{"on_unexpected": "print"}, {"skip_unreadable_items": 1}], ids=str)
def test_options_are_checked_where_they_are_given(option: dict[str, Any]) -> None:
    """Not when the first odd answer comes."""
    with pytest.raises(TypeError, match=next(iter(option))):
        MembershipClient("https://x.invalid", "key", **option)


ITEM = json.loads(payload("cloudcockpit_subscription_page"))["items"][0]


@goes_through(
    ("page", "is_whole"),
    [
        ({"items": [ITEM]}, True),
        ({"items": [ITEM], "totalPages": 1, "totalCount": 1, "hasNextPage": False, "continuationToken": None}, True),
        ({"items": None, "totalCount": 0}, True),
        ({"items": [ITEM], "totalPages": 2}, False),
        ({"items": [ITEM], "totalCount": 2}, False),
        ({"items": [ITEM], "hasNextPage": True}, False),
        ({"items": [ITEM], "continuationToken": "more"}, False),
        ({"items": "x"}, False),
        ({"data": [ITEM]}, False),
    ],
)
async def test_page_for_a_list_is_unwrapped_if_it_is_all_there_is(page: dict[str, Any], is_whole: bool) -> None:
    """Of several pages the first would be a list with a silent end."""
    async with (
        WireServer(CannedAnswer(body=page)) as server,
        CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url) as client,
    ):
        for call in (client.list_azure_entitlements, client.list_eligible_for_upgrade):
            if is_whole:
                assert [item.id for item in await call(**IDS)] == [UUID(item["id"]) for item in page["items"] or ()]
            else:
                with pytest.raises(InvalidResponseError):
                    await call(**IDS)


@pytest.mark.parametrize(
    "answer", [Raw(b"HTTP/1.1 204 X\r\n\r\n"), CannedAnswer(body=""), CannedAnswer(body="null")], ids=str
)
async def test_nothing_is_an_empty_list(answer: Any) -> None:
    """A member without contracts."""
    async with WireServer(answer) as server, MembershipClient(server.url, "key") as client:
        assert await client.get_contract_data(customer_id=1) == []


@goes_through("head", [b"", b"Transfer-Encoding: gzip\r\n", b"Content-Encoding: gzip\r\n"])
@goes_through("body", [b"", b"\n"])
async def test_nothing_before_the_connection_ended_is_no_empty_list(head: bytes, body: bytes) -> None:
    """Where only the connection's end is the body's, a server that breaks off has sent the same: a list, or none."""
    answer = Raw(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body)
    async with WireServer(answer) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    assert caught.value.outcome is Outcome.UNKNOWN


class Strict(Empty):
    """One of the caller's, with a fault."""

    @classmethod
    def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> Self:
        raise ValueError(SECRET + repr(json.loads(body)))


@frozen
class Picky(Checked):
    """Another."""

    name: str

    def misfit(self, query: Mapping[str, str], /) -> str | None:
        raise KeyError(self.name)


@goes_through(("returns", "named"), [(Strict, "ValueError"), (Picky, "KeyError")])
@goes_through(
    ("effect", "body", "outcome"),
    [
        (Effect.READ, {"name": SECRET}, Outcome.REJECTED),
        (Effect.WRITE, {"name": SECRET}, Outcome.APPLIED),
        (Effect.READ, f"<p>{SECRET}", Outcome.UNKNOWN),
        (Effect.WRITE, f"<p>{SECRET}", Outcome.UNKNOWN),
    ],
)
async def test_class_of_the_callers_that_fails_to_read(
    returns: type[Any], named: str, effect: Effect, body: Any, outcome: Outcome
) -> None:
    """The API answered: what it said is told, and by no exception of somebody else's."""
    operation = Operation(name="do_it", method="POST", path="/it", returns=returns, effect=effect)
    async with WireServer(CannedAnswer(body=body)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.call(operation)
        assert len(server.requests) == 1
    error = caught.value
    assert error.outcome is outcome
    assert (named in str(error)) is (outcome is not Outcome.UNKNOWN)
    assert SECRET not in str(error)
    assert error.__context__ is error.__cause__ is None
