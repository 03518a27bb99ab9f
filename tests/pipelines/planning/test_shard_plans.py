import dataclasses
import os

import pytest

from mindrecord_io import records
from mindrecord_io.records import PlannedClip
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from pipelines.planning import shard_plans
from pipelines.planning.clip_references import Reference
from pipelines.planning.shard_plans import ShardFailedError
from pipelines.sources import clip_identities, frame_folders
from tests import frame_files

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
SHA = "ab" * 32


def clip_at(path, source=None, **fields):
    """A reference to a clip whose file was published as `source`."""
    stored_in = "train/abc" if source else ""
    return Reference(
        0, "7", "train", 1, str(path), source=source, stored_in=stored_in, **fields
    )


def test_a_hashed_clip_is_stored_if_its_file_is_the_published_one(package):
    path = package.clip("101")
    source = files.fingerprint(path)

    assert shard_plans.hash_clip(clip_at(path, source)) == PlannedClip(
        "7", 1, str(path), source, "train/abc"
    )
    assert shard_plans.hash_clip(clip_at(path)) == PlannedClip(
        "7", 1, str(path), source, ""
    )


def test_a_hashed_clip_of_another_file_is_not_stored(package):
    path, other = package.clip("101"), files.fingerprint(package.clip("102"))

    planned = shard_plans.hash_clip(clip_at(path, other))

    assert (planned.source, planned.stored_in) == (files.fingerprint(path), "")


@pytest.fixture
def clip_of_any_age(package, monkeypatch):
    """A clip's file, its hash and its identity."""
    monkeypatch.setattr(clip_identities, "_MARGIN_NS", -(10**15))
    path = package.clip("101")
    return path, files.fingerprint(path), clip_identities.identity(str(path)).text


def test_a_clip_that_is_recognised_is_not_read(clip_of_any_age, monkeypatch):
    path, source, identity = clip_of_any_age
    monkeypatch.setattr(shard_plans, "fingerprint", None)
    identities = {}
    planned = shard_plans.hash_clip(
        clip_at(path, source, identity=identity), identities=identities
    )
    assert planned == PlannedClip("7", 1, str(path), source, "train/abc")
    assert identities == {"7": identity}


@pytest.mark.parametrize("identity", ["", "of another file "])
def test_a_clip_that_is_not_recognised_is_read(clip_of_any_age, identity):
    path, source, now = clip_of_any_age
    identities = {}
    other = records.Fingerprint(source.num_bytes, SHA)
    clip = clip_at(path, other, identity=identity)
    planned = shard_plans.hash_clip(clip, identities=identities)
    assert (planned.source, planned.stored_in) == (source, "")
    assert identities == {"7": now}


def test_a_clip_that_is_recognised_is_read_if_it_is_not_to_be_reused(clip_of_any_age):
    path, source, identity = clip_of_any_age
    planned = shard_plans.hash_clip(clip_at(path, None, identity=identity))
    assert (planned.source, planned.stored_in) == (source, "")


def test_a_clip_that_cannot_be_hashed_is_named_with_file_and_cause(tmp_path):
    with pytest.raises(
        ShardFailedError, match=rf"^clip 7: cannot read {tmp_path}/7: No such file"
    ):
        shard_plans.hash_clip(clip_at(tmp_path / "7"))


def test_a_folder_is_hashed_by_its_frames(tmp_path, monkeypatch):
    folder = frame_files.write_folder(tmp_path / "7")
    clip = clip_at(folder, frame_folders.fingerprint(folder))
    assert shard_plans.hash_clip(clip).stored_in == "train/abc"

    def refuse(path, flags):  # chmod does not stop root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ShardFailedError) as error:
        shard_plans.hash_clip(clip)
    assert str(error.value) == (
        f"clip 7: cannot read {folder}/00001.jpg: Permission denied"
    )


def test_a_published_clip_needs_no_file():
    source = records.Fingerprint(1, SHA)

    assert shard_plans.published_clip(clip_at("/gone", source)) == PlannedClip(
        "7", 1, "/gone", source, "train/abc"
    )
    with pytest.raises(ShardFailedError, match=r"^clip 7: nothing is stored of /gone$"):
        shard_plans.published_clip(clip_at("/gone"))


def test_a_clip_with_another_checksum_than_listed_is_decoded_under_it():
    source = records.Fingerprint(1, SHA)
    listed = clip_at("/7", source, expected_sha256=SHA)
    other = listed._replace(expected_sha256="cd" * 32)

    assert shard_plans.published_clip(listed).stored_in == "train/abc"
    planned = shard_plans.published_clip(other)
    assert (planned.stored_in, planned.expected_sha256) == ("", "cd" * 32)


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

    assert shard_plans.action(plan) == expected
    assert expected in shard_plans.ACTIONS


def summary_with(*limits):
    """A published shard with a quarantined clip for each text of limits."""
    source = records.Fingerprint(1, SHA)
    clips = tuple(
        records.ClipOutcome(
            clip_id=str(n),
            label_id=0,
            source=source,
            status=records.QUARANTINED,
            reason="timeout",
            limits=text,
        )
        for n, text in enumerate(limits)
    )
    key = "0" * 32
    return records.ShardSummary("train", 0, 1, key, key, None, None, clips)


def test_a_shard_is_made_again_where_a_clip_was_too_large_for_a_page():
    summary = summary_with("")
    (clip,) = summary.clips
    old = dataclasses.replace(
        clip, reason="too_large", detail="not in a page; raise --page_mib"
    )
    new = dataclasses.replace(clip, reason="too_large", detail="use --short_side")
    plan = plan_with("")

    for outcome, is_made_again in ((old, True), (new, False)):
        published = dataclasses.replace(summary, clips=(outcome,))
        again = shard_plans.under_limits(plan, published, "limits")
        assert (again != plan) is is_made_again


def plan_with(*stored_in):
    source = records.Fingerprint(1, SHA)
    clips = [PlannedClip(str(n), 0, "/x", source, p) for n, p in enumerate(stored_in)]
    return sharding.plan_shard("train", 0, 1, clips=clips, settings=SETTINGS)


HERE, ELSEWHERE = f"train/{'0' * 32}", f"test/{'1' * 32}"


@pytest.mark.parametrize(
    ("limits_of_clips", "limits", "places", "is_made_again"),
    [
        (["", "a"], "a", ["", ""], False),
        (["", "a"], "b", ["", ""], True),
        (["", ""], "b", ["", ""], False),  # quarantined whatever the limits
        (["a", "a"], None, [HERE, HERE], False),  # nothing is to be decoded
        (["a", "a"], None, [HERE, ELSEWHERE], True),
        (["a", ""], None, [HERE, ELSEWHERE], False),
    ],
)
def test_a_shard_is_made_again_where_limits_may_let_a_clip_pass(
    limits_of_clips, limits, places, is_made_again
):
    plan, summary = plan_with(*places), summary_with(*limits_of_clips)

    again = shard_plans.under_limits(plan, summary, limits)

    assert (again.key != plan.key) is is_made_again
    assert dataclasses.replace(again, key=plan.key) == plan
    assert shard_plans.under_limits(plan, summary, limits) == again
