"""Pages in a real, headless browser: Debian's Chromium, driven by Playwright."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import pytest

SIZES = {"phone": (390, 844), "desktop": (1400, 900)}


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Starts the browser for a block; the test is skipped where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on the path: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opener(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; at the end none has logged an error or left the machine."""
    pages, errors, requested = [], [], []

    def start(url: str, size: str = "desktop", scheme: str = "light") -> Any:
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        page = chromium.new_page(viewport=viewport, color_scheme=scheme)
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else 0)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(url)
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()
    assert not errors, errors  # not a test file: pytest shows no values
    hosts = {urlsplit(url).hostname for url in requested if url.startswith("http")}
    assert hosts <= {"127.0.0.1"}


def axe_violations(page: Any) -> list[tuple[str, list[str]]]:
    """Returns what axe objects to, with the markup that it objects to."""
    script = resources.files("axe_playwright_python").joinpath("axe.min.js")
    page.evaluate(script.read_text("utf-8"))
    objections = page.evaluate("axe.run().then(r => r.violations)")
    return [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in objections]


def is_wider_than_its_window(page: Any) -> bool:
    """Returns whether the page as a whole must be scrolled sideways."""
    wider: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wider


def wait_until(page: Any, expression: str) -> None:
    """Waits until an expression is true; Playwright's own way needs `eval`."""
    deadline = time.monotonic() + 20
    while not page.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)
