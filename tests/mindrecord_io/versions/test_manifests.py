import dataclasses
import json
import re
import shutil
import threading

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import schema, shard_folders
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, manifests, opening, publication

KEY = "0123456789abcdef0123456789abcdef"
EMPTY_KEY = "0" * 32
SHARD = f"shards/train/{KEY}/train-00000-of-00002.mindrecord"
FILE = records.Fingerprint(num_bytes=100, sha256="0123456789abcdef" * 4)
INDEX = records.Fingerprint(num_bytes=11, sha256="0123456789abcdef" * 4)
SUMMARY = records.Fingerprint(num_bytes=12, sha256="fedcba9876543210" * 4)
ENTRY = manifests.ShardEntry(
    split="train",
    index=0,
    num_shards=2,
    key=KEY,
    frames_key="b" * 32,
    path=SHARD,
    num_rows=1,
    mindrecord=FILE,
    mindrecord_index=INDEX,
    summary=SUMMARY,
)
EMPTY_ENTRY = dataclasses.replace(
    ENTRY,
    index=1,
    key=EMPTY_KEY,
    path=f"shards/train/{EMPTY_KEY}",
    num_rows=0,
    mindrecord=None,
    mindrecord_index=None,
)
TEST_ENTRY = dataclasses.replace(
    ENTRY,
    split="test",
    num_shards=1,
    path=f"shards/test/{KEY}/test-00000-of-00001.mindrecord",
)
MANIFEST = manifests.Manifest(
    format_version=schema.FORMAT_VERSION,
    version="",
    parent="",
    created_at="2025-01-02T03:04:05+00:00",
    settings=records.DecodeSettings(short_side_px=240),
    salt="clipmill",
    label_digest="c" * 32,
    num_classes=2,
    num_clips=2,
    num_quarantined=3,
    num_missing=4,
    num_unlisted=5,
    num_frames=90,
    clips_table=FILE,
    shards=(ENTRY, EMPTY_ENTRY, TEST_ENTRY),
)
NUM_LISTED = 2 + 3 + 4 + 5
MISSING = records.Annotation("5", "train", 1, "Wärmen")


def prepare(dataset, name="unfinished"):
    """A folder that is ready to become a version."""
    folder = dataset / "versions" / f".incomplete-{name}"
    naming.labels_folder(folder).mkdir(parents=True)
    rows = clips_table.missing_rows([MISSING], "no file")
    others = clips_table.unlisted_rows(map(str, range(NUM_LISTED - 1)), "no use")
    clips_table.write(naming.clips_table_path(folder), [rows, others])
    category = naming.labels_folder(folder) / naming.CATEGORY_FILE
    category.write_text("Holding something\nWärmen", encoding="utf-8")
    return folder


def publish(dataset, parent="", name="unfinished"):
    folder = prepare(dataset, name)
    table = files.fingerprint(naming.clips_table_path(folder))
    fields = dataclasses.replace(MANIFEST, parent=parent, clips_table=table)
    return publication.publish(dataset, folder, fields)


def test_a_published_version_is_what_readers_get(tmp_path):
    version = publish(tmp_path)
    assert version == opening.open_version(tmp_path)
    table = files.fingerprint(naming.clips_table_path(version.folder))
    assert version.manifest == dataclasses.replace(
        MANIFEST, version="000001", clips_table=table
    )
    assert version.folder == tmp_path / "versions" / "000001"
    assert (tmp_path / "CURRENT").read_bytes() == b"000001\n"
    assert version.category_names() == ["Holding something", "Wärmen"]
    assert version.read_clips(["clip_id"], "train").to_pylist() == [{"clip_id": "5"}]
    assert version.shard_path(ENTRY) == tmp_path / SHARD


def test_versions_are_numbered_and_all_stay_readable(tmp_path):
    publish(tmp_path)
    publish(tmp_path, "000001")
    newest = publish(tmp_path, "000002")
    assert newest.manifest.version == "000003"
    assert opening.list_versions(tmp_path) == ["000001", "000002", "000003"]
    assert opening.current_name(tmp_path) == "000003"
    parents = [
        opening.open_version(tmp_path, name).manifest.parent
        for name in opening.list_versions(tmp_path)
    ]
    assert parents == ["", "000001", "000002"]


def test_versions_are_listed_by_number_past_a_million(tmp_path):
    for name in ("1000000", "999999", ".incomplete-1", "000002"):
        (tmp_path / "versions" / name).mkdir(parents=True)
        (tmp_path / "versions" / name / "manifest.json").touch()
    (tmp_path / "versions" / "000003").mkdir()  # unfinished: it has no manifest
    assert opening.list_versions(tmp_path) == ["000002", "999999", "1000000"]


@pytest.mark.parametrize("name", [".DS_Store", "lost+found", ".nfs0001", "000001.old"])
def test_what_a_file_system_leaves_among_the_versions_is_no_version(tmp_path, name):
    publish(tmp_path)
    (tmp_path / "versions" / name).write_bytes(b"")
    assert opening.list_versions(tmp_path) == ["000001"]
    assert publish(tmp_path, "000001").manifest.version == "000002"


def test_there_are_no_versions_where_there_is_no_data_set(tmp_path):
    assert opening.list_versions(tmp_path / "nowhere") == []
    assert opening.current_name(tmp_path / "nowhere") is None
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no data set here, or none published yet (no CURRENT file)"
    )


def test_num_bytes_and_num_shards_are_those_of_the_shards_listed():
    assert MANIFEST.num_bytes == 2 * (100 + 11)
    assert MANIFEST.num_shards == {"train": 2, "test": 1}


def test_an_entry_lists_what_the_shards_summary_says():
    outcome = records.ClipOutcome("5", 1, FILE, records.QUARANTINED)
    stored = dataclasses.replace(outcome, status=records.STORED, frame_sizes=(3,))
    summary = records.ShardSummary(
        "train", 0, 2, KEY, "b" * 32, FILE, INDEX, (stored, outcome)
    )
    file = shard_folders.SummaryFile(summary, SUMMARY)
    assert manifests.ShardEntry.of(file) == ENTRY
    empty = dataclasses.replace(
        summary,
        index=1,
        key=EMPTY_KEY,
        mindrecord=None,
        mindrecord_index=None,
        clips=(outcome,),
    )
    file = shard_folders.SummaryFile(empty, SUMMARY)
    assert manifests.ShardEntry.of(file) == EMPTY_ENTRY


def test_the_time_of_creation_is_utc_to_the_second():
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
    assert re.fullmatch(pattern, manifests.utc_now())


CONFLICT = (
    "{}: version {} was published by another process since this one began from {}; "
    "nothing is lost, run the same command again: finished shards are reused"
)


@pytest.mark.parametrize(
    ("parent", "began_from"), [("", "nothing"), ("000001", "000001")]
)
def test_a_rival_that_has_published_before_makes_a_conflict(
    tmp_path, parent, began_from
):
    publish(tmp_path)
    publish(tmp_path, "000001")
    with pytest.raises(manifests.PublishConflictError) as caught:
        publish(tmp_path, parent)
    assert str(caught.value) == CONFLICT.format(tmp_path, "000002", began_from)
    assert opening.list_versions(tmp_path) == ["000001", "000002"]
    assert opening.current_name(tmp_path) == "000002"


def test_a_rival_that_takes_the_name_first_makes_a_conflict(tmp_path, monkeypatch):
    publish(tmp_path)
    write_synced = files.write_synced

    def write_after_the_rival(path, content):
        if path.name == "manifest.json":
            shutil.copytree(tmp_path / "versions/000001", tmp_path / "versions/000002")
        write_synced(path, content)

    monkeypatch.setattr(files, "write_synced", write_after_the_rival)
    with pytest.raises(manifests.PublishConflictError, match="run the same command"):
        publish(tmp_path, "000001")
    assert opening.current_name(tmp_path) == "000001"


def test_a_rival_between_the_rename_and_current_waits_and_has_a_conflict(
    tmp_path, monkeypatch
):
    publish(tmp_path)
    outcomes = []

    def publish_too():
        try:
            outcomes.append(publish(tmp_path, "000001", name="rival"))
        except manifests.PublishConflictError as conflict:
            outcomes.append(conflict)

    rival = threading.Thread(target=publish_too)
    replace_file = files.replace_file

    def replace_with_a_rival(path, content):
        monkeypatch.setattr(files, "replace_file", replace_file)
        rival.start()
        rival.join(timeout=0.2)  # time enough to publish, were it not kept out
        replace_file(path, content)

    monkeypatch.setattr(files, "replace_file", replace_with_a_rival)
    publish(tmp_path, "000001")
    rival.join()
    assert isinstance(outcomes[0], manifests.PublishConflictError)
    assert opening.list_versions(tmp_path) == ["000001", "000002"]
    assert opening.current_name(tmp_path) == "000002"


def test_a_crash_before_current_is_moved_leaves_the_old_version(tmp_path, monkeypatch):
    publish(tmp_path)

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "replace_file", crash)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, "000001")
    monkeypatch.undo()
    assert opening.open_version(tmp_path).manifest.version == "000001"

    after = publish(tmp_path, "000001")
    assert after.manifest.version == "000003"
    assert after.manifest.parent == "000001"
    assert opening.open_version(tmp_path) == after


def test_a_manifest_left_by_an_earlier_attempt_is_replaced(tmp_path):
    folder = prepare(tmp_path)
    naming.manifest_path(folder).write_text("cut off")
    version = publication.publish(tmp_path, folder, MANIFEST)
    assert version.manifest.num_frames == 90


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"../..\n",
        b"/etc\n",
        b"000001/..",
        b"1",
        b"\xff\xfe",
        b"v1",
        b"0" * 5,
    ],
)
def test_a_current_that_names_no_version_is_refused(tmp_path, content):
    publish(tmp_path)
    path = naming.current_path(tmp_path)
    path.write_bytes(content)
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path)
    assert str(caught.value).startswith(f"{path}: does not name a version: ")


def test_nothing_is_published_over_a_current_that_names_no_version(tmp_path):
    publish(tmp_path)
    naming.current_path(tmp_path).write_bytes(b"../..\n")
    with pytest.raises(manifests.ManifestError, match="does not name a version"):
        publish(tmp_path, "000001")
    assert opening.list_versions(tmp_path) == ["000001"]


def test_an_unknown_version_is_refused_with_those_there_are(tmp_path):
    publish(tmp_path)
    publish(tmp_path, "000001")
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path, "000007")
    assert str(caught.value) == (
        f"{tmp_path}: no version 000007, there are ['000001', '000002']"
    )


@pytest.mark.parametrize("name", ["../000001", "7", "latest", "/000001"])
def test_a_version_name_that_could_lead_elsewhere_is_refused(tmp_path, name):
    publish(tmp_path)
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path, name)
    assert str(caught.value) == (
        f"{tmp_path}: version {name!r}: a version is named like '000003', got {name!r}"
    )


def edit(path, change):
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def escape(path):
    return lambda fields: fields["shards"][0].update(path=path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.update(format_version=schema.FORMAT_VERSION + 1, new_field=1),
            f"format version {schema.FORMAT_VERSION + 1} is newer than this program's "
            f"{schema.FORMAT_VERSION}: use a newer clipmill",
        ),
        (
            lambda f: f.update(num_frames="90"),
            "not a manifest: num_frames must be int, got '90'",
        ),
        (
            lambda f: f.update(format_version="1"),
            "not a manifest: format_version must be int, got '1'",
        ),
        (
            lambda f: f.pop("salt"),
            "not a manifest: missing fields ['salt'], unknown fields []",
        ),
        (
            lambda f: f.update(shards={}),
            "not a manifest: shards must be a list, got {}",
        ),
        (
            lambda f: f["settings"].update(jpeg_quality=0),
            "not a manifest: jpeg_quality must be in [1, 100]: 0",
        ),
        (
            lambda f: f["shards"][0].update(key="../../.."),
            "not a manifest: no shard can be in split 'train' with key '../../..'",
        ),
        (
            lambda f: f["shards"][0].update(split="../train"),
            "not a manifest: no shard can be in split '../train' with key",
        ),
        (
            escape("/etc/passwd"),
            f"not a manifest: shard path must be {SHARD}, got '/etc/passwd'",
        ),
        (
            escape(f"../{SHARD}"),
            f"not a manifest: shard path must be {SHARD}, got '../{SHARD}'",
        ),
        (
            escape(SHARD.replace("train-00000", "train-00001")),
            f"not a manifest: shard path must be {SHARD}, got ",
        ),
        (
            lambda f: f["shards"][0].update(mindrecord=None),
            f"not a manifest: shard path must be shards/train/{KEY}, got '{SHARD}'",
        ),
        (
            lambda f: f.update(version="000002"),
            "not a manifest: it is of version '000002'",
        ),
        (
            lambda f: f.update(version="../.."),
            "not a manifest: it is of version '../..'",
        ),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(tmp_path, change, message):
    path = naming.manifest_path(publish(tmp_path).folder)
    edit(path, change)
    with pytest.raises(manifests.ManifestError) as caught:
        opening.open_version(tmp_path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_version_with_real_shards_lists_what_is_on_disk(published_version):
    found = published_version.manifest
    assert (found.num_clips, found.num_quarantined, found.num_missing) == (11, 1, 1)
    assert found.num_shards == {"train": 2, "validation": 1}
    for entry in found.shards:
        path = published_version.shard_path(entry)
        assert files.fingerprint(path) == entry.mindrecord
        index_path = path.with_name(f"{path.name}.db")
        assert files.fingerprint(index_path) == entry.mindrecord_index
