"""Jobs that would lose, leak or withdraw too much, and what they leave to look at."""

import json
import shlex
import shutil

import pytest

from mindrecord_io.versions import opening
from pipelines.jobs import relabel
from tests import versions_by_hand as by_hand


def rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def half(tmp_path):
    """A version of six clips, and a list of three of them."""
    version = by_hand.publish(tmp_path / "dataset")
    (tmp_path / "list.csv").write_text(
        "path,label,split,clip_id\n1.webm,Rolling,train,101\n2.webm,Tilting,train,102\n"
        "4.webm,Tilting,val,201\n"
    )
    return version


def relabelled(version, tmp_path, *flags):
    return relabel.main(
        [
            *("--dataset", str(version.dataset), "--num_workers", "1"),
            *("--annotations", str(tmp_path / "list.csv"), *flags),
        ]
    )


def test_relabel_withdraws_at_most_a_share(half, tmp_path, caplog, capsys):
    assert relabelled(half, tmp_path) == 1

    listed = half.dataset / "versions/refused/changes.tsv"
    assert caplog.messages[-1] == (
        "relabel failed: 3 of 6 clips of version 000001 would be withdrawn, "
        "being annotated no more, --max_withdrawn allows 0.01 of them; nothing is "
        f"published. The first: 301, 103, 105. All of them: {listed}. If they are to "
        "go: --max_withdrawn 0.5"
    )
    assert sorted(rows(listed)) == [
        ["103", "withdrawn", "train", ""],
        ["105", "withdrawn", "train", ""],
        ["301", "withdrawn", "test", ""],
    ]
    assert relabelled(half, tmp_path, "--dry_run", "--max_withdrawn", "0.49") == 1
    assert relabelled(half, tmp_path, "--dry_run", "--max_withdrawn", "0.5") == 0
    assert json.loads(capsys.readouterr().out)["changes"]["withdrawn"] == 3


@pytest.mark.parametrize("share", ["-0.1", "1.1", "much", "nan"])
def test_a_share_that_cannot_be_is_wrong_usage(half, tmp_path, share):
    with pytest.raises(SystemExit) as wrong:
        relabelled(half, tmp_path, "--max_withdrawn", share)
    assert wrong.value.code == 2


def test_annotations_and_corrections_exclude_each_other(half, tmp_path, capsys):
    with pytest.raises(SystemExit):
        relabelled(half, tmp_path, "--corrections", "x.csv")
    assert "--corrections: not allowed with argument --ann" in capsys.readouterr().err


@pytest.fixture(scope="module")
def built(package, tools, tmp_path_factory):
    """A build with an empty, a cut and a doubled clip: refused, then allowed."""
    folder = tmp_path_factory.mktemp("lost")
    broken = type(package)(shutil.copytree(package.folder, folder / "package"))
    broken.clip("103").write_bytes(b"")
    broken.clip("104").write_bytes(b"hello world, this is no video")
    shutil.copy(broken.clip("101"), broken.clip("201"))
    words = (
        *("build", "--clips", broken.clips, "--annotations", broken.annotations),
        *("--dataset", folder / "data set", "--num_shards", 3, "--num_workers", 1),
    )
    early = tools.run_command(*words)
    late = tools.run_command(*words, "--max_quarantined=1")
    leaky = tools.run_command(*words, "--max_quarantined", 2, "--refuse_leaks")
    return folder / "data set", early, late, leaky


@pytest.mark.slow
def test_empty_files_count_before_anything_is_decoded(built):
    dataset, early, _, _ = built
    assert early.returncode == 1
    assert "1 clip cannot be stored, --max_quarantined allows 0" in early.stderr
    assert "decoded train shard" not in early.stderr
    assert f"1 clip lost, all listed in {dataset}/versions/refused" in early.stderr


@pytest.mark.slow
def test_a_refused_build_lists_what_it_lost_and_names_the_next_command(built, tools):
    dataset, _, late, leaky = built
    assert late.returncode == leaky.returncode == 1
    errors = late.stderr
    assert "empty      1      103: " in errors
    assert "not_video  1      104: " in errors
    assert "copy the clip again, or replace it" in errors
    command = errors.partition("to go on without these clips: ")[2].splitlines()[0]
    assert command.endswith("--max_quarantined 2")
    assert "--max_quarantined=1" not in command
    assert "1 file in two splits" in leaky.stderr
    assert {row[1] for row in rows(dataset / "versions/refused/same_bytes.tsv")} == {
        "leak+conflict"
    }
    assert [row[0] for row in rows(dataset / "versions/refused/lost.tsv")] == [
        "103",
        "104",
    ]
    report = tools.run_command("report", "--dataset", dataset)
    assert report.returncode == 0
    page = (dataset / "versions/refused/report.html").read_text()
    assert "<summary>empty: 1</summary>" in page
    assert "1 in several splits, 1 with several labels" in page

    done = tools.run_command(*shlex.split(command)[1:])

    result = json.loads(done.stdout)
    assert result["lost"] == {"empty": 1, "not_video": 1}
    assert (result["num_leaks"], result["num_label_conflicts"]) == (1, 1)
    assert result["shards"]["decoded"] == 0
    assert "equal files: 1 in two splits (the first: " in done.stderr
    version = opening.open_version(dataset)
    assert sorted(row[0] for row in rows(version.folder / "lost.tsv")) == ["103", "104"]
    assert len(rows(version.folder / "same_bytes.tsv")) == 2
    assert not (dataset / "versions/refused").exists()
