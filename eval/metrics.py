"""Accuracies that are counted batch by batch, merged, and divided at the end.

    total = TopK.empty()
    for logits, label_ids in batches:
        total = total.merge(TopK.of(logits, label_ids))
    total.top1, total.top5

`merge` is associative and `empty` its neutral element, so batches may be of any size.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ConfusionMatrix", "TopK", "ranked_label_ids"]

Logits = npt.NDArray[np.floating[Any]]
LabelIds = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class TopK:
    """How often the label was predicted first, or among the first five.

    Attributes:
      num_clips: clips scored.
      num_top1, num_top5: clips whose label was predicted first, among the first five.
    """

    num_clips: int
    num_top1: int
    num_top5: int

    def __post_init__(self) -> None:
        if not 0 <= self.num_top1 <= self.num_top5 <= self.num_clips:
            raise ValueError(f"counts must not decrease from top-1 on: {self}")

    @classmethod
    def empty(cls) -> "TopK":
        """Returns the accuracy of no clips."""
        return cls(0, 0, 0)

    @classmethod
    def of(cls, logits: Logits, label_ids: LabelIds) -> "TopK":
        """Returns the counts of logits (N, K) against label_ids (N,)."""
        _check_labels(label_ids, logits.shape[1])
        hits = ranked_label_ids(logits)[:, :5] == label_ids[:, None]
        return cls(len(hits), int(hits[:, 0].sum()), int(hits.any(axis=1).sum()))

    def merge(self, other: "TopK") -> "TopK":
        """Returns the accuracy over both sets of clips."""
        return TopK(
            self.num_clips + other.num_clips,
            self.num_top1 + other.num_top1,
            self.num_top5 + other.num_top5,
        )

    @property
    def top1(self) -> float | None:
        """The share of clips in [0, 1]; None of no clips."""
        return self.num_top1 / self.num_clips if self.num_clips else None

    @property
    def top5(self) -> float | None:
        """The share of clips in [0, 1]; None of no clips."""
        return self.num_top5 / self.num_clips if self.num_clips else None


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionMatrix:
    """Counts of every label with every prediction.

    Attributes:
      counts: (K, K) int64; row: the label, column: the prediction.
    """

    counts: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, num_classes: int) -> "ConfusionMatrix":
        """Returns the matrix of no clips."""
        return cls(np.zeros((num_classes, num_classes), np.int64))

    @classmethod
    def of(cls, logits: Logits, label_ids: LabelIds) -> "ConfusionMatrix":
        """Returns the counts of logits (N, K) against label_ids (N,)."""
        num_classes = logits.shape[1]
        _check_labels(label_ids, num_classes)
        predicted = ranked_label_ids(logits)[:, 0]
        cells = np.bincount(
            label_ids * num_classes + predicted, minlength=num_classes**2
        )
        return cls(cells.reshape(num_classes, num_classes).astype(np.int64))

    def per_class_accuracy(self) -> npt.NDArray[np.float64]:
        """Returns the share of each class's clips that was right; NaN of no clips."""
        num_clips = self.counts.sum(axis=1)
        correct = np.diagonal(self.counts).astype(np.float64)
        nothing = np.full(len(correct), np.nan)
        return np.divide(correct, num_clips, out=nothing, where=num_clips > 0)

    def mean_class_accuracy(self) -> float | None:
        """Returns the mean over the classes that have clips; None if none has."""
        accuracies = self.per_class_accuracy()
        finite = accuracies[~np.isnan(accuracies)]
        return float(finite.mean()) if len(finite) else None

    def most_confused(self, limit: int) -> list[tuple[int, int, int]]:
        """Returns (label_id, predicted label_id, clips) of wrong pairs, most first.

        Pairs that never occur are left out; of equally frequent ones the lower
        label_ids come first.
        """
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit].tolist()
        pairs = [divmod(cell, len(wrong)) for cell in order]
        return [
            (label_id, predicted, int(wrong[label_id, predicted]))
            for label_id, predicted in pairs
            if wrong[label_id, predicted]
        ]


def ranked_label_ids(logits: Logits) -> npt.NDArray[np.int64]:
    """Returns the classes of each row by falling logit; equal ones by label_id.

    Raises:
      ValueError: logits are not (N, K), or not finite: they have no order.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be (N, K), got shape {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite; the network has diverged")
    return np.argsort(-logits, axis=1, kind="stable")


def _check_labels(label_ids: LabelIds, num_classes: int) -> None:
    outside = (label_ids < 0) | (label_ids >= num_classes)
    if outside.any():
        raise ValueError(
            f"label_ids must be in [0, {num_classes}), got {label_ids[outside][0]}"
        )
