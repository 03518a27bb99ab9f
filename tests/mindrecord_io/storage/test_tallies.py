import pytest

from mindrecord_io.storage import tallies


def tally(*orders):
    counted = tallies.Tally()
    for order in orders:
        counted.add(order, str(order))
    return counted


def test_all_are_counted_and_the_least_five_named_in_order():
    counted = tally(9, 3, 7, 1, 8, 2, 6)
    assert len(counted) == 7
    assert counted.first == ("1", "2", "3", "6", "7")


def test_an_empty_tally_is_nothing():
    assert not tally()
    assert tally().first == ()


def test_one_after_another_names_the_first_ones_first():
    both = tally(7, 8, 9).followed_by(tally(1, 2, 3))
    assert len(both) == 6
    assert both.first == ("7", "8", "9", "1", "2")


def test_a_change_of_each_leaves_the_number():
    changed = tally(*range(9)).map(int)
    assert len(changed) == 9
    assert changed.first == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("", "[]"),
        ("ba", "['a', 'b']"),
        ("dcba", "['a', 'b', 'c'] and 1 more"),
    ],
)
def test_a_tally_shows_its_first_and_the_number_of_the_others(orders, expected):
    counted = tallies.Tally(3)
    for order in orders:
        counted.add(order, order)
    assert str(counted) == expected
