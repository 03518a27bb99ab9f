"""Where a version comes from, and which clips it changed."""

import hashlib
import json

import pytest

from mindrecord_io.versions import opening
from mindrecord_io.versions.provenance import Provenance
from pipelines.jobs import clip_changes, history, origin, report
from pipelines.publishing import data_sets
from tests import tiny_dataset as tiny
from tests import versions_by_hand as by_hand


@pytest.fixture(scope="module")
def relabelled(package, tmp_path_factory):
    """Two versions: a clip relabelled, one moved and one withdrawn; the annotations."""
    folder = tmp_path_factory.mktemp("changes")
    made = tiny.make(folder / "made", package.clips)
    splits = {split: dict(clips) for split, clips in tiny.SPLITS.items()}
    train = splits["train"]
    clip_ids = sorted(clip_id for clip_id in train if clip_id in ("101", "102", "103"))
    relabelled, moved, withdrawn = clip_ids
    train[relabelled] = (train[relabelled] + 1) % 3
    splits["validation"][moved] = train.pop(moved)
    del train[withdrawn]
    annotations = tiny.annotate(folder / "new", splits)
    with tiny.lent_worker():
        status, _ = made.relabel(made.dataset, annotations)
    assert status == 0
    return made.dataset, annotations, clip_ids


def changes(dataset, name):
    with data_sets.opened(dataset) as data_set:
        return sorted(clip_changes.of_version(data_set, name))


@pytest.mark.slow
def test_the_changes_of_every_clip_are_listed(relabelled, capsys):
    dataset, _, (first, second, third) = relabelled

    listed = changes(dataset, "000002")

    assert [(row[0], row[1]) for row in listed] == [
        (first, "relabelled"),
        (second, "moved"),
        (third, "withdrawn"),
    ]
    assert listed[1:] == [
        (second, "moved", "train", "validation"),
        (third, "withdrawn", "train", ""),
    ]
    words = ["--dataset", str(dataset), "--changes", "2"]
    assert history.main(words) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert sorted(tuple(line.split("\t")) for line in lines) == [
        tuple(cell for cell in row) if row[3] else row for row in listed
    ]
    counts = {"relabelled": 1, "moved": 1, "withdrawn": 1}
    assert json.loads(last) == {"version": "000002", "changes": counts}


@pytest.mark.slow
def test_clips_that_are_lost_and_found_again_are_told_apart(package, tmp_path, capsys):
    made = tiny.make(tmp_path / "made", package.clips)
    annotations = made.folder / "annotations"
    gone, broken = made.clips / "101.webm", made.clips / "102.webm"
    kept = {path: path.read_bytes() for path in (gone, broken)}
    gone.unlink()
    broken.write_text("<html>")
    for name in ("104", "301"):  # were lost
        (made.clips / f"{name}.webm").write_bytes(kept[gone])
    with tiny.lent_worker():
        made.build(made.dataset, annotations)
        for path, content in kept.items():
            path.write_bytes(content)
        made.build(made.dataset, annotations)

    whole, html = (hashlib.sha256(c).hexdigest() for c in (kept[broken], b"<html>"))
    second = changes(made.dataset, "000002")
    assert [row for row in second if row[1] != "replaced"] == [
        ("101", "missing", "train", ""),
        ("102", "quarantined", "", "not_video"),
        ("104", "restored", "not_video", ""),
        ("301", "restored", "empty", ""),
    ]
    assert [row[0] for row in second if row[1] == "replaced"] == ["102", "104", "301"]
    assert ("102", "replaced", whole, html) in second
    assert changes(made.dataset, "000003") == [
        ("101", "added", "", "train"),
        ("102", "replaced", html, whole),
        ("102", "restored", "not_video", ""),
    ]
    words = ["--dataset", str(made.dataset), "--changes", "2"]
    assert history.main(words) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["changes"] == {
        "missing": 1,
        "quarantined": 1,
        "restored": 2,
        "replaced": 3,
    }
    report.main(["--dataset", str(made.dataset), "--version", "2"])
    page = (made.dataset / "versions" / "000002" / "report.html").read_text()
    assert "1 missing, 1 quarantined, 2 restored, 3 replaced" in page


@pytest.mark.slow
def test_the_list_says_what_the_two_tables_say(relabelled):
    dataset, _, _ = relabelled
    listed = changes(dataset, "000002")
    path = opening.open_version(dataset, "000002").folder / "changes.tsv"
    away = path.rename(path.with_name("away"))
    try:
        assert changes(dataset, "000002") == listed
    finally:
        away.rename(path)


@pytest.mark.slow
def test_the_manifest_names_command_and_sources(relabelled):
    dataset, annotations, _ = relabelled
    first, second = (
        opening.open_version(dataset, name).manifest.provenance
        for name in ("000001", "000002")
    )

    assert second.command.startswith("clipmill relabel --annotations ")
    assert second.machine.count(",") == 3
    assert second.program_version
    assert (first.clips != "", second.clips) == (True, "")
    assert [(f.path, f.sha256) for f in second.annotation_files] == [
        (str(path), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(annotations.iterdir())
    ]
    assert len(second.clips_digest) == 64
    assert second.clips_digest != first.clips_digest  # a clip was withdrawn
    past = history.history(dataset)
    assert past[1].command == second.command


def test_versions_made_by_hand_are_compared_by_their_tables(tmp_path):
    by_hand.publish(tmp_path)
    by_hand.publish(
        tmp_path, by_hand.without("102") | {"validation": {"201": 0, "202": 1}}
    )

    assert changes(tmp_path, "000002") == [
        ("102", "withdrawn", "train", ""),
        ("201", "relabelled", "Tilting", "Rolling"),
        ("202", "added", "", "validation"),
    ]
    with pytest.raises(ValueError, match="is the first: it changed nothing"):
        changes(tmp_path, "000001")


def test_a_manifest_without_provenance_is_read(tmp_path):
    version = by_hand.publish(tmp_path)
    path = version.folder / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["provenance"]
    path.write_text(json.dumps(fields))

    assert opening.open_version(tmp_path).manifest.provenance == Provenance()


def test_versions_of_other_origin_say_the_same(tmp_path):
    manifest = by_hand.publish(tmp_path).manifest
    other = type(manifest)(
        **{name: getattr(manifest, name) for name in manifest.__slots__}
        | {"provenance": Provenance(command="clipmill build")}
    )
    assert other != manifest
    assert other.says_the_same(manifest)


def test_lists_of_a_folder_are_hashed_and_other_files_are_not(tmp_path):
    for name in ("train.json", "b.TXT", "clip.webm"):
        (tmp_path / name).write_text(name)
    (tmp_path / "inner.csv").mkdir()

    known = origin.recorded(("clipmill", "build", "a b"), tmp_path, "s3://x")

    assert known.command == "clipmill build 'a b'"
    assert known.clips == "s3://x"
    assert [f.path for f in known.annotation_files] == [
        f"{tmp_path}/b.TXT",
        f"{tmp_path}/train.json",
    ]
