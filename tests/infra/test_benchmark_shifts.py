import json
import os
from pathlib import Path

import pytest

from infra.benchmarks import shifts
from infra.benchmarks.shifts import Measured

TOP1 = {
    "TSM": (0.9, 0.8, 0.85),
    "unshifted": (0.3, 0.4, 0.2),
    "online TSM": (0.7, 0.5, 0.9),
}


def measured():
    return [
        Measured(network, seed, 950, top1)
        for network, of_seeds in TOP1.items()
        for seed, top1 in enumerate(of_seeds, 1)
    ]


def test_networks_are_compared_seed_by_seed():
    result = shifts.summarise(measured())

    assert result["seeds"] == [1, 2, 3]
    assert result["num_measured_with"] == 950
    assert result["top1"]["TSM"] == {
        "mean": 0.85,
        "least": 0.8,
        "most": 0.9,
        "by_seed": [0.9, 0.8, 0.85],
    }
    assert result["differences"] == {
        "TSM over unshifted": {
            "mean": 0.55,
            "least": 0.4,
            "most": 0.65,
            "by_seed": [0.6, 0.4, 0.65],
        },
        "TSM over online TSM": {
            "mean": 0.15,
            "least": -0.05,
            "most": 0.3,
            "by_seed": [0.2, 0.3, -0.05],
        },
        "online TSM over unshifted": {
            "mean": 0.4,
            "least": 0.1,
            "most": 0.7,
            "by_seed": [0.4, 0.1, 0.7],
        },
    }


def test_the_order_in_which_trainings_end_does_not_matter():
    assert shifts.summarise(measured()[::-1]) == shifts.summarise(measured())


def test_the_table_is_for_people():
    assert shifts.table(shifts.summarise(measured())).splitlines() == [
        "top-1                          mean  least   most",
        "TSM                           0.850  0.800  0.900",
        "unshifted                     0.300  0.200  0.400",
        "online TSM                    0.700  0.500  0.900",
        "TSM over unshifted            0.550  0.400  0.650",
        "TSM over online TSM           0.150 -0.050  0.300",
        "online TSM over unshifted     0.400  0.100  0.700",
    ]


@pytest.mark.parametrize("name", ["epochs", "num_seeds"])
def test_nothing_cannot_be_trained(name, capsys):
    with pytest.raises(SystemExit) as ended:
        shifts.main([f"--{name}", "0"])
    assert ended.value.code == 2
    assert f"{name} must be at least 1: 0" in capsys.readouterr().err


class Programs:
    """Stands in for the project's programs; keeps what each was called with."""

    def __init__(self):
        self.jobs = []
        self.trained = {}
        self.measured = {}

    def run_command(self, *words):
        self.jobs.append(words)
        return {"version": "000001"}

    def start_training(self, dataset, folder, *flags, log, cores):
        self.trained[folder.name] = (dataset, flags, cores)

    def finish_training(self, process, folder):
        return folder / "best.ckpt"

    def start_command(self, *words, log, cores):
        path = words[words.index("--checkpoint") + 1]
        self.measured[path.parent.name] = (words, cores)
        return path.parent.name

    def result_of(self, name):
        return {"num_clips": 950, "top1": 0.25 if "unshifted" in name else 0.75}


@pytest.fixture
def programs(monkeypatch):
    stand_in = Programs()
    for name in (
        "run_command",
        "start_training",
        "finish_training",
        "start_command",
        "result_of",
    ):
        monkeypatch.setattr(shifts.demo, name, getattr(stand_in, name))
    return stand_in


def test_every_network_is_trained_under_every_seed(programs, tmp_path, capsys):
    words = ("--epochs", "3", "--num_seeds", "2", "--workdir", str(tmp_path))
    assert shifts.main(words) == 0

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["epochs"], result["seeds"]) == (3, [1, 2])
    assert result["differences"]["TSM over unshifted"]["by_seed"] == [0.5, 0.5]
    assert {name: flags for name, (_, flags, _) in programs.trained.items()} == {
        f"{name}-000001-3-epochs-seed-{seed}": (
            *("--epochs", "3", "--seed", seed),
            *flags,
        )
        for name, flags in [
            ("TSM", ()),
            ("unshifted", ("--shift_place", "none")),
            ("online-TSM", ("--shift_mode", "online")),
        ]
        for seed in "12"
    }
    cores = [of_run for _, _, of_run in programs.trained.values()]
    assert all(len(of_run) == 1 for of_run in cores)
    assert {core for of_run in cores for core in of_run} <= os.sched_getaffinity(0)


def test_what_is_measured_with_is_drawn_otherwise_than_what_is_trained_on(
    programs, tmp_path
):
    assert shifts.main(["--num_seeds", "1", "--workdir", str(tmp_path)]) == 0

    drawn = {
        Path(words[words.index("--output") + 1]).parent.name: words[-1]
        for words in programs.jobs
        if "synthesize" in words
    }
    assert drawn == {"trained_on": 1, "held": 2}
    assert {dataset for dataset, _, _ in programs.trained.values()} == {
        tmp_path / "trained_on" / "dataset"
    }
    for name, (words, cores) in programs.measured.items():
        assert words[words.index("--dataset") + 1] == tmp_path / "held" / "dataset"
        assert words[words.index("--split") + 1] == "train"
        flags = programs.trained[name][1]
        assert words[words.index("--checkpoint") + 2 :] == flags[4:]  # the shift
        assert len(cores) == 1


def test_a_training_that_fails_is_told(programs, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise shifts.demo.DemoError("exit status 1: python -m train")

    monkeypatch.setattr(shifts.demo, "finish_training", fail)

    assert shifts.main(["--workdir", str(tmp_path)]) == 1
    assert "benchmark failed: exit status 1: python -m train" in caplog.text
