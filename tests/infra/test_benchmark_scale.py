import os
import subprocess
import sys

import pytest

from infra.benchmarks import scale


def test_the_ratio_is_the_median_of_the_rounds_own():
    assert scale.summarise({1: [10.0, 20.0, 10.0], 2: [18.0, 40.0, 19.0]}) == {
        "clips_per_second": {"1": 10.0, "2": 19.0},
        "ratio": 1.9,
    }


def test_a_build_that_fails_is_told_by_the_end_of_its_log(tmp_path):
    with pytest.raises(RuntimeError, match="pipelines build failed:") as caught:
        scale._build([], tmp_path / "nothing", tmp_path / "dataset")
    assert "build failed: " in str(caught.value)


def test_what_a_block_starts_stays_on_so_many_cores():
    before = os.sched_getaffinity(0)
    with scale._confined(1):
        command = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout.strip() == str({min(before)})
    assert os.sched_getaffinity(0) == before


def test_slots_without_a_core_each_are_not_measured():
    num_cores = len(os.sched_getaffinity(0))
    with (
        pytest.raises(RuntimeError, match=f"a core each: {num_cores} here"),
        scale._confined(num_cores + 1),
    ):
        raise AssertionError("nothing is to be run")


def test_a_machine_of_one_core_is_noticed_before_anything_is_drawn(
    monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert scale.main(["--workdir", str(tmp_path / "w")]) == 1
    assert "2 slots need a core each: 1 here" in caplog.text
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("name", ["num_clips", "num_copies", "num_rounds"])
def test_nothing_cannot_be_measured(name, capsys):
    with pytest.raises(SystemExit) as ended:
        scale.main([f"--{name}", "0"])
    assert ended.value.code == 2
    assert f"{name} must be at least 1: 0" in capsys.readouterr().err
