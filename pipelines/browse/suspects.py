"""Ranks the clips whose label a network doubts, by confident learning.

Northcutt et al., arXiv:1911.00068, as cleanlab does it: class j's threshold is the mean
probability of j over the clips that are labelled j. A clip belongs to the most probable
class that reaches its threshold; if that is not the clip's label, the clip is a
suspect. The first have the least normalised margin, (p(label) - p(class) + 1) / 2.

The predictions must be of clips that the network was not trained on. A file has the
five most probable classes of a clip: another one is no candidate.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.report.predictions import Predictions

__all__ = ["HEAD", "Suspect", "suspects_of"]

HEAD = (
    *("clip_id", "label", "suggested_label"),
    *("label_probability", "suggested_probability", "score"),
)
"""The columns of a list of suspects: the attributes of Suspect."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A clip whose label may be wrong; `score` is its normalised margin, 0 to 1."""

    clip_id: str
    label: str
    suggested_label: str
    label_probability: float
    suggested_probability: float
    score: float


def suspects_of(predictions: Predictions) -> list[Suspect]:
    """Returns the suspects, the least score first."""
    label_ids = predictions.label_ids
    has_label = label_ids >= 0
    num_classes = 1 + max(int(predictions.ranked.max()), int(label_ids.max()))
    sums, counts = np.zeros(num_classes), np.zeros(num_classes)
    own = predictions.label_probabilities[has_label].astype(np.float64)
    np.add.at(sums, label_ids[has_label], own)
    np.add.at(counts, label_ids[has_label], 1)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    # Equal but for the rounding of a mean of float32 counts as reached.
    is_reached = predictions.probabilities >= thresholds[predictions.ranked] - 1e-6
    place = is_reached.argmax(axis=1)  # the most probable one that reaches it
    rows = np.arange(len(label_ids))
    suggested = predictions.ranked[rows, place]
    is_suspect = has_label & is_reached.any(axis=1) & (suggested != label_ids)
    suggested_probabilities = predictions.probabilities[rows, place]
    scores = (predictions.label_probabilities - suggested_probabilities + 1) / 2
    suspects = [
        Suspect(
            clip_id=predictions.clip_ids[i].as_py(),
            label=predictions.names[int(label_ids[i])],
            suggested_label=predictions.names[int(suggested[i])],
            label_probability=round(float(predictions.label_probabilities[i]), 6),
            suggested_probability=round(float(suggested_probabilities[i]), 6),
            score=round(float(scores[i]), 6),
        )
        for i in np.flatnonzero(is_suspect).tolist()
    ]
    return sorted(suspects, key=lambda suspect: (suspect.score, suspect.clip_id))
