"""What the page has from elsewhere: a version's origin, and a refused job's lists."""

import json

from mindrecord_io.versions import same_bytes
from mindrecord_io.versions.version_differences import CHANGE_COLUMNS
from pipelines.building import clip_notes
from pipelines.jobs import brakes, report
from pipelines.planning.clip_listing import LOST_COLUMNS
from pipelines.publishing import data_sets
from tests import versions_by_hand as by_hand
from tests.html_page import Page, words


def command(dataset):
    return ["--dataset", str(dataset)]


def test_where_a_version_comes_from_is_on_the_page_as_far_as_it_is_on_record(tmp_path):
    version = by_hand.publish(tmp_path)
    page = version.folder / "report.html"
    report.main(command(tmp_path))
    assert "command" not in words(Page(page))
    lists = [
        {"path": f"/lists/{i}.csv", "num_bytes": i, "sha256": f"{i:064x}"}
        for i in range(1, 13)
    ]
    path = version.folder / "manifest.json"
    fields = json.loads(path.read_text())
    fields["provenance"] = {
        "command": "clipmill build --clips '<b>'",
        "program_version": "1.2.3",
        "machine": "x86_64, Linux, 2 processors",
        "clips": "/data/clips",
        "clips_digest": "abc",
        "annotations": "/lists",
        "annotation_files": lists,
    }
    path.write_text(json.dumps(fields))

    assert report.main(command(tmp_path)) == 0

    text = words(Page(page))
    assert (
        "command clipmill build --clips '<b>' clipmill 1.2.3 machine x86_64, Linux, 2 "
        "processors folder of clips /data/clips the clips' files digest abc "
        f"annotations' path /lists annotations' files /lists/1.csv (SHA-256 {1:064x}); "
    ) in text
    assert "/lists/10.csv" in text
    assert "; and 2 more format version" in text


def refused(data_set):
    """Leaves the lists of a job that was refused, as a build does."""
    folder = data_set / "lists"
    folder.mkdir(parents=True)
    lost = [
        dict(zip(LOST_COLUMNS, row, strict=True))
        for row in (
            (
                "101",
                "train",
                "Rolling",
                "truncated",
                "3 of 8 frames",
                "/clips/101.webm",
            ),
            ("102", "train", "Rolling", "truncated", "<b>", "/clips/102.webm"),
            ("201", "validation", "Rolling", "empty", "no bytes", "/clips/201.webm"),
        )
    ]
    equal = [
        dict(zip(same_bytes.LISTED_COLUMNS, ("aa", "leak", *row), strict=True))
        for row in (("1", "train", "a", "/1.webm"), ("2", "validation", "a", "/2.webm"))
    ]
    gone = [dict(zip(CHANGE_COLUMNS, ("7", "withdrawn", "test", ""), strict=True))]
    lists = {
        "lost.tsv": (LOST_COLUMNS, lost),
        "same_bytes.tsv": (same_bytes.LISTED_COLUMNS, equal),
        "changes.tsv": (CHANGE_COLUMNS, gone),
    }
    for name, (columns, rows) in lists.items():
        clip_notes.write_tsv(folder / name, columns, rows)
        brakes.keep(data_sets.LocalDataSet(data_set), folder / name)


def test_a_job_that_was_refused_has_a_page_where_nothing_is_published(
    tmp_path, capsys, caplog
):
    refused(tmp_path)

    assert report.main(command(tmp_path)) == 0

    path = tmp_path / "versions/refused/report.html"
    result = json.loads(capsys.readouterr().out)
    assert (result["report"], result["version"]) == (str(path), "")
    assert result["num_bytes"] == path.stat().st_size
    text = words(Page(path))
    assert f"{tmp_path.name}, a job that was refused clips lost 3 files in several" in (
        text
    )
    assert "truncated: 2 cut off, or fewer frames" in text
    assert "101 train 3 of 8 frames 102 train <b>" in text
    assert "empty: 1 the file has no bytes" in text
    assert "2 clips share 1 file; 1 in several splits, 0 with several labels." in text
    assert "Clips that would go clip split before 7 test" in text
    assert "the page is on the job that was refused" in caplog.text

    with (tmp_path / "versions/refused/lost.tsv").open("a") as file:
        file.write("one\ttwo\n")
    assert report.main(command(tmp_path)) == 1
    assert "lost.tsv line 5: must have 6 values, has 2" in caplog.text
    brakes.forget_refused(data_sets.LocalDataSet(tmp_path))
    assert not (tmp_path / "versions/refused").exists()


def test_a_version_has_its_page_though_a_later_job_was_refused(
    tmp_path, capsys, caplog
):
    by_hand.publish(tmp_path)
    refused(tmp_path)

    assert report.main(command(tmp_path)) == 0

    assert json.loads(capsys.readouterr().out)["version"] == "000001"
    assert caplog.messages == [
        f"{tmp_path}: the last job was refused; its lists are in versions/refused"
    ]
