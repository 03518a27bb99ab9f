import pytest

from pipelines.report import charts, html_pieces
from pipelines.report.charts import Line
from pipelines.report.html_pieces import Link

EVIL = "<b onclick='x'>&\"</b>"
ESCAPED = "&lt;b onclick=&#x27;x&#x27;&gt;&amp;&quot;&lt;/b&gt;"


@pytest.mark.parametrize(
    "markup",
    [
        html_pieces.escape(EVIL),
        html_pieces.section(EVIL),
        html_pieces.details(EVIL),
        html_pieces.table([EVIL], []),
        html_pieces.table(["a"], [[EVIL]]),
        html_pieces.table(["a"], [[Link(EVIL, "/")]]),
        html_pieces.table(["a"], [[Link("a", EVIL)]]),
        html_pieces.table(["a"], [], EVIL),
        html_pieces.facts([(EVIL, "1")]),
        html_pieces.facts([("a", EVIL)]),
        html_pieces.share(0.5, EVIL),
        html_pieces.strip_figure(EVIL, "", "text"),
        html_pieces.strip_figure("", EVIL, "text"),
        html_pieces.strip_figure("", "", EVIL),
        charts.bars([(EVIL, 1)], "caption"),
        charts.bars([], EVIL),
        charts.bars([], "caption", x_ticks=[EVIL]),
        charts.bars([], "caption", x_label=EVIL),
        charts.lines([Line(EVIL, ((0, 1),))], "caption"),
        charts.lines([], EVIL),
        html_pieces.document(EVIL, []),
    ],
)
def test_text_is_escaped_wherever_it_goes(markup):
    assert EVIL not in markup
    assert ESCAPED in markup


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_540_000, "1.5 MB"),
        (2_000_000_000, "2.0 GB"),
        (7_300_000_000_000, "7,300.0 GB"),
    ],
)
def test_bytes_are_told_as_people_say_them(amount, text):
    assert html_pieces.num_bytes(amount) == text


def test_numbers_are_aligned_and_grouped_and_text_is_not():
    markup = html_pieces.table(["a", "b", "c"], [["220847", 220847, 0.25]])
    assert "<td>220847</td>" in markup
    assert '<td class="number">220,847</td>' in markup
    assert '<td class="number">0.2</td>' in markup


def test_a_table_without_titles_has_no_head():
    assert "<thead>" not in html_pieces.table(("", ""), [["a", "b"]])
    assert "<caption>" not in html_pieces.table(("", ""), [["a", "b"]])
