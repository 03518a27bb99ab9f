"""Prune beside jobs that make versions: none loses a shard that it counts on."""

import threading
import traceback
from pathlib import Path

import pytest

from mindrecord_io.shards import shard_folders
from mindrecord_io.versions import (
    opening,
    publication,
    shard_checks,
    version_checks,
)
from pipelines.jobs import prune, relabel
from pipelines.publishing import removal
from tests import tiny_dataset as tiny
from tests import versions_by_hand as by_hand


@pytest.fixture
def dataset(tmp_path):
    """Two versions: clip 101 is in the first only."""
    by_hand.publish(tmp_path / "dataset")
    by_hand.publish(tmp_path / "dataset", by_hand.without("101"))
    return tmp_path / "dataset"


def assert_whole(version):
    """A version has all that it lists."""
    assert version_checks.check_version(version) == []
    for entry in version.manifest.shards:
        assert shard_checks.check_sizes(version, entry) == []


def assert_readable(dataset):
    """Every version that can be seen is whole."""
    for name in opening.list_versions(dataset):
        assert_whole(opening.open_version(dataset, name))


def before_move(monkeypatch, number, act):
    """Calls `act` when prune is about to move the versions (0) or the shards (1)."""
    calls = []

    def act_and_move(paths, trash, moved):
        if len(calls) == number:
            act()
        calls.append(paths)
        move(paths, trash, moved)

    move = removal._move
    monkeypatch.setattr(removal, "_move", act_and_move)


class Job(threading.Thread):
    """Something done at the same time; `begun` and `result` tell how far it is."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self._act, self.begun, self.result = act, threading.Event(), None

    def run(self):
        self.result = self._act()


@pytest.mark.parametrize("number", [0, 1])
def test_no_job_begins_between_the_look_at_others_and_the_last_move(
    dataset, monkeypatch, number
):
    only_first = {
        (entry.split, entry.key)
        for entry in opening.open_version(dataset, "000001").manifest.shards
    } - {
        (entry.split, entry.key)
        for entry in opening.open_version(dataset, "000002").manifest.shards
    }

    def begin_a_job():
        with publication.staging_folder(dataset):
            job.begun.set()
            return [
                shard_folders.read_summary(dataset, split, key)
                for split, key in only_first
            ]

    def try_to_begin():
        job.start()
        assert not job.begun.wait(0.5)

    job = Job(begin_a_job)
    before_move(monkeypatch, number, try_to_begin)

    result = prune.prune(dataset, 1)

    job.join(60)
    assert len(result.removed_shards) == len(only_first) == 1
    assert job.result == [None]  # it sees none of those that go
    assert_readable(dataset)


def test_a_job_that_has_found_its_shards_keeps_them_until_it_has_published(
    dataset, monkeypatch
):
    """The first version again: all its shards are found, the current one lacks one."""
    refused = []

    def prune_and_publish(root, folder, fields):
        with pytest.raises(removal.AtWorkError, match="another job is at work"):
            prune.prune(dataset, 1)
        refused.append(fields.parent)
        return publish(root, folder, fields)

    publish = publication.publish
    monkeypatch.setattr(publication, "publish", prune_and_publish)

    with publication.staging_folder(dataset):
        version = by_hand.publish(dataset)

    assert refused == ["000002"]
    assert prune.prune(dataset, 1).removed_versions == ("000001", "000002")
    assert opening.open_version(dataset) == version
    assert_readable(dataset)


def test_what_cannot_be_put_back_does_not_keep_the_rest_from_it(dataset, monkeypatch):
    """As where locks are ignored, and a job begins after all."""
    before = by_hand.snapshot(dataset)

    def refuse_second(versions, own):
        calls.append(own)
        if len(calls) == 2:
            (lost,) = own.parent.parent.glob("shards/train/.incomplete-*/*")
            lost.rename(dataset / "lost")
            raise removal.AtWorkError("another job is at work")

    calls = []
    monkeypatch.setattr(removal, "_refuse_others", refuse_second)

    with pytest.raises(OSError, match="No such file or directory") as error:
        prune.prune(dataset, 1)

    gone = before.keys() - by_hand.snapshot(dataset).keys()
    assert {dataset / Path(path).parent for path in gone} == {
        Path(error.value.filename2)
    }
    assert opening.list_versions(dataset) == ["000001", "000002"]


@pytest.fixture(scope="module")
def made(package, tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("made"), package.clips)


@pytest.fixture
def annotations(tmp_path):
    """Two folders of annotations that differ in every shard of train."""
    renamed = tiny.changed(c101=1, c102=0, c103=0, c105=0, c201=0)
    return [
        tiny.annotate(tmp_path / "first", tiny.SPLITS),
        tiny.annotate(tmp_path / "second", renamed),
    ]


def relabel_to(dataset, annotations):
    words = ["--annotations", annotations, "--dataset", dataset, "--num_workers", 1]
    return relabel.main(list(map(str, words)))


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_a_real_job_that_begins_meanwhile_waits_and_makes_again_what_went(
    made, annotations, monkeypatch, number
):
    """It would have found the first version's shards, which go."""
    with tiny.lent_worker():
        assert relabel_to(made.dataset, annotations[1]) == 0
        job = Job(lambda: relabel_to(made.dataset, annotations[0]))

        def begin():
            job.start()
            job.join(1)
            assert job.is_alive()

        before_move(monkeypatch, number, begin)
        kept = prune.prune(made.dataset, 1).kept
        job.join(120)

    assert job.result == 0
    assert opening.open_version(made.dataset).manifest.parent == kept[0]
    assert_readable(made.dataset)
    assert tiny.work_in_progress(made.dataset) == []


@pytest.mark.slow
def test_jobs_do_not_notice_that_prune_runs_again_and_again(made, annotations):
    is_done, num_pruned, wrong = threading.Event(), [], []

    def prune_again_and_again():
        while not is_done.wait(0.01):
            try:
                num_pruned.append(len(prune.prune(made.dataset, 1).removed_shards))
            except removal.AtWorkError:
                num_pruned.append(0)
            except Exception as error:
                wrong.append(traceback.format_exception(error))

    pruning = Job(prune_again_and_again)
    pruning.start()
    with tiny.lent_worker():
        for number in range(6):
            assert relabel_to(made.dataset, annotations[(number + 1) % 2]) == 0
            assert_whole(opening.open_version(made.dataset))
    is_done.set()
    pruning.join(60)
    assert wrong == []
    assert sum(num_pruned) > 0
    assert 0 in num_pruned
