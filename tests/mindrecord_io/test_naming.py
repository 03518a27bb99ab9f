from pathlib import Path

import pytest

from mindrecord_io import naming, records

DATASET = Path("/data/sthv2")
KEY = "0123456789abcdef0123456789abcdef"

SHARD_NAMES = [
    (("train", 17, 512), "train-00017-of-00512.mindrecord"),
    (("validation", 0, 1), "validation-00000-of-00001.mindrecord"),
    (("test", 99_999, 100_000), "test-99999-of-100000.mindrecord"),
    (("test", 100_000, 123_456), "test-100000-of-123456.mindrecord"),
]


@pytest.mark.parametrize(("fields", "name"), SHARD_NAMES)
def test_shard_name_is_made_and_read_back(fields, name):
    shard = naming.ShardName(*fields)
    assert str(shard) == name
    assert shard.index_file == f"{name}.db"
    assert naming.ShardName.parse(name) == shard


@pytest.mark.parametrize(
    "name",
    [
        "",
        "train-00017-of-00512",
        "train-00017-of-00512.mindrecord.db",
        "train-00017-of-00512.mindrecord\n",
        "train-17-of-512.mindrecord",
        "train-000017-of-00512.mindrecord",
        "train-00017-of-000512.mindrecord",
        "val-00017-of-00512.mindrecord",
        "Train-00017-of-00512.mindrecord",
        "train-0001a-of-00512.mindrecord",
        "train-\u0660\u0660\u0660\u0661\u0667-of-00512.mindrecord",
        "train--0017-of-00512.mindrecord",
        "x/train-00017-of-00512.mindrecord",
        "../train-00017-of-00512.mindrecord",
    ],
)
def test_shard_name_rejects_what_it_does_not_make(name):
    with pytest.raises(ValueError) as caught:
        naming.ShardName.parse(name)
    assert str(caught.value) == f"not the name of a shard: {name!r}"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (naming.current_path(DATASET), "CURRENT"),
        (naming.version_folder(DATASET, "000003"), "versions/000003"),
        (naming.manifest_path(DATASET / "v"), "v/manifest.json"),
        (naming.clips_table_path(DATASET / "v"), "v/clips.parquet"),
        (naming.labels_folder(DATASET / "v"), "v/labels"),
        (naming.shard_folder(DATASET, "test", KEY), f"shards/test/{KEY}"),
        (naming.summary_path(DATASET / "s"), "s/summary.json"),
    ],
)
def test_paths_are_those_of_the_documented_layout(found, expected):
    assert found == DATASET / expected


def test_there_is_a_list_file_for_every_split():
    assert tuple(naming.LIST_FILES) == records.SPLITS


@pytest.mark.parametrize(
    ("split", "key"),
    [
        ("val", KEY),
        ("..", KEY),
        ("", KEY),
        ("train", ""),
        ("train", ".."),
        ("train", KEY[1:]),
        ("train", KEY + "0"),
        ("train", KEY.upper()),
        ("train", KEY + "\n"),
        ("train", "../" + KEY[3:]),
    ],
)
def test_shard_folder_rejects_what_could_lead_elsewhere(split, key):
    with pytest.raises(ValueError) as caught:
        naming.shard_folder(DATASET, split, key)
    assert str(caught.value) == (f"no shard can be in split {split!r} with key {key!r}")


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "000001"), (999_999, "999999"), (1_000_000, "1000000")],
)
def test_version_is_named_by_its_number_and_read_back(number, name):
    assert naming.version_name(number) == name
    assert naming.version_number(name) == number


@pytest.mark.parametrize("number", [0, -1])
def test_versions_are_numbered_from_one(number):
    with pytest.raises(ValueError, match=f"numbered from 1, got {number}"):
        naming.version_name(number)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1",
        "00001",
        "v00001",
        "000001\n",
        " 000001",
        "../000001",
        "\u0660" * 5 + "1",
    ],
)
def test_what_names_no_version_becomes_no_path(name):
    with pytest.raises(ValueError) as caught:
        naming.version_folder(DATASET, name)
    assert str(caught.value) == f"a version is named like '000003', got {name!r}"


def test_work_in_progress_has_a_new_and_recognisable_name_each_time():
    first, second = (naming.incomplete_folder(DATASET) for _ in range(2))
    assert first != second
    assert first.parent == DATASET
    assert naming.is_incomplete(first)


@pytest.mark.parametrize("name", ["000001", KEY, ".hidden", "incomplete-1"])
def test_what_is_finished_is_not_taken_for_work_in_progress(name):
    assert not naming.is_incomplete(DATASET / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("000001", True),
        ("1000000", True),
        ("000000", False),
        (".incomplete-1", False),
        ("000001.old", False),
        ("", False),
    ],
)
def test_a_versions_name_is_told_from_other_names(name, expected):
    assert naming.is_version_name(name) is expected
