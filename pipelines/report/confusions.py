"""What a network's predictions got wrong: by class, by pair of classes, by clip."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.report.predictions import Predictions

__all__ = [
    "ClassScore",
    "Confusion",
    "class_scores",
    "confusions",
    "most_wrong",
    "right_clip",
]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class's clips with a prediction, and how many were predicted right."""

    num_clips: int
    num_right: int

    @property
    def accuracy(self) -> float:
        """The share that is right, in [0, 1]."""
        return self.num_right / self.num_clips


@dataclass(frozen=True, slots=True)
class Confusion:
    """Clips of one class that are taken for another.

    Attributes:
      clip_id: of the one that the network is surest of.
    """

    label_id: int
    predicted_label_id: int
    num_clips: int
    clip_id: str


def class_scores(predictions: Predictions) -> dict[int, ClassScore]:
    """Returns the score of each class that has a clip, by label_id."""
    num_clips = Counter(predictions.label_ids.tolist())
    num_right = Counter(predictions.label_ids[predictions.is_right].tolist())
    return {
        label_id: ClassScore(n, num_right[label_id])
        for label_id, n in sorted(num_clips.items())
        if label_id >= 0
    }


def confusions(predictions: Predictions, max_num: int) -> list[Confusion]:
    """Returns the most frequent pairs of a label and another that is predicted."""
    first = predictions.ranked[:, 0]
    counts: Counter[tuple[int, int]] = Counter()
    surest: dict[tuple[int, int], str] = {}
    for row in _wrong_rows(predictions):
        pair = int(predictions.label_ids[row]), int(first[row])
        counts[pair] += 1
        surest.setdefault(pair, predictions.clip_ids[row].as_py())
    order = sorted(counts, key=lambda pair: (-counts[pair], pair))[:max_num]
    return [Confusion(*pair, counts[pair], surest[pair]) for pair in order]


def most_wrong(predictions: Predictions, max_num: int) -> list[int]:
    """Returns the rows of wrong predictions; the most probable over the label first."""
    rows = _wrong_rows(predictions)
    return [row for row, _ in zip(rows, range(max_num), strict=False)]


def right_clip(predictions: Predictions, label_id: int) -> str:
    """Returns the clip of a class that is predicted right most surely; "" for none."""
    is_right = (predictions.label_ids == label_id) & predictions.is_right
    rows = np.flatnonzero(is_right)
    if not rows.size:
        return ""
    surest = rows[predictions.probabilities[rows, 0].argmax()]
    return str(predictions.clip_ids[int(surest)].as_py())


def _wrong_rows(predictions: Predictions) -> Iterator[int]:
    is_wrong = (predictions.label_ids >= 0) & ~predictions.is_right
    rows = np.flatnonzero(is_wrong)
    margins = predictions.probabilities[:, 0] - predictions.label_probabilities
    yield from rows[np.argsort(-margins[rows], kind="stable")].tolist()
