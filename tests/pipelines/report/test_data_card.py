import pytest

from pipelines.report import data_card
from pipelines.report.data_card import CardError, DataCard


def test_values_stay_text():
    card = data_card.parse_card(b"name: 1.0\nlicence: no\nnotes: 2026-01-02\n", "c")
    assert card == DataCard(name="1.0", licence="no", notes="2026-01-02")
    assert data_card.parse_card(b"", "c") == DataCard()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"licenze: x", "c: no key 'licenze'; the keys are name, licence, source"),
        (b"name: [a, b]", "c: name must be one text, put it in quotes"),
        (b"- a", "c: a card is lines `key: text`"),
        (b"name: 'a", "c: not YAML: "),
        (b"name: \xff", "c: not YAML: "),
        (b"#" * 70_000, "c: a card may have at most 65536 bytes"),
        (b"a: &a [*a]", "c: not YAML: "),
    ],
)
def test_what_is_no_card_is_refused(content, expected):
    with pytest.raises(CardError) as refused:
        data_card.parse_card(content, "c")
    assert str(refused.value).startswith(expected)
