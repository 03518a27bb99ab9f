import base64
import functools
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.versions import clips_table, opening
from pipelines.publishing import data_sets
from pipelines.report import clip_samples
from tests import versions_by_hand as by_hand


def samples(version, num_samples=12, seed=1, rows_per_batch=None):
    table = version.read_clips(clip_samples.COLUMNS)
    stored = table.filter(compute.equal(table["status"], "stored"))["split"].to_pylist()
    read_part = data_sets.LocalDataSet(version.dataset).read_part
    return clip_samples.samples_of(
        version,
        table.to_batches(max_chunksize=rows_per_batch),
        read_part,
        num_stored=Counter(stored),
        num_samples=num_samples,
        seed=seed,
    )


def pixels(uri):
    prefix = "data:image/jpeg;base64,"
    assert uri.startswith(prefix)
    content = base64.b64decode(uri.removeprefix(prefix))
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_eight_frames_that_tsm_sees_are_shown_side_by_side(published_version):
    """Blue is 20 x the frame's index (see tests/conftest.py); the clip has eight."""
    (sample,) = [s for s in samples(published_version) if s.clip_id == "201"]
    assert (sample.split, sample.label) == ("validation", "Moving something left")
    assert (sample.num_frames, sample.problem) == (8, "")
    strip = pixels(sample.strip)
    assert strip.shape == (24, 8 * 32, 3)
    actual = [frame[..., 0].mean() for frame in np.split(strip, 8, axis=1)]
    np.testing.assert_allclose(actual, [20 * i for i in range(8)], atol=4)


def test_every_class_has_a_strip_of_its_first_stored_clip(
    published_version, monkeypatch
):
    table = published_version.read_clips(clip_samples.COLUMNS)
    stored = table.filter(compute.equal(table["status"], "stored")).to_pylist()
    expected = {}
    for row in stored:
        expected.setdefault(row["label_id"], row["clip_id"])
    read_part = data_sets.LocalDataSet(published_version.dataset).read_part
    original = clips_table.gathered
    for num_rows in (1, len(table)):
        gathered = functools.partial(original, num_rows=num_rows)
        monkeypatch.setattr(clips_table, "gathered", gathered)
        batches = table.to_batches(max_chunksize=num_rows)
        actual = clip_samples.class_samples(published_version, batches, read_part)
        assert {s.label_id: s.clip_id for s in actual} == expected
        assert [s.label_id for s in actual] == sorted(expected)
        assert all(s.strip for s in actual)


def test_strips_that_are_too_large_are_made_less_high(published_version, monkeypatch):
    table = published_version.read_clips(clip_samples.COLUMNS)
    read_part = data_sets.LocalDataSet(published_version.dataset).read_part
    monkeypatch.setattr(clip_samples, "_HEIGHTS_PX", {40: 24})
    monkeypatch.setattr(clip_samples, "_MAX_STRIPS_NUM_BYTES", 100)
    strips = clip_samples.class_samples(
        published_version, table.to_batches(), read_part
    )
    assert {pixels(sample.strip).shape[0] for sample in strips} == {12}


@pytest.mark.parametrize(("num_strips", "height_px"), [(1, 96), (174, 56), (9999, 24)])
def test_many_strips_are_small(num_strips, height_px):
    assert clip_samples.strip_height_px(num_strips) == height_px


def test_every_split_has_its_part_and_no_clip_is_shown_twice(published_version):
    actual = samples(published_version, 6)
    assert [s.split for s in actual] == ["train"] * 3 + ["validation"] * 3
    assert len({s.clip_id for s in actual}) == 6


@pytest.mark.parametrize(
    ("num_clips", "num_samples", "expected"),
    [
        ({"train": 100, "validation": 100, "test": 100}, 12, (4, 4, 4)),
        ({"train": 100, "validation": 1, "test": 0}, 12, (11, 1, 0)),
        ({"train": 2, "validation": 1, "test": 1}, 12, (2, 1, 1)),
        ({"train": 9, "validation": 9, "test": 9}, 1, (0, 0, 1)),
        ({"train": 0, "validation": 0, "test": 0}, 12, (0, 0, 0)),
    ],
)
def test_what_a_small_split_cannot_fill_goes_to_the_others(
    num_clips, num_samples, expected
):
    shares = clip_samples._shares(num_clips, num_samples)
    assert tuple(shares[split] for split in num_clips) == expected


def test_a_seed_chooses_the_same_clips_again(published_version):
    def chosen(seed):
        return [s.clip_id for s in samples(published_version, 4, seed)]

    assert chosen(1) == chosen(1)
    assert len({tuple(chosen(seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("seed", [1, 5])
def test_a_seed_chooses_the_same_clips_whatever_the_batches(
    published_version, monkeypatch, seed
):
    """Those that a table read whole gave: the stored ones of a split, in its order."""
    table = published_version.read_clips(clip_samples.COLUMNS)
    stored = table.filter(compute.equal(table["status"], "stored")).to_pylist()
    generator = np.random.default_rng(seed)
    expected = []
    for split, share in zip(records.SPLITS, (2, 2, 0), strict=True):
        own = [row["clip_id"] for row in stored if row["split"] == split]
        picked = generator.choice(len(own), share, replace=False)
        expected += [own[i] for i in sorted(picked)]
    gathered = clips_table.gathered
    monkeypatch.setattr(clips_table, "gathered", lambda some: gathered(some, 1))
    for rows_per_batch in (1, 2, None):
        actual = samples(published_version, 4, seed, rows_per_batch)
        assert [sample.clip_id for sample in actual] == expected


def test_frames_that_are_no_pictures_are_told_and_cost_nothing_else(tmp_path):
    version = by_hand.publish(tmp_path)
    actual = samples(version)
    assert len(actual) == 6
    for sample in actual:
        assert sample.strip == ""
        assert sample.problem.endswith(f"clip {sample.clip_id}, frame 0: not a JPEG")


def test_a_shard_that_is_gone_is_told(published_version, tmp_path):
    dataset = shutil.copytree(published_version.dataset, tmp_path / "dataset")
    version = opening.open_version(dataset)
    entry = next(e for e in version.manifest.shards if e.split == "validation")
    version.shard_path(entry).unlink()
    by_split = {s.split: s for s in samples(version)}
    assert "No such file or directory" in by_split["validation"].problem
    assert by_split["train"].problem == ""


def test_large_frames_are_reduced(published_version):
    _, jpeg = cv2.imencode(".jpg", np.zeros((240, 427, 3), np.uint8))
    small = clip_samples._reduced(jpeg.tobytes(), "frame", 96)
    assert small.shape == (96, 171, 3)


def test_wide_frames_are_cut_at_both_sides():
    wide = np.zeros((48, 200, 3), np.uint8)
    wide[:, 52:148] = 255
    _, jpeg = cv2.imencode(".png", wide)
    cut = clip_samples._reduced(jpeg.tobytes(), "frame", 48)
    assert cut.shape == (48, 96, 3)
    assert cut.min() == 255
