"""Jobs on versions published without MindSpore: no shard is ever made here."""

import dataclasses
import json
import logging
import shutil
import subprocess
import sys

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import shard_folders
from mindrecord_io.storage import incomplete, tallies
from mindrecord_io.versions import manifests, opening
from pipelines import quarantine
from pipelines.building import clip_notes, receipts, version_draft
from pipelines.jobs import brakes, job_result, make_version
from pipelines.planning import matching
from pipelines.planning.version_plans import VersionPlan
from pipelines.publishing import data_sets
from tests import listings
from tests import versions_by_hand as by_hand

LEAVE_A_FOLDER = """\
import os, pathlib, sys
from mindrecord_io.storage import incomplete, tallies
works = [incomplete.folder_in(pathlib.Path(parent)) for parent in sys.argv[1:]]
for work in works:
    (work.__enter__() / "file").touch()
os._exit(9)
"""
DRY_RUN = """\
import sys
from pipelines.jobs import relabel
status = relabel.main(sys.argv[1:])
print(status, {"apache_beam", "mindspore", "av", "cv2"} & sys.modules.keys())
"""
RENAMED = records.LabelMap(("Rolling along", "Tilting"))


def job_for(
    version, splits=by_hand.CLIPS, label_map=by_hand.LABELS, *, job=None, **changed
):
    """The job of giving a version other annotations, without a look at any clip."""
    annotations = listings.annotations(splits, label_map)
    plan = VersionPlan(
        parent=version,
        annotations=annotations,
        listing=matching.match_version(version, annotations),
        settings=version.manifest.settings,
    )
    return make_version.VersionJob(
        data_sets.LocalDataSet(version.dataset),
        dataclasses.replace(plan, **changed),
        **{"num_workers": 2} | (job or {}),
    )


def work_in_progress(dataset):
    return [path for path in dataset.rglob("*") if naming.is_incomplete(path)]


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path / "dataset")


def test_a_job_that_cannot_end_well_does_not_begin(version):
    splits = by_hand.CLIPS | {"validation": {"201": 1, "202": 0, "203": 1}}
    with pytest.raises(make_version.JobError) as error:
        make_version.run(job_for(version, splits, job={"max_quarantined": 1}))
    assert str(error.value) == (
        "2 clips cannot be stored, --max_quarantined allows 1; nothing is published. "
        "The first: 202 (missing: annotated, but not in the folder of clips); "
        "203 (missing: annotated, but not in the folder of clips)"
    )
    assert work_in_progress(version.dataset) == []


def test_clips_known_to_be_quarantined_count_before_the_work(version):
    job = job_for(version, job={"max_quarantined": 1})
    listing = job.plan.listing
    listing.quarantined.add(0, ("101", "truncated", "3 of 8"))
    listing.quarantined.add(1, ("102", "timeout", "60 s"))
    for work in (make_version.run, make_version.foresee):
        with pytest.raises(
            make_version.JobError, match=r"2 clips .* allows 1; .*101 \(t"
        ):
            work(job)
    assert work_in_progress(version.dataset) == []
    allowed = dataclasses.replace(job, max_quarantined=2)
    assert make_version.foresee(allowed)["num_quarantined"] == 2
    # What is decoded anew may come out better.
    plan = dataclasses.replace(job.plan, limits=quarantine.DecodeLimits())
    anew = dataclasses.replace(job, plan=plan)
    assert make_version.foresee(anew)["num_quarantined"] == 0


def test_a_dry_run_loads_no_beam_and_no_decoder(version, tmp_path):
    (tmp_path / "list.csv").write_text("path,label,split,clip_id\n1.webm,a,train,101\n")
    flags = [f"--dataset={version.dataset}", f"--annotations={tmp_path}/list.csv"]
    command = [sys.executable, "-c", DRY_RUN, *flags, "--dry_run"]
    command += ["--max_withdrawn", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    result, loaded = done.stdout.splitlines()
    assert loaded == "0 set()", done.stderr
    assert json.loads(result)["shards"] == {"reused": 0, "relabelled": 1, "decoded": 0}


def refuse_lost(lost, max_quarantined):
    by_reason = clip_notes.LostClips()
    brakes.refuse_lost(
        lost, max_quarantined, by_reason=by_reason, listed="", command=()
    )


@pytest.mark.parametrize(("num_lost", "allowed"), [(0, 0), (1, 1), (2, 9)])
def test_as_many_lost_as_allowed_are_no_problem(num_lost, allowed):
    lost = tally(*[("1", "empty", "")] * num_lost)
    refuse_lost(lost, allowed)


def test_too_many_lost_are_counted_and_the_first_five_named():
    lost = [(str(n), "empty", f"/clips/{n}.webm has no bytes") for n in range(1, 8)]

    with pytest.raises(make_version.JobError) as error:
        refuse_lost(tally(*lost), 6)

    problem = str(error.value)
    assert problem.startswith(
        "7 clips cannot be stored, --max_quarantined allows 6; nothing is published. "
        "The first: 1 (empty: /clips/1.webm has no bytes); 2 (empty: "
    )
    assert "5 (empty: /clips/5.webm has no bytes)" in problem
    assert "/clips/6.webm" not in problem


def tally(*values):
    counted = tallies.Tally()
    for order, value in enumerate(values):
        counted.add(order, value)
    return counted


def test_a_job_without_clips_is_refused(version):
    listing = listings.listing((), unlisted=["900"])
    with pytest.raises(make_version.JobError, match=r"^no clip is left to store$"):
        make_version.run(job_for(version, listing=listing))


def test_published_shards_under_new_label_texts_are_a_new_version(version, caplog):
    with caplog.at_level(logging.INFO):
        result = make_version.run(job_for(version, label_map=RENAMED))

    assert result.num_shards == {"reused": 4, "relabelled": 0, "decoded": 0}
    assert result.version == opening.open_version(version.dataset)
    assert result.version.manifest.version == "000002"
    assert result.version.manifest.parent == "000001"
    assert set(result.version.manifest.shards) == set(version.manifest.shards)
    assert result.version.category_names() == ["Rolling along", "Tilting"]
    assert work_in_progress(version.dataset) == []
    assert caplog.messages[-1].startswith(
        f"version 000002 of {version.dataset}: 6 clips, 16 frames, "
    )
    assert "; shards: 4 reused, 0 relabelled, 0 decoded" in caplog.messages[-1]


def test_nothing_new_leaves_the_version_as_it_is(version):
    table = naming.clips_table_path(version.folder).read_bytes()
    # by_hand has a digest of its own: as a job writes it, the version has another.
    second = make_version.run(job_for(version)).version

    third = make_version.run(job_for(second)).version

    assert (second.manifest.version, third) == ("000002", second)
    assert opening.list_versions(version.dataset) == ["000001", "000002"]
    assert naming.clips_table_path(version.folder).read_bytes() == table


def test_the_last_line_of_output_says_what_was_done(version):
    result = job_result.JobResult(
        version=version,
        num_shards={"reused": 3, "relabelled": 1, "decoded": 0},
        seconds=12.345,
        num_made=3,
        shard_seconds=4.0,
    )
    num_bytes = sum(
        path.stat().st_size
        for path in version.dataset.glob("shards/*/*/*")
        if path.name != "summary.json"
    )
    assert result.to_json() == {
        "version": "000001",
        "num_clips": 6,
        "num_quarantined": 0,
        "num_frames": 4 + 2 + 3 + 2 + 2 + 3,  # 2 + clip_id % 3 each
        "shards": {"reused": 3, "relabelled": 1, "decoded": 0},
        "num_bytes": num_bytes,
        "seconds": 12.3,
        "clips_per_second": 0.8,
        "lost": {},
        "num_leaks": 0,
        "num_label_conflicts": 0,
        "num_sources_read": 0,
    }


def test_quarantined_and_missing_clips_are_one_number_in_the_output(version):
    manifest = dataclasses.replace(version.manifest, num_quarantined=2, num_missing=3)
    result = job_result.JobResult(
        dataclasses.replace(version, manifest=manifest), {}, 0.0
    )
    assert result.to_json()["num_quarantined"] == 5


@pytest.mark.parametrize(
    ("num_made", "seconds", "rate"), [(6, 0.0, 6000.0), (6, 4.0, 1.5), (0, 0.0, None)]
)
def test_the_rate_is_of_clips_that_were_decoded_or_copied(
    version, num_made, seconds, rate
):
    result = job_result.JobResult(version, {}, 9.0, num_made, seconds)
    assert result.to_json()["clips_per_second"] == rate


def test_what_a_dead_job_left_is_removed_and_logged(version, caplog):
    parents = [
        version.dataset / "versions",
        *(
            shard_folders.split_folder(version.dataset, split)
            for split in records.SPLITS
        ),
    ]
    command = [sys.executable, "-c", LEAVE_A_FOLDER, *map(str, parents)]
    assert subprocess.run(command).returncode == 9
    left = work_in_progress(version.dataset)
    assert {path.parent for path in left} == set(parents)

    with caplog.at_level(logging.INFO):
        make_version.run(job_for(version, label_map=RENAMED))

    assert work_in_progress(version.dataset) == []
    told = {f"removed {path}, left by a process that died" for path in left}
    assert told <= set(caplog.messages)


def test_what_a_living_job_works_on_is_left_alone(version):
    split_folder = shard_folders.split_folder(version.dataset, "train")
    with incomplete.folder_in(split_folder) as folder:
        (folder / "file").touch()
        make_version.run(job_for(version, label_map=RENAMED))
        assert (folder / "file").exists()


def test_a_job_that_fails_publishes_nothing_and_leaves_nothing(version):
    (entry,) = (e for e in version.manifest.shards if e.split == "test")
    path = version.shard_path(entry)
    num_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(make_version.JobError) as error:
        make_version.run(job_for(version, label_map=RENAMED))

    assert str(error.value) == (
        f"test shard 0: {path.parent}: published shard is damaged: "
        f"{path.name} has {num_bytes - 1} bytes, not {num_bytes}; "
        f"`clipmill build --repair` makes it again"
    )
    assert opening.current_name(version.dataset) == "000001"
    assert opening.list_versions(version.dataset) == ["000001"]
    assert work_in_progress(version.dataset) == []


def test_quarantined_clips_beyond_what_is_allowed_publish_nothing(tmp_path):
    version = by_hand.publish(tmp_path, quarantined=["103", "301"])

    job = job_for(version, label_map=RENAMED, job={"max_quarantined": 1})
    job.plan.listing.quarantined = tallies.Tally()  # found out only by the work

    with pytest.raises(make_version.JobError) as error:
        make_version.run(job)

    assert str(error.value) == (
        "2 clips cannot be stored, --max_quarantined allows 1; nothing is published. "
        "The first: 103 (truncated: 3 of 8 frames); 301 (truncated: 3 of 8 frames)"
    )
    assert opening.list_versions(tmp_path) == ["000001"]
    assert work_in_progress(tmp_path) == []


def test_a_shard_that_vanishes_during_the_job_is_no_version(version, monkeypatch):
    def lose_a_shard(folder):
        shutil.rmtree(shard_folders.split_folder(version.dataset, "test"))
        return read_of_shards(folder)

    read_of_shards = receipts.read_of_shards
    monkeypatch.setattr(receipts, "read_of_shards", lose_a_shard)

    with pytest.raises(make_version.JobError, match="its shard is gone; something"):
        make_version.run(job_for(version, label_map=RENAMED))

    assert opening.list_versions(version.dataset) == ["000001"]


def test_a_shard_that_leaves_no_receipt_is_noticed(version, monkeypatch):
    def all_but_one(folder):
        return read_of_shards(folder)[1:]

    read_of_shards = receipts.read_of_shards
    monkeypatch.setattr(receipts, "read_of_shards", all_but_one)

    with pytest.raises(make_version.JobError, match=r"^3 of 4 shards left a receipt$"):
        make_version.run(job_for(version, label_map=RENAMED))


def test_a_version_published_meanwhile_is_a_conflict(version, monkeypatch):
    def publish_late(*args):
        by_hand.publish(version.dataset, by_hand.without("101"))
        return publish(*args)

    publish = version_draft.publish
    monkeypatch.setattr(version_draft, "publish", publish_late)

    with pytest.raises(manifests.PublishConflictError) as error:
        make_version.run(job_for(version, label_map=RENAMED))

    assert str(error.value) == (
        f"{version.dataset}: version 000002 was published by another process since "
        "this one began from 000001; nothing is lost, run the same command again: "
        "finished shards are reused"
    )
    assert opening.list_versions(version.dataset) == ["000001", "000002"]
    assert work_in_progress(version.dataset) == []


def test_an_equal_job_that_published_meanwhile_is_as_good(version, monkeypatch):
    def publish_late(*args):
        monkeypatch.setattr(version_draft, "publish", publish)
        rivals.append(make_version.run(job_for(version, label_map=RENAMED)).version)
        return publish(*args)

    publish, rivals = version_draft.publish, []
    monkeypatch.setattr(version_draft, "publish", publish_late)

    result = make_version.run(job_for(version, label_map=RENAMED))

    assert [result.version] == rivals
    assert result.to_json()["version"] == "000002"
    assert opening.list_versions(version.dataset) == ["000001", "000002"]
    assert work_in_progress(version.dataset) == []
