"""The page under /_sandbox/, in a real browser."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from membership_samples import CONTRACT, OFFERED, ONCE, TODAY

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.sandbox import Sandbox

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: chromium, google-chrome"),
    # One browser for all: it takes seconds to start.
    pytest.mark.asyncio(loop_scope="module"),
]

HOSTILE = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async_api = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    async with async_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def looking_at(sandbox: Sandbox, browser: Any, **look: Any) -> AsyncIterator[Any]:
    """Open the page. Nothing may fail on it, be refused by its policy, or be loaded from elsewhere."""
    complaints: list[str] = []
    context = await browser.new_context(**look)
    page = await context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend([request.url] * (sandbox.url not in request.url)))
    await page.goto(f"{sandbox.url}/_sandbox")
    await page.get_by_text("live", exact=True).wait_for()
    yield page
    await context.close()
    # What the page is refused, the browser logs too.
    assert [each for each in complaints if each != "data:," and "400 (Bad Request)" not in each] == []


@pytest.mark.endurance
async def test_what_happens_is_seen_at_once(browser: Any) -> None:
    async with (
        MembershipSandbox(today=TODAY) as sandbox,
        looking_at(sandbox, browser) as page,
        sandbox.client() as client,
    ):
        assert await page.title() == "MembershipSandbox"
        await page.get_by_text("None was received yet.").wait_for()
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        request = page.locator("#requests summary")
        await request.filter(has_text="ordinary-contract-cancelation").filter(has_text="200").wait_for()
        await request.click()
        assert '"cancelationReasonId": 11' in await page.locator("#requests").inner_text()
        assert sandbox.API_KEY not in await page.locator("body").inner_text()
        await page.locator("#ledger summary", has_text="create_contract_cancelation_amendment").wait_for()
        await page.locator("#state summary", has_text="contracts").first.click()
        await page.locator("#state summary", has_text="customerId 1001 · id 2002").click()
        assert '"cancelationStatus": "CANCELED"' in await page.locator("#state").inner_text()
        # What is open stays open while more happens.
        sandbox.add_contract(customer_id=7, rate_name="Basic")
        await page.locator("#state summary", has_text="rateName Basic").wait_for()
        assert '"cancelationStatus": "CANCELED"' in await page.locator("#state").inner_text()
        assert len(sandbox.requests) == 1


@pytest.mark.endurance
async def test_faults_time_and_reset_by_the_keyboard_alone(browser: Any) -> None:
    async with (
        MembershipSandbox(today=TODAY) as sandbox,
        looking_at(sandbox, browser) as page,
        sandbox.client() as client,
    ):

        async def to(selector: str) -> None:
            for _ in range(60):
                await page.keyboard.press("Tab")
                if await page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                    return
            raise AssertionError(f"the keyboard does not reach {selector}")

        await to("[name=kind]")
        await page.keyboard.press("ArrowDown")
        await to("[name=seconds]")
        await page.keyboard.press("Control+A")
        await page.keyboard.type("0.01")
        await to("[name=ids]")
        await page.keyboard.type("customer_id=1001")
        await page.keyboard.press("Enter")
        await page.locator("#faults li", has_text="delay").wait_for()
        (queued,) = sandbox.faults
        assert (queued.fault, queued.ids, queued.times) == (Fault.delay(0.01), {"customer_id": 1001}, 1)
        await client.get_contract_data(customer_id=1001)
        await page.get_by_text("None is queued.").wait_for()
        await to("button[data-advance*=days]")
        await page.keyboard.press("Enter")
        await page.locator("#now", has_text="2026-01-16").wait_for()
        await to("#reset")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        assert len(sandbox.requests) == 1
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.get_by_text("None was received yet.").wait_for()
        assert (sandbox.today, sandbox.requests) == (TODAY, [])


FAULTS: list[tuple[str, dict[str, str], Fault]] = [
    (
        "status",
        {"status": "503", "retryAfter": "5", "code": "BUSY", "body": '{"a": [1]}'},
        Fault.status(503, retry_after=5, code="BUSY", body={"a": [1]}),
    ),
    ("drop", {"afterApplying": ""}, Fault.drop(after_applying=True)),
    ("truncated", {}, Fault.truncated()),
    ("rateLimit", {"requests": "5", "per": "60"}, Fault.rate_limit(5)),
]


@pytest.mark.endurance
async def test_faults_are_queued_with_what_is_filled_in_and_removed(browser: Any) -> None:
    async with CloudCockpitSandbox() as sandbox, looking_at(sandbox, browser) as page:
        await page.locator("[name=times]").fill("")
        await page.locator("[name=operation]").select_option("suspend_subscription")
        for number, (kind, fields, fault) in enumerate(FAULTS, 1):
            await page.locator("[name=kind]").select_option(kind)
            for name, value in fields.items():
                field = page.locator(f"fieldset[data-kind={kind}] [name={name}]")
                await (field.fill(value) if value else field.check())
            await page.get_by_role("button", name="Queue the fault").click()
            await page.locator("#faults li").wait_for()
            (queued,) = sandbox.faults
            assert (queued.fault, queued.operation, queued.times) == (fault, "suspend_subscription", None)
            await page.get_by_role("button", name=f"Remove fault {number}").click()
            await page.get_by_text("None is queued.").wait_for()
            assert sandbox.faults == []


@pytest.mark.endurance
async def test_what_is_refused_is_told(browser: Any) -> None:
    async with MembershipSandbox() as sandbox, looking_at(sandbox, browser) as page:
        own_body, queue = page.locator("[data-kind=status] [name=body]"), page.get_by_role("button", name="Queue")
        await page.locator("[name=ids]").fill("subscription_id=5")
        await own_body.fill("{")
        await queue.click()
        await page.get_by_role("alert").get_by_text("no JSON").wait_for()
        await own_body.fill("")
        await queue.click()
        await page.get_by_role("alert").get_by_text("no request has subscription_id").wait_for()
        await page.locator("[name=ids]").fill("contract_id=5")
        await queue.click()
        await page.locator("#faults li").wait_for()
        assert await page.get_by_role("alert").inner_text() == ""


async def test_nothing_on_the_page_is_read_as_markup(browser: Any) -> None:
    """Names, ids, headers, bodies and codes of whoever calls the sandbox, in every part of the page."""
    async with MembershipSandbox(today=TODAY) as sandbox:
        sandbox.add_contract(customer_id=7, rate_name=HOSTILE)
        sandbox.add_cancelation_reason(cancelation_reason_name=HOSTILE)
        sandbox.fail(Fault.status(409, code=HOSTILE, message=HOSTILE), operation="get_idle_periods", times=None)
        headers = {"X-API-KEY": sandbox.API_KEY, "X-Hostile": HOSTILE, "Content-Type": "application/json"}
        async with ClientSession() as session:
            for path, body in (("contract-data", HOSTILE), ("ordinary-contract-cancelation", json.dumps(HOSTILE))):
                url = f"{sandbox.url}/v1/memberships/7/self-service/{path}"
                await session.post(url, params={HOSTILE: HOSTILE}, data=body, headers=headers)
        async with looking_at(sandbox, browser) as page:
            await page.locator("#requests details").nth(1).wait_for()
            await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            await page.locator("#state summary", has_text="<script>").first.wait_for()
            text = await page.locator("body").inner_text()
            assert text.count("window.hacked=1</script>") >= 6
            assert await page.evaluate("window.hacked") is None
            assert await page.locator("img, script:not([src])").count() == 0


async def test_the_policy_of_the_page_lets_nothing_else_run() -> None:
    async with MembershipSandbox() as sandbox, ClientSession() as session:
        for path in ("", "inspector.js", "inspector.css"):
            async with session.get(f"{sandbox.url}/_sandbox/{path}") as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                text = await response.text()
                assert "http://" not in text
                assert "https://" not in text


@pytest.mark.endurance
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
async def test_nothing_is_wider_than_the_window(width: int, scheme: str, browser: Any) -> None:
    look = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.add_contract(customer_id=7, rate_name="W" * 300)
        await client.get_contract_data(customer_id=7)
        sandbox.fail(Fault.status(409, code="X" * 300), operation="create_contract_cancelation_amendment")
        async with looking_at(sandbox, browser, **look) as page:
            await page.locator("#state summary").nth(2).wait_for()
            await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            assert await page.evaluate("document.documentElement.scrollWidth") == width
            back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert back == {"light": "rgb(246, 247, 249)", "dark": "rgb(18, 21, 27)"}[scheme]
