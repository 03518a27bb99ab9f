import dataclasses
import re

import numpy as np
import pyarrow as pa
import pytest

from mindrecord_io.serving import clip_index, split_columns
from mindrecord_io.serving.split_columns import GrowingArray
from mindrecord_io.versions import clips_table, manifests


def test_ids_are_those_of_the_index_in_its_order(published_version):
    index = clip_index.read_clip_index(published_version, "validation")
    actual = split_columns.clip_ids_of(published_version, "validation")
    assert actual == index.clip_ids
    assert len(actual) == 4


def test_a_split_without_clips_has_no_ids(published_version):
    assert list(split_columns.clip_ids_of(published_version, "test")) == []


@pytest.mark.parametrize("wrong", ["", "0" * 63, "0" * 65, "g" + "0" * 63, "AB" * 32])
def test_a_stored_clip_without_a_hash_is_refused(published_version, monkeypatch, wrong):
    batches = manifests.Version.clip_batches

    def spoilt(version, columns, split=None):
        for batch in batches(version, columns, split):
            hashes = batch.column("frames_sha256").to_pylist()
            is_stored = [s == "stored" for s in batch.column("status").to_pylist()]
            hashes[is_stored.index(True)] = wrong
            index = batch.schema.get_field_index("frames_sha256")
            yield batch.set_column(index, "frames_sha256", pa.array(hashes))

    monkeypatch.setattr(manifests.Version, "clip_batches", spoilt)
    expected = re.escape(f"frames_sha256 of a stored clip is {wrong!r}, no SHA-256")
    with pytest.raises(clips_table.TableError, match=expected):
        split_columns.Identity(published_version, "train")


def test_a_table_that_is_not_the_published_one_is_refused(published_version):
    published = published_version.manifest
    other = dataclasses.replace(published.clips_table, num_bytes=1)
    version = dataclasses.replace(
        published_version, manifest=dataclasses.replace(published, clips_table=other)
    )
    with pytest.raises(
        manifests.ManifestError, match="not the file that was published"
    ):
        split_columns.Places(version, "train")


def test_pieces_come_out_end_to_end():
    array = GrowingArray(np.int64)
    for begin in range(0, 1_000, 7):
        array.extend(np.arange(begin, min(begin + 7, 1_000)))
    actual = array.finish()
    assert actual.dtype == np.int64
    assert actual.tolist() == list(range(1_000))


def test_nothing_is_an_empty_array():
    array = GrowingArray(np.uint16, np.int32)
    array.extend(np.empty(0, np.int32))
    assert array.finish().shape == (0,)


@pytest.mark.parametrize(
    ("pieces", "dtype"),
    [
        ([[0, 65_535], [3]], np.uint16),
        ([[0, 65_536], [3]], np.int32),
        ([[1, 2], [3, 4], [2**31 - 1, 5]], np.int32),
        ([[7], [-1]], np.int32),
    ],
)
def test_the_narrowest_type_that_holds_everything_is_used(pieces, dtype):
    array = GrowingArray(np.uint16, np.int32)
    for piece in pieces:
        array.extend(np.array(piece))
    actual = array.finish()
    assert actual.dtype == dtype
    assert actual.tolist() == [value for piece in pieces for value in piece]
