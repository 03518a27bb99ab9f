"""`clipmill report --run`: the page of a training, from what its folder has."""

import html
import json
import re

import pytest
from pyarrow import parquet

from pipelines.jobs import report, run_report
from tests import predictions_by_hand
from tests.pipelines.jobs.test_report import Page, words

CONFIG = {
    "version": "000001",
    "model": {"arch": "resnet50", "num_segments": 8, "num_classes": 3},
    "evaluation": {"crop_px": 224},
    "training": {"epochs": 3, "scales": [1.0, 0.875], "tune_from": None},
}
EPOCHS = [
    {"epoch": 0, "step": 2, "learning_rate": 0.02, "loss": 4.0, "train_top1": 0.25},
    {"epoch": 1, "step": 4, "learning_rate": 0.02, "loss": 2.0, "train_top1": 0.5},
    {"epoch": 2, "step": 6, "learning_rate": 0.01, "loss": 1.0, "train_top1": 1.0},
]
SPEED = {"clips_per_second": 12.5, "waiting_share": 0.25, "seconds": 720.0}


def write_run(folder, *, has_predictions=True, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    lines = [
        line | SPEED | {"top1": top1}
        for line, top1 in zip(EPOCHS, (None, 0.5, 0.75), strict=True)
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(content)
    if has_predictions:
        predictions_by_hand.write_predictions(folder / "predictions.parquet")
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "r50")


def page_of(version, run, *flags):
    argv = ["--dataset", str(version.dataset), "--run", str(run), *flags]
    assert report.main(argv) == 0
    return Page(run / "report.html")


def test_the_page_is_in_the_runs_folder_and_needs_nothing_else(
    published_version, run, capsys
):
    page = page_of(published_version, run)
    content = (run / "report.html").read_text()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result.pop("seconds") >= 0
    assert result == {
        "report": str(run / "report.html"),
        "version": "000001",
        "num_clips": 4,
        "num_bytes": (run / "report.html").stat().st_size,
    }
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(page.tags)
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    assert "http" not in re.sub("http-equiv", "", content)
    assert "url(" not in content


def test_it_has_the_figures_of_the_training(published_version, run):
    """Three of four clips are right; classes 0 and 1 are, class 2 is not."""
    text = words(page_of(published_version, run))
    assert "r50, trained on dataset top-1 75.0 % mean over the classes 66.7 %" in text
    assert "clips with a label 4 epochs 3 steps 6 hours of training 0.60" in text
    assert "clips a second, median 12.5" in text
    assert "begun with random weights" in text
    assert "arch resnet50 num_segments 8" in text
    assert "training scales 1.0, 0.875" in text


def test_curves_go_through_the_epochs(published_version, run):
    page_of(published_version, run)
    content = (run / "report.html").read_text()
    points = re.findall(r'points="([^"]*)"', content)
    loss, validation, train, rate, waiting = points
    assert loss == "0.00,0.00 50.00,50.00 100.00,75.00"
    assert validation == "50.00,50.00 100.00,25.00"
    assert train == "0.00,75.00 50.00,50.00 100.00,0.00"
    assert rate == "0.00,0.00 50.00,0.00 100.00,50.00"
    assert len(set(re.findall(",([0-9.]+)", waiting))) == 1


def test_the_wrong_clip_plays_and_its_classes_are_beside_one_another(
    published_version, run
):
    page = page_of(published_version, run)
    text = words(page)
    taken = '1 clip of "Rest" taken for "Moving something right": 203'
    assert taken in text
    assert f'{taken} "Moving something right": 202' in text
    assert '203: "Rest" (4.5 %), predicted "Moving something right" (90.9 %)' in text
    content = (run / "report.html").read_text()
    assert content.count('class="film"') == 1
    assert content.count('class="strip"') == 2
    assert "place class clips right accuracy 1 Rest 1 0 0.0 %" in text


def test_without_pictures_or_a_measurement_the_rest_is_there(
    published_version, run, tmp_path
):
    assert page_of(published_version, run, "--num_samples", "0").links == []
    early = write_run(tmp_path / "early", has_predictions=False)
    text = words(page_of(published_version, early))
    assert "best top-1 75.0 % epochs 3" in text
    assert "Taken for" not in text


def test_a_line_that_was_cut_off_and_values_that_are_no_numbers_are_left_out(
    published_version, run
):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "step": 8, "loss": NaN}\n{"epoch": 4, "lo')
    content = words(page_of(published_version, run))
    assert "epochs 4 steps 8" in content
    assert "nan" not in content.lower()
    drawn = re.findall(r'points="([^"]*)"', (run / "report.html").read_text())
    assert drawn[0] == "0.00,0.00 50.00,50.00 100.00,75.00"


def test_texts_of_a_run_are_escaped(published_version, tmp_path):
    evil = '<script>alert("1")</script>'
    run = write_run(tmp_path / "r", training={"tune_from": evil, evil: evil})
    page_of(published_version, run)
    content = (run / "report.html").read_text()
    assert "<script" not in content
    assert html.escape(evil) in content


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("config.json", None, "config.json: not of a training"),
        ("config.json", "[]", "config.json: not of a training"),
        ("config.json", '{"version": "../x"}', "config.json: not of a training"),
        ("metrics.jsonl", "1\n", "metrics.jsonl: a line is no JSON object"),
        ("predictions.parquet", "x", "predictions.parquet: cannot be read as Parquet"),
    ],
)
def test_a_folder_that_cannot_be_read_is_an_error(
    published_version, run, caplog, name, content, expected
):
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    argv = ["--dataset", str(published_version.dataset), "--run", str(run)]
    assert report.main(argv) == 1
    assert f"report failed: {run / expected}" in caplog.text
    assert not (run / "report.html").exists()


def test_a_runs_version_is_its_own(run, capsys):
    with pytest.raises(SystemExit) as end:
        report.main(["--dataset", "d", "--run", str(run), "--version", "2"])
    assert end.value.code == 2
    assert "--run has its own version" in capsys.readouterr().err


def test_a_page_of_an_evaluation_has_no_curves(published_version, predictions_table):
    evaluated = run_report.Evaluated(
        *(published_version.dataset, "000001", "validation", "best.ckpt"),
        predictions=predictions_table,
        recipe={"model": {"arch": "resnet18"}},
    )
    content = run_report.evaluation_page(evaluated).decode()
    assert "<h2>Curves" not in content
    assert "validation of dataset, measured" in content
    assert 'class="film"' in content


@pytest.fixture
def predictions_table(tmp_path):
    predictions_by_hand.write_predictions(tmp_path / "p.parquet")
    return parquet.read_table(tmp_path / "p.parquet")
