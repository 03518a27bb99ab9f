"""Every relabelling here runs while the folder of clips is away."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from mindrecord_io.versions import opening
from pipelines.jobs import relabel
from tests import tiny_dataset as tiny

# Whoever wants to decode is found out: no library that could is to be had.
NO_DECODER = """\
import pathlib, sys

sys.modules.update(dict.fromkeys(["av", "cv2", "imageio_ffmpeg"]))
if "pipelines.building.decoder_child" in sys.orig_argv:
    pathlib.Path(__file__).with_name("a decoder was started").touch()
"""


@pytest.fixture(scope="module", autouse=True)
def lent_worker():
    with tiny.lent_worker():
        yield


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("made"), package.clips)


@pytest.fixture
def dataset(made, tmp_path):
    """A copy of the data set, to be relabelled."""
    return shutil.copytree(made.dataset, tmp_path / "dataset")


@pytest.mark.slow
def test_no_clips_no_decoder_and_no_path_are_needed(made, dataset, tmp_path, tools):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_DECODER)
    annotations = tiny.annotate(tmp_path / "new", tiny.changed(c102=2, c201=0))

    flags = ["--annotations", annotations, "--dataset", dataset]

    with made.clips_away():
        done = subprocess.run(
            [sys.executable, "-m", "pipelines", "relabel", *flags],
            capture_output=True,
            text=True,
            env=tools.command_environment([tmp_path / "site"]) | {"PATH": ""},
        )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["shards"] == {"reused": 2, "relabelled": 2, "decoded": 0}
    assert [path.name for path in (tmp_path / "site").glob("a decoder*")] == []


def test_versions_follow_each_other_and_go_back(made, dataset, tmp_path):
    first = tiny.annotate(tmp_path / "first", tiny.SPLITS)
    second = tiny.annotate(tmp_path / "second", tiny.changed(c102=2))

    _, there = made.relabel(dataset, second)
    _, back = made.relabel(dataset, first)
    _, again = made.relabel(dataset, second)

    assert [r["version"] for r in (there, back, again)] == [
        "000002",
        "000003",
        "000004",
    ]
    assert [r["shards"]["relabelled"] for r in (there, back, again)] == [1, 0, 0]
    third = tiny.files_of(opening.open_version(dataset, "000003"))
    assert third.pop("changes.tsv")
    assert third == tiny.files_of(opening.open_version(dataset, "000001"))


def test_frames_of_a_relabelled_shard_can_be_copied_again(made, dataset, tmp_path):
    made.relabel(dataset, tiny.annotate(tmp_path / "second", tiny.changed(c102=2)))
    third = tiny.annotate(tmp_path / "third", tiny.changed(c102=0, c103=1))
    shutil.rmtree(opening.open_version(dataset, "000001").folder)

    status, result = made.relabel(dataset, third)

    assert (status, result["shards"]["relabelled"]) == (0, 1)


def test_clips_that_the_version_does_not_hold_are_named(
    made, dataset, tmp_path, caplog
):
    splits = tiny.SPLITS | {"test": tiny.SPLITS["test"] | {"303": -1, "302": -1}}
    annotations = tiny.annotate(tmp_path / "new", splits)
    before = tiny.sha256s(dataset)

    for flags in ((), ("--dry_run",)):
        caplog.clear()
        assert made.relabel(dataset, annotations, *flags) == (1, None)
        message, _, remedy = caplog.messages[-1].partition("; to go on without these ")
        assert message == (
            "relabel failed: 5 clips cannot be stored, --max_quarantined allows 3; "
            "nothing is published. The first: "
            f"104 (not_video: {detail_of(dataset, '104')}); "
            f"301 (empty: {detail_of(dataset, '301')}); "
            "109 (missing: annotated, but not in the folder of clips); "
            "303 (missing: annotated, but not in the folder of clips); "
            "302 (missing: annotated, but not in the folder of clips). "
            "Nothing was made yet, and no clip was looked into"
        )
        assert remedy.startswith("clips: clipmill relabel ")
        assert remedy.endswith(" --max_quarantined 5")
    after = tiny.sha256s(dataset)
    listed = after.pop("versions/refused/lost.tsv")  # of the run that was not dry
    assert (after, bool(listed)) == (before, True)


def detail_of(dataset, clip_id):
    rows = opening.open_version(dataset).read_clips(["clip_id", "detail"]).to_pylist()
    return {row["clip_id"]: row["detail"] for row in rows}[clip_id]


def test_as_many_as_one_says_may_be_missing(made, dataset, tmp_path):
    splits = tiny.SPLITS | {"test": tiny.SPLITS["test"] | {"302": -1}}
    annotations = tiny.annotate(tmp_path / "new", splits)

    status, result = made.relabel(dataset, annotations, "--max_quarantined", "4")

    assert (status, result["num_quarantined"]) == (0, 4)
    assert result["shards"]["reused"] == 4


def test_an_unlisted_file_that_is_annotated_waits_for_a_build(made, dataset, tmp_path):
    splits = tiny.SPLITS | {
        "validation": tiny.SPLITS["validation"] | {tiny.UNLISTED: 1}
    }
    annotations = tiny.annotate(tmp_path / "new", splits)

    made.relabel(dataset, annotations, "--max_quarantined", "4")

    version = opening.open_version(dataset)
    assert (version.manifest.num_missing, version.manifest.num_unlisted) == (2, 0)


def test_damaged_frames_are_no_source(made, dataset, tmp_path, caplog):
    version = opening.open_version(dataset)
    rows = version.read_clips(["clip_id", "shard", "frames_offset"]).to_pylist()
    (row,) = (row for row in rows if row["clip_id"] == "103")
    with (dataset / row["shard"]).open("r+b") as file:
        file.seek(row["frames_offset"] + 100)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    before = tiny.sha256s(dataset)
    annotations = tiny.annotate(tmp_path / "new", tiny.changed(c102=2))

    assert made.relabel(dataset, annotations) == (1, None)

    place = "/".join(row["shard"].split("/")[1:3])
    assert caplog.messages[-1].startswith("relabel failed: ")
    assert f"103: the frames stored in {place} are damaged: " in caplog.messages[-1]
    assert "train shard 0: " in caplog.messages[-1]
    assert tiny.sha256s(dataset) == before


def test_a_source_that_is_gone_is_named(made, dataset, tmp_path, caplog):
    version = opening.open_version(dataset)
    entry = next(e for e in version.manifest.shards if e.split == "validation")
    shutil.rmtree(version.shard_path(entry).parent)
    annotations = tiny.annotate(tmp_path / "new", tiny.changed(c201=1))

    assert made.relabel(dataset, annotations) == (1, None)

    assert f"shard validation/{entry.key} is gone" in caplog.messages[-1]
    assert opening.list_versions(dataset) == ["000001"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_without_a_version_is_no_data_set(made, tmp_path, caplog, is_there):
    dataset = tmp_path / "dataset"
    if is_there:
        dataset.mkdir()

    assert made.relabel(dataset, tiny.annotate(tmp_path / "new", tiny.SPLITS)) == (
        1,
        None,
    )

    assert caplog.messages == [
        f"relabel failed: {dataset}: no data set here, or none published yet "
        "(no CURRENT file)"
    ]
    assert dataset.exists() == is_there


def test_annotations_that_cannot_be_used_are_named(made, dataset, tmp_path, caplog):
    annotations = tiny.annotate(tmp_path / "new", tiny.SPLITS)
    (annotations / "train.json").write_text("{")
    assert made.relabel(dataset, annotations) == (1, None)
    (message,) = caplog.messages
    assert message.startswith(f"relabel failed: {annotations / 'train.json'}: JSON is")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--annotations", "a"], "the following arguments are required: --dataset"),
        (["--dataset", "d"], "one of the arguments --annotations --corrections is re"),
        (["--annotations", "a", "--dataset", "d", "--dry"], "no flag '--dry' here or"),
        (["--annotations", "a", "--dataset", "d", "--num_workers", "0"], "at least 1"),
        (["--annotations", "a", "--dataset", "d", "--clips", "c"], "no flag '--clips'"),
    ],
)
def test_wrong_usage_is_told_with_status_2(flags, text, capsys):
    with pytest.raises(SystemExit) as ended:
        relabel.main(flags)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err
