import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import measuring, relabel

REPOSITORY = Path(__file__).resolve().parents[2]
ANNOTATION = "something-something-v2-{}.json"


def measured(seconds, num_shards=10, whole_seconds=None, cpu_seconds=None):
    return relabel.Measured(
        num_clips=640,
        num_bytes=500_000_000,
        num_shards=num_shards,
        seconds=seconds,
        whole_seconds=2 * seconds if whole_seconds is None else whole_seconds,
        cpu_seconds=seconds / 2 if cpu_seconds is None else cpu_seconds,
    )


def one_round(build=40.0, one=2.0, every=6.5, copy=1.0):
    """Starting takes 1.5 s and a shard half a second, if nothing else is said."""
    return {
        "build": measured(build),
        "one": measured(one, num_shards=1),
        "all": measured(every),
        "copy": measured(copy, whole_seconds=copy),
    }


@pytest.mark.parametrize(
    ("one", "every", "expected"),
    [
        (2.0, 6.5, 5.0),  # nine more shards in 4.5 s: half a second each
        (2.0, 2.0, 1e-3),  # never nothing: others are divided by it
        (3.0, 2.0, 1e-3),
    ],
)
def test_what_starting_costs_is_not_in_the_net_time(one, every, expected):
    run = one_round(one=one, every=every)
    assert relabel.net_seconds(run) == pytest.approx(expected)


def test_the_processors_time_is_told_apart_from_what_is_waited_for():
    run = one_round() | {
        "one": measured(2.0, num_shards=1, cpu_seconds=1.0),
        "all": measured(6.5, cpu_seconds=1.9),
    }
    assert relabel.net_cpu_seconds(run) == pytest.approx(1.0)  # 0.9 for nine shards


def test_a_data_set_of_one_shard_has_a_net_time_too():
    run = one_round() | {"all": measured(2.5, num_shards=1)}
    assert relabel.net_seconds(run) == pytest.approx(0.5)


def test_ratios_are_medians_of_the_rounds_ratios():
    rounds = [
        one_round(),  # over build: 6.5 / 40; over copy: 6.5
        one_round(build=80.0, copy=2.0),  # 6.5 / 80; 3.25
        one_round(build=20.0, copy=0.5),  # 6.5 / 20; 13
    ]

    result = relabel.summarise(2, rounds)

    assert result.num_workers == 2
    assert result.over_build == {
        "work": 0.163,
        "whole": 0.163,
        "net": 0.125,
        "cpu": 0.125,
    }
    assert result.over_copy == {"work": 6.5, "whole": 13.0, "net": 5.0, "cpu": 5.0}
    assert result.net_seconds == 5.0
    assert result.seconds == {"build": 40.0, "one": 2.0, "all": 6.5, "copy": 1.0}
    assert result.whole_seconds == {"build": 80, "one": 4, "all": 13, "copy": 1}
    assert (result.num_clips, result.num_shards) == (640, 10)


def test_the_table_has_a_row_and_a_line_for_each_number_of_workers():
    results = [relabel.summarise(n, [one_round()]) for n in (1, 2)]
    assert relabel.table(results).splitlines() == [
        "workers        seconds of work               all over build"
        "           all over copy",
        "         build    one    all   copy    net    work    net    cpu"
        "    work    net    cpu",
        "      1  40.00   2.00   6.50   1.00   5.00   0.163  0.125  0.125"
        "    6.50   5.00   5.00",
        "      2  40.00   2.00   6.50   1.00   5.00   0.163  0.125  0.125"
        "    6.50   5.00   5.00",
        "1 workers: 640 clips, 500 MB in 10 shards; whole commands: build 80.0 s, "
        "one 4.0 s, all 13.0 s, copy 1.0 s",
        "2 workers: 640 clips, 500 MB in 10 shards; whole commands: build 80.0 s, "
        "one 4.0 s, all 13.0 s, copy 1.0 s",
    ]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"num_clips": 9}, "num_clips must be at least 10: 9"),
        ({"num_workers": ()}, "num_workers must be at least 1"),
        ({"num_workers": (2, 0)}, "num_workers must be at least 1"),
        ({"num_rounds": 0}, "num_rounds must be at least 1: 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, text):
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        relabel.Options(**wrong)


def test_wrong_flags_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        relabel.main(["--num_rounds", "0"])
    assert ended.value.code == 2
    assert "num_rounds must be at least 1: 0" in capsys.readouterr().err


def test_a_job_that_fails_is_told(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("pipelines synthesize failed:\nno room")

    monkeypatch.setattr(measuring, "run_job", fail)
    assert relabel.main(["--workdir", str(tmp_path)]) == 1
    assert "benchmark failed: pipelines synthesize failed:\nno room" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_benchmark_measures_every_way(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "infra.benchmarks.relabel"),
            *("--num_clips", "16", "--num_workers", "1", "--num_rounds", "1"),
            *("--workdir", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
    )

    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout.splitlines()[-1])["results"]
    num_unlabelled = len(
        json.loads(
            (tmp_path / "clips-16/annotations" / ANNOTATION.format("test")).read_bytes()
        )
    )
    assert result["num_clips"] == 16 - num_unlabelled
    assert result["num_shards"] == 2  # train and validation, every clip relabelled
    assert set(result["seconds"]) == {"build", "one", "all", "copy"}
    assert all(seconds > 0 for seconds in result["seconds"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["clips-16"]
