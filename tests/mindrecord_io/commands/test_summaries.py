import pytest

from mindrecord_io.commands import quantities, summaries

BUILT = {
    "version": "000003",
    "num_clips": 220_847,
    "num_quarantined": 9,
    "shards": {"reused": 7, "relabelled": 0, "decoded": 1234},
    "num_bytes": 41_943_040,
    "seconds": 1.9,
    "clips_per_second": 48.94,
    "lost": {"truncated": 7, "empty": 2},
    "num_leaks": 0,
    "left_out": {},
    "damaged": [],
}
SUMMARY = """\
build took 19.2 s
  version                000003
  clips                  220,847
  not stored             9
  shards                 reused          7
                         relabelled      0
                         decoded     1,234
  size                   41.9 MB
  clips per second       48.94
  not stored, by reason  truncated  7
                         empty      2
  leaks                  0
  damaged                none"""


def test_a_result_is_a_line_a_value_with_units_and_tables():
    assert summaries.summary("build", BUILT, 19.24, 0) == SUMMARY
    assert max(map(len, SUMMARY.splitlines())) <= 80


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("top1", 0.7333, ["73.3%"]),
        ("best_top1", None, ["-"]),
        ("is_new", True, ["yes"]),
        ("input_shape", [None, 8, 3], ["any x 8 x 3"]),
        ("kept", ["000001", "000002"], ["000001", "000002"]),
        ("shards", [str(i) for i in range(12)], [*map(str, range(10)), "and 2 more"]),
        ("damaged", [{"path": "a"}, {"path": "b"}], ["2"]),
        ("max_difference", 1.234e-7, ["1.234e-07"]),
        ("clips_per_second", 12345.6, ["12,346"]),
        ("best_epoch", 0, ["1"]),
        ("packages", {"av": "14", "torch": None}, ["av     14", "torch  - "]),
    ],
)
def test_a_value_is_shown_by_its_kind(name, value, shown):
    first, *rest = summaries.summary("job", {name: value}, 1.0, 0).splitlines()[1:]
    width = len(first) - len(shown[0].rstrip())
    assert [first[width:], *(line[width:] for line in rest)] == [
        shown[0].rstrip(),
        *shown[1:],
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (99.94, "99.9 s"),
        (100, "1 min 40 s"),
        (3600.4, "60 min 0 s"),
        (86_400, "24 h 0 min"),
    ],
)
def test_times_are_in_the_units_that_suit_them(seconds, text):
    assert quantities.duration(seconds) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0.0 kB"),
        (61_294_454, "61.3 MB"),
        (2 * 10**9, "2.0 GB"),
        (1_234 * 10**12, "1,234.0 TB"),
    ],
)
def test_sizes_are_in_the_units_that_suit_them(num_bytes, text):
    assert quantities.size(num_bytes) == text
