import json
import os
import shutil
import tempfile
from pathlib import Path

import apache_beam as beam
import pytest

from mindrecord_io import records
from mindrecord_io.shards import shard_folders, sharding
from mindrecord_io.storage import files
from pipelines import quarantine
from pipelines.building import build_transforms, child_process, worker_pool
from pipelines.building.build_transforms import Receipt, ShardFailedError
from pipelines.jobs import build_options
from pipelines.planning.clip_references import StoredSource
from pipelines.sources import frame_folders
from tests import frame_files, listings

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
NUM_SHARDS = {"train": 3, "validation": 1}
LABEL_IDS = {"train": ["101", "102", "103", "104", "105"], "validation": ["201"]}


def job_in(folder):
    """A job whose data set and receipts are in a folder; the receipts are new."""
    receipts = Path(tempfile.mkdtemp(dir=folder))
    return build_transforms.ShardJob(
        dataset=folder / "dataset",
        receipts=receipts,
        settings=SETTINGS,
        clip_limits=quarantine.DecodeLimits(),
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
    return job, run(refs_in(package), job)


@pytest.fixture
def next_job(first_run, tmp_path):
    """A job on a copy of the data set that the first run made."""
    shutil.copytree(first_run[0].dataset, tmp_path / "dataset")
    return job_in(tmp_path)


def refs_in(package):
    return [
        records.ClipRef(clip_id, split, 1, "Rest", str(package.clip(clip_id)))
        for split, clip_ids in LABEL_IDS.items()
        for clip_id in clip_ids
    ]


def run(refs, job, stored=None, identify=build_transforms.hashed_source):
    """Runs the pipeline on two workers; returns its result."""
    pipeline = beam.Pipeline(options=build_options.beam_options((), 2))
    listing = listings.listing(refs, stored)
    shards = listings.write_shards(listing, NUM_SHARDS, job.receipts)
    pipeline | build_transforms.BuildShards(shards, job, identify=identify)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def counted(result):
    counters = result.metrics().query()["counters"]
    return {
        (counter.key.metric.namespace, counter.key.metric.name): counter.committed
        for counter in counters
    }


def expected_places(refs):
    return {
        (r.split, sharding.shard_index(r.clip_id, NUM_SHARDS[r.split])) for r in refs
    }


def actions(job):
    return [receipt.action for receipt in build_transforms.read_receipts(job.receipts)]


def test_every_shard_that_has_clips_is_published_and_leaves_a_receipt(
    package, first_run
):
    job, _ = first_run

    receipts = build_transforms.read_receipts(job.receipts)
    summaries = [
        shard_folders.read_summary(job.dataset, r.split, r.key) for r in receipts
    ]
    assert {(r.split, r.index) for r in receipts} == expected_places(refs_in(package))
    assert {r.action for r in receipts} == {"decoded"}
    assert all(r.begin_seconds <= r.end_seconds for r in receipts)
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

    result = run(refs_in(package), next_job)

    assert set(actions(next_job)) == {"reused"}
    assert counted(result)["reused", "clips"] == 6


@pytest.mark.slow
def test_other_labels_of_stored_clips_need_no_files(package, first_run, next_job):
    stored = {}
    for receipt in build_transforms.read_receipts(first_run[0].receipts):
        summary = shard_folders.read_summary(
            next_job.dataset, receipt.split, receipt.key
        )
        for clip in summary.clips:
            place = f"{receipt.split}/{receipt.key}"
            stored[clip.clip_id] = StoredSource(clip.source, place)
    relabelled = [
        records.ClipRef(ref.clip_id, ref.split, 2, "Rest", "/gone")
        for ref in refs_in(package)
    ]

    result = run(relabelled, next_job, stored, identify=build_transforms.known_source)

    assert set(actions(next_job)) == {"relabelled"}
    assert counted(result)["relabelled", "frames"] == 25


def test_a_damaged_published_shard_fails_the_job(package, next_job):
    for summary in next_job.dataset.rglob("summary.json"):
        summary.unlink()

    with pytest.raises(RuntimeError, match="published shard is damaged: it has no su"):
        run(refs_in(package), next_job)


def test_a_clip_that_cannot_be_read_fails_the_job_by_name(package_copy, job):
    # Readable by nobody, root included: its pages begin where no memory is.
    broken = package_copy.clip("103")
    broken.unlink()
    broken.symlink_to("/proc/self/mem")

    with pytest.raises(RuntimeError) as caught:
        run(refs_in(package_copy), job)

    assert f"clip 103: cannot read {broken}: Input/output error" in str(caught.value)


def test_a_shard_that_cannot_be_written_fails_the_job_by_name(package, job):
    job.dataset.mkdir()
    (job.dataset / "shards").symlink_to("nowhere")

    with pytest.raises(RuntimeError) as caught:
        run(refs_in(package)[-1:], job)

    assert (
        f"validation shard 0: FileExistsError: [Errno 17] File exists: "
        f"'{job.dataset}/shards'"
    ) in str(caught.value)


def test_a_worker_that_dies_fails_the_job_and_not_the_process(
    package, job, monkeypatch
):
    start = child_process.ChildProcess
    monkeypatch.setattr(
        child_process, "ChildProcess", lambda _: start("no.such_module")
    )

    with pytest.raises(RuntimeError) as caught:
        run(refs_in(package)[-1:], job)

    assert "validation shard 0: the worker process exited with status 1" in str(
        caught.value
    )


def test_hashed_source_knows_the_file_again(package):
    path = package.clip("101")
    known = StoredSource(files.fingerprint(path), "train/abc")

    assert build_transforms.hashed_source("101", str(path), known) == known
    assert build_transforms.hashed_source("101", str(path), None) == StoredSource(
        known.source, ""
    )


def test_hashed_source_of_another_file_is_not_stored(package):
    known = StoredSource(files.fingerprint(package.clip("102")), "train/abc")

    found = build_transforms.hashed_source("101", str(package.clip("101")), known)

    assert found == StoredSource(files.fingerprint(package.clip("101")), "")


def test_hashed_source_names_clip_file_and_cause(tmp_path):
    with pytest.raises(
        ShardFailedError, match=rf"^clip 7: cannot read {tmp_path}/7: No such file"
    ):
        build_transforms.hashed_source("7", f"{tmp_path}/7", None)


def test_hashed_source_of_a_folder_is_of_its_frames(tmp_path, monkeypatch):
    folder = frame_files.write_folder(tmp_path / "7")
    known = StoredSource(frame_folders.fingerprint(folder), "train/abc")
    assert build_transforms.hashed_source("7", str(folder), known) is known

    def refuse(path, flags):  # chmod does not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ShardFailedError) as error:
        build_transforms.hashed_source("7", str(folder), known)
    assert str(error.value) == (
        f"clip 7: cannot read {folder}/00001.jpg: Permission denied"
    )


def test_known_source_needs_no_file():
    known = StoredSource(records.Fingerprint(1, "ab" * 32), "train/abc")

    assert build_transforms.known_source("7", "/gone", known) is known
    with pytest.raises(ShardFailedError, match=r"^clip 7: nothing is stored of /gone$"):
        build_transforms.known_source("7", "/gone", None)


def test_receipts_are_read_in_the_order_of_splits_and_shards(tmp_path):
    places = [("test", 0), ("validation", 1), ("train", 10), ("train", 9)]
    for split, index in places:
        name = build_transforms.receipt_name(split, index, 11)
        fields = {"split": split, "index": index, "key": "k", "action": "reused"}
        times = {"begin_seconds": 1, "end_seconds": 2.5}
        (tmp_path / name).write_text(json.dumps(fields | times))

    receipts = build_transforms.read_receipts(tmp_path)

    assert [(r.split, r.index) for r in receipts] == [
        ("train", 9),
        ("train", 10),
        ("validation", 1),
        ("test", 0),
    ]
    assert receipts[0] == Receipt("train", 9, "k", "reused", 1.0, 2.5)


def test_receipt_names_are_those_of_the_shards():
    assert build_transforms.receipt_name("train", 17, 512) == (
        "train-00017-of-00512.mindrecord.json"
    )


@pytest.mark.parametrize(
    ("stored_in", "expected"),
    [
        (("train/a", "train/b"), "relabelled"),
        (("train/a", ""), "decoded"),
        (("",), "decoded"),
    ],
)
def test_a_shard_is_relabelled_if_every_clip_of_it_is_stored(stored_in, expected):
    source = records.Fingerprint(1, "ab" * 32)
    clips = [
        records.PlannedClip(str(n), 0, f"/{n}", source, place)
        for n, place in enumerate(stored_in)
    ]
    plan = sharding.plan_shard("train", 0, 1, clips=clips, settings=SETTINGS)

    assert build_transforms.action(plan) == expected
    assert expected in build_transforms.ACTIONS
