import shutil

import pytest

from mindrecord_io import naming
from mindrecord_io.storage import shard_cache
from mindrecord_io.versions import manifests
from pipelines.publishing import data_sets
from tests import versions_by_hand as by_hand


def current(dataset):
    return data_sets.LocalDataSet(dataset).current_version()


@pytest.fixture
def version(tmp_path):
    return by_hand.publish(tmp_path / "dataset")


def test_a_data_set_without_a_version_has_no_current_one(tmp_path):
    assert current(tmp_path) is None
    assert current(tmp_path / "not there") is None


def test_the_current_version_is_the_newest_published(version):
    second = by_hand.publish(version.dataset, by_hand.without("101"))
    assert current(version.dataset) == second


def test_a_current_version_that_cannot_be_read_is_an_error(version):
    shutil.rmtree(version.folder)
    with pytest.raises(manifests.ManifestError, match="no version 000001"):
        current(version.dataset)


def test_a_path_is_a_data_set_of_this_machine_and_its_own_folder(tmp_path):
    with data_sets.opened(tmp_path) as data_set:
        assert isinstance(data_set, data_sets.LocalDataSet)
        assert data_set.folder == tmp_path


def test_receipts_of_a_data_set_here_lie_beside_what_is_staged(tmp_path):
    folder = data_sets.LocalDataSet(tmp_path).receipts(tmp_path)
    assert folder == tmp_path / "receipts"
    assert folder.is_dir()


def test_the_keys_of_a_split_are_its_folders(tmp_path):
    data_set = data_sets.LocalDataSet(tmp_path)
    assert data_set.shard_keys("train") == set()
    naming.shard_folder(tmp_path, "train", "0" * 32).mkdir(parents=True)
    assert data_set.shard_keys("train") == {"0" * 32}


class Recorder:
    def __init__(self):
        self.calls = []

    def fetch(self, split, key):
        self.calls.append(("fetch", split, key))

    def drop(self, split, key):
        self.calls.append(("drop", split, key))


def test_what_is_fetched_is_dropped_again_even_if_the_work_fails():
    recorder = Recorder()
    try:
        with data_sets.fetched(recorder, ["train/a", "test/b"]):
            recorder.calls.append("work")
            raise LookupError
    except LookupError:
        recorder.calls.append("failed")
    assert recorder.calls == [
        ("fetch", "train", "a"),
        ("fetch", "test", "b"),
        "work",
        ("drop", "train", "a"),
        ("drop", "test", "b"),
        "failed",
    ]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CLIPMILL_CACHE": "/fast"}, "/fast/work"),
        ({"XDG_CACHE_HOME": "/var/cache"}, "/var/cache/clipmill/work"),
    ],
)
def test_what_is_on_its_way_is_kept_in_the_cache(monkeypatch, environment, expected):
    for name in ("CLIPMILL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(shard_cache.work_folder()) == expected
