"""Builds that are killed, over and over, end in the bytes of an undisturbed one."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mindrecord_io import records
from mindrecord_io.storage import files
from mindrecord_io.versions import opening
from pipelines.jobs import build, build_options
from tests import tiny_dataset as tiny

NUM_SHARDS = 16
CLIP_IDS = [str(n) for n in range(100, 160)]
SEED = 20
# A killed worker fails the job, which is then run again; a killed decoder does not.
KILLS = {"decoder": 14, "worker": 8, "driver": 6, "driver that publishes": 2}
MODULES = {
    "decoder": "pipelines.building.decoder_child",
    "worker": "pipelines.building.shard_child",
}
MAX_SECONDS = 120


class RunningBuild:
    """`python -m pipelines build`, and what it has done so far."""

    def __init__(self, tools, clips, annotations, dataset, python_path=()):
        self._tools, self._clips, self._dataset = tools, clips, dataset
        words = ["--clips", clips, "--annotations", annotations, "--dataset", dataset]
        words += ["--num_shards", NUM_SHARDS, "--num_workers", 2, "--page_mib", 1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "build", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=tools.command_environment(python_path),
        )
        self.pid = self._process.pid
        self.family = {self.pid}

    def is_running(self):
        return self._process.poll() is None

    def pids(self, module):
        """The processes of this build that run a module."""
        descendants = self._tools.child_pids(self.pid)
        self.family |= descendants
        return sorted(pid for pid in descendants if module in command_of(pid))

    def settled_decoders(self):
        """The decoders that have begun a second clip: the plant writes that down.

        A decoder that replaces a killed one begins with the clip that that one had;
        were it killed there too, that would be taken for the clip's doing.
        """
        begun = Counter(
            int(pid)
            for path in self._clips.glob("*.tries")
            for pid in path.read_text().split()
        )
        return [pid for pid in self.pids(MODULES["decoder"]) if begun[pid] > 1]

    def num_finished_shards(self):
        return len(list(self._dataset.glob("versions/.incomplete-*/receipts/*.json")))

    def wait_for(self, is_true):
        """Waits until something is true; False if the build ends before."""
        deadline = time.monotonic() + MAX_SECONDS
        while self.is_running():
            if is_true():
                return True
            assert time.monotonic() < deadline, "the build hangs"
            time.sleep(0.002)
        return False

    def kill(self, signal_number=signal.SIGKILL):
        """Sends a signal to the driver; False if it has ended already."""
        self.family |= self._tools.child_pids(self.pid)
        is_running = self.is_running()
        self._process.send_signal(signal_number)
        return is_running

    def end(self):
        """Waits for the end; returns exit status, result and log."""
        output, log = self._process.communicate(timeout=MAX_SECONDS)
        lines = output.splitlines()
        result = json.loads(lines[-1]) if lines else None
        return self._process.returncode, result, log


class Reader(threading.Thread):
    """Opens the current version all the time; keeps what is not as it must be."""

    def __init__(self, dataset):
        super().__init__(daemon=True)
        self._dataset, self._stop_asked = dataset, threading.Event()
        self.seen, self.wrong = [], []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self._stop_asked.set()
        self.join()

    def run(self):
        while not self._stop_asked.wait(0.05):
            try:
                self._read()
            except Exception as error:
                self.wrong.append(repr(error))

    def _read(self):
        if not self.seen and opening.current_name(self._dataset) is None:
            return
        version = opening.open_version(self._dataset)
        name = version.manifest.version
        is_new = name not in self.seen
        if is_new:
            self.seen.append(name)
        statuses = version.read_clips(["status"]).column("status").to_pylist()
        if statuses.count(records.STORED) != version.manifest.num_clips:
            self.wrong.append(f"{name}: {Counter(statuses)}")
        for entry in version.manifest.shards:
            path = version.shard_path(entry)
            is_whole = path.stat().st_size == entry.mindrecord.num_bytes
            if not is_whole or (is_new and files.fingerprint(path) != entry.mindrecord):
                self.wrong.append(f"{name}: {path}")


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def annotations_of(folder, number):
    """Annotations number 0, 1, ...: each gives every clip another label, puts some
    clips into another split, and lacks some that the ones before and after have.
    """
    splits = {split: {} for split in ("train", "validation", "test")}
    for clip_id in CLIP_IDS:
        n = int(clip_id)
        if n % 6 != number % 6:
            split = "validation" if (n + number) % 7 == 0 else "train"
            splits[split][clip_id] = (n + number) % len(tiny.LABELS)
    return tiny.annotate(folder / f"annotations-{number}", splits)


@pytest.fixture(scope="module")
def clips(package, tmp_path_factory):
    """Sixty clips, of eight different contents."""
    folder = tmp_path_factory.mktemp("sixty") / "clips"
    folder.mkdir()
    originals = sorted(package.clips.iterdir())
    for number, clip_id in enumerate(CLIP_IDS):
        original = originals[number % len(originals)]
        (folder / f"{clip_id}.webm").hardlink_to(original)
    return folder


def build_undisturbed(clips, annotations, dataset):
    asked = build_options.BuildOptions(
        clips=clips,
        annotations=annotations,
        dataset=dataset,
        settings=records.DecodeSettings(page_num_bytes=1 << 20),
        num_shards=NUM_SHARDS,
        num_workers=1,
    )
    return build.build(asked).version


def kill_once(kind, running, rng):
    """Kills a process of a build at a random moment; False if the build ended first."""
    if kind == "driver that publishes":
        if not running.wait_for(lambda: is_publishing(running._dataset)):
            return False
        time.sleep(rng.uniform(0, 0.05))
        return running.kill()
    num_finished = running.num_finished_shards() + rng.randint(0, 2)
    if kind == "driver" and rng.random() < 0.5:
        num_finished = 0  # in the beginning, when there may be no worker yet
    if not running.wait_for(lambda: running.num_finished_shards() >= num_finished):
        return False
    time.sleep(rng.uniform(0, 0.4))
    if kind == "driver":
        return running.kill()
    found = []

    def find():
        found[:] = (
            running.settled_decoders()
            if kind == "decoder"
            else running.pids(MODULES["worker"])
        )
        return found

    if not running.wait_for(find):
        return False
    try:
        os.kill(rng.choice(found), signal.SIGKILL)
    except ProcessLookupError:  # it has just ended
        return False
    return True


def is_publishing(dataset):
    return any(dataset.glob("versions/.incomplete-*/version"))


def build_while_killing(clips, folder, tools, plant):
    """Builds one version after the other until every kill has been done.

    Returns:
      The number of versions and the ids of all processes.
    """
    rng = random.Random(SEED)
    kinds = [kind for kind, number in KILLS.items() for _ in range(number)]
    rng.shuffle(kinds)
    num_versions, family = 0, set()
    while True:
        annotations = annotations_of(folder, num_versions)
        dataset = folder / "dataset"
        running = RunningBuild(tools, clips, annotations, dataset, plant)
        is_ended = False
        while kinds and not is_ended and kill_once(kinds[-1], running, rng):
            is_ended = kinds.pop() != "decoder"
        status, _, log = running.end()
        family |= running.family
        assert status in (0, 1, -signal.SIGKILL), log
        assert status != 1 or "the worker process killed by SIGKILL" in log, log
        num_versions += status == 0
        if status == 0 and not kinds:
            return num_versions, family


@pytest.mark.slow
def test_a_build_that_is_killed_thirty_times_ends_as_if_it_had_not_been(
    clips, tmp_path, tools, plant
):
    dataset, undisturbed = tmp_path / "dataset", tmp_path / "undisturbed"

    with Reader(dataset) as reader:
        num_versions, family = build_while_killing(clips, tmp_path, tools, plant)

    with tiny.lent_worker():
        for number in range(num_versions):
            annotations = annotations_of(tmp_path, number)
            version = build_undisturbed(clips, annotations, undisturbed)
    assert tiny.files_of(opening.open_version(dataset)) == tiny.files_of(version)
    assert tiny.sha256s(dataset / "shards") == tiny.sha256s(undisturbed / "shards")
    assert reader.wrong == []
    assert reader.seen == sorted(reader.seen)
    assert len(reader.seen) == num_versions
    assert tiny.work_in_progress(dataset) == []
    assert sorted(path.name for path in dataset.iterdir()) == [
        "CURRENT",
        "shards",
        "sources.parquet",
        "versions",
    ]
    tools.wait_until(
        lambda: not any(map(tools.is_alive, family)), "no process is left", 10
    )


@pytest.mark.slow
@pytest.mark.usefixtures("sigint_is_heard")
@pytest.mark.parametrize(
    ("signal_number", "expected_status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_build_that_is_stopped_leaves_nothing_half_done_and_is_resumed(
    clips, tmp_path, tools, signal_number, expected_status
):
    dataset, annotations = tmp_path / "dataset", annotations_of(tmp_path, 0)
    running = RunningBuild(tools, clips, annotations, dataset)
    assert running.wait_for(lambda: running.num_finished_shards() >= 3)

    running.kill(signal_number)

    status, result, log = running.end()
    assert (status, result) == (expected_status, None)
    assert "Traceback" not in log
    assert log.splitlines()[-1].startswith("interrupted: nothing half-done counts")
    assert log.count("interrupted") == 1
    assert tiny.work_in_progress(dataset) == []
    tools.wait_until(
        lambda: not any(map(tools.is_alive, running.family)), "no process is left", 10
    )
    _, result, _ = RunningBuild(tools, clips, annotations, dataset).end()
    assert result["shards"]["reused"] >= 3
    assert result["version"] == "000001"
    assert tiny.work_in_progress(dataset) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "statuses"),
    [((0, 0), [{0}]), ((0, 1), [{0}, {0, 1}])],
    ids=["equal", "different"],
)
def test_of_two_builds_at_once_both_end_well_or_one_tells_of_the_other(
    clips, tmp_path, tools, numbers, statuses
):
    dataset = tmp_path / "dataset"
    both = [
        RunningBuild(tools, clips, annotations_of(tmp_path, number), dataset)
        for number in numbers
    ]

    ended = [running.end() for running in both]

    assert {status for status, _, _ in ended} in statuses
    if numbers[0] == numbers[1]:
        assert [result["version"] for _, result, _ in ended] == ["000001", "000001"]
        logs = "".join(log for _, _, log in ended)
        assert "no clip, label or setting changed" in logs or "nothing is added" in logs
    for status, result, log in ended:
        told = "was published by another process since this one began"
        assert (told in log) == (status == 1)
        assert (result is None) == (status == 1)
    checked = tools.run_command("verify", "--dataset", dataset)
    assert checked.returncode == 0, checked.stderr
    assert tiny.work_in_progress(dataset) == []
    with tiny.lent_worker():
        for number in set(numbers):
            build_undisturbed(clips, annotations_of(tmp_path, number), tmp_path / "one")
    assert tiny.sha256s(dataset / "shards") == tiny.sha256s(tmp_path / "one" / "shards")


@pytest.mark.slow
def test_of_a_shard_only_the_clips_that_changed_are_decoded(package_copy, tools, plant):
    dataset = package_copy.folder / "dataset"
    words = ["build", "--clips", package_copy.clips, "--dataset", dataset]
    words += ["--annotations", package_copy.annotations, "--page_mib", 1]

    def num_decoded():
        """Tells how often each clip has been decoded: the plant writes it down."""
        return {
            path.stem: len(path.read_text().splitlines())
            for path in package_copy.clips.glob("*.tries")
        }

    first = tools.run_command(*words, python_path=plant)
    assert first.returncode == 0, first.stderr
    assert set(num_decoded().values()) == {1}
    tools.write_grey_clip(package_copy.clip("103"), [200, 10])
    (package_copy.clip("106")).hardlink_to(package_copy.clip("101"))
    train = tools.SPLITS["train"] | {"106": 1, "104": 2}
    package_copy.annotate(tools.SPLITS | {"train": train})

    second = tools.run_command(*words, python_path=plant)

    # All five train clips are in one shard, whose other four frames are copied.
    result = json.loads(second.stdout.splitlines()[-1])
    assert result["shards"] == {"reused": 2, "relabelled": 0, "decoded": 1}
    assert num_decoded() == dict.fromkeys(num_decoded(), 1) | {"103": 2}
    with tiny.lent_worker():
        shutil.rmtree(package_copy.folder / "fresh", ignore_errors=True)
        fresh = build.build(
            build_options.BuildOptions(
                clips=package_copy.clips,
                annotations=package_copy.annotations,
                dataset=package_copy.folder / "fresh",
                settings=records.DecodeSettings(page_num_bytes=1 << 20),
                num_workers=1,
            )
        ).version
    made = tiny.files_of(opening.open_version(dataset))
    del made["changes.tsv"]  # against the version before, which a fresh one has not
    assert made == tiny.files_of(fresh)
