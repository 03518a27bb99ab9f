import dataclasses
import json
import random
import shutil

import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import schema
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, manifests, version_checks
from mindrecord_io.versions import shard_checks as checks
from tests import versions_by_hand as by_hand

NUM_FLIPS = 200


@pytest.fixture
def version(tmp_path):
    """Clip 105 is quarantined; shards by clip: 102, 103; 101; 201; 301."""
    return by_hand.publish(tmp_path / "dataset", quarantined=["105", "301"])


@pytest.fixture
def train_shard(version):
    """The entry of the first shard of train: clips 102 and 103."""
    (entry,) = (
        e for e in version.manifest.shards if (e.split, e.index) == ("train", 0)
    )
    return entry


def found(version, entry):
    clips = checks.shard_clips(version, entry)
    return [(d.path, d.reason) for d in checks.check_shard(version, entry, clips)]


def found_by_size(version, entry):
    return [(d.path, d.reason) for d in checks.check_sizes(version, entry)]


def flip(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def test_shards_as_they_were_published_have_no_damage(version):
    for entry in version.manifest.shards:
        assert found(version, entry) == []
        assert found_by_size(version, entry) == []


def test_real_shards_have_no_damage(published_version):
    for entry in published_version.manifest.shards:
        assert found(published_version, entry) == []


def test_a_shard_that_is_gone_is_one_damage(version, train_shard):
    folder = version.shard_path(train_shard).parent
    shutil.rmtree(folder)
    expected = [
        (
            folder.relative_to(version.dataset).as_posix(),
            "cannot be listed: No such file or directory; expected 2 clips",
        )
    ]
    assert found(version, train_shard) == expected
    assert found_by_size(version, train_shard) == expected


@pytest.mark.parametrize("suffix", ["", ".db"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "is missing, expected {0} bytes"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            "has {1} bytes, expected {0}",
        ),
        (lambda path: path.write_bytes(b""), "has 0 bytes, expected {0}"),
    ],
)
def test_a_file_of_another_size_is_told_without_reading_it(
    version, train_shard, suffix, damage, reason
):
    path = version.shard_path(train_shard)
    path = path.with_name(path.name + suffix)
    num_bytes = path.stat().st_size
    damage(path)
    expected = [
        (train_shard.path + suffix, reason.format(num_bytes, num_bytes - 1)),
    ]
    assert found_by_size(version, train_shard) == expected
    assert found(version, train_shard) == expected


def test_another_content_of_the_same_size_is_told(version, train_shard):
    path = version.shard_path(train_shard)
    flip(path, 3)
    assert found_by_size(version, train_shard) == []
    assert found(version, train_shard) == [
        (
            train_shard.path,
            f"has SHA-256 {files.fingerprint(path).sha256}, "
            f"expected {train_shard.mindrecord.sha256}",
        )
    ]


def test_a_file_more_is_told(version, train_shard):
    path = version.shard_path(train_shard).with_name("train-00000.part")
    path.write_bytes(b"")
    assert found(version, train_shard) == [
        (
            path.relative_to(version.dataset).as_posix(),
            "is no part of the published shard",
        )
    ]


def test_files_where_nothing_was_stored_are_told(version):
    (entry,) = (e for e in version.manifest.shards if e.split == "test")
    assert entry.num_rows == 0
    (version.dataset / entry.path / "test-00000-of-00001.mindrecord").write_bytes(b"x")
    assert [why for _, why in found(version, entry)] == [
        "is no part of the published shard"
    ]


def test_a_missing_summary_is_told(version, train_shard):
    path = naming.summary_path(version.shard_path(train_shard).parent)
    path.unlink()
    expected = [(path.relative_to(version.dataset).as_posix(), "is missing")]
    assert found(version, train_shard) == expected
    assert found_by_size(version, train_shard) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not a shard's summary: Expecting property name"),
        ("[]", "is not a shard's summary: must be a JSON object"),
        ("[" * 100_000, "is not a shard's summary: JSON is nested too deeply"),
        (b"\xff", "is not a shard's summary: 'utf-8' codec can't decode"),
    ],
)
def test_a_summary_that_is_none_is_told(version, train_shard, text, reason):
    path = naming.summary_path(version.shard_path(train_shard).parent)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ((where, why),) = found(version, train_shard)
    assert where == path.relative_to(version.dataset).as_posix()
    assert why.startswith(reason)


def change_summary(version, entry, change):
    path = naming.summary_path(version.shard_path(entry).parent)
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda s: s.update(frames_key="ab"),
            "says frames_key 'ab', the manifest says '",
        ),
        (
            lambda s: s["mindrecord"].update(num_bytes=7),
            "says mindrecord {'num_bytes': 7, 'sha256': '",
        ),
        (
            lambda s: s["clips"][0].update(label_id=7),
            "tells of 2 clips, clips.parquet of 2; those that differ: ['10",
        ),
        (
            lambda s: s["clips"][1].update(frames_offset=0),
            "tells of 2 clips, clips.parquet of 2; those that differ: ['10",
        ),
        (
            lambda s: s["clips"].append(s["clips"][0] | {"clip_id": "900"}),
            "tells of 3 clips, clips.parquet of 2; those that differ: ['900']",
        ),
    ],
)
def test_a_summary_that_disagrees_is_told(version, train_shard, change, reason):
    change_summary(version, train_shard, change)
    path = naming.summary_path(version.shard_path(train_shard).parent)
    damaged = found(version, train_shard)
    assert {where for where, _ in damaged} == {
        path.relative_to(version.dataset).as_posix()
    }
    assert any(why.startswith(reason) for _, why in damaged)


def test_the_summary_may_not_drop_a_quarantined_clip(version):
    (entry,) = (
        e for e in version.manifest.shards if (e.split, e.index) == ("train", 1)
    )
    change_summary(
        version,
        entry,
        lambda s: s.update(clips=[c for c in s["clips"] if c["status"] == "stored"]),
    )
    whys = [why for _, why in found(version, entry)]
    assert [why.partition(" {")[0] for why in whys[:-1]] == ["says summary"]
    assert whys[-1] == (
        "tells of 1 clips, clips.parquet of 2; those that differ: ['105']"
    )


def test_without_a_table_the_manifest_alone_is_compared(version, train_shard):
    change_summary(version, train_shard, lambda s: s["clips"][0].update(label_id=7))
    of_format_1 = dataclasses.replace(train_shard, summary=None)
    assert checks.check_shard(version, of_format_1, None) == []
    (damage,) = checks.check_shard(version, train_shard, None)
    assert damage.reason.startswith("says summary {'num_bytes': ")
    assert checks.check_summary(version, train_shard) == [damage]
    flip(version.shard_path(train_shard), 3)
    assert len(checks.check_shard(version, of_format_1, None)) == 1


def test_a_summary_of_another_size_is_told_from_a_listing(train_shard):
    sizes = {"summary.json": train_shard.summary.num_bytes}
    assert checks.check_summary_size(train_shard, sizes) == []
    assert checks.check_summary_size(train_shard, {}) == []  # it is missing
    (damage,) = checks.check_summary_size(train_shard, {"summary.json": 7})
    assert damage.reason.startswith("has 7 bytes, expected ")
    of_format_1 = dataclasses.replace(train_shard, summary=None)
    assert checks.check_summary_size(of_format_1, {"summary.json": 7}) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(row=1), "row is 1, expected 0"),
        (lambda c: c.update(frames_offset=10**15), f"its frames are at bytes {10**15}"),
        (lambda c: c.update(frames_offset=-1), "its frames are at bytes -1 to"),
        (lambda c: c["frame_sizes"].__setitem__(0, 0), "a frame has 0 bytes"),
        (lambda c: c.update(height=0), "its frames have 64 x 0 pixels"),
        (lambda c: c.update(frames_sha256="x"), "frames_sha256 is 'x'"),
        (
            lambda c: c.update(status="quarantined", frame_sizes=[]),
            "not stored, and yet has a place",
        ),
    ],
)
def test_a_summary_that_contradicts_itself_is_told(
    version, train_shard, change, reason
):
    change_summary(version, train_shard, lambda s: change(s["clips"][0]))
    of_format_1 = dataclasses.replace(train_shard, summary=None)
    whys = [damage.reason for damage in checks.check_summary(version, of_format_1)]
    assert any(
        why.startswith("contradicts itself: clip 10") and reason in why for why in whys
    )


def republished(version, entry, content):
    """Returns the version and the entry as if the shard had been published so."""
    path = version.shard_path(entry)
    path.write_bytes(content)
    content_after = files.fingerprint(path)
    change_summary(
        version,
        entry,
        lambda s: s.update(mindrecord=records.to_json(content_after)),
    )
    after = dataclasses.replace(
        entry,
        mindrecord=content_after,
        summary=files.fingerprint(naming.summary_path(path.parent)),
    )
    entries = [after if e == entry else e for e in version.manifest.shards]
    said = dataclasses.replace(version.manifest, shards=tuple(entries))
    return manifests.Version(version.dataset, said), after


def test_every_frame_begins_and_ends_as_a_jpeg(version, train_shard):
    clips = {c["clip_id"]: c for c in checks.shard_clips(version, train_shard)}
    first, second, _ = clips["103"]["frame_sizes"]
    begin = clips["103"]["frames_offset"] + first
    content = bytearray(version.shard_path(train_shard).read_bytes())
    content[begin + 1] ^= 0xFF
    changed, entry = republished(version, train_shard, bytes(content))
    assert found(changed, entry) == [
        (
            entry.path,
            f"clip 103, frame 1: bytes [{begin}, {begin + second}) begin ff27 and end "
            f"ffd9, expected ffd8 and ffd9",
        )
    ]


def test_only_the_first_wrong_frames_are_named(version):
    clips = {"train": {str(n): 0 for n in range(400, 420)}}
    version = by_hand.publish(version.dataset, clips)
    entry = version.manifest.shards[0]
    content = version.shard_path(entry).read_bytes().replace(b"\xff\xd9", b"\0\0")
    changed, entry = republished(version, entry, content)
    reasons = [why for _, why in found(changed, entry)]
    num_frames = sum(
        len(clip["frame_sizes"]) for clip in checks.shard_clips(changed, entry)
    )
    assert len(reasons) == 6
    assert reasons[-1] == f"{num_frames - 5} more frames are not JPEGs"


def test_frames_beyond_the_end_of_the_file_are_told(version, train_shard):
    content = version.shard_path(train_shard).read_bytes()
    changed, entry = republished(version, train_shard, content[:-4])
    (why,) = checks._wrong_frames(
        changed.shard_path(entry),
        checks.stored_clips(checks.shard_clips(changed, entry)),
    )
    assert "end , expected ffd8 and ffd9" in why
    ((_, why),) = found(changed, entry)
    assert "contradicts itself: clip 10" in why


def test_stored_clips_are_in_storage_order(version, train_shard):
    clips = checks.shard_clips(version, train_shard)
    stored = checks.stored_clips(reversed(clips))
    assert [clip["row"] for clip in stored] == [0, 1]


def test_a_table_that_cannot_be_read_is_an_error(version, train_shard):
    naming.clips_table_path(version.folder).write_bytes(b"PAR1 no PAR1")
    with pytest.raises(clips_table.TableError, match=r"clips\.parquet: cannot be read"):
        checks.shard_clips(version, train_shard)


def places(version, entry, rng):
    """Seeded places of bits, in every part of a shard's two files."""
    path = version.shard_path(entry)
    page = version.manifest.settings.page_num_bytes
    num_bytes, begin = path.stat().st_size, schema.HEADER_NUM_BYTES
    parts = {
        "header": (path, 0, begin),
        "blob page": (path, begin, begin + page),
        "raw page": (path, begin + page, num_bytes),
        "index": (path.with_name(path.name + ".db"), 0, None),
    }
    for name, (file, first, end) in parts.items():
        end = file.stat().st_size if end is None else end
        assert end > first, name
        for _ in range(NUM_FLIPS // len(parts)):
            yield file, rng.randrange(first, end), rng.randrange(8)


def test_a_bit_flipped_anywhere_in_a_shard_is_found(published_version, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(published_version.dataset, dataset)
    version = manifests.Version(dataset, published_version.manifest)
    entry = version.manifest.shards[0]
    clips = checks.shard_clips(version, entry)
    num_found = 0
    for file, position, bit in places(version, entry, random.Random(7)):
        flip(file, position, bit)
        damaged = checks.check_shard(version, entry, clips)
        flip(file, position, bit)
        expected_path = file.relative_to(dataset).as_posix()
        assert [damage.path for damage in damaged] == [expected_path]
        assert damaged[0].reason.startswith("has SHA-256 ")
        num_found += 1
    assert num_found == NUM_FLIPS
    assert checks.check_shard(version, entry, clips) == []


def test_damages_are_one_line(version, train_shard):
    flip(version.shard_path(train_shard), 3)
    for damage in checks.check_shard(version, train_shard, None):
        assert isinstance(damage, version_checks.Damage)
        assert "\n" not in damage.path + damage.reason
