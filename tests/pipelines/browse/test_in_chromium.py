"""The pages as people use them: in a real browser, by mouse and by keyboard."""

import pytest

from pipelines.jobs import report
from tests.pages_in_chromium import (
    SIZES,
    axe_violations,
    is_wider_than_its_window,
    wait_until,
)
from tests.predictions_by_hand import NAMES


def shown_frame(element):
    return element.get_attribute("data-shown")


def test_filters_leave_clips_and_their_pages_lead_through_them(serve, open_page):
    page = open_page(serve().url)
    assert page.locator(".card").count() == 13
    page.get_by_label("split").select_option("validation")
    page.get_by_label("prediction").select_option("right")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/?*prediction=right*")
    assert page.locator(".card").count() == 3
    page.locator(".card").first.click()
    first = page.url
    for _ in range(2):
        page.locator('a[rel="next"]').click()
        page.wait_for_load_state()
    assert page.locator('a[rel="next"]').count() == 0
    assert page.url != first


def test_a_clip_plays_while_the_mouse_or_the_focus_is_on_it(serve, open_page):
    page = open_page(serve().url + "?split=validation")
    card = page.locator(".card").nth(1)
    assert card.locator("canvas").count() == 0
    card.hover()
    wait_until(page, "document.querySelectorAll('.card')[1].dataset.shown > 2")
    assert card.locator("canvas").count() == 1
    page.mouse.move(0, 0)
    wait_until(page, "!document.querySelector('canvas')")
    page.locator(".card").nth(2).focus()
    wait_until(page, "document.querySelectorAll('.card')[2].dataset.shown > 2")


def test_the_frames_that_play_are_those_of_the_clip(serve, open_page):
    """Blue is 20 x the frame's index (see tests/conftest.py)."""
    page = open_page(serve().url + "clip?id=201")
    page.wait_for_selector("canvas")
    page.keyboard.press("Space")
    index = int(shown_frame(page.locator(".player")))
    page.keyboard.press("ArrowRight")
    wait_until(page, f"document.querySelector('.player').dataset.shown != {index}")
    after = int(shown_frame(page.locator(".player")))
    assert after == (index + 1) % 8
    pixels = page.evaluate(
        "[...document.querySelector('canvas').getContext('2d')"
        ".getImageData(0, 0, 32, 24).data]"
    )
    blue = sum(pixels[2::4]) / (32 * 24)
    assert blue == pytest.approx(20 * after, abs=6)
    assert f"frame {after} of 8" in page.locator("output").inner_text()


def test_everything_is_reached_by_the_keyboard(serve, open_page):
    page = open_page(serve().url)
    page.keyboard.press("/")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?*text=20*")
    assert page.locator(".card").count() == 4
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    focused = page.evaluate("document.activeElement.dataset.clip")
    assert focused == page.locator(".card").nth(1).get_attribute("data-clip")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/clip?id={focused}*")
    page.keyboard.press("n")
    page.wait_for_url(lambda url: "clip?" in url and f"id={focused}&" not in url)
    page.keyboard.press("u")
    page.wait_for_selector(".cards")
    assert "text=20" in page.url


def test_a_doubted_label_is_corrected_by_a_key(serve, open_page):
    server = serve()
    page = open_page(server.url + "suspects")
    assert "not decided" in page.locator("#decision").inner_text()
    assert "1 of 1, clip 203" in page.locator("p[role=status]").inner_text()
    with page.expect_navigation():
        page.keyboard.press("c")
    assert f"decided: {NAMES[1]}" in page.locator("#decision").inner_text()
    assert server.corrections.read_text() == f"clip_id\tlabel\n203\t{NAMES[1]}\n"
    with page.expect_navigation():
        page.keyboard.press("k")
    assert server.corrections.read_text() == f"clip_id\tlabel\n203\t{NAMES[2]}\n"


PATHS = ("", "clip?id=201", "clip?id=105", "classes", "class?label_id=1", "suspects")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_axe_has_no_objection(serve, open_page, size, scheme):
    server = serve()
    for path in PATHS:
        page = open_page(server.url + path, size, scheme)
        assert not is_wider_than_its_window(page), path
        assert axe_violations(page) == [], path


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_and_axe_has_no_objection(
    published_version, open_page, tmp_path, capsys, size, scheme
):
    path = tmp_path / "page.html"
    dataset = str(published_version.dataset)
    report.main(["--dataset", dataset, "--output", str(path)])
    page = open_page(path.as_uri(), size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert not is_wider_than_its_window(page)
    assert axe_violations(page) == []


def test_words_of_the_reports_tables_stay_whole_on_a_phone(
    published_version, open_page, tmp_path, capsys
):
    """A cell of short text is one line high: no word is broken into letters."""
    path = tmp_path / "page.html"
    dataset = str(published_version.dataset)
    report.main(["--dataset", dataset, "--output", str(path)])
    page = open_page(path.as_uri(), "phone")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    heights = page.evaluate(
        "[...document.querySelectorAll('th, td:not(.text)')].map(cell => {"
        " const range = document.createRange(); range.selectNodeContents(cell);"
        " return new Set([...range.getClientRects()].map(r => r.top)).size; })"
    )
    assert len(heights) > 50
    assert max(heights) == 1


def test_a_printed_report_has_what_is_folded_on_the_screen(
    published_version, open_page, tmp_path, capsys
):
    path = tmp_path / "page.html"
    dataset = str(published_version.dataset)
    report.main(["--dataset", dataset, "--output", str(path)])
    page = open_page(path.as_uri())
    folded = page.get_by_text("label_id", exact=True)
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_strip_can_be_swiped_on_a_phone_and_fits_a_desktop(
    published_version, open_page, tmp_path, capsys
):
    path = tmp_path / "page.html"
    dataset = str(published_version.dataset)
    report.main(["--dataset", dataset, "--output", str(path)])
    for size, is_swiped in (("phone", True), ("desktop", False)):
        page = open_page(path.as_uri(), size)
        reel = "document.querySelector('.reel')"
        assert page.evaluate(f"{reel}.scrollWidth > {reel}.clientWidth") == is_swiped
        assert not is_wider_than_its_window(page)
