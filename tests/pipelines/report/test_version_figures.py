import numpy as np
import pyarrow as pa
import pytest

from mindrecord_io.versions import clips_table
from pipelines.report import version_figures as figures
from tests import versions_by_hand as by_hand


def table_of(*rows, **columns):
    """A table of clips: (clip_id, split, label_id, status, num_frames) by row."""
    names = ("clip_id", "split", "label_id", "status", "num_frames")
    made = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    num_rows = len(rows)
    given = {
        "label": [f"label {i}" for i in made["label_id"]],
        "reason": ["" if s == "stored" else s for s in made["status"]],
        "detail": [f"detail of {c}" for c in made["clip_id"]],
        "source_num_bytes": [1000] * num_rows,
        "width": [427] * num_rows,
        "height": [240] * num_rows,
        "fps_from_header": [12.0] * num_rows,
        "shard": ["s"] * num_rows,
    }
    return pa.table(made | given | columns)


def figures_of(table, num_classes, rows_per_batch=None):
    """The figures of a table that is given in batches, its types those of the file."""
    schema = pa.schema([clips_table.SCHEMA.field(name) for name in figures.COLUMNS])
    clips = table.select(figures.COLUMNS).cast(schema)
    batches = clips.to_batches(max_chunksize=rows_per_batch)
    return figures.figures_of(batches, num_classes)


CLIPS = table_of(
    ("1", "train", 0, "stored", 40),
    ("2", "train", 0, "stored", 10),
    ("3", "train", 2, "stored", 50),
    ("4", "train", 1, "quarantined", 0),
    ("5", "validation", 2, "stored", 7),
    ("6", "test", -1, "stored", 20),
    ("7", "train", 1, "missing", 0),
    ("8", "", -1, "unlisted", 0),
    ("9", "", -1, "unlisted", 0),
    width=[427, 320, 427, 0, 427, 427, 0, 0, 0],
    fps_from_header=[12.0, 30000 / 1001, 12.0, 0, 12.0, 12.0, 0, 0, 0],
)


def test_clips_are_counted_by_split_and_status():
    assert figures_of(CLIPS, 3).counts == {
        ("train", "stored"): 3,
        ("train", "quarantined"): 1,
        ("train", "missing"): 1,
        ("validation", "stored"): 1,
        ("test", "stored"): 1,
        ("", "unlisted"): 2,
    }


def test_class_sizes_are_of_stored_clips_with_a_label():
    assert figures_of(CLIPS, 3).class_sizes == {
        "train": (2, 0, 1),
        "validation": (0, 0, 1),
        "test": (0, 0, 0),
    }


def test_frames_pixels_rates_and_bytes_are_of_stored_clips():
    actual = figures_of(CLIPS, 3)
    assert actual.num_frames == {
        "train": figures.Spread(10, 10, 40, 40, 50, 100 / 3),
        "validation": figures.Spread(7, 7, 7, 7, 7, 7),
        "test": figures.Spread(20, 20, 20, 20, 20, 20),
    }
    assert actual.pixels == (("427 x 240", 4), ("320 x 240", 1))
    assert actual.rates == (("12", 4), ("29.97", 1))
    assert actual.source_num_bytes == 5000


def test_lost_clips_are_grouped_by_reason_the_most_frequent_first():
    assert figures_of(CLIPS, 3).lost == (
        figures.Lost(
            "unlisted", 2, (("8", "", "detail of 8"), ("9", "", "detail of 9"))
        ),
        figures.Lost("missing", 1, (("7", "train", "detail of 7"),)),
        figures.Lost("quarantined", 1, (("4", "train", "detail of 4"),)),
    )


def test_of_many_lost_clips_some_are_shown_and_all_counted():
    rows = [(str(n), "", -1, "unlisted", 0) for n in range(1000)]
    (lost,) = figures_of(table_of(*rows), 3).lost
    assert lost.num_clips == 1000
    assert [clip_id for clip_id, _, _ in lost.shown] == [str(n) for n in range(100)]


def test_values_beyond_the_most_frequent_are_added_up():
    rows = [(str(n), "train", 0, "stored", 5) for n in range(20)]
    actual = figures_of(table_of(*rows, width=[*range(100, 120)]), 1).pixels
    assert actual[0] == ("100 x 240", 1)
    assert actual[12:] == (("8 others", 8),)


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [
        ([1], ((0, 1, 0), (1, 2, 1))),
        ([0, 2, 2], ((0, 1, 1), (1, 2, 0), (2, 3, 2))),
        ([79, 40, 41], ((40, 42, 2), (78, 80, 1))),
    ],
)
def test_bins_hold_every_clip_and_begin_at_zero(num_frames, expected):
    rows = [(str(n), "train", 0, "stored", n) for n in num_frames]
    bins = figures_of(table_of(*rows), 1).bins
    assert bins[0][0] == 0
    assert sum(n for _, _, n in bins) == len(num_frames)
    assert len(bins) <= 40
    assert set(expected) <= set(bins)


def test_quantiles_are_of_the_values_themselves():
    values = np.arange(1, 201)
    assert figures.Spread.of(values) == figures.Spread(1, 2, 100, 198, 200, 100.5)
    assert figures.Spread.of([]) is None


@pytest.mark.parametrize("rows_per_batch", [1, 2, 5])
def test_small_batches_tell_the_same_as_one(monkeypatch, rows_per_batch):
    expected = figures_of(CLIPS, 3)
    gathered = clips_table.gathered
    monkeypatch.setattr(clips_table, "gathered", lambda some: gathered(some, 1))
    assert figures_of(CLIPS, 3, rows_per_batch) == expected


def test_the_first_lost_clips_are_named_whatever_the_batches(monkeypatch):
    rows = [(str(n), "", -1, "unlisted", 0) for n in range(250)]
    gathered = clips_table.gathered
    monkeypatch.setattr(clips_table, "gathered", lambda some: gathered(some, 1))
    (lost,) = figures_of(table_of(*rows), 3, 30).lost
    assert lost.num_clips == 250
    assert [clip_id for clip_id, _, _ in lost.shown] == [str(n) for n in range(100)]


@pytest.mark.parametrize("num_values", [1, 2, 3, 99, 100, 101, 102, 1001])
def test_quantiles_by_counts_are_numpys(num_values):
    values = np.random.default_rng(num_values).integers(0, 60, num_values)
    expected = np.quantile(values, (0.01, 0.5, 0.99), method="lower").tolist()
    spread = figures.Spread.of(values)
    assert [spread.p1, spread.median, spread.p99] == expected
    assert spread.mean == values.mean()


def test_a_huge_number_of_frames_takes_no_more_room():
    most = 2**31 - 1
    rows = [("1", "train", 0, "stored", most), ("2", "train", 2**30, "stored", 1)]
    actual = figures_of(table_of(*rows), 1)
    assert actual.num_frames["train"] == figures.Spread(1, 1, 1, 1, most, 2**30)
    assert [n for _, _, n in actual.bins] == [1, *[0] * 38, 1]
    assert actual.class_sizes["train"] == (1,)


def test_nothing_stored_is_no_error():
    actual = figures_of(CLIPS.slice(3, 1), 3)
    assert (actual.num_frames, actual.bins, actual.pixels) == ({}, (), ())
    assert actual.source_num_bytes == 0
    assert figures_of(CLIPS.slice(0, 0), 3).counts == {}


def test_shards_are_told_by_split_with_their_indexes(tmp_path):
    manifest = by_hand.publish(tmp_path, quarantined=["201"]).manifest
    train, validation, test = figures.shard_figures(manifest)
    sizes = [
        entry.mindrecord.num_bytes + entry.mindrecord_index.num_bytes
        for entry in manifest.shards
        if entry.split == "train"
    ]
    assert (train.split, train.num_shards) == ("train", 2)
    assert train.num_rows == figures.Spread(2, 2, 2, 2, 2, 2)
    assert (train.num_bytes.minimum, train.num_bytes.maximum) == (
        min(sizes),
        max(sizes),
    )
    assert (validation.num_rows.maximum, validation.num_bytes.maximum) == (0, 0)
    assert test.num_rows.mean == 1


def test_a_split_without_shards_is_left_out(tmp_path):
    manifest = by_hand.publish(tmp_path, {"train": {"101": 0}}).manifest
    assert [actual.split for actual in figures.shard_figures(manifest)] == ["train"]
