import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import plan
from mindrecord_io import records
from mindrecord_io.versions import opening, version_checks
from pipelines.sources import annotation_readers

REPOSITORY = Path(__file__).resolve().parents[2]
SIZES = {"train": 60, "validation": 12, "test": 8}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The data set with 80 clips instead of 220,847."""
    monkeypatch.setattr(plan, "SPLIT_SIZES", SIZES)
    monkeypatch.setattr(plan, "NUM_CLASSES", 7)


def annotated(path, **changed):
    plan.write_list(path, 1, **changed)
    return annotation_readers.read(path)


def test_the_sizes_are_those_of_the_data_set_when_nothing_makes_them_small():
    command = "from infra.benchmarks import plan; print(plan.SPLIT_SIZES)"
    result = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert result.stdout.split("\n")[0] == str(
        {"train": 168_913, "validation": 24_777, "test": 27_157}
    )


def test_annotations_have_the_splits_and_classes_and_every_id_once(tmp_path):
    drawn = annotated(tmp_path / "a.parquet")
    splits = [clip.split for clip in drawn.clips]
    assert {split: splits.count(split) for split in records.SPLITS} == SIZES
    assert len(drawn.label_map) == 7
    assert {clip.clip_id for clip in drawn.clips} == {str(n) for n in range(1, 81)}


def test_annotations_are_the_same_for_the_same_seed(tmp_path):
    first, second = annotated(tmp_path / "a.parquet"), annotated(tmp_path / "b.parquet")
    assert first.digest == second.digest
    assert first.paths == second.paths


def test_as_many_clips_as_asked_change_their_class(tmp_path):
    old = annotated(tmp_path / "a.parquet").clips
    new = annotated(tmp_path / "b.parquet", num_changed=5).clips
    pairs = zip(old, new, strict=True)
    assert sum(before != after for before, after in pairs) == 5
    assert [clip.clip_id for clip in new] == [clip.clip_id for clip in old]


def test_a_version_without_shards_is_otherwise_whole(tmp_path):
    drawn = annotated(tmp_path / "a.parquet")

    plan.publish(tmp_path / "a.parquet", tmp_path / "dataset", 8)

    version = opening.open_version(tmp_path / "dataset")
    table = version.read_clips()
    assert table.num_rows == version.manifest.num_clips == 80
    assert sum(entry.num_rows for entry in version.manifest.shards) == 80
    assert len(version.manifest.shards) <= 8
    assert version.category_names() == list(drawn.label_map.names)
    assert version_checks.check_version(version) == []
    assert not (tmp_path / "dataset" / "shards").exists()


def test_clips_have_frames_of_many_sizes_that_add_up_to_the_same():
    sizes = [plan.frame_sizes(str(clip_id)) for clip_id in range(100)]
    assert {sum(of_clip) for of_clip in sizes} == {45 * 9_700}
    assert {len(of_clip) for of_clip in sizes} == {45}
    assert min(map(min, sizes)) >= 1
    assert len(set().union(*sizes)) > 1_000


@pytest.mark.slow
def test_the_benchmark_tells_what_every_step_took(tmp_path):
    words = ("--num_clips", "80", "--num_shards", "6", "--num_changed", "3")
    done = subprocess.run(
        [sys.executable, "-m", "infra.benchmarks.plan", *words, "--folder", tmp_path],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["publish"]["num_clips"] == result["num_clips"] == 80
    assert result["plan"]["changes"]["relabelled"] == 3
    assert result["plan"]["shards"]["decoded"] == 0
    assert sum(result["plan"]["shards"].values()) == result["publish"]["num_shards"]
    assert (result["verify"]["num_absent"], result["verify"]["num_damaged"]) == (
        result["publish"]["num_shards"],
        0,
    )
    assert result["report"]["num_clips"] == 80
    assert result["open"]["num_clips"] == 63
    assert not (tmp_path / "dataset" / "shards").exists()
    for step in plan.STEPS:
        assert result[step]["seconds"] > 0
        assert result[step]["peak_mib"] > 0


@pytest.mark.parametrize(
    ("num_clips", "expected"),
    [
        (80, SIZES),
        (163, {"train": 123, "validation": 24, "test": 16}),
    ],
)
def test_more_or_fewer_clips_are_shared_among_the_splits_alike(num_clips, expected):
    assert plan.split_sizes(num_clips) == expected
