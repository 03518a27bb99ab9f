"""A report of an evaluation by class, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.evaluate import Evaluation
from mindrecord_io.storage import files

__all__ = ["to_json", "write"]

_NUM_CONFUSED = 20


def to_json(evaluation: Evaluation, category_names: Sequence[str]) -> dict[str, Any]:
    """Returns a report as JSON values.

    `classes` has one entry per class in the order of the label_ids, with the accuracy
    or null if it has no clips; `most_confused` the most frequent wrong pairs;
    `confusion` the matrix: a row for each label, a column for each prediction.
    """
    confusion = evaluation.confusion
    num_clips = confusion.counts.sum(axis=1).tolist()
    accuracies = confusion.per_class_accuracy().tolist()
    return {
        "num_clips": evaluation.top_k.num_clips,
        "top1": evaluation.top_k.top1,
        "top5": evaluation.top_k.top5,
        "mean_class_accuracy": confusion.mean_class_accuracy(),
        "classes": [
            {
                "label_id": label_id,
                "label": name,
                "num_clips": num_clips[label_id],
                "top1": accuracies[label_id] if num_clips[label_id] else None,
            }
            for label_id, name in enumerate(category_names)
        ],
        "most_confused": [
            {
                "label": category_names[label_id],
                "predicted_label": category_names[predicted],
                "num_clips": count,
            }
            for label_id, predicted, count in confusion.most_confused(_NUM_CONFUSED)
        ],
        "confusion": confusion.counts.tolist(),
    }


def write(report: dict[str, Any], path: Path) -> None:
    """Writes a report; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    files.replace_file(path, content.encode())
