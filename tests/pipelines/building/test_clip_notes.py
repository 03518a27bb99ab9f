import re

import pytest

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
        "source_sha256": content,
    }


def noted(rows, folder):
    notes = clip_notes.ClipNotes()
    assert list(notes.passing([rows], folder)) == [rows]
    return notes, notes.same_bytes(folder)


def lines(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_lost_clips_are_counted_by_reason_and_listed_one_a_line(tmp_path):
    detail = "2 of 8 frames; ffmpeg:\n[vp9]\tbad"
    notes, _ = noted(
        [
            row("1", reason="truncated", detail=detail),
            row("2", content="a"),
            row("3", reason="empty", detail="/clips/3.webm has no bytes"),
            row("4", "test", "", reason="missing", detail="not there"),
            row("5", reason="truncated", detail="x" * 100),
        ],
        tmp_path,
    )

    assert str(notes.lost) == "truncated 2, empty 1, missing 1"
    table = [re.split("   *", line) for line in notes.lost.table().splitlines()]
    assert [(line[0], line[-1]) for line in table] == [
        ("reason", "what to do"),
        ("truncated", "copy the clip again, or replace it"),
        ("empty", "copy the clip again, or replace it"),
        ("missing", "add the file, or remove the annotation"),
    ]
    assert notes.lost.table(70).splitlines()[:2] == [
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


@pytest.mark.parametrize(
    ("second", "counts", "what"),
    [
        (("validation", "run"), (1, 0, 0), "leak"),
        (("train", "jump"), (0, 1, 0), "conflict"),
        (("validation", "jump"), (1, 1, 0), "leak+conflict"),
        (("test", ""), (1, 0, 0), "leak"),
        (("train", "run"), (0, 0, 1), "repeat"),
    ],
)
def test_equal_files_are_counted_by_what_they_are(tmp_path, second, counts, what):
    rows = [
        row("1", content="aa"),
        row("2", *second, content="aa"),
        row("3", content="b"),
    ]

    _, same = noted(rows, tmp_path)

    kinds = (same.leaks, same.conflicts, same.repeats)
    assert tuple(map(len, kinds)) == counts
    assert lines(tmp_path / "same_bytes.tsv")[1:] == [
        ["aa", what, "1", "train", "run", "/clips/1.webm"],
        ["aa", what, "2", *second, "/clips/2.webm"],
    ]
    assert f"(the first: 1 (train) and 2 ({second[0]}))" in str(same)


def test_there_are_no_lists_where_nothing_is_wrong(tmp_path):
    _, same = noted([row("1", content="a"), row("2", content="b")], tmp_path)

    assert not same
    assert list(tmp_path.iterdir()) == []
