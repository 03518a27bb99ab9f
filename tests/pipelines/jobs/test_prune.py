import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindrecord_io import naming
from mindrecord_io.shards import shard_folders
from mindrecord_io.storage import files, incomplete
from mindrecord_io.versions import opening, shard_checks, version_checks
from pipelines.jobs import prune
from pipelines.publishing import removal
from tests import versions_by_hand as by_hand

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def dataset(tmp_path):
    """Three versions: clip 101 is in the first only, clip 102 is not in the last."""
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    by_hand.publish(tmp_path / "dataset", by_hand.without("101", "102"))
    return tmp_path / "dataset"


def command(dataset, keep=1, *more):
    return ["--dataset", str(dataset), "--keep", str(keep), *more]


def shard_of(dataset, version, split, index):
    """The folder of a version's shard, below the data set's."""
    for entry in opening.open_version(dataset, version).manifest.shards:
        if (entry.split, entry.index) == (split, index):
            return f"shards/{split}/{entry.key}"
    raise LookupError


def shards_on_disk(dataset):
    """All that are published; not those that a job is about to publish."""
    return {
        path.parent.relative_to(dataset).as_posix()
        for path in dataset.glob("shards/*/[!.]*/summary.json")
    }


def num_bytes_below(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def assert_readable(dataset):
    """Every version that can be seen has all that it lists."""
    for name in opening.list_versions(dataset):
        version = opening.open_version(dataset, name)
        assert version_checks.check_version(version) == []
        for entry in version.manifest.shards:
            assert shard_checks.check_sizes(version, entry) == []


def files_holding(folder, content):
    return [p for p in folder.rglob("*") if p.is_file() and content in p.read_bytes()]


def test_the_newest_versions_stay_and_shards_of_the_others_go(dataset, capsys):
    only_first = shard_of(dataset, "000001", "train", 1)
    num_bytes = num_bytes_below(dataset)

    assert prune.main(command(dataset, keep=2)) == 0

    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {
        "removed_versions": ["000001"],
        "removed_shards": [only_first],
        "freed_bytes": num_bytes - num_bytes_below(dataset),
        "kept": ["000002", "000003"],
        "is_dry_run": False,
    }
    assert opening.list_versions(dataset) == ["000002", "000003"]
    assert_readable(dataset)


def test_every_shard_that_stays_is_listed_by_a_version(dataset):
    prune.prune(dataset, 1)
    entries = opening.open_version(dataset).manifest.shards
    assert shards_on_disk(dataset) == {f"shards/{e.split}/{e.key}" for e in entries}
    assert_readable(dataset)
    assert list(dataset.rglob(".incomplete-*")) == []


def test_the_bytes_of_a_withdrawn_clip_are_gone_from_the_disk(dataset):
    frame, other = by_hand.frame("101", 3), by_hand.frame("105", 0)
    assert len(files_holding(dataset, frame)) == 1
    prune.prune(dataset, 2)
    assert files_holding(dataset, frame) == []
    assert len(files_holding(dataset, other)) == 1


def test_shards_that_no_version_ever_listed_go(dataset, make_plan):
    plan = make_plan({"900": 0})
    by_hand.publish_shard(dataset, plan)
    result = prune.prune(dataset, 3)
    assert result.removed_versions == ()
    assert result.removed_shards == (f"shards/train/{plan.key}",)


def test_a_second_prune_finds_nothing(dataset):
    prune.prune(dataset, 1)
    before = by_hand.snapshot(dataset)
    result = prune.prune(dataset, 1)
    assert (result.removed_versions, result.removed_shards) == ((), ())
    assert (result.freed_bytes, result.kept) == (0, ("000003",))
    assert by_hand.snapshot(dataset) == before


def test_the_current_version_stays_even_if_it_is_old(dataset):
    naming.current_path(dataset).write_text("000001\n")
    result = prune.prune(dataset, 1)
    assert result.kept == ("000001", "000003")
    assert opening.list_versions(dataset) == ["000001", "000003"]
    assert_readable(dataset)


def test_a_dry_run_tells_the_same_and_changes_nothing(dataset, capsys, caplog):
    before = by_hand.snapshot(dataset)
    caplog.set_level("INFO")
    assert prune.main(command(dataset, 1, "--dry_run")) == 0
    assert by_hand.snapshot(dataset) == before
    assert "would remove versions 000001, 000002 and 2 shards" in caplog.text
    assert prune.main(command(dataset, 1)) == 0
    dry, real = capsys.readouterr().out.splitlines()
    assert json.loads(dry) == json.loads(real) | {"is_dry_run": True}


def test_what_dead_jobs_left_goes_and_counts(dataset):
    for parent in (dataset / "versions", shard_folders.split_folder(dataset, "train")):
        folder = naming.incomplete_folder(parent)
        folder.mkdir()
        (folder / "part").write_bytes(b"x" * 1000)
    assert prune.prune(dataset, 3).freed_bytes == 2000
    assert list(dataset.rglob(".incomplete-*")) == []


def test_what_is_no_shard_stays_and_is_told(dataset, caplog):
    stray = shard_folders.split_folder(dataset, "train") / "notes"
    stray.write_text("mine")
    prune.prune(dataset, 1)
    assert stray.read_text() == "mine"
    assert f"{stray}: not a shard's folder; it stays" in caplog.text


# A job at work has a locked folder of work in progress beside the versions.


def test_nothing_is_removed_while_a_job_is_at_work(dataset, make_plan, caplog):
    with incomplete.folder_in(dataset / "versions") as staging:
        by_hand.publish_shard(dataset, make_plan({"900": 0}))  # for a version to come
        before = by_hand.snapshot(dataset)
        assert prune.main(command(dataset)) == 1
        assert by_hand.snapshot(dataset) == before
    (message,) = caplog.messages
    assert message.startswith(
        f"prune failed: another job is at work and may need any shard, so nothing was "
        f"removed: {staging} (since 20"
    )
    assert message.endswith(" UTC); wait for its end and run this again")
    assert len(prune.prune(dataset, 1).removed_versions) == 2


@pytest.mark.slow
def test_a_real_build_that_waits_for_a_clip_stops_it(
    tools, package_copy, plant, dataset
):
    package_copy.annotate(tools.SPLITS | {"validation": {"201": 2, "sleep-1": 0}})
    shutil.copyfile(package_copy.clip("201"), package_copy.clip("sleep-1"))
    words = ["build", "--num_workers", "4", "--dataset", str(dataset)]
    words += ["--clips", str(package_copy.clips)]
    words += ["--annotations", str(package_copy.annotations)]
    build = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *words],
        env=tools.command_environment(plant),
        stderr=subprocess.DEVNULL,
    )
    try:
        receipts = "versions/.incomplete-*/receipts/test-*.json"
        tools.wait_until(lambda: list(dataset.glob(receipts)), "a shard is made")
        made = shards_on_disk(dataset)
        with pytest.raises(removal.AtWorkError, match="another job is at work"):
            prune.prune(dataset, 1)
        assert made <= shards_on_disk(dataset)
    finally:
        build.kill()
        build.wait()
    removed = prune.prune(dataset, 1).removed_shards
    assert made - set(removed) == {
        f"shards/{e.split}/{e.key}"
        for e in opening.open_version(dataset).manifest.shards
    }


def test_a_job_that_begins_while_shards_are_moved_gets_them_back(dataset, monkeypatch):
    before = by_hand.snapshot(dataset)
    moves = []

    def move_and_begin_a_job(paths, trash, moved):
        move(paths, trash, moved)
        moves.append(len(moved))
        if len(moves) == 2:
            job.enter_context(incomplete.folder_in(dataset / "versions"))

    move = removal._move
    monkeypatch.setattr(removal, "_move", move_and_begin_a_job)
    with contextlib.ExitStack() as job:
        with pytest.raises(removal.AtWorkError, match="another job is at work"):
            prune.prune(dataset, 1)
        assert by_hand.snapshot(dataset) == before
    assert moves == [2, 4]  # two versions, then two shards


def test_a_shard_made_again_meanwhile_is_left_to_the_job_that_made_it(
    dataset, monkeypatch
):
    gone = dataset / shard_of(dataset, "000001", "train", 1)

    def move_and_make_again(paths, trash, moved):
        move(paths, trash, moved)
        if gone in moved:
            job.enter_context(incomplete.folder_in(dataset / "versions"))
            gone.mkdir()
            (gone / "summary.json").write_text("made again")

    move = removal._move
    monkeypatch.setattr(removal, "_move", move_and_make_again)
    with contextlib.ExitStack() as job, pytest.raises(removal.AtWorkError):
        prune.prune(dataset, 1)
    assert (gone / "summary.json").read_text() == "made again"
    assert opening.list_versions(dataset) == ["000001", "000002", "000003"]


def test_nobody_can_publish_between_looking_and_moving(dataset, monkeypatch):
    def try_to_lock(paths, trash, moved):
        with pytest.raises(BlockingIOError):
            lock_without_waiting(dataset / "versions")
        move(paths, trash, moved)

    move = removal._move
    monkeypatch.setattr(removal, "_move", try_to_lock)
    assert prune.prune(dataset, 1).kept == ("000003",)


def lock_without_waiting(folder):
    descriptor = os.open(folder / ".lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


DIE_AT_RENAME = """
import os, pathlib, signal, sys
from pipelines.jobs import prune; from pipelines.publishing import removal

num_left = int(sys.argv[1])
rename = pathlib.Path.rename

def counted(self, target):
    global num_left
    if num_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    num_left -= 1
    return rename(self, target)

pathlib.Path.rename = counted
remove = removal.shutil.rmtree
removal.shutil.rmtree = lambda *a, **k: (
    remove(*a, **k) if num_left else os.kill(os.getpid(), signal.SIGKILL)
)
prune.prune(pathlib.Path(sys.argv[2]), 1)
"""


@pytest.mark.parametrize("num_renames", [0, 1, 2, 3, 4])
def test_killed_anywhere_every_version_that_is_left_is_whole(dataset, num_renames):
    done = subprocess.run(
        [sys.executable, "-c", DIE_AT_RENAME, str(num_renames), str(dataset)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert "000003" in opening.list_versions(dataset)
    assert len(opening.list_versions(dataset)) == max(1, 3 - num_renames)
    assert_readable(dataset)

    assert prune.prune(dataset, 1).kept == ("000003",)  # the next one finishes

    assert files_holding(dataset, by_hand.frame("101", 0)) == []
    assert list(dataset.rglob(".incomplete-*")) == []
    assert_readable(dataset)


def test_versions_leave_before_shards(dataset, monkeypatch):
    order = []

    def noted(paths, trash, moved):
        order.append([path.parent.name for path in paths])
        move(paths, trash, moved)

    move = removal._move
    monkeypatch.setattr(removal, "_move", noted)
    prune.prune(dataset, 1)
    assert order == [["versions", "versions"], ["train", "train"]]


def test_a_kept_version_that_cannot_be_read_stops_it(dataset, caplog):
    path = naming.manifest_path(naming.version_folder(dataset, "000002"))
    path.write_text("{}")
    before = by_hand.snapshot(dataset)
    assert prune.main(command(dataset, keep=2)) == 1
    assert f"prune failed: {path}: not a manifest" in caplog.text
    assert by_hand.snapshot(dataset) == before
    assert list(dataset.rglob(".incomplete-*")) == []


def test_a_removed_version_need_not_be_readable(dataset):
    path = naming.manifest_path(naming.version_folder(dataset, "000002"))
    path.write_text("{}")
    assert prune.prune(dataset, 1).removed_versions == ("000001", "000002")
    assert_readable(dataset)


def test_a_folder_that_is_no_data_set_is_left_alone(tmp_path, caplog):
    (tmp_path / "shards" / "train" / ("a" * 32)).mkdir(parents=True)
    assert prune.main(command(tmp_path)) == 1
    assert caplog.messages == [
        f"prune failed: {tmp_path}: no data set here, or none published yet "
        f"(no CURRENT file)"
    ]
    assert (tmp_path / "shards" / "train" / ("a" * 32)).is_dir()
    assert not (tmp_path / "versions").exists()


@pytest.mark.parametrize("keep", ["0", "-1", "all", ""])
def test_keeping_no_version_is_wrong_usage(dataset, capsys, keep):
    before = by_hand.snapshot(dataset)
    with pytest.raises(SystemExit) as ended:
        prune.main(["--dataset", str(dataset), f"--keep={keep}"])
    assert ended.value.code == 2
    assert (
        f"must be a whole number of at least 1, got {keep!r}" in capsys.readouterr().err
    )
    assert by_hand.snapshot(dataset) == before


def test_the_number_to_keep_has_no_default(dataset):
    with pytest.raises(SystemExit) as ended:
        prune.main(["--dataset", str(dataset)])
    assert ended.value.code == 2


def test_a_publication_at_the_same_moment_is_waited_for(dataset):
    with files.locked_directory(dataset / "versions"):
        program = (
            "import sys, pathlib; from pipelines.jobs import prune; "
            "prune.prune(pathlib.Path(sys.argv[1]), 1)"
        )
        waiting = subprocess.Popen(
            [sys.executable, "-c", program, str(dataset)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=1.5)
        assert len(opening.list_versions(dataset)) == 3
    assert waiting.wait(timeout=60) == 0
    assert opening.list_versions(dataset) == ["000003"]
