import json

import numpy as np

from eval import class_report
from eval.evaluate import Evaluation

NAMES = ["Closing", "Öffnen", "Rest"]
SCORES = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]
REPORT = class_report.to_json(Evaluation.of(SCORES, np.array([0, 0, 0, 1])), NAMES)


def test_every_class_has_its_accuracy():
    assert REPORT["classes"] == [
        {"label_id": 0, "label": "Closing", "num_clips": 3, "top1": 1 / 3},
        {"label_id": 1, "label": "Öffnen", "num_clips": 1, "top1": 0.0},
        {"label_id": 2, "label": "Rest", "num_clips": 0, "top1": None},
    ]
    assert (REPORT["num_clips"], REPORT["top1"], REPORT["top5"]) == (4, 0.25, 1.0)
    assert REPORT["mean_class_accuracy"] == 1 / 6


def test_what_was_taken_for_what_is_told_by_name():
    assert REPORT["most_confused"] == [
        {"label": "Closing", "predicted_label": "Öffnen", "num_clips": 2},
        {"label": "Öffnen", "predicted_label": "Closing", "num_clips": 1},
    ]
    assert REPORT["confusion"] == [[1, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_the_file_is_json_that_people_can_read(tmp_path):
    path = tmp_path / "new" / "report.json"
    class_report.write(REPORT, path)
    assert json.loads(path.read_text(encoding="utf-8")) == REPORT
    assert "Öffnen" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]
