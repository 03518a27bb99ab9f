"""What is known of the files of clips before they are read."""

import os

import pyarrow as pa
import pytest

from pipelines.sources import clip_identities, clip_lookup

OLD = 1_700_000_000  # seconds: an age at which files are recognised


@pytest.fixture
def folder(tmp_path):
    """Clip 1 of three bytes, 2 of none, 3 a folder of frames, and a file of no clip."""
    (tmp_path / "1.webm").write_bytes(b"abc")
    (tmp_path / "2.WEBM").touch()
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "1.jpg").write_bytes(b"jpeg")
    (tmp_path / "other.webm").touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (OLD, OLD))
    return tmp_path


@pytest.fixture
def of_any_age(monkeypatch):
    monkeypatch.setattr(clip_identities, "_MARGIN_NS", -(10**15))


def looked_up(files, *clip_ids):
    """The rows of clips, which may be in any partition."""
    ids = pa.array(clip_ids, pa.string())
    found = {}
    for index in range(256):
        rows = files.look_up(index, ids).of_clips.to_pylist()
        for clip_id, row in zip(clip_ids, rows, strict=True):
            if row["uri"] is not None:
                found[clip_id] = row
    return found


def unlisted(files, *clip_ids):
    ids = pa.array(clip_ids, pa.string())
    found = (files.look_up(index, ids).unlisted for index in range(256))
    return [name for some in found for name in some]


def test_files_of_this_machine_are_looked_at(folder, of_any_age):
    files = clip_lookup.FilesByName(folder)
    assert looked_up(files, "3", "none", "1", "2") == {
        "1": {
            "uri": f"{folder}/1.webm",
            "num_bytes": 3,
            "is_folder": False,
            "identity": clip_identities.identity(f"{folder}/1.webm").text,
        },
        "2": {
            "uri": f"{folder}/2.WEBM",
            "num_bytes": 0,
            "is_folder": False,
            "identity": clip_identities.identity(f"{folder}/2.WEBM").text,
        },
        "3": {
            "uri": f"{folder}/3",
            "num_bytes": None,
            "is_folder": True,
            "identity": "",  # known when it is looked into
        },
    }
    assert unlisted(files, "1", "2", "3") == ["other"]


def test_young_files_have_no_identity_yet(folder):
    (folder / "1.webm").write_bytes(b"abc")
    assert looked_up(clip_lookup.FilesByName(folder), "1")["1"]["identity"] == ""


def test_of_files_that_go_while_they_are_matched_nothing_is_known(folder):
    files = clip_lookup.FilesByName(folder)
    (folder / "1.webm").unlink()
    assert looked_up(files, "1")["1"] == {
        "uri": f"{folder}/1.webm",
        "num_bytes": None,
        "is_folder": False,
        "identity": "",
    }


def test_what_a_store_lists_of_files_is_known_without_a_request_for_each(bucket):
    bucket.write("clips/a/1.webm", b"abc")
    bucket.write("clips/a/2.webm", b"")
    files = clip_lookup.FilesByName("s3://clips/a")
    listed = looked_up(files, "1", "2", "9")
    assert {clip_id: row["num_bytes"] for clip_id, row in listed.items()} == {
        "1": 3,
        "2": 0,
    }
    for row in listed.values():
        assert row["identity"] == clip_identities.identity(row["uri"]).text != ""
    assert unlisted(files, "2") == ["1"]
