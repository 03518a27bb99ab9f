import dataclasses
import hashlib

import numpy as np
import pytest

from mindrecord_io import records
from mindrecord_io.shards import schema, sharding

SHA = "0123456789abcdef" * 4
SETTINGS = records.DecodeSettings()


def planned(clip_id, label_id=0, **fields):
    source = records.Fingerprint(num_bytes=7, sha256=SHA)
    clip = records.PlannedClip(clip_id, label_id, f"/clips/{clip_id}.webm", source)
    return dataclasses.replace(clip, **fields)


def plan(clips, *, split="train", index=0, num_shards=4, salt="clipmill", **settings):
    return sharding.plan_shard(
        split,
        index,
        num_shards,
        clips=clips,
        settings=dataclasses.replace(SETTINGS, **settings),
        salt=salt,
    )


def hash_by_definition(clip_id, salt):
    digest = hashlib.blake2b(clip_id.encode("utf-8"), digest_size=8, key=salt.encode())
    return int(digest.hexdigest(), 16)


@pytest.mark.parametrize(
    ("clip_id", "expected_hash", "in_2", "in_3", "in_512"),
    [
        ("1", 18_120_918_157_509_699_735, 1, 2, 502),
        ("78687", 15_928_159_901_865_732_393, 1, 2, 442),
        ("100218", 2_815_811_656_163_503_682, 0, 0, 78),
        ("a", 14_031_999_048_872_147_168, 1, 2, 389),
    ],
)
def test_clips_stay_in_the_shards_where_published_versions_have_them(
    clip_id, expected_hash, in_2, in_3, in_512
):
    assert sharding.clip_hash(clip_id, "clipmill") == expected_hash
    assert hash_by_definition(clip_id, "clipmill") == expected_hash
    indices = [sharding.shard_index(clip_id, n) for n in (1, 2, 3, 512)]
    assert indices == [0, in_2, in_3, in_512]


def test_another_salt_gives_another_distribution():
    assert sharding.DEFAULT_SALT == "clipmill"
    assert sharding.clip_hash("1", "other") == hash_by_definition("1", "other")
    found = {sharding.shard_index("1", 512, salt) for salt in ("a", "b", "c", "d")}
    assert len(found) == 4


def test_shards_are_equal_ranges_of_the_hash_in_order():
    ids = sorted(map(str, range(1000)), key=lambda i: hash_by_definition(i, "clipmill"))
    indices = [sharding.shard_index(clip_id, 7) for clip_id in ids]
    assert indices == sorted(indices)
    assert set(indices) == set(range(7))


@pytest.mark.parametrize("salt", ["clipmill", "other"])
def test_the_hashes_and_partitions_of_many_clips_are_those_of_each(salt):
    ids = [*map(str, range(500)), "é", ""]
    hashes = sharding.clip_hashes(iter(ids), salt)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [sharding.clip_hash(i, salt) for i in ids]
    assert sharding.partitions_of(hashes).tolist() == [
        sharding.partition_of(i, salt) for i in ids
    ]
    assert sharding.clip_hashes([]).tolist() == []


def test_the_shards_of_many_clips_are_those_of_each():
    hashes = [sharding.clip_hash(str(i), "clipmill") for i in range(500)]
    hashes += [0, 1, (1 << 32) - 1, 1 << 32, 1 << 63, (1 << 64) - 1]
    for num_shards in (1, 3, 512, (1 << 31) - 1):
        counts = np.full(len(hashes), num_shards, np.uint64)
        found = sharding.shard_indices(np.array(hashes, np.uint64), counts)
        assert found.tolist() == [(h * num_shards) >> 64 for h in hashes]


def test_shards_get_about_the_same_number_of_clips():
    counts = [0] * 10
    for number in range(10_000):
        counts[sharding.shard_index(str(number), 10)] += 1
    assert max(abs(count - 1000) for count in counts) < 150  # 5 standard deviations


@pytest.mark.parametrize(
    ("num_clips", "expected"),
    [
        *((0, 1), (1, 1), (127, 1), (128, 2), (32_767, 511), (32_768, 512)),
        *((100_000, 512), (220_847, 512), (221_102, 512), (221_103, 513)),
        (1_000_000, 2_320),
    ],
)
def test_a_shard_holds_64_clips_or_of_many_clips_up_to_431(num_clips, expected):
    assert sharding.default_num_shards(num_clips) == expected


@pytest.mark.parametrize(
    ("num_clips", "num_shards", "expected"),
    [
        # The data set's own sizes: quotas 389.38, 57.12 and 62.60 of the 509 to spare
        (
            {"train": 168_913, "validation": 24_777, "test": 27_157},
            512,
            {"train": 390, "validation": 58, "test": 64},
        ),
        ({"train": 100}, 1, {"train": 1}),
        ({"train": 100, "validation": 0}, 3, {"train": 3}),
        ({"train": 1, "validation": 1_000_000}, 2, {"train": 1, "validation": 1}),
        ({"train": 1, "validation": 1_000_000}, 9, {"train": 1, "validation": 8}),
        # Quotas 1.5 and 1.5: the tie goes to the earlier split
        ({"validation": 5, "train": 5}, 5, {"train": 3, "validation": 2}),
        # Quotas 2/3 each of 2 to spare: the two earlier ones
        (
            {"train": 4, "validation": 4, "test": 4},
            5,
            {"train": 2, "validation": 2, "test": 1},
        ),
        ({}, 0, {}),
    ],
)
def test_shards_are_shared_out_by_largest_remainder(num_clips, num_shards, expected):
    found = sharding.split_num_shards(num_clips, num_shards)
    assert found == expected
    assert list(found) == [split for split in records.SPLITS if split in expected]


def test_fewer_shards_than_splits_are_refused():
    with pytest.raises(ValueError) as caught:
        sharding.split_num_shards({"train": 9, "validation": 0, "test": 1}, 1)
    assert str(caught.value) == (
        "num_shards must be at least 2, one for each of ('train', 'test'): 1"
    )


def test_a_plan_holds_its_clips_in_hash_order_whatever_order_they_came_in():
    clips = [planned(str(number)) for number in range(50)]
    made = plan(clips)
    assert made == plan(reversed(clips)) == plan(iter(clips))
    expected = sorted(clips, key=lambda c: hash_by_definition(c.clip_id, "clipmill"))
    assert list(made.clips) == expected
    assert (made.split, made.index, made.num_shards) == ("train", 0, 4)


def test_the_salt_orders_the_clips():
    clips = [planned(str(number)) for number in range(50)]
    assert plan(clips).clips != plan(clips, salt="other").clips


def test_keys_stay_those_of_published_shards(make_plan):
    made = make_plan({"101": 2, "102": 0, "103": 1})
    assert [clip.clip_id for clip in made.clips] == ["102", "103", "101"]
    assert made.key == "ac0fd7b659c75efb9cddf7f6ab4bef9e"
    assert made.frames_key == "da4c4d39444110d9b9b466d209512182"


OTHER_SHA = records.Fingerprint(num_bytes=7, sha256=SHA[::-1])
OTHER_SIZE = records.Fingerprint(num_bytes=8, sha256=SHA)


@pytest.mark.parametrize(
    "other",
    [
        plan([planned("a"), planned("c")]),
        plan([planned("a")]),
        plan([planned("a"), planned("b"), planned("c")]),
        plan([planned("a"), planned("b", source=OTHER_SHA)]),
        plan([planned("a"), planned("b", source=OTHER_SIZE)]),
        plan([planned("a"), planned("b", expected_sha256=SHA[::-1])]),
        plan([planned("a"), planned("b")], split="test"),
        plan([planned("a"), planned("b")], index=1),
        plan([planned("a"), planned("b")], num_shards=5),
        plan([planned("a"), planned("b")], short_side_px=240),
        plan([planned("a"), planned("b")], jpeg_quality=91),
        plan([planned("a"), planned("b")], page_num_bytes=1 << 24),
        plan([planned("a"), planned("b")], accept_partial=0.25),
    ],
)
def test_both_keys_change_with_whatever_decides_the_frames(other):
    made = plan([planned("a"), planned("b")])
    assert made.key != other.key
    assert made.frames_key != other.frames_key


def test_both_keys_change_with_the_format_version(monkeypatch):
    before = plan([planned("a")])
    monkeypatch.setattr(schema, "SHARD_VERSION", schema.SHARD_VERSION + 1)
    after = plan([planned("a")])
    assert before.key != after.key
    assert before.frames_key != after.frames_key


def test_only_the_key_changes_with_a_label():
    before = plan([planned("a", 3), planned("b", 4)])
    after = plan([planned("a", 3), planned("b", records.UNLABELLED)])
    assert before.key != after.key
    assert before.frames_key == after.frames_key


def test_labels_that_change_places_change_the_key():
    assert (
        plan([planned("a", 3), planned("b", 4)]).key
        != plan([planned("a", 4), planned("b", 3)]).key
    )


def test_no_key_changes_with_the_place_of_the_clips_files():
    before = plan([planned("a", uri="/old/a.webm")])
    after = plan([planned("a", uri="s3://new/a.webm")])
    assert (before.key, before.frames_key) == (after.key, after.frames_key)


def test_no_key_changes_with_where_the_frames_are_copied_from():
    before = plan([planned("a")])
    after = plan([planned("a", stored_in="train/" + "0" * 32)])
    assert (before.key, before.frames_key) == (after.key, after.frames_key)


def test_a_key_is_of_the_form_that_names_a_folder():
    made = plan([planned("a")])
    for key in (made.key, made.frames_key):
        assert len(key) == 32
        assert set(key) <= set("0123456789abcdef")
    assert made.key != made.frames_key


def test_a_clip_given_twice_is_refused_and_both_are_named():
    clips = [planned("a", uri="/1/a.webm"), planned("b"), planned("a", uri="/2/a.webm")]
    with pytest.raises(ValueError, match=r"clip a is given twice: .*/1/a.*/2/a") as e:
        plan(clips)
    assert "b.webm" not in str(e.value)


def test_a_plan_without_clips_is_refused():
    with pytest.raises(ValueError, match="train shard 0 has no clips"):
        plan([])
