import json

import pytest

from pipelines.jobs import suspects
from tests.predictions_by_hand import NAMES, write_predictions


def test_the_doubted_clips_are_listed(tmp_path, capsys):
    """Clip 203 of class 2 is taken for class 1 (probabilities e^3 to 1 to 1)."""
    path, output = tmp_path / "predictions.parquet", tmp_path / "suspects.tsv"
    write_predictions(path)
    argv = ["--predictions", str(path), "--output", str(output)]

    assert suspects.main(argv) == 0

    head, line = output.read_text().splitlines()
    assert head.split("\t") == [
        *("clip_id", "label", "suggested_label"),
        *("label_probability", "suggested_probability", "score"),
    ]
    assert line.split("\t")[:3] == ["203", NAMES[2], NAMES[1]]
    numbers = [float(text) for text in line.split("\t")[3:]]
    assert numbers == pytest.approx([0.045279, 0.909443, 0.067918], abs=1e-5)
    result = json.loads(capsys.readouterr().out)
    assert result == {"output": str(output), "num_clips": 4, "num_suspects": 1}


def test_a_file_that_is_not_there_is_an_error(tmp_path, caplog):
    argv = ["--predictions", str(tmp_path / "none"), "--output", str(tmp_path / "out")]
    assert suspects.main(argv) == 1
    assert "suspects failed: " in caplog.text
    assert not (tmp_path / "out").exists()
