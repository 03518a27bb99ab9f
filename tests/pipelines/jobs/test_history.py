import dataclasses
import json
import os
import subprocess
import sys

import pytest

from mindrecord_io import naming, records
from mindrecord_io.versions import manifests, version_differences
from pipelines.jobs import history
from tests import versions_by_hand as by_hand


def lines_and_result(capsys):
    *lines, last = capsys.readouterr().out.splitlines()
    return lines, json.loads(last)


def test_one_line_a_version_the_current_one_last_and_marked(tmp_path, capsys):
    by_hand.publish(tmp_path, quarantined=["201"])
    by_hand.publish(tmp_path, by_hand.without("103"))

    assert history.main(["--dataset", str(tmp_path)]) == 0

    lines, result = lines_and_result(capsys)
    first, second = result["versions"]
    # Frames by clip, 2 + id % 3: 101: 4, 102: 2, 103: 3, 105: 2, 301: 3.
    assert lines[0] == (
        "  000001  2025-01-02T03:04:05+00:00  5 clips, 14 frames, "
        f"{first['num_bytes'] / 1000:.1f} kB, 1 quarantined, 0 missing, 2 classes  "
        "the first version"
    )
    assert lines[1].startswith("* 000002  2025-01-02T03:04:05+00:00  4 clips, 11 fr")
    assert lines[1].endswith("from 000001: " + ", ".join(second["changes"]))
    assert [first["is_current"], second["is_current"]] == [False, True]


def test_changes_against_the_parent_are_told_in_words(tmp_path):
    by_hand.publish(tmp_path)
    relabelled = by_hand.CLIPS | {"validation": {"201": 0}}
    by_hand.publish(tmp_path, relabelled)
    coarse = records.DecodeSettings(jpeg_quality=50)
    three = records.LabelMap((*by_hand.LABELS.names, "Zooming"))
    by_hand.publish(tmp_path, by_hand.without("101"), settings=coarse, label_map=three)

    first, second, third = history.history(tmp_path)

    assert (first.parent, first.changes, first.num_new_shards) == ("", (), 4)
    assert second.changes == ("3 of its shards kept, 1 new", "annotations changed")
    assert third.changes == (
        "0 of its shards kept, 4 new",
        "jpeg_quality 90 -> 50",
        "annotations changed",
        "2 -> 3 classes",
        "-1 clips",
    )


def test_another_number_of_shards_is_told(tmp_path, monkeypatch):
    by_hand.publish(tmp_path)
    monkeypatch.setitem(by_hand.NUM_SHARDS, "train", 1)
    by_hand.publish(tmp_path)
    changes = history.history(tmp_path)[-1].changes
    assert changes == (
        "2 of its shards kept, 1 new",
        "shards by split {'test': 1, 'train': 2, 'validation': 1} -> "
        "{'test': 1, 'train': 1, 'validation': 1}",
    )


def test_other_clips_that_are_not_stored_are_told(tmp_path):
    by_hand.publish(tmp_path, quarantined=["103"])
    by_hand.publish(tmp_path, by_hand.without("103"))
    changes = history.history(tmp_path)[-1].changes
    assert changes[1:] == ("annotations changed", "quarantined 1 -> 0")


def test_a_version_of_which_only_the_table_is_new_says_so(tmp_path):
    first = by_hand.publish(tmp_path).manifest
    table = dataclasses.replace(first.clips_table, sha256="ab" * 32)
    second = dataclasses.replace(first, clips_table=table)
    assert version_differences.changes(second, first) == (
        "4 of its shards kept, 0 new",
        "the table of clips alone, as where files are",
    )
    assert version_differences.changes(first, first) == ("4 of its shards kept, 0 new",)


def test_a_parent_that_is_gone_is_told(tmp_path, capsys):
    by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("101"))
    for path in sorted(naming.version_folder(tmp_path, "000001").rglob("*"))[::-1]:
        path.rmdir() if path.is_dir() else path.unlink()
    naming.version_folder(tmp_path, "000001").rmdir()

    assert history.main(["--dataset", str(tmp_path)]) == 0

    lines, result = lines_and_result(capsys)
    assert lines[0].endswith("from 000001: which is gone")
    assert result["versions"][0]["num_new_shards"] == 4


def test_a_version_that_cannot_be_read_is_listed_and_fails_the_command(
    tmp_path, capsys
):
    by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("101"))
    path = naming.manifest_path(naming.version_folder(tmp_path, "000001"))
    path.write_text("{")

    assert history.main(["--dataset", str(tmp_path)]) == 1

    lines, result = lines_and_result(capsys)
    assert lines[0].startswith(f"! 000001  {tmp_path}: version '000001': Expecting")
    assert result["versions"][0].keys() == {"version", "error"}
    assert result["versions"][1]["num_clips"] == 5


def test_a_folder_that_is_no_data_set_is_an_error(tmp_path, caplog):
    assert history.main(["--dataset", str(tmp_path)]) == 1
    assert caplog.messages == [
        f"history failed: {tmp_path}: no data set here, it has no versions"
    ]


def test_a_version_that_never_became_current_is_not_marked(tmp_path):
    by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("101"))
    naming.current_path(tmp_path).write_text("000001\n")
    assert [v.is_current for v in history.history(tmp_path)] == [True, False]


def test_a_damaged_current_is_an_error(tmp_path):
    by_hand.publish(tmp_path)
    naming.current_path(tmp_path).write_text("latest\n")
    with pytest.raises(manifests.ManifestError, match="CURRENT: does not name a vers"):
        history.history(tmp_path)


@pytest.mark.parametrize("argv", [[], ["--data", "x"], ["--dataset", "x", "--all"]])
def test_wrong_usage_ends_with_status_2(argv):
    with pytest.raises(SystemExit) as ended:
        history.main(argv)
    assert ended.value.code == 2


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    by_hand.publish(tmp_path)
    command = [sys.executable, "-m", "pipelines", "history", "--dataset", str(tmp_path)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
