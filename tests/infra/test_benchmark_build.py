import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import build, repeat_clips

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "infra" / "benchmarks"
CLIPS = "20bn-something-something-v2"


def measured(num_clips, seconds, cpu_seconds=1.0, peaks=None):
    return build.Measured(
        num_clips=num_clips,
        seconds=seconds,
        whole_seconds=2 * seconds,
        cpu_seconds=cpu_seconds,
        peak_rss_mib=peaks or {},
    )


def one_round(bare, built, seed, peaks=None):
    """A round of so many clips a second, 100 clips each, 20 of the seed's."""
    return {
        "bare": measured(100, 100 / bare, 3.0),
        "build": measured(100, 100 / built, 4.0, peaks),
        "seed": measured(20, 20 / seed, 3.6),
    }


def write_package(folder, ids_by_split):
    (folder / CLIPS).mkdir(parents=True)
    (folder / "annotations").mkdir()
    rows = {
        split: [{"id": clip_id, "template": f"act {clip_id}"} for clip_id in ids]
        for split, ids in ids_by_split.items()
    }
    for role, value in {**rows, "labels": {"act": "0"}}.items():
        path = folder / "annotations" / f"something-something-v2-{role}.json"
        path.write_text(json.dumps(value))
    for clip_id in itertools.chain(*ids_by_split.values()):
        (folder / CLIPS / f"{clip_id}.webm").write_text(f"clip {clip_id}")


def read_ids(folder, split):
    path = folder / "annotations" / f"something-something-v2-{split}.json"
    return [row["id"] for row in json.loads(path.read_text())]


@pytest.fixture
def package(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    write_package(source, {"train": ["3", "1"], "validation": ["2"], "test": ["4"]})
    repeat_clips.repeat_clips(source, target, 10)
    return source, target


def test_rate_counts_the_work_and_not_the_start():
    run = build.Measured(60, seconds=4.0, whole_seconds=9.0, cpu_seconds=7.5)

    assert run.clips_per_second == 15.0


def test_a_run_too_short_for_the_clock_has_a_rate():
    assert measured(6, 0.0).clips_per_second == 6000.0


def test_summary_holds_the_medians_of_the_rounds():
    rounds = [one_round(30, 24, 5), one_round(10, 9, 3), one_round(20, 17, 4)]

    result = build.summarise(2, rounds)

    assert result.num_workers == 2
    assert result.clips_per_second == {"bare": 20.0, "build": 17.0, "seed": 4.0}
    assert result.whole_clips_per_second == {"bare": 10.0, "build": 8.5, "seed": 2.0}
    assert result.cpu_ms_per_clip == {"bare": 30.0, "build": 40.0, "seed": 180.0}


def test_ratios_are_medians_of_the_rounds_ratios_not_ratios_of_medians():
    # A busy machine slows down a whole round; within a round the ratio holds.
    rounds = [one_round(30, 24, 6), one_round(10, 9, 3), one_round(12, 6, 4)]

    result = build.summarise(1, rounds)

    assert result.build_over_bare == 0.8  # of 0.8, 0.9 and 0.5
    assert result.build_over_seed == 3.0  # of 4, 3 and 1.5


def test_peak_memory_is_the_largest_of_all_rounds():
    rounds = [
        one_round(
            1, 1, 1, {"pipelines": 150.04, "pipelines.building.shard_child": 400.0}
        ),
        one_round(
            1, 1, 1, {"pipelines": 160.26, "pipelines.building.decoder_child": 60.0}
        ),
    ]

    result = build.summarise(1, rounds)

    assert result.peak_rss_mib == {
        "pipelines": 160.3,
        "pipelines.building.shard_child": 400.0,
        "pipelines.building.decoder_child": 60.0,
    }


def test_table_has_a_line_of_figures_for_each_number_of_workers():
    rounds = [one_round(20, 16, 4, {"b": 512.4, "a": 60.0})]
    results = [build.summarise(n, rounds) for n in (1, 16)]

    lines = build.table(results).splitlines()

    assert lines[0].split() == [
        *("workers", "clips/s", "CPU", "ms", "a", "clip", "build", "over"),
    ]
    assert lines[1].split() == ["bare", "build", "seed"] * 2 + ["bare", "seed"]
    figures = ["20.0", "16.0", "4.0", "30.0", "40.0", "180.0", "0.800", "4.00"]
    assert [line.split() for line in lines[2:4]] == [["1", *figures], ["16", *figures]]
    assert lines[4] == (
        "1 workers: 8.0 clips/s with start and end; "
        "peak resident MiB a process: a 60, b 512"
    )


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--num_clips", "5"], "num_clips must be at least 6: 5"),
        (["--num_workers", "2", "0"], r"num_workers must be at least 1: \(2, 0\)"),
        (["--num_rounds", "0"], "num_rounds must be at least 1: 0"),
        (["--num_workers"], "expected at least one argument"),
        (["--num_clip", "9"], "unrecognized arguments: --num_clip"),
    ],
)
def test_wrong_arguments_end_with_status_2(flags, text, capsys):
    with pytest.raises(SystemExit) as ended:
        build.main(flags)

    assert ended.value.code == 2
    assert re.search(text, capsys.readouterr().err)


def test_a_failing_job_is_told_with_its_log_and_status_1(tmp_path, caplog):
    (tmp_path / "clips-6").write_text("in the way of the clips")

    status = build.main(["--num_clips", "6", "--workdir", str(tmp_path)])

    assert status == 1
    assert "benchmark failed: pipelines synthesize failed:" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["clips-6"]


def test_repeated_clips_are_links_to_the_clips_they_repeat(package):
    source, target = package

    for number in range(1, 11):
        original = source / CLIPS / f"{(number - 1) % 4 + 1}.webm"
        assert (target / CLIPS / f"{number}.webm").samefile(original)
    assert len(list((target / CLIPS).iterdir())) == 10


def test_repeated_clips_stay_in_their_split(package):
    _, target = package

    assert read_ids(target, "train") == ["3", "7", "1", "5", "9"]
    assert read_ids(target, "validation") == ["2", "6", "10"]
    assert read_ids(target, "test") == ["4", "8"]


def test_repeated_clips_keep_all_annotations_but_the_id(package):
    source, target = package
    name = Path("annotations") / "something-something-v2-train.json"
    labels = Path("annotations") / "something-something-v2-labels.json"

    rows = json.loads((target / name).read_text())

    assert {row["id"]: row["template"] for row in rows} == {
        "3": "act 3",
        "7": "act 3",
        "1": "act 1",
        "5": "act 1",
        "9": "act 1",
    }
    assert (target / labels).read_bytes() == (source / labels).read_bytes()


def test_a_package_is_not_made_smaller(package, tmp_path):
    source, _ = package

    with pytest.raises(ValueError, match="has 4 clips already, not 3"):
        repeat_clips.repeat_clips(source, tmp_path / "less", 3)

    assert not (tmp_path / "less").exists()


def test_repeat_clips_never_adds_to_a_package(package):
    source, target = package

    with pytest.raises(FileExistsError):
        repeat_clips.repeat_clips(source, target, 10)


@pytest.mark.slow
def test_the_whole_benchmark_on_six_clips(tmp_path):
    command = [sys.executable, "-m", "infra.benchmarks.build", "--num_clips", "6"]
    command += ["--keep"]
    command += ["--num_rounds", "1", "--num_workers", "2", "--workdir", tmp_path]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )

    outcome = json.loads(done.stdout.splitlines()[-1])
    (result,) = outcome["results"]
    (folder,) = tmp_path.glob("benchmark-*")
    assert (outcome["num_clips"], outcome["num_rounds"]) == (6, 1)
    assert outcome["num_cores"] == os.cpu_count()
    assert result["num_workers"] == 2
    for figures in ("clips_per_second", "whole_clips_per_second", "cpu_ms_per_clip"):
        assert list(result[figures]) == ["bare", "build", "seed"]
        assert min(result[figures].values()) > 0
    assert result["peak_rss_mib"].keys() >= {
        "pipelines",
        "pipelines.building.shard_child",
    }
    assert (folder / "dataset" / "CURRENT").read_text().strip() == "000001"
    assert [len(list(clip.glob("*.jpg"))) > 0 for clip in (folder / "frames").iterdir()]
    assert "workers          clips/s" in done.stderr


@pytest.mark.slow
def test_the_bare_loop_decodes_every_frame_of_its_clips(tmp_path):
    from pipelines.synthetic import drawing, drawing_options

    options = drawing_options.SynthesizeOptions(tmp_path, num_clips=3, num_workers=1)
    drawn = drawing.synthesize(options)
    clips = sorted(options.clips.iterdir())

    done = subprocess.run(
        [sys.executable, SCRIPTS / "decode_loop.py", "90"],
        input="\n".join(map(str, clips)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    answer = json.loads(done.stdout)
    assert answer["num_frames"] == drawn.num_frames
    assert answer["begin_seconds"] <= answer["end_seconds"]
