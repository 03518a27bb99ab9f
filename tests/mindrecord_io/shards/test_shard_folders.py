import dataclasses
import json

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import shard_folders
from mindrecord_io.storage import files

KEY = "0123456789abcdef0123456789abcdef"
NAME = "train-00001-of-00003.mindrecord"
SOURCE = records.Fingerprint(num_bytes=7, sha256="0123456789abcdef" * 4)
STORED = records.ClipOutcome(
    clip_id="78687",
    label_id=19,
    source=SOURCE,
    status=records.STORED,
    height=240,
    width=427,
    row=0,
    frames_offset=262_175,
    frame_sizes=(9000, 9100),
)
QUARANTINED = records.ClipOutcome(
    clip_id="5",
    label_id=3,
    source=SOURCE,
    status=records.QUARANTINED,
    reason="truncated",
    detail="12 of 40 frames",
)


def make_shard(dataset, content=b"mindrecord", name="unfinished"):
    """A finished but unpublished shard, and its summary; MindRecord has no say here."""
    folder = shard_folders.split_folder(dataset, "train") / name
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(content)
    (folder / f"{NAME}.db").write_bytes(b"index")
    summary = records.ShardSummary(
        split="train",
        index=1,
        num_shards=3,
        key=KEY,
        frames_key="b" * 32,
        mindrecord=files.fingerprint(folder / NAME),
        mindrecord_index=files.fingerprint(folder / f"{NAME}.db"),
        clips=(STORED, QUARANTINED),
    )
    shard_folders.write_summary(folder, summary)
    return folder, summary


@pytest.fixture
def published(tmp_path):
    """A published shard: its folder and its summary."""
    folder, summary = make_shard(tmp_path)
    shard_folders.publish(tmp_path, folder, summary)
    return naming.shard_folder(tmp_path, "train", KEY), summary


def test_a_published_shard_tells_its_summary(tmp_path, published):
    _, summary = published
    assert shard_folders.read_summary(tmp_path, "train", KEY) == summary


def test_a_published_shard_lies_under_its_key_with_the_names_it_had(published):
    folder, _ = published
    assert [path.name for path in folder.parent.iterdir()] == [KEY]
    assert sorted(path.name for path in folder.iterdir()) == [
        "summary.json",
        NAME,
        f"{NAME}.db",
    ]


def test_there_is_no_summary_of_a_shard_that_is_not_there(tmp_path, published):
    assert shard_folders.read_summary(tmp_path, "train", "f" * 32) is None
    assert shard_folders.read_summary(tmp_path, "test", KEY) is None
    assert shard_folders.read_summary(tmp_path / "elsewhere", "train", KEY) is None


def test_a_shard_is_not_there_before_it_is_published(tmp_path):
    make_shard(tmp_path)
    assert shard_folders.read_summary(tmp_path, "train", KEY) is None


def test_a_shard_that_is_published_twice_stays_as_it_was(tmp_path, published):
    folder, summary = published
    second_folder, second = make_shard(tmp_path, b"other content", name="second")
    shard_folders.publish(tmp_path, second_folder, second)
    assert (folder / NAME).read_bytes() == b"mindrecord"
    assert shard_folders.read_summary(tmp_path, "train", KEY) == summary
    assert second_folder.exists()  # whoever made it removes it


def test_publish_passes_on_what_is_no_rival(tmp_path):
    folder, summary = make_shard(tmp_path)
    elsewhere = dataclasses.replace(summary, split="test")
    with pytest.raises(FileNotFoundError):
        shard_folders.publish(tmp_path, folder, elsewhere)


def test_a_shard_all_of_whose_clips_are_quarantined_needs_no_files(tmp_path):
    folder, summary = make_shard(tmp_path)
    (folder / NAME).unlink()
    (folder / f"{NAME}.db").unlink()
    naming.summary_path(folder).unlink()
    summary = dataclasses.replace(
        summary, mindrecord=None, mindrecord_index=None, clips=(QUARANTINED,)
    )
    shard_folders.write_summary(folder, summary)
    shard_folders.publish(tmp_path, folder, summary)
    assert shard_folders.read_summary(tmp_path, "train", KEY) == summary


def test_a_summary_is_written_once(tmp_path):
    folder, summary = make_shard(tmp_path)
    with pytest.raises(FileExistsError):
        shard_folders.write_summary(folder, summary)


def edit_summary(folder, **fields):
    path = naming.summary_path(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def cut_summary(folder):
    path = naming.summary_path(folder)
    path.write_bytes(path.read_bytes()[:-20])


def nest_summary_deeply(folder):
    naming.summary_path(folder).write_text("[" * 100_000)


def make_summary_binary(folder):
    naming.summary_path(folder).write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: naming.summary_path(f).unlink(), "it has no summary.json"),
        (cut_summary, "bad summary.json: "),
        (nest_summary_deeply, "bad summary.json: "),
        (make_summary_binary, "bad summary.json: "),
        (
            lambda f: naming.summary_path(f).write_text("[]"),
            "bad summary.json: must be a JSON object, got []",
        ),
        (
            lambda f: edit_summary(f, index="1"),
            "bad summary.json: index must be int, got '1'",
        ),
        (
            lambda f: edit_summary(f, pages=3),
            "bad summary.json: missing fields [], unknown fields",
        ),
        (lambda f: edit_summary(f, key="f" * 32), "its summary is another shard's"),
        (lambda f: edit_summary(f, split="test"), "its summary is another shard's"),
        (lambda f: edit_summary(f, index=2), "train-00002-of-00003.mindrecord is gone"),
        (lambda f: (f / NAME).unlink(), f"{NAME} is gone"),
        (lambda f: (f / f"{NAME}.db").unlink(), f"{NAME}.db is gone"),
        (lambda f: (f / NAME).write_bytes(b"mindrec"), f"{NAME} has 7 bytes, not 10"),
        (lambda f: (f / NAME).write_bytes(b""), f"{NAME} has 0 bytes, not 10"),
        (
            lambda f: (f / f"{NAME}.db").write_bytes(b"index2"),
            f"{NAME}.db has 6 bytes, not 5",
        ),
    ],
)
def test_a_damaged_shard_is_refused_with_what_to_do(
    tmp_path, published, damage, message
):
    folder, _ = published
    damage(folder)
    with pytest.raises(shard_folders.ShardError) as caught:
        shard_folders.read_summary(tmp_path, "train", KEY)
    text = str(caught.value)
    assert text.startswith(f"{folder}: published shard is damaged: {message}")
    assert text.endswith("; `clipmill build --repair` makes it again")


@pytest.mark.parametrize("key", ["..", "", KEY + "/..", KEY.upper()])
def test_a_key_that_could_lead_elsewhere_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="no shard can be in split 'train' with key"):
        shard_folders.read_summary(tmp_path, "train", key)
