import re

from pipelines.building import clip_notes


def row(clip_id, split="train", label="run", *, content="", reason="", detail=""):
    status = (
        "stored" if content else "missing" if reason == "missing" else "quarantined"
    )
    return {
        "clip_id": clip_id,
        "split": split,
        "label": label,
        "status": status,
        "reason": reason,
        "detail": detail,
        "uri": f"/clips/{clip_id}.webm",
    }


def noted(rows, folder):
    lost = clip_notes.LostClips()
    assert list(clip_notes.passing([rows], folder, lost)) == [rows]
    return lost


def lines(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_lost_clips_are_counted_by_reason_and_listed_one_a_line(tmp_path):
    detail = "2 of 8 frames; ffmpeg:\n[vp9]\tbad"
    lost = noted(
        [
            row("1", reason="truncated", detail=detail),
            row("2", content="a"),
            row("3", reason="empty", detail="/clips/3.webm has no bytes"),
            row("4", "test", "", reason="missing", detail="not there"),
            row("5", reason="truncated", detail="x" * 100),
        ],
        tmp_path,
    )

    assert str(lost) == "truncated 2, empty 1, missing 1"
    table = [re.split("   *", line) for line in lost.table().splitlines()]
    assert [(line[0], line[-1]) for line in table] == [
        ("reason", "what to do"),
        ("truncated", "copy the clip again, or replace it"),
        ("empty", "copy the clip again, or replace it"),
        ("missing", "add the file, or remove the annotation"),
    ]
    assert lost.table(70).splitlines()[:2] == [
        "reason     clips  what to do",
        "truncated  2      copy the clip again, or replace it",
    ]
    assert lines(tmp_path / "lost.tsv") == [
        ["clip_id", "split", "label", "reason", "detail", "uri"],
        [
            *("1", "train", "run", "truncated", "2 of 8 frames; ffmpeg: [vp9] bad"),
            "/clips/1.webm",
        ],
        [
            *("3", "train", "run", "empty", "/clips/3.webm has no bytes"),
            "/clips/3.webm",
        ],
        ["4", "test", "", "missing", "not there", "/clips/4.webm"],
        ["5", "train", "run", "truncated", "x" * 100, "/clips/5.webm"],
    ]


def test_there_is_no_list_where_nothing_is_lost(tmp_path):
    lost = noted([row("1", content="a"), row("2", content="b")], tmp_path)

    assert not lost.num_clips
    assert list(tmp_path.iterdir()) == []


def test_what_is_stored_without_some_of_its_frames_is_listed_and_not_lost(tmp_path):
    partial = row("1", content="a", reason="partial", detail="6 of 8 frames")
    lost = noted([partial, row("2", content="b")], tmp_path)
    assert str(lost) == ""
    assert [line[3:5] for line in lines(tmp_path / "lost.tsv")] == [
        ["reason", "detail"],
        ["partial", "6 of 8 frames"],
    ]
