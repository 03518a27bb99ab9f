"""The page of a training in a real browser: phone and desktop, light and dark."""

import pytest

from pipelines.jobs import run_report
from tests.pages_in_chromium import (
    SIZES,
    axe_violations,
    is_wider_than_its_window,
    wait_until,
)
from tests.pipelines.jobs.test_run_report import write_run

MOVED = """
(() => {
  const at = getComputedStyle(document.querySelector(".film img")).transform;
  window.seen = (window.seen || new Set()).add(at);
  return window.seen.size > 3;
})()
"""


@pytest.fixture
def page_url(published_version, tmp_path):
    run = write_run(tmp_path / "r50")
    return run_report.write_run_page(published_version.dataset, run).as_uri()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_axe_has_no_objection(page_url, open_page, size, scheme):
    page = open_page(page_url, size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert not is_wider_than_its_window(page)
    assert axe_violations(page) == []


def test_a_film_plays_with_the_focus_and_rests_without(page_url, open_page):
    page = open_page(page_url)
    image = page.locator(".film img")
    style = "getComputedStyle(document.querySelector('.film img'))"
    assert page.evaluate(f"{style}.animationName") == "none"
    resting = page.evaluate(f"{style}.transform")
    assert (
        image.bounding_box()["width"]
        > 10 * page.locator(".film").bounding_box()["width"]
    )
    page.locator(".film").focus()
    wait_until(page, MOVED)
    page.locator(".film").blur()
    assert page.evaluate(f"{style}.transform") == resting


def test_a_film_stands_still_where_motion_is_unwanted(page_url, open_page):
    page = open_page(page_url)
    page.emulate_media(reduced_motion="reduce")
    page.locator(".film").focus()
    style = "getComputedStyle(document.querySelector('.film img'))"
    assert page.evaluate(f"{style}.animationName") == "none"
