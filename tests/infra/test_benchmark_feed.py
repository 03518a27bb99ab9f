import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import feed, feed_stages, feed_stores, feed_ways

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


def measured(num_clips=100, seconds=2.0, cpu_seconds=1.0, **more):
    more = {"num_bytes_read": 1024 * 500, "peak_rss_mib": 50.0} | more
    return feed.Measured(num_clips, seconds, cpu_seconds, **more)


def test_processes_that_work_side_by_side_are_added_up():
    actual = feed.total(
        [measured(60, 2.0, 1.5), measured(40, 3.0, 0.5, peak_rss_mib=30.0)]
    )
    assert actual == measured(
        100, 3.0, 2.0, num_bytes_read=1024 * 1000, peak_rss_mib=80.0
    )
    assert actual.clips_per_second == pytest.approx(100 / 3)
    assert actual.cpu_ms_per_clip == pytest.approx(20)
    assert actual.kib_per_clip == pytest.approx(10)


def test_ratios_are_medians_of_the_rounds():
    rounds = [
        {"ours": measured(seconds=1.0), "tar": measured(seconds=s, cpu_seconds=c)}
        for s, c in ((2.0, 3.0), (4.0, 1.0), (3.0, 2.0))
    ]
    assert feed.ratios(rounds) == {"tar": {"clips_per_second": 3.0, "cpu": 2.0}}


def test_the_table_has_a_line_for_each_way():
    rounds = [{"bare": measured(seconds=0.8), "ours": measured(seconds=1.0)}]
    header, bare, ours = feed.table(rounds).split("\n")
    assert header.startswith("way        clips/s  CPU ms/clip  KiB/clip  RSS MiB")
    assert bare.split() == ["bare", "125.0", "10.00", "5", "50", "0.80", "1.00"]
    assert ours.split() == ["ours", "100.0", "10.00", "5", "50"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--num_clips", "0"], "num_clips must be at least 1: 0"),
        (["--num_workers", "0"], "num_workers must be at least 1: (0,)"),
    ],
)
def test_impossible_numbers_are_wrong_usage(words, expected, capsys):
    with pytest.raises(SystemExit) as caught:
        feed.main(words)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.fixture(scope="module")
def stores(published_version, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for way in ("folder", "tar"):
        feed_stores.STORES[way](published_version.dataset, folder / way)
    return folder


def test_stores_hold_the_frames_of_the_shards(published_version, stores, make_jpegs):
    clips = {
        c: jpegs for c, _, jpegs in feed_stores.read_clips(published_version.dataset)
    }
    assert b"".join(clips["103"]) == make_jpegs("103", 12).jpegs
    files = sorted((stores / "folder" / "103").iterdir())
    assert [path.read_bytes() for path in files] == clips["103"]
    lines = (stores / "folder" / "list.txt").read_text().split("\n")
    assert "103 12 1" in lines
    assert len(lines) == len(clips) == 7


@pytest.mark.slow
@pytest.mark.parametrize("way", ["bare", "ours", "folder"])
def test_a_way_reads_every_clip(published_version, stores, way):
    words = [way, str(published_version.dataset), str(stores / way), "1", "0", "2"]
    done = subprocess.run(
        [sys.executable, feed_ways.__file__, *words],
        input="go\n",
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    ready, result = done.stdout.split("\n")[-3:-1]
    assert ready == "ready"
    actual = feed.Measured(**json.loads(result))
    assert actual.num_clips == 14
    assert actual.num_bytes_read > 14 * 8 * 500  # of frames of some 700 bytes


def test_workers_share_the_clips():
    words = ["dataset", "store", "2", "1", "3"]
    task = feed_ways.Task(words)
    assert task.mine(["a", "b", "c", "d"]) == ["b", "d"]
    assert (task.num_workers, task.num_epochs) == (2, 3)


def test_a_way_that_fails_is_named(tmp_path):
    options = feed.Options(num_epochs=1)
    with pytest.raises(RuntimeError, match="ended without a result"):
        feed._run(options, "folder", tmp_path, tmp_path / "nothing", 1)


def test_what_is_not_installed_is_noticed(monkeypatch):
    monkeypatch.setattr(feed, "_LIBRARIES", {"tar": "no_such_library", "mds": "json"})
    options = feed.Options()
    assert [feed._is_installed(options, way) for way in ("tar", "mds")] == [False, True]


def test_stages_are_parts_of_the_whole(published_version):
    result = feed_stages.measure(published_version.dataset, 1)
    assert set(result["bare"]) == {"ms", "decide", "read", "jpeg"}
    assert {"jpeg", "resample", "split"} < set(result["ours"])  # they have no cells
    assert set(result["luma"]) == {"ms", "decide", "read", "jpeg"}
    assert result["bare_over_ours"] > 0
    assert result["luma_over_ours"] > 0
