import dataclasses
import os
import shutil

import pyarrow as pa
import pytest
from pyarrow import parquet

from mindrecord_io import naming, records
from mindrecord_io.storage import files
from mindrecord_io.versions import manifests, shard_checks, table_totals, version_checks
from tests import versions_by_hand as by_hand

LABELS = "versions/000001/labels"


@pytest.fixture
def version(tmp_path):
    """Clip 105 is quarantined; shards by clip: 102, 103; 101; 201; 301."""
    return by_hand.publish(tmp_path / "dataset", quarantined=["105"])


def rewrite_table(version, change):
    """Replaces clips.parquet by changed rows; returns the version that says so."""
    path = naming.clips_table_path(version.folder)
    table = parquet.read_table(path)
    rows = change(table.to_pylist())
    parquet.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    said = dataclasses.replace(version.manifest, clips_table=files.fingerprint(path))
    return manifests.Version(version.dataset, said)


def with_values(name, **values):
    def change(rows):
        return [row | values if row["clip_id"] == name else row for row in rows]

    return change


def found(version):
    return [(d.path, d.reason) for d in version_checks.check_version(version)]


def test_a_version_as_it_was_published_has_no_damage(version):
    assert found(version) == []


def test_a_version_of_which_nothing_is_stored_has_no_damage(tmp_path):
    clips = {"train": {"101": 0}}
    assert found(by_hand.publish(tmp_path, clips, quarantined=["101"])) == []


def test_a_table_of_another_size_is_told(version):
    path = naming.clips_table_path(version.folder)
    num_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    assert found(version) == [
        (
            "versions/000001/clips.parquet",
            f"has {num_bytes - 7} bytes, expected {num_bytes}",
        )
    ]


def test_a_table_of_other_content_is_told_and_not_read(version):
    path = naming.clips_table_path(version.folder)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # in the length of Parquet's footer
    path.write_bytes(content)
    digest = files.fingerprint(path).sha256
    expected = version.manifest.clips_table.sha256
    assert found(version) == [
        (
            "versions/000001/clips.parquet",
            f"has SHA-256 {digest}, expected {expected}",
        )
    ]


def test_a_table_that_is_gone_or_no_file_is_told(version):
    path = naming.clips_table_path(version.folder)
    num_bytes = path.stat().st_size
    path.unlink()
    assert found(version) == [
        ("versions/000001/clips.parquet", f"is missing, expected {num_bytes} bytes")
    ]


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "folder").mkdir()
    num_bytes = (tmp_path / "folder").stat().st_size
    published = records.Fingerprint(num_bytes, "0" * 64)
    path = (tmp_path / "folder").relative_to(tmp_path)
    (damage,) = version_checks.check_file(tmp_path, path, published)
    assert damage == version_checks.Damage("folder", "cannot be read: Is a directory")


@pytest.mark.parametrize(
    ("name", "value", "in_table"),
    [
        ("num_clips", 6, 5),
        ("num_quarantined", 0, 1),
        ("num_missing", 3, 0),
        ("num_unlisted", 1, 0),
        ("num_frames", 99, 14),
    ],
)
def test_counts_of_the_manifest_are_those_of_the_table(version, name, value, in_table):
    said = dataclasses.replace(version.manifest, **{name: value})
    assert found(manifests.Version(version.dataset, said)) == [
        (
            "versions/000001/manifest.json",
            f"{name} is {value}, in clips.parquet it is {in_table}",
        )
    ]


def test_rows_by_shard_are_those_of_the_table(version):
    first, *others = version.manifest.shards
    more = dataclasses.replace(first, num_rows=9)
    said = dataclasses.replace(version.manifest, shards=(more, *others))
    assert found(manifests.Version(version.dataset, said)) == [
        (
            "versions/000001/manifest.json",
            f"num_rows of {first.path} is 9, in clips.parquet it is {first.num_rows}",
        )
    ]


def test_a_shard_that_only_the_table_knows_is_told(version):
    first, *others = version.manifest.shards
    said = dataclasses.replace(version.manifest, shards=tuple(others))
    assert found(manifests.Version(version.dataset, said)) == [
        (
            "versions/000001/manifest.json",
            f"num_rows of {first.path}, which is not listed is 0, in clips.parquet "
            f"it is {first.num_rows}",
        )
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_values("103", row=0), "rows are not numbered 0, 1, 2, ...: ['shards/tr"),
        (with_values("103", row=5), "rows are not numbered 0, 1, 2, ...: ['shards/tr"),
        (with_values("103", frame_sizes=[9]), "than num_frames: ['103']"),
    ],
)
def test_a_table_that_contradicts_itself_is_told(version, change, reason):
    ((path, why),) = found(rewrite_table(version, change))
    assert path == "versions/000001/clips.parquet"
    assert reason in why


def test_a_clip_that_is_stored_twice_is_told(version):
    changed = rewrite_table(version, with_values("103", clip_id="102"))
    assert (
        "versions/000001/clips.parquet",
        "clips that are stored twice: ['102']",
    ) in (found(changed))


def test_an_unknown_status_is_told(version):
    changed = rewrite_table(version, with_values("105", status="lost"))
    reasons = [why for _, why in found(changed)]
    assert reasons == [
        "num_quarantined is 1, in clips.parquet it is 0",
        "the number of clips that are 'lost' is 0, in clips.parquet it is 1",
    ]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("category.txt", "Rolling", "has 1 labels, the manifest says 2"),
        (
            "category.txt",
            "Rolling\ntilting",
            "label_id 1 is 'tilting', in clips.parquet it is 'Tilting'",
        ),
        (
            "val_videofolder.txt",
            "201 2 0",
            "differs from clips.parquet: 1 lines too many: ['201 2 0']; 1 lines too "
            "few: ['201 2 1']",
        ),
        (
            "val_videofolder.txt",
            "",
            "differs from clips.parquet: 1 lines too few: ['201 2 1']",
        ),
        (
            "test_videofolder.txt",
            "301 3 0\n301 3 0",
            "differs from clips.parquet: 1 lines too many: ['301 3 0']",
        ),
        (
            "train_videofolder.txt",
            "1 1 1\n2 2 2\n3 3 3\n4 4 4\n5 5 5\n101 4 0\n102 2 1\n103 3 0",
            "differs from clips.parquet: 5 lines too many: ['1 1 1', '2 2 2', "
            "'3 3 3'] and 2 more",
        ),
    ],
)
def test_label_files_say_what_the_table_says(version, name, text, reason):
    (naming.labels_folder(version.folder) / name).write_text(text)
    assert (f"{LABELS}/{name}", reason) in found(version)


def test_the_order_of_the_list_files_does_not_matter(version):
    path = naming.labels_folder(version.folder) / "train_videofolder.txt"
    lines = path.read_text().split("\n")
    path.write_text("\n".join(lines[::-1]))
    assert found(version) == []


def test_label_files_that_are_gone_or_not_text_are_all_told(version):
    folder = naming.labels_folder(version.folder)
    (folder / "category.txt").write_bytes(b"\xff")
    (folder / "test_videofolder.txt").unlink()
    category, lists = found(version)
    assert category[0] == f"{LABELS}/category.txt"
    assert category[1].startswith("cannot be read: 'utf-8' codec can't decode")
    assert lists == (f"{LABELS}/test_videofolder.txt", "is missing")


def test_a_list_without_line_breaks_is_not_read_to_its_end(version):
    path = naming.labels_folder(version.folder) / naming.LIST_FILES["train"]
    os.truncate(path, 1 << 40)
    (damage,) = version_checks.check_version(version)
    assert damage.path.endswith(path.name)
    assert "a line of more than 8192 characters" in damage.reason


def test_unlabelled_clips_have_no_label_text_to_compare(version):
    changed = rewrite_table(version, with_values("301", label="anything"))
    assert found(changed) == []


def test_everything_wrong_is_told_at_once(version):
    shutil.rmtree(naming.labels_folder(version.folder))
    said = dataclasses.replace(version.manifest, num_clips=1, num_frames=2)
    paths = [path for path, _ in found(manifests.Version(version.dataset, said))]
    assert paths == ["versions/000001/manifest.json"] * 2 + [
        f"{LABELS}/{name}" for name in ("category.txt", *naming.LIST_FILES.values())
    ]


def test_the_columns_that_a_check_needs_are_in_the_table(version):
    for columns in (table_totals.COLUMNS, shard_checks._COLUMNS):
        version.read_clips(columns)
