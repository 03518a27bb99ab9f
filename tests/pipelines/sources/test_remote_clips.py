import hashlib

import pytest
from pyarrow import fs

from mindrecord_io import records
from mindrecord_io.storage import incomplete, object_store, shard_cache
from pipelines.sources import remote_clips

SHA = hashlib.sha256(b"a clip").hexdigest()
SOURCE = records.Fingerprint(6, SHA)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder that stands for s3://bucket/clips."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "7.webm").write_bytes(b"a clip")

    def open_storage(uri):
        assert uri == "s3://bucket/clips"
        local = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
        return object_store.Storage(uri, local)

    monkeypatch.setattr(object_store, "open_storage", open_storage)
    monkeypatch.setenv("CLIPMILL_CACHE", str(tmp_path / "cache"))
    return folder


def plan_of(*clips):
    key = "0" * 32
    settings = records.DecodeSettings()
    return records.ShardPlan("train", 0, 1, clips, settings, key, key)


def clip(clip_id, uri, stored_in=""):
    return records.PlannedClip(clip_id, 0, uri, SOURCE, stored_in)


def test_a_remote_clip_is_known_by_size_and_hash(store):
    assert remote_clips.fingerprint("s3://bucket/clips/7.webm") == SOURCE


def test_clips_to_be_decoded_are_copied_here_for_a_while(store):
    local, far = clip("5", "/clips/5.webm"), clip("7", "s3://bucket/clips/7.webm")
    uris = [local.uri, far.uri]
    with remote_clips.copies_folder(uris) as folder:
        plan = remote_clips.local_plan(plan_of(local, far), folder)
        copy = plan.clips[1]
        assert plan.clips[0] == local
        assert (copy.clip_id, copy.source) == ("7", SOURCE)
        with open(copy.uri, "rb") as file:  # noqa: PTH123
            assert file.read() == b"a clip"
    assert list(shard_cache.work_folder().iterdir()) == []


def test_clips_whose_frames_are_stored_are_left_where_they_are(store):
    plan = plan_of(clip("8", "s3://bucket/clips/8.webm", stored_in="train/" + "1" * 32))
    with remote_clips.copies_folder([plan.clips[0].uri]) as folder:
        assert remote_clips.local_plan(plan, folder) is plan


def test_a_clip_is_copied_while_it_is_read_and_not_fetched_again(store, tmp_path):
    uri = "s3://bucket/clips/7.webm"
    target = remote_clips.copy_path(tmp_path, "7", uri)
    _, source = remote_clips.look(uri, lambda identity: None, target)
    assert source == SOURCE
    (store / "7.webm").unlink()
    (copy,) = remote_clips.local_plan(plan_of(clip("7", uri)), tmp_path).clips
    with open(copy.uri, "rb") as file:  # noqa: PTH123
        assert file.read() == b"a clip"


def test_a_clip_that_is_recognised_is_not_read(store, tmp_path):
    known = records.Fingerprint(6, "ab" * 32)
    target = tmp_path / "copy"
    uri = "s3://bucket/clips/7.webm"
    identity, source = remote_clips.look(uri, lambda identity: known, target)
    assert (identity.num_bytes, source) == (6, known)
    assert not target.exists()


def test_a_plan_of_clips_on_disks_needs_no_folder():
    with remote_clips.copies_folder(["/clips/5.webm"]) as folder:
        assert folder is None
        plan = plan_of(clip("5", "/clips/5.webm"))
        assert remote_clips.local_plan(plan, folder) is plan


def test_a_clip_that_is_gone_is_an_error_and_nothing_stays_here(store):
    plan = plan_of(clip("9", "s3://bucket/clips/9.webm"))
    with (
        pytest.raises(FileNotFoundError),
        remote_clips.copies_folder([plan.clips[0].uri]) as folder,
    ):
        remote_clips.local_plan(plan, folder)
    assert incomplete.remove_abandoned(shard_cache.work_folder()) == []
