"""Every way in which a server can fail its client, after a request's head has been read.

What the ledger may say afterwards follows from what the two APIs document: a 4xx is a refusal, and so is Membership's
503 with its envelope; a success in the documented form, or in JSON at all, comes from the API and is one; everything
else may have been performed or not. Each fault ends the connection, or leaves it ready for the next request.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import cache, partial
from time import time
from typing import Final

from benchmarks.audit.exchange import Exchange, TokenExchange
from benchmarks.audit.plan import ATTEMPT_TIMEOUT, INJECTED, MEMBERSHIP

__all__ = ["AFTER_ANSWER", "FAULTS", "HUGE", "Fault", "obey"]

Fault = Callable[[Exchange], Awaitable[None]]

HUGE: Final = 2**18
"""The longest answer that the clients accept."""
AFTER_ANSWER: Final = frozenset({"closed though kept alive", "408 while idle", "deaf after its answer"})
"""The faults that can meet the next request before it was read."""
_STALL: Final = 2 * ATTEMPT_TIMEOUT
_BARE: Final = (408, 460, 499, 500, 502, 503, 504, 520, 524)
"""Without the API's envelope, what is between it and us says that it gave up on a request, or failed."""
_HTML: Final = b"<!doctype html><title>Gateway</title>"
_ABSURD: Final = ("9999999999999", "-5", "soon", "1e400", "nan", "Fri, 31 Dec 9999 23:59:59 GMT", "0x10", "9" * 500)


async def obey(x: Exchange) -> None:
    """Do what was asked, and answer as documented."""
    await x.read_body()
    x.apply()
    await x.send(x.encode_chunked(x.success()) if x.rng.random() < 0.2 else x.encode(200, x.success()))


async def _hang_up_early(x: Exchange) -> None:
    x.hang_up()


async def _stall_early(x: Exchange) -> None:
    await asyncio.sleep(_STALL)
    x.hang_up()


async def _hang_up(x: Exchange, *, applied: bool) -> None:
    await x.read_body()
    if applied:
        x.apply()
    x.hang_up()


async def _stall(x: Exchange, *, applied: bool) -> None:
    await x.read_body()
    if applied:
        x.apply()
    await asyncio.sleep(_STALL)
    x.hang_up()


async def _apply_late(x: Exchange) -> None:
    """Perform it when the client has long given up."""
    await x.read_body()
    await asyncio.sleep(x.rng.uniform(0.5, 2) * ATTEMPT_TIMEOUT)
    x.apply()
    await x.send(x.encode(200, x.success()))


async def _break_off(x: Exchange, where: str, *, stall: bool) -> None:
    """Stop in the middle of a success."""
    await x.read_body()
    x.maybe_apply()
    if x.head.method == "HEAD":
        where = "headers"
    if where == "chunk":
        answer = x.encode_chunked(x.success())
        end = answer.rindex(b"\r\n0\r\n")
    else:
        answer = x.encode(200, x.success())
        end = len(answer) - 1
    body = answer.index(b"\r\n\r\n") + 4
    await x.send(answer[: x.rng.randrange(1, body) if where == "headers" else x.rng.randrange(body, end)])
    if stall:
        await asyncio.sleep(_STALL)
    x.hang_up()


async def _break_off_error(x: Exchange) -> None:
    """Stop in the middle of an error's body: its status still says what it says."""
    await x.read_body()
    status = x.rng.choice((400, 404, 409, 429, 500, 502))
    if status >= 500:
        x.maybe_apply()
    answer = x.encode(status, x.envelope(status))
    body = answer.index(b"\r\n\r\n") + 4
    await x.send(answer[: x.rng.randrange(body, max(body + 1, len(answer)))])
    x.hang_up()


async def _claim_length(x: Exchange, *, longer: bool) -> None:
    await x.read_body()
    x.maybe_apply()
    body = x.success()
    # One byte is always there, and one always missing: an empty success may be a success.
    claim = len(body) + x.rng.randrange(1, 100) if longer else x.rng.randrange(1, len(body))
    await x.send(x.encode(200, body, length=claim))
    if longer:
        x.hang_up()


async def _invalid_chunk(x: Exchange, *, later: bool) -> None:
    """Break the rules of chunks, in one piece with the head or when the client waits for more."""
    await x.read_body()
    x.maybe_apply()
    head, end, body = x.encode_chunked(x.success()).partition(b"\r\n\r\n")
    good, bad = head + end, x.rng.choice((b"zz\r\n", b"-3\r\n", b"\x00")) + body
    # aiohttp's parser in C does not tell who waits for more: a token would be waited for half a minute.
    if later and not isinstance(x, TokenExchange):
        await x.send(good)
        await asyncio.sleep(x.rng.uniform(0, 0.02))
        good = b""
    await x.send(good + bad)
    x.hang_up()


async def _drip(x: Exchange) -> None:
    """Send byte after byte; sometimes fast enough."""
    await x.read_body()
    x.apply()
    answer = x.encode(200, x.success())
    pause = x.rng.uniform(0.2, 3) * ATTEMPT_TIMEOUT / len(answer)
    for byte in answer:
        await asyncio.sleep(pause)
        await x.send(bytes((byte,)))


async def _portal(x: Exchange, status: int) -> None:
    """Answer with a page of something in between."""
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(status, _HTML, "Content-Type: text/html"))


async def _server_error(x: Exchange, status: int, *, envelope: bool) -> None:
    await x.read_body()
    # The only 5xx that either API documents as a refusal.
    if not (status == 503 and envelope and x.entry.plan.api == MEMBERSHIP):
        x.maybe_apply()
    await x.send(x.encode(status, x.envelope(status) if envelope else b""))


async def _refuse(x: Exchange, status: int, *, envelope: bool = True) -> None:
    await x.read_body()
    await x.send(x.encode(status, x.envelope(status) if envelope else _HTML))


async def _limit_rate(x: Exchange, form: str) -> None:
    await x.read_body()
    match form:
        case "seconds":
            delay = x.rng.choice(("0", "0.05", "1"))
        case "date":
            delay = formatdate(time() + x.rng.choice((-60, 1, 60)), usegmt=True)
        case _:
            delay = x.rng.choice(_ABSURD)
    headers = () if form == "missing" else (f"Retry-After: {delay}",)
    await x.send(x.encode(429, x.envelope(429), *headers))


async def _garbage(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(200, b"\xff\x00" + x.rng.randbytes(50)))


async def _other_shape(x: Exchange) -> None:
    """Perform it, and answer with JSON that is not documented."""
    await x.read_body()
    x.apply()
    await x.send(x.encode(200, x.rng.choice((b"[[]]", b'"no"', b'{"id": "no"}', b"null"))))


async def _error_with_success(x: Exchange) -> None:
    """Answer with the body of an error, but a status that denies it."""
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(x.rng.choice((200, 201, 202)), x.envelope(x.rng.choice((400, 500)))))


async def _text(x: Exchange) -> None:
    """Answer with a word: whose it is, nobody knows."""
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(x.rng.choice((200, 201, 202)), b"OK", "Content-Type: text/plain"))


async def _empty(x: Exchange) -> None:
    """Answer nothing: where nothing is documented, that is a success."""
    await x.read_body()
    if x.empty_is_success:
        x.apply()
    else:
        x.maybe_apply()
    await x.send(x.encode(x.rng.choice((200, 202, 204)), b""))


async def _redirect(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    status = x.rng.choice((301, 302, 303, 307, 308))
    await x.send(x.encode(status, _HTML, f"Location: {x.elsewhere}{x.head.target}"))


async def _huge(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(200, b" " * (4 * HUGE)))


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 * HUGE), compresslevel=1)


async def _gzip_bomb(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(200, _bomb(), "Content-Encoding: gzip", "Content-Type: application/json"))


async def _no_gzip(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    await x.send(x.encode(200, x.success(), "Content-Encoding: gzip"))


async def _garbage_first(x: Exchange) -> None:
    await x.read_body()
    x.maybe_apply()
    await x.send(x.rng.choice((b"\x00\x01\x02\r\n", b"220 mail ready\r\n", b"{}\r\n")) + x.encode(200, x.success()))
    x.hang_up()


async def _close_kept_alive(x: Exchange) -> None:
    """Answer, and close the connection that it promised to keep, at once or a little later."""
    await obey(x)
    await asyncio.sleep(x.rng.choice((0, x.rng.uniform(0, 0.02))))
    x.hang_up()


async def _answer_twice(x: Exchange) -> None:
    """Answer, and once more what nobody asked: it must not pass for the answer to the next request."""
    await x.read_body()
    x.apply()
    # In one piece: a second answer that comes when the next request is out can't be told from that one's.
    await x.send(2 * x.encode(200, x.success()))


async def _answer_twice_later(x: Exchange) -> None:
    """Answer, and once more when the connection is idle."""
    await x.read_body()
    x.apply()
    answer = x.encode(200, x.success())
    await x.send(answer)
    await _while_idle(x, answer)


async def _push_408(x: Exchange) -> None:
    """Answer, and tell the idle connection that its time is over, as some balancers do."""
    await obey(x)
    await _while_idle(x, x.encode(408, _HTML, "Content-Type: text/html", "Connection: close"))
    x.hang_up()


async def _while_idle(x: Exchange, unasked: bytes) -> None:
    await asyncio.sleep(x.rng.uniform(0, 0.02))
    # When the next request is out, what comes can't be told from its answer, by nobody. And an injected session has
    # a connector of its owner's, which does not look.
    if x.entry.plan.route != INJECTED and not x.is_asked_again():
        await x.send(unasked)


async def _go_deaf(x: Exchange) -> None:
    """Answer, then keep the connection without ever reading from it again: a server that went away without a word."""
    await obey(x)
    await asyncio.sleep(_STALL)
    x.hang_up()


async def _interim_answers(x: Exchange) -> None:
    await x.read_body()
    x.apply()
    await x.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: </a>\r\n\r\n" + x.encode(200, x.success()))


FAULTS: Final[dict[str, Fault]] = {
    "closed after the request's head": _hang_up_early,
    "stalled after the request's head": _stall_early,
    "closed before applying": partial(_hang_up, applied=False),
    "closed after applying": partial(_hang_up, applied=True),
    "stalled before applying": partial(_stall, applied=False),
    "stalled after applying": partial(_stall, applied=True),
    "applied late": _apply_late,
    **{f"answer cut in its {where}": partial(_break_off, where=where, stall=False) for where in ("headers", "body")},
    **{f"answer stalled in its {where}": partial(_break_off, where=where, stall=True) for where in ("headers", "body")},
    "answer cut in a chunk": partial(_break_off, where="chunk", stall=False),
    "answer stalled in a chunk": partial(_break_off, where="chunk", stall=True),
    "error cut in its body": _break_off_error,
    "Content-Length too long": partial(_claim_length, longer=True),
    "Content-Length too short": partial(_claim_length, longer=False),
    "invalid chunk": partial(_invalid_chunk, later=False),
    "invalid chunk, later": partial(_invalid_chunk, later=True),
    "slow drip": _drip,
    "502 with HTML": partial(_portal, status=502),
    "200 with HTML": partial(_portal, status=200),
    **{f"{status} bare": partial(_server_error, status=status, envelope=False) for status in _BARE},
    **{f"{status} with envelope": partial(_server_error, status=status, envelope=True) for status in (500, 503, 507)},
    **{f"{status} with envelope": partial(_refuse, status=status) for status in (400, 403, 404, 408, 409, 413)},
    "409 with HTML": partial(_refuse, status=409, envelope=False),
    "401": partial(_refuse, status=401),
    **{f"429, Retry-After {form}": partial(_limit_rate, form=form) for form in ("seconds", "date", "absurd")},
    "429, no Retry-After": partial(_limit_rate, form="missing"),
    "200 with garbage": _garbage,
    "200 with other JSON": _other_shape,
    "200 with an error's body": _error_with_success,
    "200 with text": _text,
    "200 empty": _empty,
    "redirect to another host": _redirect,
    "huge body": _huge,
    "gzip bomb": _gzip_bomb,
    "gzip that is none": _no_gzip,
    "garbage before the status line": _garbage_first,
    "closed though kept alive": _close_kept_alive,
    "answered twice": _answer_twice,
    "answered twice, later": _answer_twice_later,
    "408 while idle": _push_408,
    "deaf after its answer": _go_deaf,
    "interim answers": _interim_answers,
}
"""By the name in the report; each is as likely as any other."""
