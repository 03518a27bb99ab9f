import errno
import fcntl
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import incomplete

REPOSITORY = Path(__file__).resolve().parents[3]


def abandon(parent):
    """Leaves a folder as a process does that dies in the middle of its work."""
    program = (
        "import os, pathlib, sys; from mindrecord_io.storage import incomplete\n"
        "with incomplete.folder_in(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_bytes(b'done'); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, parent], cwd=REPOSITORY, check=False
    )
    assert done.returncode == 9
    (folder,) = parent.iterdir()
    return folder


def test_work_in_progress_has_a_folder_that_is_recognised(tmp_path):
    parent = tmp_path / "shards" / "train"
    with incomplete.folder_in(parent) as folder:
        assert folder.parent == parent
        assert naming.is_incomplete(folder)
        assert list(folder.iterdir()) == []


def test_unpublished_work_is_removed(tmp_path):
    with incomplete.folder_in(tmp_path) as folder:
        (folder / "labels").mkdir()
        (folder / "labels" / "half").write_bytes(b"done")
    assert list(tmp_path.iterdir()) == []


def test_work_that_failed_is_removed(tmp_path):
    with pytest.raises(KeyError), incomplete.folder_in(tmp_path) as folder:
        raise KeyError(str(folder))
    assert list(tmp_path.iterdir()) == []


def test_published_work_stays(tmp_path):
    with incomplete.folder_in(tmp_path) as folder:
        (folder / "file").write_bytes(b"content")
        folder.rename(tmp_path / "final")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final" / "file").read_bytes() == b"content"


def test_two_works_in_progress_do_not_meet(tmp_path):
    with incomplete.folder_in(tmp_path) as first:
        with incomplete.folder_in(tmp_path) as second:
            assert first != second
        assert list(tmp_path.iterdir()) == [first]


def test_what_a_dead_process_left_is_removed(tmp_path, caplog):
    left = abandon(tmp_path)
    with caplog.at_level(logging.INFO):
        assert incomplete.remove_abandoned(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == [f"removed {left}, left by a process that died"]


def test_what_a_living_process_works_on_is_kept(tmp_path):
    with incomplete.folder_in(tmp_path) as folder:
        (folder / "half").write_bytes(b"done")
        assert incomplete.remove_abandoned(tmp_path) == []
        assert (folder / "half").exists()


def test_only_work_in_progress_is_removed(tmp_path):
    (tmp_path / "000001").mkdir()
    (tmp_path / "0123456789abcdef0123456789abcdef").mkdir()
    assert incomplete.remove_abandoned(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_there_is_nothing_to_remove_where_nothing_is(tmp_path):
    assert incomplete.remove_abandoned(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("module", "step"), [(os, "open"), (fcntl, "flock")])
def test_a_folder_taken_for_abandoned_before_it_is_locked_is_made_anew(
    tmp_path, monkeypatch, module, step
):
    original, removed = getattr(module, step), []

    def after_a_cleaner(*arguments):
        monkeypatch.undo()
        removed.extend(incomplete.remove_abandoned(tmp_path))
        return original(*arguments)

    monkeypatch.setattr(module, step, after_a_cleaner)
    with incomplete.folder_in(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert len(removed) == 1
    assert folder not in removed


def begun_elsewhere(parent, *, seconds_ago):
    """A folder as another machine makes them, last changed so long ago."""
    folder = parent / ".incomplete-ffffffff-0123456789abcdef0123456789abcdef"
    folder.mkdir()
    part = folder / "part"
    part.write_bytes(b"content")
    changed = time.time() - seconds_ago
    os.utime(part, (changed, changed))
    os.utime(folder, (changed, changed))
    return folder


@pytest.mark.parametrize(
    ("seconds_ago", "is_removed"), [(0, False), (80_000, False), (90_000, True)]
)
def test_what_another_machine_began_is_removed_only_after_a_day_of_silence(
    tmp_path, seconds_ago, is_removed
):
    folder = begun_elsewhere(tmp_path, seconds_ago=seconds_ago)

    assert incomplete.remove_abandoned(tmp_path) == [folder] * is_removed
    assert folder.exists() is not is_removed


def test_where_there_are_no_locks_work_in_progress_is_kept(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.EBADF, "flock on NFS")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with incomplete.folder_in(tmp_path) as folder:
        assert incomplete.remove_abandoned(tmp_path) == []
        assert folder.exists()


def test_two_threads_that_remove_wait_for_each_other(tmp_path, monkeypatch):
    """Where the second were done first, its process might end, and leave half."""
    abandon(tmp_path)
    is_removing, may_go_on = threading.Event(), threading.Event()
    rmtree = incomplete.shutil.rmtree

    def slow(folder):
        is_removing.set()
        may_go_on.wait()
        rmtree(folder)

    monkeypatch.setattr(incomplete.shutil, "rmtree", slow)
    first = threading.Thread(target=incomplete.remove_abandoned, args=[tmp_path])
    second = threading.Thread(target=incomplete.remove_abandoned, args=[tmp_path])
    first.start()
    is_removing.wait()
    second.start()
    second.join(0.3)
    assert second.is_alive()
    may_go_on.set()
    second.join()
    assert list(tmp_path.iterdir()) == []
    first.join()
