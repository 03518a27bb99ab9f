import dataclasses
import hashlib
import zlib

import numpy as np
import pytest
from mindspore.dataset import MindDataset

from mindrecord_io import records
from mindrecord_io.shards import mindrecord_file, schema, shard_folders, writer
from mindrecord_io.storage import files

SMALL_PAGE = records.DecodeSettings(page_num_bytes=32 << 10)
NAME = "train-00000-of-00001.mindrecord"
EOI = b"\xff\xd9"


@pytest.fixture
def write(tmp_path, make_jpegs):
    """Writes a plan's clips: `write(plan, {clip_id: frames or Quarantined})`."""

    def write_into(plan, results=None, folder=tmp_path):
        folder.mkdir(exist_ok=True, parents=True)
        shard = writer.ShardWriter(folder, plan)
        for clip in plan.clips:
            result = (results or {}).get(clip.clip_id) or make_jpegs(clip.clip_id)
            if isinstance(result, records.Quarantined):
                shard.quarantine(clip, result)
            else:
                shard.append(clip, result)
        return shard.finish()

    return write_into


def frames_of(frame_sizes, sha256=""):
    """Frames of given sizes whose bytes are all different from their neighbours."""
    num_bytes = sum(frame_sizes)
    jpegs = np.random.default_rng(num_bytes).bytes(num_bytes)
    return records.ClipFrames(jpegs, tuple(frame_sizes), 2, 3, sha256=sha256)


def read_rows(path):
    rows = MindDataset([str(path)], list(schema.COLUMNS), shuffle=False)
    return list(rows.create_dict_iterator(num_epochs=1, output_numpy=True))


def bytes_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_plain_mind_dataset_reads_every_column_back(
    tmp_path, make_plan, make_jpegs, write
):
    frames = {
        "101": make_jpegs("101", 3, 16, 20),
        "102": make_jpegs("102", 1),
        "103": make_jpegs("103", 9),
    }
    plan = make_plan({"101": 2, "102": 173, "103": 0})
    assert [clip.clip_id for clip in plan.clips] == ["102", "103", "101"]
    write(plan, frames)

    rows = read_rows(tmp_path / NAME)
    for column, expected in {
        "clip_id": ["102", "103", "101"],
        "label": [173, 0, 2],
        "num_frames": [1, 9, 3],
        "height": [24, 24, 16],
        "width": [32, 32, 20],
    }.items():
        assert [row[column].item() for row in rows] == expected
    for row in rows:
        clip = frames[str(row["clip_id"])]
        assert row["frames"].tobytes() == clip.jpegs
        assert tuple(row["frame_sizes"].tolist()) == clip.frame_sizes
        assert row["frame_sizes"].dtype == row["label"].dtype == np.int32


def test_any_number_of_rows_comes_back_in_order(tmp_path, make_plan, write):
    plan = make_plan({str(n): n for n in range(11)})
    write(plan)
    rows = read_rows(tmp_path / NAME)
    assert [row["clip_id"] for row in rows] == [clip.clip_id for clip in plan.clips]
    assert [row["label"] for row in rows] == [clip.label_id for clip in plan.clips]


def test_jpegs_lie_in_the_file_where_the_summary_says(tmp_path, make_plan, write):
    # Clips of 20,000 and 3,000 bytes fill pages of 32,768 unevenly.
    results = {
        str(number): frames_of([20_000] if number % 3 else [1_000, 2_000])
        for number in range(12)
    }
    plan = make_plan(dict.fromkeys(results, 0), settings=SMALL_PAGE)
    summary = write(plan, results)

    content = (tmp_path / NAME).read_bytes()
    for clip in summary.clips:
        begin, expected = clip.frames_offset, results[clip.clip_id].jpegs
        assert content[begin : begin + sum(clip.frame_sizes)] == expected
    pages = {(clip.frames_offset - (256 << 10)) >> 15 for clip in summary.clips}
    assert len(pages) > 4


def test_every_frame_in_the_file_is_a_jpeg(tmp_path, make_plan, write):
    summary = write(make_plan({"101": 0, "102": 1}))
    content = (tmp_path / NAME).read_bytes()
    for clip in summary.clips:
        offset = clip.frames_offset
        for size in clip.frame_sizes:
            assert content[offset : offset + 2] == b"\xff\xd8"
            assert content[offset + size - 2 : offset + size] == b"\xff\xd9"
            offset += size


def test_the_summary_says_what_was_stored(tmp_path, make_plan, make_jpegs, write):
    frames = dataclasses.replace(
        make_jpegs("101", 3, 16, 20), facts=records.SourceFacts(29.97, 4)
    )
    plan = make_plan({"101": 2, "102": 0})
    summary = write(plan, {"101": frames})

    assert [clip.clip_id for clip in summary.clips] == ["102", "101"]
    assert summary.clips[1] == records.ClipOutcome(
        clip_id="101",
        label_id=2,
        source=plan.clips[1].source,
        status=records.STORED,
        height=16,
        width=20,
        facts=records.SourceFacts(fps_from_header=29.97, num_frames_from_header=4),
        row=1,
        frames_offset=summary.clips[1].frames_offset,
        frame_sizes=frames.frame_sizes,
        frames_sha256=hashlib.sha256(frames.jpegs).hexdigest(),
        frame_crc32s=tuple(zlib.crc32(j + EOI) for j in frames.jpegs.split(EOI)[:-1]),
    )
    assert (summary.split, summary.index, summary.num_shards) == ("train", 0, 1)
    assert (summary.key, summary.frames_key) == (plan.key, plan.frames_key)
    assert summary.mindrecord == files.fingerprint(tmp_path / NAME)
    assert summary.mindrecord_index == files.fingerprint(tmp_path / f"{NAME}.db")


def test_a_written_shard_is_published_with_its_summary(tmp_path, make_plan, write):
    plan = make_plan({"101": 0})
    folder = shard_folders.split_folder(tmp_path, "train") / "unfinished"
    summary = write(plan, folder=folder)
    shard_folders.publish(tmp_path, folder, summary)
    assert shard_folders.read_summary(tmp_path, "train", plan.key) == summary


def test_equal_plans_make_equal_bytes_in_any_folder(tmp_path, make_plan, write):
    plan = make_plan({"101": 2, "102": 0, "103": 1})
    write(plan, folder=tmp_path / "one")
    write(plan, folder=tmp_path / "another one, ä?#")
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "another one, ä?#")
    assert sorted(bytes_in(tmp_path / "one")) == ["summary.json", NAME, f"{NAME}.db"]


def test_a_changed_label_changes_the_shard_but_no_frame(tmp_path, make_plan, write):
    before = write(make_plan({"101": 2, "102": 0}), folder=tmp_path / "before")
    after = write(make_plan({"101": 2, "102": 1}), folder=tmp_path / "after")
    assert before.mindrecord != after.mindrecord
    assert [clip.frames_sha256 for clip in before.clips] == [
        clip.frames_sha256 for clip in after.clips
    ]


def test_the_files_can_be_read_by_others(tmp_path, make_plan, write):
    write(make_plan({"101": 0}))
    for name in (NAME, f"{NAME}.db"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("label_id", [records.UNLABELLED, 0, 2**31 - 1])
def test_every_label_id_comes_back(tmp_path, make_plan, write, label_id):
    summary = write(make_plan({"101": label_id}))
    assert read_rows(tmp_path / NAME)[0]["label"].item() == label_id
    assert summary.clips[0].label_id == label_id


def test_frames_that_end_in_zero_bytes_come_back_whole(tmp_path, make_plan, write):
    frames = records.ClipFrames(b"ab\0\0\0", (5,), 2, 3)
    summary = write(make_plan({"101": 0}), {"101": frames})
    assert read_rows(tmp_path / NAME)[0]["frames"].tobytes() == b"ab\0\0\0"
    assert sum(summary.clips[0].frame_sizes) == 5


def test_a_quarantined_clip_is_not_stored_but_accounted_for(tmp_path, make_plan, write):
    plan = make_plan({"101": 2, "102": 0, "103": 1})  # stored order: 102, 103, 101
    summary = write(plan, {"103": records.Quarantined("truncated", "3 of 8 frames")})

    rows = read_rows(tmp_path / NAME)
    assert [str(row["clip_id"]) for row in rows] == ["102", "101"]
    assert [clip.row for clip in summary.clips] == [0, -1, 1]
    assert summary.num_stored == 2
    assert summary.clips[1] == records.ClipOutcome(
        clip_id="103",
        label_id=1,
        source=plan.clips[1].source,
        status=records.QUARANTINED,
        reason="truncated",
        detail="3 of 8 frames",
    )


def test_a_shard_all_of_whose_clips_are_quarantined_has_only_a_summary(
    tmp_path, make_plan, write
):
    why = records.Quarantined("unreadable", "no video stream")
    summary = write(make_plan({"101": 2, "102": 0}), {"101": why, "102": why})
    assert list(bytes_in(tmp_path)) == ["summary.json"]
    assert (summary.mindrecord, summary.mindrecord_index) == (None, None)
    assert [clip.status for clip in summary.clips] == [records.QUARANTINED] * 2


# A page of 32,768 bytes, less 64, less 8 for each frame
@pytest.mark.parametrize("sizes", [(32_696,), (322,) * 98 + (356,), (4,) * 2_725])
def test_a_clip_that_just_fits_in_a_page_is_stored(tmp_path, make_plan, write, sizes):
    plan = make_plan({"101": 0, "102": 0}, settings=SMALL_PAGE)
    frames = frames_of(sizes)
    summary = write(plan, {"101": frames, "102": frames})
    assert summary.num_stored == 2
    assert [r["frames"].tobytes() for r in read_rows(tmp_path / NAME)] == [
        frames.jpegs,
        frames.jpegs,
    ]


# A page of 32,768 bytes has room for 32,704 bytes less 8 for each frame.
@pytest.mark.parametrize("sizes", [(32_697,), (4,) * 2_726])
def test_a_clip_that_is_larger_than_any_page_is_quarantined_with_the_limit(
    make_plan, write, sizes, monkeypatch
):
    monkeypatch.setattr(schema, "MAX_PAGE_NUM_BYTES", 32_768)
    plan = make_plan({"101": 0, "102": 0}, settings=SMALL_PAGE)
    summary = write(plan, {"101": frames_of(sizes)})
    by_id = {clip.clip_id: clip for clip in summary.clips}
    assert by_id["102"].status == records.STORED
    assert by_id["101"].status == records.QUARANTINED
    assert by_id["101"].reason == "too_large"
    assert by_id["101"].detail == (
        f"its {len(sizes)} JPEGs have {sum(sizes)} bytes, the most of a row is "
        f"{32_704 - 8 * len(sizes)}; reduce frames by --short_side"
    )


def test_frames_that_come_with_their_hash_are_stored(make_plan, write):
    sha256 = hashlib.sha256(frames_of([9]).jpegs).hexdigest()
    summary = write(make_plan({"101": 0}), {"101": frames_of([9], sha256)})
    assert summary.clips[0].frames_sha256 == sha256


def test_frames_that_come_with_another_hash_are_refused(tmp_path, make_plan):
    plan = make_plan({"101": 0})
    clip = dataclasses.replace(plan.clips[0], stored_in="train/" + "a" * 32)
    shard = writer.ShardWriter(tmp_path, dataclasses.replace(plan, clips=(clip,)))
    shard.append(clip, frames_of([9], "f" * 64))
    with pytest.raises(writer.ShardWriteError) as caught:
        shard.finish()
    text = str(caught.value)
    assert text.startswith(f"101: the frames stored in train/{'a' * 32} are damaged: ")
    assert f"expected {'f' * 64}" in text
    assert "summary.json" not in bytes_in(tmp_path)


def test_clips_out_of_the_plans_order_are_refused(tmp_path, make_plan, make_jpegs):
    plan = make_plan({"101": 2, "102": 0})
    shard = writer.ShardWriter(tmp_path, plan)
    with pytest.raises(writer.ShardWriteError) as caught:
        shard.append(plan.clips[1], make_jpegs("101"))
    assert str(caught.value) == f"{NAME}: 101 is not clip 0 of the plan"


def test_a_clip_that_is_not_quite_the_planned_one_is_refused(tmp_path, make_plan):
    plan = make_plan({"101": 2})
    shard = writer.ShardWriter(tmp_path, plan)
    relabelled = dataclasses.replace(plan.clips[0], label_id=3)
    with pytest.raises(writer.ShardWriteError, match="101 is not clip 0 of the plan"):
        shard.quarantine(relabelled, records.Quarantined("x", ""))


def test_more_clips_than_planned_are_refused(tmp_path, make_plan):
    plan = make_plan({"101": 2})
    shard = writer.ShardWriter(tmp_path, plan)
    shard.quarantine(plan.clips[0], records.Quarantined("x", ""))
    with pytest.raises(writer.ShardWriteError, match="101 is not clip 1 of the plan"):
        shard.quarantine(plan.clips[0], records.Quarantined("x", ""))


def test_a_shard_cannot_be_finished_before_its_last_clip(
    tmp_path, make_plan, make_jpegs
):
    plan = make_plan({"101": 2, "102": 0, "103": 1})
    shard = writer.ShardWriter(tmp_path, plan)
    shard.append(plan.clips[0], make_jpegs("102"))
    with pytest.raises(writer.ShardWriteError) as caught:
        shard.finish()
    assert str(caught.value) == f"{NAME}: 1 of 3 clips were given before finish"
    assert "summary.json" not in bytes_in(tmp_path)


def test_a_label_that_mindrecord_cannot_hold_is_noticed(tmp_path, make_plan, write):
    with pytest.raises(writer.ShardWriteError, match=f"{NAME}: cannot be read back"):
        write(make_plan({"101": 2**31}))
    assert "summary.json" not in bytes_in(tmp_path)


def test_an_unwritable_folder_is_named_with_the_room_that_is_left(
    tmp_path, make_plan, write
):
    (tmp_path / NAME).mkdir()  # in the way of the file
    with pytest.raises(writer.ShardWriteError) as caught:
        write(make_plan({"101": 0}))
    pattern = rf"{tmp_path / NAME}: 101: cannot be written: [^[]+ \(\d+ bytes free th"
    assert caught.match(pattern)


def test_a_row_that_reads_back_differently_is_noticed(
    tmp_path, make_plan, make_jpegs, monkeypatch
):
    plan = make_plan({"101": 2, "102": 0})
    shard = writer.ShardWriter(tmp_path, plan)
    for clip in plan.clips:
        shard.append(clip, make_jpegs(clip.clip_id))
    finish = mindrecord_file.MindRecordFile.finish

    def finish_and_damage(file):
        finish(file)
        content = (tmp_path / NAME).read_bytes()
        jpegs = make_jpegs("101").jpegs
        damaged = jpegs[:1] + bytes([jpegs[1] ^ 0x40]) + jpegs[2:]
        (tmp_path / NAME).write_bytes(content.replace(jpegs, damaged))

    monkeypatch.setattr(mindrecord_file.MindRecordFile, "finish", finish_and_damage)
    with pytest.raises(writer.ShardWriteError) as caught:
        shard.finish()
    assert str(caught.value) == (
        f"{tmp_path / NAME}: 2 of 2 rows read back; rows that differ: ['101']"
    )
    assert "summary.json" not in bytes_in(tmp_path)


def test_a_wrong_offset_of_the_frames_is_noticed(
    tmp_path, make_plan, write, monkeypatch
):
    append = mindrecord_file.MindRecordFile.append

    def append_and_mistake(file, row, frames):
        offset = append(file, row, frames)
        return offset + 1 if row.clip_id == "102" else offset

    monkeypatch.setattr(mindrecord_file.MindRecordFile, "append", append_and_mistake)
    with pytest.raises(writer.ShardWriteError, match=r"rows that differ: \['102'\]"):
        write(make_plan({"101": 2, "102": 0}))


def in_file(path, frames, offset=0):
    """The same frames, but lying in a file."""
    path.write_bytes(b"\1" * offset + frames.jpegs + b"\1" * 10)
    where = records.FileRange(path, offset, len(frames.jpegs))
    sha256 = hashlib.sha256(frames.jpegs).hexdigest()
    return dataclasses.replace(frames, jpegs=where, sha256=sha256)


def test_frames_that_lie_in_a_file_make_the_same_shard(
    tmp_path, make_plan, make_jpegs, write
):
    plan = make_plan({str(n): n for n in range(5)})
    stored = {
        clip_id: in_file(tmp_path / clip_id, make_jpegs(clip_id), offset=1_000)
        for clip_id in ("0", "3", "4")
    }
    write(plan, folder=tmp_path / "decoded")
    write(plan, stored, folder=tmp_path / "copied")
    assert bytes_in(tmp_path / "decoded") == bytes_in(tmp_path / "copied")


def test_a_file_that_ends_before_its_frames_do_is_named(
    tmp_path, make_plan, make_jpegs, write
):
    stored = in_file(tmp_path / "old", make_jpegs("101"), offset=100)
    num_bytes = stored.jpegs.num_bytes
    with (tmp_path / "old").open("r+b") as file:
        file.truncate(100 + num_bytes - 5)
    with pytest.raises(writer.ShardWriteError) as caught:
        write(make_plan({"101": 2}), {"101": stored}, folder=tmp_path / "new")
    assert (
        f"101: cannot be written: {tmp_path / 'old'} ends after {num_bytes - 5} of "
        f"{num_bytes} bytes from 100 on" in str(caught.value)
    )


def test_a_file_of_stored_frames_that_is_gone_is_named(
    tmp_path, make_plan, make_jpegs, write
):
    stored = in_file(tmp_path / "old", make_jpegs("101"))
    (tmp_path / "old").unlink()
    with pytest.raises(writer.ShardWriteError, match=rf"{tmp_path}/old: No such file"):
        write(make_plan({"101": 2}), {"101": stored}, folder=tmp_path / "new")
