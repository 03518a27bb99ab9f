"""Data sets that cannot be written: the disk is full, read-only, or something else.

A small file system is mounted for these tests, which only root may do.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import files
from mindrecord_io.versions import opening
from pipelines.jobs import build, relabel
from tests import tiny_dataset as tiny

MIB = 1 << 20
PAGE = 4096  # what a file of a tmpfs takes at least
# The files of a shard take 8 pages or so, the job itself a few.
ROOM_FOR_ONE_SHARD = 14 * PAGE


@pytest.fixture(scope="module", autouse=True)
def lent_worker():
    with tiny.lent_worker():
        yield


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("made"), package.clips)


@contextlib.contextmanager
def mounted(folder, num_bytes):
    """A file system of so many bytes; skips the test where that cannot be had."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs root, to mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Disk:
    """A small file system with the data set on it, and a file that fills it."""

    def __init__(self, folder, dataset):
        self.folder = folder
        self.dataset = shutil.copytree(dataset, folder / "dataset")
        self._ballast = folder / "ballast"

    @property
    def num_bytes_free(self):
        return shutil.disk_usage(self.folder).free

    def leave(self, num_bytes):
        """Fills the disk until so many bytes are free."""
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.num_bytes_free - num_bytes)

    def make_room(self):
        self._ballast.unlink()


@pytest.fixture
def disk(made, tmp_path):
    with mounted(tmp_path / "disk", 32 * MIB) as folder:
        yield Disk(folder, made.dataset)


@pytest.fixture
def other_labels(tmp_path):
    """Annotations that change all shards but the test split's."""
    return tiny.annotate(tmp_path / "new", tiny.changed(c102=2, c101=1, c201=0))


@pytest.fixture
def other_texts(tmp_path):
    """Annotations that change no shard."""
    return tiny.annotate(tmp_path / "new", tiny.SPLITS, ("To the left", "Right", "No"))


def command(job, *flags):
    """Runs a job in this process; returns exit status and result."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = job.main([*map(str, flags), "--num_workers", "1"])
    lines = output.getvalue().splitlines()
    return status, json.loads(lines[-1]) if lines else None


def error_of(caplog):
    """The one error that is logged."""
    (record,) = (
        r for r in caplog.records if r.name == "clipmill" and r.levelname == "ERROR"
    )
    return record.getMessage()


def assert_unharmed(dataset, before):
    """The version that was there is current, whole and alone, and nothing is left."""
    version = opening.open_version(dataset)
    assert version.manifest.version == "000001"
    assert tiny.files_of(version) == before
    assert tiny.work_in_progress(dataset) == []


def test_a_disk_that_fills_up_costs_the_job_and_nothing_else(
    made, disk, other_labels, caplog
):
    before = tiny.files_of(opening.open_version(disk.dataset))
    disk.leave(ROOM_FOR_ONE_SHARD)

    assert made.relabel(disk.dataset, other_labels) == (1, None)

    full = r": No space left on device \((\d+) bytes free there\)"
    told = re.search(full, error_of(caplog))
    assert told, error_of(caplog)
    assert int(told[1]) < MIB
    assert f"{disk.dataset}/" in error_of(caplog)
    assert_unharmed(disk.dataset, before)


def test_after_making_room_the_same_command_finishes(made, disk, other_labels):
    disk.leave(ROOM_FOR_ONE_SHARD)
    made.relabel(disk.dataset, other_labels)
    num_finished = len(list(disk.dataset.glob("shards/*/*/summary.json"))) - 4
    disk.make_room()

    status, result = made.relabel(disk.dataset, other_labels)

    assert (status, result["version"]) == (0, "000002")
    assert num_finished <= 2  # of three
    assert result["shards"] == {
        "reused": 1 + num_finished,
        "relabelled": 3 - num_finished,
        "decoded": 0,
    }


def test_a_full_disk_is_told_by_a_build_too(made, disk, tmp_path, caplog):
    disk.leave(4 * PAGE)
    flags = ["--clips", made.clips, "--annotations", made.folder / "annotations"]

    status, _ = command(
        build, *flags, "--dataset", disk.folder / "new", "--max_quarantined", 3
    )

    assert status == 1
    full = r": No space left on device \(\d+ bytes free there\)"
    assert re.search(full, error_of(caplog))
    assert f"{disk.folder}/new/" in error_of(caplog)
    assert tiny.work_in_progress(disk.folder / "new") == []
    assert opening.current_name(disk.folder / "new") is None


@pytest.mark.parametrize("num_pages", [0, 3, 8, 12, 13, 14, 15, 16, 17])
def test_wherever_it_is_that_the_room_ends_it_is_told(
    made, disk, other_texts, caplog, num_pages
):
    """No shard is written here: receipts, table, label files, manifest, pointer."""
    before = tiny.files_of(opening.open_version(disk.dataset))
    disk.leave(num_pages * PAGE)

    status, _ = made.relabel(disk.dataset, other_texts)

    if status == 1:
        full = r"No space left on device \(\d+ bytes free there\)"
        file = rf"{disk.dataset}/[^\s':]+"
        words = rf"{file}: {full}|\[Errno 28\] {full}: '{file}'"
        assert re.search(words, error_of(caplog))
        assert_unharmed(disk.dataset, before)
    disk.make_room()
    status, result = made.relabel(disk.dataset, other_texts)
    assert (status, result["shards"]["reused"]) == (0, 4)
    assert opening.open_version(disk.dataset).category_names()[0] == "To the left"


def test_a_data_set_that_is_read_only_is_one_clear_error(
    made, disk, other_labels, caplog
):
    before = tiny.files_of(opening.open_version(disk.dataset))
    remount = ["mount", "-o", "remount,ro", str(disk.folder)]
    subprocess.run(remount, check=True)

    assert made.relabel(disk.dataset, other_labels) == (1, None)

    assert re.fullmatch(
        rf"relabel failed: {disk.dataset}/versions/\S+: Read-only file system",
        error_of(caplog),
    )
    assert_unharmed(disk.dataset, before)


def test_a_data_set_of_a_newer_format_is_one_clear_error(
    made, tmp_path, other_labels, caplog
):
    dataset = shutil.copytree(made.dataset, tmp_path / "dataset")
    path = naming.manifest_path(naming.version_folder(dataset, "000001"))
    fields = json.loads(path.read_text())
    path.unlink()
    files.write_synced(path, json.dumps(fields | {"format_version": 99}).encode())
    before = tiny.sha256s(dataset)
    flags = ["--annotations", other_labels, "--dataset", dataset]

    assert command(build, "--clips", made.clips, *flags) == (1, None)
    told = error_of(caplog)
    caplog.clear()
    assert command(relabel, *flags) == (1, None)

    why = f"{path}: format version 99 is newer than this program's 2: use a newer"
    assert told == f"build failed: {why} clipmill"
    assert error_of(caplog) == f"relabel failed: {why} clipmill"
    assert tiny.sha256s(dataset) == before
