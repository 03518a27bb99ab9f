import dataclasses

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import sharding
from mindrecord_io.versions import clips_table, manifests
from pipelines.planning import matching, published_clips
from tests import listings
from tests import versions_by_hand as by_hand


def with_absent(version, *, missing=(), unlisted=()):
    """The version, its table with rows for clips that are in no shard."""
    rows = version.read_clips().to_pylist()
    path = version.dataset / "clips.parquet"
    clips_table.write(
        path,
        [
            rows,
            clips_table.missing_rows(missing, "no file"),
            clips_table.unlisted_rows(unlisted, "not annotated"),
        ],
    )
    path.replace(naming.clips_table_path(version.folder))
    manifest = dataclasses.replace(
        version.manifest,
        clips_table=manifests.files.fingerprint(
            naming.clips_table_path(version.folder)
        ),
        num_missing=version.manifest.num_missing + len(missing),
        num_unlisted=version.manifest.num_unlisted + len(unlisted),
    )
    return dataclasses.replace(version, manifest=manifest)


def settled(version, limits=None):
    """(file, shard) of every clip that need not be decoded again, by id."""
    published = published_clips.PublishedClips(version)
    found = {}
    for index in range(sharding.NUM_PARTITIONS):
        clips = published.partition(index)
        is_settled = published_clips.are_settled(clips, limits)
        for clip in clips.filter(is_settled).to_pylist():
            source = (clip["source_num_bytes"], clip["source_sha256"])
            found[clip["clip_id"]] = (records.Fingerprint(*source), clip["stored_in"])
    return found


@pytest.fixture
def version(tmp_path):
    """Clips 101, 102, 103, 105, 201, 301; 103 and all of its shard's are there."""
    return by_hand.publish(tmp_path, quarantined=["103", "301"])


def test_every_clip_of_a_shard_has_its_file_and_its_shard(version):
    places = {
        (entry.split, entry.index): f"{entry.split}/{entry.key}"
        for entry in version.manifest.shards
    }

    sources = settled(version)

    assert {clip_id: source for clip_id, (source, _) in sources.items()} == {
        clip_id: by_hand.source(clip_id)
        for clip_id in ("101", "102", "103", "105", "201", "301")
    }
    assert {clip_id: stored_in for clip_id, (_, stored_in) in sources.items()} == {
        "102": places["train", 0],
        "103": places["train", 0],
        "101": places["train", 1],
        "105": places["train", 1],
        "201": places["validation", 0],
        "301": places["test", 0],  # a shard that has no file, for want of rows
    }


def test_clips_of_no_shard_have_no_source(version):
    missing = records.Annotation("109", "train", 0, "Rolling")
    version = with_absent(version, missing=[missing], unlisted=["900"])
    assert not {"109", "900"} & settled(version).keys()


def test_the_listing_has_new_labels_and_splits_and_old_uris(version):
    new = listings.annotations(
        {"train": {"301": 1, "101": 0}, "validation": {"102": 0}}
    )

    listing = matching.match_version(version, new)

    assert listings.places_of(listing) == [
        ("301", "train", 1, "/clips/301.webm"),
        ("101", "train", 0, "/clips/101.webm"),
        ("102", "validation", 0, "/clips/102.webm"),
    ]
    assert (len(listing.missing), listing.num_unlisted) == (0, 0)


def test_quarantined_clips_are_listed_as_stored_ones_are(version):
    listing = matching.match_version(
        version, listings.annotations({"train": {"103": 1}})
    )
    assert [ref.clip_id for ref in listings.clips_of(listing)] == ["103"]


def test_annotated_clips_that_the_version_does_not_hold_are_missing(version):
    before = records.Annotation("109", "train", 0, "Rolling")
    version = with_absent(version, missing=[before], unlisted=["900"])
    new = listings.annotations({"train": {"900": 1, "101": 0, "109": 1, "107": 0}})

    listing = matching.match_version(version, new)

    assert [ref.clip_id for ref in listings.clips_of(listing)] == ["101"]
    assert listing.missing.first == ("900", "109", "107")
    assert len(listing.missing) == 3


def test_unlisted_files_stay_so_until_they_are_annotated(version):
    version = with_absent(version, unlisted=["900", "901", "aB"])
    new = listings.annotations({"train": {"101": 0, "901": 1}})
    assert list(matching.match_version(version, new).unlisted()) == ["900", "aB"]


def test_withdrawn_clips_are_neither_missing_nor_unlisted(version):
    new = listings.annotations({"train": {"101": 0}})
    listing = matching.match_version(version, new)
    assert (len(listing.missing), listing.num_unlisted) == (0, 0)


def test_a_table_that_is_not_the_published_one_is_refused(version):
    path = naming.clips_table_path(version.folder)
    path.write_bytes(path.read_bytes() + b"\0")
    new = listings.annotations()
    for read in (
        published_clips.PublishedClips,
        lambda version: matching.match_version(version, new),
    ):
        with pytest.raises(manifests.ManifestError, match="not the file that was publ"):
            read(version)


def test_quarantined_clips_that_are_still_annotated_are_named_with_why(version):
    new = listings.annotations({"test": {"301": -1, "101": -1}})
    quarantined = matching.match_version(version, new).quarantined
    assert quarantined.first == (("301", "truncated", "3 of 8 frames"),)
