"""The worker runs as the process that it is: MindSpore stays out of this one."""

import dataclasses

import cv2
import numpy as np
import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import shard_folders, sharding
from mindrecord_io.storage import files
from pipelines import quarantine
from pipelines.building import child_process

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
LIMITS = quarantine.DecodeLimits(max_memory_mib=600)


@pytest.fixture(scope="module")
def worker(plant):
    """A worker whose clips misbehave by their ids; one for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in plant:
            patch.syspath_prepend(str(folder))
        started = child_process.ChildProcess("pipelines.building.shard_child")
    yield started
    started.close()


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "dataset"


@pytest.fixture
def clips(package_copy):
    """The files of the package's train split."""
    return [package_copy.clip(str(number)) for number in range(101, 106)]


def planned(*paths, label_id=0, settings=SETTINGS):
    return sharding.plan_shard(
        "train",
        2,
        5,
        clips=[
            records.PlannedClip(path.stem, label_id, str(path), files.fingerprint(path))
            for path in paths
        ],
        settings=settings,
    )


def stored_again(plan, before, label_id):
    """The plan of a shard of the same clips as `before` published, other labels."""
    clips = [
        dataclasses.replace(
            clip, label_id=label_id, stored_in=f"{before.split}/{before.key}"
        )
        for clip in plan.clips
    ]
    return sharding.plan_shard("train", 2, 5, clips=clips, settings=plan.settings)


def ask(worker, dataset, plan, clip_limits=LIMITS, listed=()):
    worker.send(
        {
            "dataset": str(dataset),
            "plan": records.to_json(plan),
            "limits": dataclasses.asdict(clip_limits),
            "listed": listed,
            "ffmpeg": "",
        }
    )
    answer, _ = worker.receive(120, 0)
    return answer


def built(worker, dataset, plan):
    """Has a shard made; returns its summary and the path of its file."""
    assert ask(worker, dataset, plan) == {"key": plan.key}
    summary = shard_folders.read_summary(dataset, plan.split, plan.key)
    return summary, shard_path(dataset, plan)


def shard_path(dataset, plan):
    folder = naming.shard_folder(dataset, plan.split, plan.key)
    return folder / str(naming.ShardName(plan.split, plan.index, plan.num_shards))


def first_grey_level(path, outcome):
    begin, num_bytes = outcome.frames_offset, outcome.frame_sizes[0]
    jpeg = path.read_bytes()[begin : begin + num_bytes]
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean()


def leftovers(dataset):
    return [path for path in dataset.rglob("*") if naming.is_incomplete(path)]


def test_a_shard_is_published_with_its_clips_in_the_plans_order(worker, dataset, clips):
    plan = planned(*clips)

    summary, path = built(worker, dataset, plan)

    assert [clip.clip_id for clip in summary.clips] == [c.clip_id for c in plan.clips]
    assert {clip.status for clip in summary.clips} == {records.STORED}
    assert [clip.row for clip in summary.clips] == [0, 1, 2, 3, 4]
    assert (summary.key, summary.index, summary.num_shards) == (plan.key, 2, 5)
    assert summary.mindrecord == files.fingerprint(path)
    assert leftovers(dataset) == []


def test_frames_are_where_the_summary_says(worker, dataset, clips, tools):
    summary, path = built(worker, dataset, planned(*clips))

    for outcome in summary.clips:
        levels = tools.grey_levels(outcome.clip_id)
        assert len(outcome.frame_sizes) == len(levels)
        assert first_grey_level(path, outcome) == pytest.approx(levels[0], abs=3)


def test_bad_clips_cost_their_rows_only(worker, dataset, clips):
    clips[0].write_bytes(b"")
    clips[3].write_text("<html>")
    crash = clips[1].rename(clips[1].with_name("crash.webm"))

    summary, _ = built(
        worker, dataset, planned(clips[0], crash, clips[2], clips[3], clips[4])
    )

    assert {clip.clip_id: clip.reason for clip in summary.clips} == {
        "101": "empty",
        "crash": "decoder_crashed",
        "103": "",
        "104": "not_video",
        "105": "",
    }
    assert sorted(clip.row for clip in summary.clips) == [-1, -1, -1, 0, 1]
    assert summary.num_stored == 2


def test_a_shard_of_bad_clips_alone_has_no_file(worker, dataset, clips):
    clips[0].write_bytes(b"")

    summary, path = built(worker, dataset, planned(clips[0]))

    assert summary.mindrecord is None
    assert summary.num_stored == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["summary.json"]


def test_a_clip_that_is_larger_than_a_page_is_stored(worker, dataset, clips, tools):
    big = clips[0].with_name("9.webm")
    source = "testsrc2=size=320x240:rate=12:duration=1"
    tools.run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libvpx-vp9", big)

    summary, _ = built(worker, dataset, planned(clips[0], big))

    (large,) = (clip for clip in summary.clips if clip.clip_id == "9")
    assert large.status == records.STORED
    assert sum(large.frame_sizes) > SETTINGS.page_num_bytes
    assert summary.num_stored == 2


def test_a_shard_that_is_there_already_is_kept(worker, dataset, clips):
    plan = planned(clips[0], clips[1])
    _, path = built(worker, dataset, plan)
    before = path.stat()

    assert ask(worker, dataset, plan) == {"key": plan.key}

    assert path.stat() == before
    assert leftovers(dataset) == []


def test_equal_plans_give_equal_files(worker, tmp_path, clips):
    plan = planned(*clips)

    (first, _), (second, _) = (
        built(worker, tmp_path / name, plan) for name in ("one", "two")
    )

    assert first == second


def test_frames_that_are_stored_are_copied_and_not_decoded(worker, dataset, clips):
    plan = planned(*clips[:3], label_id=1)
    before, old_path = built(worker, dataset, plan)
    for clip in clips:
        clip.unlink()

    after, path = built(worker, dataset, stored_again(plan, before, label_id=2))

    assert path != old_path
    assert {clip.label_id for clip in after.clips} == {2}
    assert [(c.frame_sizes, c.frames_sha256) for c in after.clips] == [
        (c.frame_sizes, c.frames_sha256) for c in before.clips
    ]
    assert after.frames_key == before.frames_key
    assert shard_folders.read_summary(dataset, plan.split, plan.key) == before


def test_copied_frames_give_the_very_file_that_decoding_gives(worker, tmp_path, clips):
    clips[1].write_bytes(b"")
    plan = planned(*clips[:3], label_id=1)
    before, _ = built(worker, tmp_path / "one", plan)

    copied, _ = built(worker, tmp_path / "one", stored_again(plan, before, 2))
    decoded, _ = built(worker, tmp_path / "two", planned(*clips[:3], label_id=2))

    assert copied == decoded


def test_damaged_frames_are_not_copied(worker, dataset, clips):
    plan = planned(*clips[:2])
    before, path = built(worker, dataset, plan)
    with path.open("r+b") as file:
        file.seek(before.clips[1].frames_offset + 5)
        file.write(b"\xff\xff\xff")

    answer = ask(worker, dataset, stored_again(plan, before, label_id=2))

    assert answer["error"].startswith(f"{before.clips[1].clip_id}: ")
    assert f"frames stored in train/{before.key} are damaged" in answer["error"]
    assert leftovers(dataset) == []


def test_a_shard_to_copy_from_that_is_gone_fails_the_shard(worker, dataset, clips):
    plan = planned(clips[0])
    gone = stored_again(plan, plan, label_id=2)

    assert ask(worker, dataset, gone) == {
        "error": f"101: shard train/{plan.key} is gone"
    }


def test_a_data_set_that_cannot_be_written_is_an_error_and_the_worker_goes_on(
    worker, tmp_path, dataset, clips
):
    (tmp_path / "file").touch()

    answer = ask(worker, tmp_path / "file" / "dataset", planned(clips[0]))

    assert answer["error"].startswith(f"{tmp_path}/file/dataset")
    assert answer["error"].endswith(": Not a directory")
    built(worker, dataset, planned(clips[0]))


def test_a_decoder_that_is_killed_from_outside_settles_nothing(
    worker, dataset, clips, tmp_path
):
    killed = tmp_path / "killed-1.webm"
    killed.write_bytes(clips[0].read_bytes())
    plan = planned(clips[0], killed)

    answer = ask(worker, dataset, plan)

    assert answer["error"] == (
        "clip killed-1: its decoder was killed by SIGKILL from "
        "outside; if memory is short, use fewer --num_workers"
    )
    assert shard_folders.read_summary(dataset, "train", plan.key) is None


def test_limits_may_change_from_shard_to_shard(worker, dataset, clips):
    strict = dataclasses.replace(LIMITS, max_frames=4)

    assert ask(worker, dataset, planned(clips[0]), strict)["key"]
    summary, _ = built(worker, dataset, planned(clips[0], clips[1]))

    (quarantined,) = shard_folders.read_summary(
        dataset, "train", planned(clips[0]).key
    ).clips
    assert quarantined.reason == "too_long"
    assert summary.num_stored == 2


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"limits": {"max_seconds": 0}}, "max_seconds must be at least 1"),
        ({"plan": {}}, "missing fields"),
        ({"plan": []}, "must be a JSON object"),
    ],
)
def test_requests_that_make_no_sense_are_refused(worker, dataset, clips, wrong, text):
    request = {
        "dataset": str(dataset),
        "plan": records.to_json(planned(clips[0])),
        "limits": dataclasses.asdict(LIMITS),
        "listed": [],
        "ffmpeg": "",
    }

    worker.send(request | wrong)
    answer, _ = worker.receive(60, 0)

    assert answer["error"].startswith(text)
    assert not dataset.exists()
