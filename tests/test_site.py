"""The built documentation in a browser: `SITE=build/docs python -m pytest -n0 tests/test_site.py`, as .ci/run does."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SITE = os.environ.get("SITE")
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: chromium, google-chrome"),
    pytest.mark.skipif(SITE is None, reason="SITE names no built documentation (see CONTRIBUTING.md)"),
]

# What is cut off or scrolled by a box of its own does not make the page wider.
OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > width) found.push('the page');
  const isHeld = (element) => {
    for (let box = element.parentElement; box; box = box.parentElement)
      if (getComputedStyle(box).overflowX !== 'visible') return true;
    return false;
  };
  for (const element of document.querySelectorAll('article *')) {
    const place = element.getBoundingClientRect();
    if (place.width && place.right > width + 1 && !isHeld(element)) found.push(element.outerHTML.slice(0, 100));
  }
  return found;
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base's name
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes on to another page hangs up."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The site on a free port: a browser searches no files."""
    with _Server(("127.0.0.1", 0), functools.partial(_Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_nothing_overflows(browser: Any, url: str) -> None:
    """On a phone and on a desk, light and dark."""
    names = sorted(path.relative_to(SITE or "").as_posix() for path in Path(SITE or "").rglob("*.html"))
    assert "explanation/outcomes.html" in names
    page = browser.new_page()
    complaints: list[str] = []
    page.on("response", lambda answer: complaints.extend([answer.url] * (answer.status >= 400)))
    page.on("request", lambda request: complaints.extend([request.url] * (not request.url.startswith(url))))
    overflowing = {}
    for name in names:
        page.goto(f"{url}/{name}")
        for width, scheme in product((390, 1280), ("light", "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            if found := page.evaluate(OVERFLOWING):
                overflowing[name, width, scheme] = found
    page.close()
    assert overflowing == {}
    # Nothing is missing, or loaded from elsewhere. A browser asks for an icon by itself.
    assert [address for address in complaints if address != f"{url}/favicon.ico"] == []


def test_signatures_show_values() -> None:
    """Not the names that attrs' generated code has for them."""
    pages = {path.name: path.read_text() for path in Path(SITE or "").rglob("*.html")}
    assert [name for name, text in pages.items() if "attr_dict" in text or "NOTHING" in text] == []


@pytest.mark.parametrize(
    ("words", "page"),
    [("UNKNOWN", "explanation/outcomes"), ("Retry-After", "explanation/retries"), ("sandbox", "reference/sandbox")],
)
def test_search_finds(browser: Any, url: str, words: str, page: str) -> None:
    tab = browser.new_page()
    tab.goto(f"{url}/search.html?q={words}")
    tab.wait_for_selector(f"#search-results a[href*='{page}.html']", timeout=20_000)
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_follow_the_switch(browser: Any, url: str, scheme: str) -> None:
    """The page's own switch, against what the system says."""
    other = {"light": "dark", "dark": "light"}[scheme]
    context = browser.new_context(color_scheme=other)
    page = context.new_page()
    page.goto(f"{url}/explanation/outcomes.html")
    page.evaluate(f"document.body.dataset.theme = '{scheme}'")
    ink = page.evaluate("getComputedStyle(document.querySelector('.picture text.head')).fill")
    assert ink == {"light": "rgb(28, 30, 33)", "dark": "rgb(230, 232, 234)"}[scheme]
    context.close()
