import pytest

from pipelines.sources import repeats


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["a"], None),
        (["a", "b", "c"], None),
        (["a", "b", "a"], (0, 2)),
        (["a", "b", "b", "a"], (1, 2)),
        (["a", "b", "c", "a", "a", "c"], (0, 3)),
        (["", "", "a"], None),
        (["", "x", "", "x"], (1, 3)),
    ],
)
def test_the_first_repeat_is_told_by_both_positions(texts, expected):
    assert repeats.first_repeat(texts) == expected


def test_equal_hashes_alone_are_no_repeat(monkeypatch):
    monkeypatch.setattr(repeats, "_hash", lambda text: 7)
    assert repeats.first_repeat(["a", "b", "c"]) is None
    assert repeats.first_repeat(["a", "b", "a"]) == (0, 2)


def test_a_repeat_among_many_is_found():
    texts = [str(n) for n in range(20_000)]
    assert repeats.first_repeat(texts) is None
    assert repeats.first_repeat([*texts, "777"]) == (777, 20_000)
