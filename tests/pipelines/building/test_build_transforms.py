import dataclasses
import os
import shutil
import tempfile
import threading
from pathlib import Path

import apache_beam as beam
import pytest

from mindrecord_io import records
from mindrecord_io.shards import shard_folders, sharding
from pipelines import quarantine
from pipelines.building import (
    beam_flags,
    build_transforms,
    child_process,
    receipts,
    worker_pool,
)
from pipelines.planning import clip_listing, clip_references, shard_plans
from pipelines.planning.clip_references import Reference
from pipelines.sources import remote_clips
from tests import listings

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
NUM_SHARDS = {"train": 3, "validation": 1}
CLIP_IDS = {"train": ["101", "102", "103", "104", "105"], "validation": ["201"]}


def job_in(folder):
    """A job whose data set and receipts are in a folder; the receipts are new."""
    folder_of_receipts = Path(tempfile.mkdtemp(dir=folder))
    return build_transforms.ShardJob(
        dataset=folder / "dataset",
        receipts=folder_of_receipts,
        settings=SETTINGS,
        limits=quarantine.DecodeLimits(),
        salt=sharding.DEFAULT_SALT,
    )


@pytest.fixture
def job(tmp_path):
    # As every job that failed: Beam may still be taking down the one before, whose
    # workers would be shared.
    worker_pool.abandon()
    return job_in(tmp_path)


@pytest.fixture(scope="module")
def first_run(package, tmp_path_factory):
    """A job that has run, and the result of its pipeline; only to be read."""
    job = job_in(tmp_path_factory.mktemp("first"))
    return job, run(clips_in(package), job)


@pytest.fixture
def next_job(first_run, tmp_path):
    """A job on a copy of the data set that the first run made."""
    shutil.copytree(first_run[0].dataset, tmp_path / "dataset")
    return job_in(tmp_path)


def clips_in(package):
    """References to the package's clips, with a label of one class."""
    return [
        Reference(position, clip_id, split, 1, str(package.clip(clip_id)))
        for position, (split, clip_id) in enumerate(
            (split, clip_id) for split, ids in CLIP_IDS.items() for clip_id in ids
        )
    ]


def run(clips, job):
    """Runs the pipeline on two workers; returns its result."""
    pipeline = beam.Pipeline(options=beam_flags.options((), 2))
    listing = listings.listing(clips)
    shards = listings.write_shards(listing, NUM_SHARDS, job.receipts)
    pipeline | build_transforms.BuildShards(shards, job)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def counted(result):
    counters = result.metrics().query()["counters"]
    return {
        (counter.key.metric.namespace, counter.key.metric.name): counter.committed
        for counter in counters
    }


def expected_places(clips):
    return {
        (r.split, sharding.shard_index(r.clip_id, NUM_SHARDS[r.split])) for r in clips
    }


def actions(job):
    return [receipt.action for receipt in receipts.read_of_shards(job.receipts)]


def test_every_shard_that_has_clips_is_published_and_leaves_a_receipt(
    package, first_run
):
    job, _ = first_run

    done = receipts.read_of_shards(job.receipts)
    summaries = [shard_folders.read_summary(job.dataset, r.split, r.key) for r in done]
    assert {(r.split, r.index) for r in done} == expected_places(clips_in(package))
    assert {r.action for r in done} == {"decoded"}
    assert all(r.begin_seconds <= r.end_seconds for r in done)
    assert sorted(clip.clip_id for s in summaries for clip in s.clips) == [
        *("101", "102", "103", "104", "105", "201")
    ]
    assert {clip.label_id for s in summaries for clip in s.clips} == {1}


def test_clips_frames_and_failures_are_counted_by_action(first_run):
    assert counted(first_run[1]) == {
        ("decoded", "clips"): 6,
        ("decoded", "frames"): 6 + 3 + 5 + 4 + 4 + 3,
        ("decoded", "failed"): 0,
    }


def test_no_process_is_left_when_the_pipeline_is_done(first_run, tools):
    commands = [
        Path(f"/proc/{pid}/cmdline").read_text()
        for pid in tools.child_pids(os.getpid())
    ]

    assert not [command for command in commands if "pipelines." in command]


def test_what_is_published_is_reused_without_a_worker(package, next_job, monkeypatch):
    monkeypatch.setattr(worker_pool, "Worker", None)

    result = run(clips_in(package), next_job)

    assert set(actions(next_job)) == {"reused"}
    assert counted(result)["reused", "clips"] == 6


@pytest.mark.slow
def test_other_labels_of_stored_clips_need_no_files(package, first_run, next_job):
    stored = {}
    for receipt in receipts.read_of_shards(first_run[0].receipts):
        summary = shard_folders.read_summary(
            next_job.dataset, receipt.split, receipt.key
        )
        place = f"{receipt.split}/{receipt.key}"
        stored |= {clip.clip_id: (clip.source, place) for clip in summary.clips}
    relabelled = [
        Reference(c.position, c.clip_id, c.split, 2, "/gone", *stored[c.clip_id])
        for c in clips_in(package)
    ]

    result = run(relabelled, dataclasses.replace(next_job, limits=None))

    assert set(actions(next_job)) == {"relabelled"}
    assert counted(result)["relabelled", "frames"] == 25


def test_a_damaged_published_shard_fails_the_job(package, next_job):
    for summary in next_job.dataset.rglob("summary.json"):
        summary.unlink()

    with pytest.raises(RuntimeError, match="published shard is damaged: it has no su"):
        run(clips_in(package), next_job)


def test_a_clip_that_cannot_be_read_fails_the_job_by_name(package_copy, job):
    # Readable by nobody, root included: its pages begin where no memory is.
    broken = package_copy.clip("103")
    broken.unlink()
    broken.symlink_to("/proc/self/mem")

    with pytest.raises(RuntimeError) as caught:
        run(clips_in(package_copy), job)

    assert f"clip 103: cannot read {broken}: Input/output error" in str(caught.value)


def test_a_shard_that_cannot_be_written_fails_the_job_by_name(package, job):
    job.dataset.mkdir()
    (job.dataset / "shards").symlink_to("nowhere")

    with pytest.raises(RuntimeError) as caught:
        run(clips_in(package)[-1:], job)

    text = f"validation shard 0: {job.dataset}/shards: File exists"
    assert text in str(caught.value)


def test_a_worker_that_dies_fails_the_job_and_not_the_process(
    package, job, monkeypatch
):
    start = child_process.ChildProcess
    monkeypatch.setattr(
        child_process, "ChildProcess", lambda _: start("no.such_module")
    )

    with pytest.raises(RuntimeError) as caught:
        run(clips_in(package)[-1:], job)

    assert "validation shard 0: the worker process exited with status 1" in str(
        caught.value
    )


@pytest.fixture
def two_shards(package, bucket, tmp_path):
    """A job on clips and a data set in a store, and its first two shards."""
    clips = [
        clip._replace(uri=f"s3://clips/source/{clip.clip_id}.webm")
        for clip in clips_in(package)
        if clip.split == "train"
    ]
    for clip in clips:
        content = package.clip(clip.clip_id).read_bytes()
        bucket.write(f"clips/source/{clip.clip_id}.webm", content)
    folder = "s3://clips/made/versions/.incomplete-1/receipts"
    job = dataclasses.replace(
        job_in(tmp_path), dataset="s3://clips/made", receipts=folder, num_workers=1
    )
    path = tmp_path / "unfinished"
    shards = clip_references.write(
        path, clip_listing.by_shard(listings.listing(clips), {"train": 2}), {"train": 2}
    )
    clip_references.hand_out(path, folder)
    return job, shards


@pytest.mark.slow
def test_in_one_bundle_the_next_clips_come_while_a_shard_is_made(
    two_shards, bucket, monkeypatch
):
    """A worker answers for the first shard once the clips of the second are here."""
    job, shards = two_shards
    seen, all_fetched = set(), threading.Event()
    look, answer = remote_clips.look, build_transforms._BuildShard._answer
    num_clips = sum(shard.num_clips for shard in shards)
    order = []

    def noting_look(uri, *rest):
        result = look(uri, *rest)
        seen.add(uri)
        if len(seen) == num_clips:
            all_fetched.set()
        return result

    def patient_answer(self, shard, **fields):
        if "plan" in fields:
            assert all_fetched.wait(60), "the next shard's clips do not come meanwhile"
            order.append(shard.index)
        return answer(self, shard, **fields)

    monkeypatch.setattr(remote_clips, "look", noting_look)
    monkeypatch.setattr(build_transforms._BuildShard, "_answer", patient_answer)
    maker = build_transforms._BuildShard(job)
    maker.setup()
    for shard in shards:
        assert list(maker.process(shard)) == []
    maker.finish_bundle()
    maker.teardown()
    assert sorted(order) == [0, 1]
    assert len(receipts.read_of_shards(job.receipts)) == 2


@pytest.mark.slow
def test_what_goes_wrong_with_a_shard_ahead_fails_its_bundle(two_shards, bucket):
    job, shards = two_shards
    bucket.delete("clips/source/101.webm")
    maker = build_transforms._BuildShard(job)
    maker.setup()
    for shard in shards:
        maker.process(shard)
    with pytest.raises(shard_plans.ShardFailedError, match="clip 101: cannot read s3:"):
        maker.finish_bundle()
    maker.teardown()
