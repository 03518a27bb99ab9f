"""Manifests that contradict themselves, or the table, and those of another format."""

import dataclasses
import json

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, manifests, opening, publication
from tests.mindrecord_io.versions.test_manifests import (
    KEY,
    MANIFEST,
    MISSING,
    NUM_LISTED,
    SHARD,
    edit,
    prepare,
    publish,
)


def first(**fields):
    return lambda f: f["shards"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(shards=[]), "its shards have 0 rows, num_clips is 2"),
        (lambda f: f["shards"].pop(), "its shards have 1 rows, num_clips is 2"),
        (first(num_rows=2), "its shards have 3 rows, num_clips is 2"),
        (first(num_rows=-1), f"shard {SHARD}: -1 rows in the files ("),
        (first(num_rows=0), f"shard {SHARD}: 0 rows in the files ("),
        (first(mindrecord_index=None), f"shard {SHARD}: 1 rows in the files ("),
        (first(summary=None), f"shard {SHARD}: no hash of its summary, in format"),
        (first(frames_key="../.."), f"shard {SHARD}: frames_key '../..' is no hash"),
        (
            first(index=2, path=SHARD.replace("00000", "00002", 1)),
            f"shard {SHARD.replace('00000', '00002', 1)}: number 2 of 2",
        ),
        (
            first(num_shards=9, path=SHARD.replace("of-00002", "of-00009")),
            "shard shards/train/",
        ),
        (
            lambda f: f["shards"].append(f["shards"][0]) or f.update(num_clips=3),
            f"train/{KEY} is listed 2 times",
        ),
        (
            first(index=1, path=SHARD.replace("00000", "00001", 1)),
            "train shard 1 is listed 2 times",
        ),
        (lambda f: f.update(num_clips=3), "its shards have 2 rows, num_clips is 3"),
        (lambda f: f.update(num_missing=-4), "num_missing is -4"),
        (lambda f: f.update(num_frames=1), "1 frames in 2 clips"),
        (lambda f: f.update(num_classes=10**18), f"num_classes is {10**18}, at most"),
        (lambda f: f.update(parent="../../etc"), "parent '../../etc' is no version's"),
        (lambda f: f.update(parent="000001"), "version 000001 is its own parent"),
        (
            lambda f: f.update(created_at="\x1b[31m"),
            r"created_at '\x1b[31m' is no time",
        ),
        (lambda f: f.update(salt="x" * 65), "salt 'xxx"),
        (lambda f: f.update(salt="\ud800"), r"salt '\ud800' is no key of a hash"),
        (lambda f: f.update(label_digest="<b>"), "label_digest '<b>' is no hash"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_not_believed(tmp_path, change, message):
    path = naming.manifest_path(publish(tmp_path).folder)
    edit(path, change)
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path)
    assert str(caught.value).startswith(f"{path}: contradicts itself: {message}")


@pytest.mark.parametrize("number", [0, -7])
def test_a_format_version_that_never_was_is_refused(tmp_path, number):
    path = naming.manifest_path(publish(tmp_path).folder)
    edit(path, lambda f: f.update(format_version=number))
    text = f"there never was a format version {number}"
    with pytest.raises(manifests.ManifestError, match=text):
        opening.open_version(tmp_path)


def test_a_manifest_that_contradicts_itself_is_not_published(tmp_path):
    folder = prepare(tmp_path)
    cut = dataclasses.replace(MANIFEST, shards=MANIFEST.shards[:1])
    with pytest.raises(manifests.ManifestError, match="have 1 rows, num_clips is 2"):
        publication.publish(tmp_path, folder, cut)
    assert opening.list_versions(tmp_path) == []


def test_a_table_of_fewer_clips_than_the_manifest_counts_is_not_read(tmp_path):
    version = publish(tmp_path)
    path = naming.clips_table_path(version.folder)
    clips_table.write(path, [clips_table.missing_rows([MISSING], "no file")])
    content = dataclasses.asdict(files.fingerprint(path))
    edit(
        naming.manifest_path(version.folder),
        lambda f: f.update(clips_table=content),
    )
    with pytest.raises(manifests.ManifestError, match=f"has 1 clips, .* {NUM_LISTED}"):
        opening.open_version(tmp_path).read_clips()


def test_a_version_of_the_first_format_is_read_and_published_again(tmp_path):
    path = naming.manifest_path(publish(tmp_path).folder)

    def as_before(fields):
        fields["format_version"] = 1
        del fields["decoders"]
        for shard in fields["shards"]:
            del shard["summary"], shard["planned_key"]

    edit(path, as_before)
    manifest = opening.read_manifest(tmp_path)
    assert [entry.summary for entry in manifest.shards] == [None] * 3
    again = json.loads(manifests.encoded(manifest))
    assert again == json.loads(path.read_text())


@pytest.mark.parametrize(
    "content", [b"", b'{"version": ', b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b"3"]
)
def test_what_is_no_manifest_is_refused_by_its_place(tmp_path, content):
    path = naming.manifest_path(publish(tmp_path).folder)
    path.write_bytes(content)
    with pytest.raises(manifests.ManifestError, match=f"^{tmp_path}"):
        opening.open_version(tmp_path)
