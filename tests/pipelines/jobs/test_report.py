import hashlib
import json
import re
import shutil

import pytest

from mindrecord_io import naming, records
from mindrecord_io.versions import clips_table, manifests, opening
from pipelines.jobs import prune, report, rollback, verify
from tests import versions_by_hand as by_hand
from tests.html_page import Page, words

EVIL = records.LabelMap(('Rolling <script>alert("1")</script> & more', "Tilting"))


def command(dataset, *flags):
    return ["--dataset", str(dataset), *map(str, flags)]


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_page_is_beside_the_version_and_the_last_line_tells_of_it(tmp_path, capsys):
    by_hand.publish(tmp_path)

    assert report.main(command(tmp_path)) == 0

    path = tmp_path / "versions" / "000001" / "report.html"
    result = last_line(capsys)
    assert result.pop("seconds") >= 0
    assert result == {
        "report": str(path),
        "version": "000001",
        "num_clips": 6,
        "num_bytes": path.stat().st_size,
    }


def test_the_page_needs_nothing_but_itself(published_version, tmp_path, capsys):
    path = tmp_path / "page.html"

    assert report.main(command(published_version.dataset, "--output", path)) == 0

    page, content = Page(path), path.read_text()
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(page.tags)
    assert page.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "http" not in re.sub("http-equiv", "", content)
    assert "url(" not in content
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in content
    assert "prefers-color-scheme: dark" in content


def test_it_tells_what_a_version_holds(published_version, tmp_path, capsys):
    """Of 12 clips one is quarantined; clip n has 6, 8, 10 or 12 frames of 32 x 24."""
    path = tmp_path / "page.html"

    report.main(command(published_version.dataset, "--output", path))

    page = Page(path)
    text = words(page)
    assert "dataset, version 000001 clips stored 11 classes 3 frames 100" in text
    assert "Look at this first 1 clip in quarantine" in text
    assert "from nothing: the first what changed all of it is new" in text
    assert "train 7 1 1 0 validation 4 0 0 0 test 0 0 0 0 in no split 0 0 0 0" in text
    assert "all 11 1 1 0" in text
    assert "32 x 24 11" in text
    assert "train 6 6 10 12 12 9.1" in text
    missing = "missing: 1 annotated, but there is no file. What to do: add the file, or"
    assert f"{missing} remove the annotation. clip split" in text
    assert "clip split what was found 109 train no file" in text
    assert "truncated: 1 cut off, or fewer" in text
    assert "clip split what was found 105 train 3 of 8" in text
    assert "test: no labelled clip" in text
    assert page.tags.count("img") == 3 + 11  # of the classes; fewer than twelve


def test_it_tells_what_changed_since_the_parent(tmp_path, capsys):
    by_hand.publish(tmp_path)
    relabelled = by_hand.without("102") | {"validation": {"201": 0}}
    by_hand.publish(tmp_path, relabelled)

    report.main(command(tmp_path))

    text = words(Page(tmp_path / "versions" / "000002" / "report.html"))
    assert "from version 000001 what changed 2 of its shards kept, 2 new" in text
    assert "clips that changed 1 withdrawn, 1 relabelled" in text
    assert "Changed since version 000001 withdrawn: 1 clip before now 102 train" in text
    assert "relabelled: 1 clip before now 201 Tilting Rolling" in text


def test_the_card_names_the_data_set_and_a_wrong_one_is_refused(
    tmp_path, capsys, caplog
):
    by_hand.publish(tmp_path)
    page = tmp_path / "versions" / "000001" / "report.html"
    report.main(command(tmp_path))
    assert "It has no card. Write card.yaml into the data set's folder" in words(
        Page(page)
    )
    card = "name: <b>Clips</b>\nlicence: CC BY 4.0\nintended_use: training\n"
    (tmp_path / "card.yaml").write_text(card)
    assert report.main(command(tmp_path)) == 0
    text = words(Page(page))
    assert text.startswith("<b>Clips</b>, version 000001")
    assert "Card licence CC BY 4.0" not in text  # the name is its first line
    assert "licence CC BY 4.0 intended use training" in text
    (tmp_path / "card.yaml").write_text("licenze: CC BY 4.0\n")
    assert report.main(command(tmp_path)) == 1
    assert "card.yaml: no key 'licenze'; the keys are name, licence" in caplog.text


def test_equal_files_are_listed_with_leaks_and_contradictions(tmp_path, monkeypatch):
    one = by_hand.source("101")
    monkeypatch.setattr(
        by_hand,
        "source",
        lambda name: (
            one
            if name in ("101", "102", "201")
            else records.Fingerprint(1000, hashlib.sha256(name.encode()).hexdigest())
        ),
    )
    by_hand.publish(tmp_path)
    report.main(command(tmp_path))
    text = words(Page(tmp_path / "versions" / "000001" / "report.html"))
    assert "1 file stored in several splits 1 file stored with several labels" in text
    assert "3 clips share 1 file;" in text
    assert "1 101 train Rolling 1 102 train Tilting 1 201 validation Tilting" in text


def test_another_version_can_be_asked_for_and_its_parent_be_gone(
    tmp_path, capsys, caplog
):
    for _ in range(2):
        by_hand.publish(tmp_path)
    shutil.rmtree(naming.version_folder(tmp_path, "000001"))

    assert report.main(command(tmp_path, "--version", "000002")) == 0

    assert last_line(capsys)["version"] == "000002"
    path = tmp_path / "versions" / "000002" / "report.html"
    assert "from version 000001 what changed which is gone" in words(Page(path))
    (message,) = caplog.messages
    assert message.startswith(f"not compared with its parent: {tmp_path}: no version")


def test_a_damaged_parent_is_not_compared_and_no_error(tmp_path, capsys, caplog):
    parent = by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("102"))
    naming.clips_table_path(parent.folder).write_bytes(b"PAR1")

    assert report.main(command(tmp_path)) == 0

    text = words(Page(tmp_path / "versions" / "000002" / "report.html"))
    assert "clips that changed" not in text
    assert "not compared with its parent: " in caplog.text


def test_a_parent_that_ends_half_way_is_not_compared(
    tmp_path, capsys, caplog, monkeypatch
):
    by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("102"))
    whole = manifests.Version.clip_batches

    def half(version, columns):
        batches = whole(version, columns)
        yield next(batches)
        if version.manifest.version == "000001":
            raise clips_table.TableError("a page is damaged")
        yield from batches

    monkeypatch.setattr(manifests.Version, "clip_batches", half)

    assert report.main(command(tmp_path)) == 0

    text = words(Page(tmp_path / "versions" / "000002" / "report.html"))
    assert "clips that changed" not in text
    assert caplog.messages == ["not compared with its parent: a page is damaged"]


def test_what_clips_are_called_is_text_and_nothing_else(tmp_path, capsys):
    by_hand.publish(tmp_path, label_map=EVIL)

    report.main(command(tmp_path))

    page = Page(tmp_path / "versions" / "000001" / "report.html")
    assert "script" not in page.tags
    assert EVIL.names[0] in page.text


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (by_hand.CLIPS | {"train": {}}, "train: no labelled clip"),
        ({"train": {"101": 0}}, "validation 0 0 0 0 test 0 0 0 0"),
    ],
)
def test_a_split_may_be_empty(tmp_path, capsys, clips, expected):
    by_hand.publish(tmp_path, clips)
    assert report.main(command(tmp_path)) == 0
    assert expected in words(Page(tmp_path / "versions" / "000001" / "report.html"))


def test_a_version_may_hold_nothing_but_quarantined_clips(tmp_path, capsys):
    by_hand.publish(tmp_path, {"train": {"101": 0, "102": 1}}, quarantined=["101"])
    by_hand.publish(tmp_path, {"train": {"101": 0}}, quarantined=["101"])

    assert report.main(command(tmp_path)) == 0

    text = words(Page(tmp_path / "versions" / "000002" / "report.html"))
    assert "train 0 1 0 0" in text
    assert "No clip is stored." in text
    assert "truncated: 1 cut off" in text
    assert "clip split what was found 101 train 3 of 8 frames" in text


def test_a_second_page_replaces_the_first(tmp_path, capsys):
    version = by_hand.publish(tmp_path)
    path = version.folder / "report.html"
    path.write_text("old")
    report.main(command(tmp_path))
    first = path.read_bytes()
    report.main(command(tmp_path))
    assert path.read_bytes() == first != b"old"
    assert [p.name for p in version.folder.iterdir() if p.name.startswith(".")] == []


def test_equal_seeds_show_equal_clips_and_none_can_be_shown(
    published_version, tmp_path, capsys
):
    def images(*flags):
        path = tmp_path / "page.html"
        report.main(command(published_version.dataset, "--output", path, *flags))
        return Page(path).links

    assert images("--num_samples", 3, "--seed", 5) == images(
        "--num_samples", 3, "--seed", 5
    )
    assert images("--num_samples", 3, "--seed", 5) != images("--num_samples", 3)
    assert images("--num_samples", 0) == []


def test_a_damaged_table_is_an_error_and_the_page_stays(tmp_path, capsys, caplog):
    version = by_hand.publish(tmp_path)
    report.main(command(tmp_path))
    before = (version.folder / "report.html").read_bytes()
    naming.clips_table_path(version.folder).write_bytes(b"PAR1")

    assert report.main(command(tmp_path)) == 1

    assert "report failed: " in caplog.text
    assert "not the file that was published: run verify" in caplog.text
    assert (version.folder / "report.html").read_bytes() == before


def test_where_it_cannot_be_written_is_told(tmp_path, caplog):
    by_hand.publish(tmp_path)
    output = tmp_path / "no" / "page.html"
    assert report.main(command(tmp_path, "--output", output)) == 1
    assert "No such file or directory" in caplog.text
    assert str(tmp_path / "no") in caplog.text


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--dataset", "x", "--version", "latest"],
        ["--dataset", "x", "--num_samples", "-1"],
        ["--dataset", "x", "--seed", "one"],
        ["--dataset", "x", "--all"],
    ],
)
def test_wrong_usage_ends_with_status_2(argv):
    with pytest.raises(SystemExit) as ended:
        report.main(argv)
    assert ended.value.code == 2


def test_no_other_job_minds_the_page(tmp_path, capsys):
    """verify, rollback and prune see the same version with it and without."""
    by_hand.publish(tmp_path)
    by_hand.publish(tmp_path, by_hand.without("101"))
    for name in ("000001", "000002"):
        report.main(command(tmp_path, "--version", name))
    assert verify.main(command(tmp_path, "--quick")) == 0
    again = rollback.rollback(tmp_path, "000001").version
    assert not (naming.version_folder(tmp_path, again) / "report.html").exists()
    prune.prune(tmp_path, 1)
    assert opening.list_versions(tmp_path) == [again]
    assert list(tmp_path.rglob("report.html")) == []
