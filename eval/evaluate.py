"""Scores a network on every clip of a split, each exactly once."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from eval.metrics import ConfusionMatrix, TopK, ranked_label_ids

__all__ = [
    "AVERAGES",
    "Evaluation",
    "Predict",
    "batch_shape",
    "make_predict",
    "score_clips",
]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

Predict = Callable[[npt.NDArray[np.uint8]], Floats]
"""Frames (N, T, 3, H, W) to logits (N, K)."""

_NUM_RANKED = 5
_LEAST_PROBABILITY = np.finfo(np.float32).tiny  # so that its logarithm is finite


def _mean_logits(logits: Floats) -> Floats:
    mean: Floats = logits.mean(axis=1)
    return mean


def _mean_probabilities(logits: Floats) -> Floats:
    mean = _softmax(logits).mean(axis=1)
    scores: Floats = np.log(np.maximum(mean, _LEAST_PROBABILITY))
    return scores


AVERAGES: dict[str, Callable[[Floats], Floats]] = {
    "logits": _mean_logits,
    "probabilities": _mean_probabilities,
}
"""Logits (N, V, K) of V views of each clip to scores (N, K), whose softmax are the
probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Predictions and accuracies of M clips, in the order they were read.

    Attributes:
      top_k, confusion: of the clips that have a label.
      label_ids: (M,) int32; negative where there is no label.
      ranked: (M, min(5, K)) int64, label_ids by falling probability.
      probabilities: the same shape, float32, softmax of the scores.
      label_probabilities: (M,) float32, of the label; not a number without one.
    """

    top_k: TopK
    confusion: ConfusionMatrix
    label_ids: npt.NDArray[np.int32]
    ranked: npt.NDArray[np.int64]
    probabilities: Floats
    label_probabilities: Floats

    @classmethod
    def of(cls, scores: Floats, label_ids: npt.NDArray[np.int32]) -> "Evaluation":
        """Returns the evaluation of scores (M, K); a negative label_id is no label."""
        has_label = label_ids >= 0
        labelled = scores[has_label], label_ids[has_label]
        ranked = ranked_label_ids(scores)[:, :_NUM_RANKED]
        probabilities = _softmax(scores)
        own = probabilities[np.arange(len(label_ids)), np.maximum(label_ids, 0)]
        return cls(
            TopK.of(*labelled),
            ConfusionMatrix.of(*labelled),
            label_ids,
            ranked,
            np.take_along_axis(probabilities, ranked, axis=1),
            np.where(has_label, own, np.float32(np.nan)),
        )

    @property
    def num_clips(self) -> int:
        """The number of clips scored, with or without a label."""
        return len(self.label_ids)


def batch_shape(max_views: int, num_views: int) -> tuple[int, int]:
    """Returns how many clips to read at once, and how many views to score at once.

    No view is black but in the last batch of a split: whole clips are scored together,
    or equal parts of one that has too many views.

    Args:
      max_views: to be scored at once.
      num_views: of a clip.
    """
    if num_views <= max_views:
        num_clips = max_views // num_views
        return num_clips, num_clips * num_views
    sizes = range(max_views, 0, -1)
    return 1, next(size for size in sizes if num_views % size == 0)


def make_predict(network: nn.Cell) -> Predict:
    """Returns a function that runs `network` in evaluation mode.

    Each call uses the network's parameters of that moment and restores its training
    mode.
    """
    was_called = False

    def predict(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        nonlocal was_called
        if not was_called:
            logger.info("compiling the network for scoring, which may take a minute")
        was_called = True
        was_training = network.training
        network.set_train(False)
        try:
            logits: npt.NDArray[np.generic] = network(Tensor(frames)).asnumpy()
        finally:
            network.set_train(was_training)
        return logits.astype(np.float32)  # of half precision too

    return predict


def score_clips(
    predict: Predict,
    batches: Iterable[Mapping[str, npt.NDArray[np.generic]]],
    *,
    batch_size: int,
    num_classes: int,
    average: str = "logits",
) -> Floats:
    """Returns the scores (M, K) of all clips, in their order.

    Args:
      predict: always gets `batch_size` views, so that a graph is compiled for one
        shape: what is missing at the end of a batch is filled up with black.
      batches: of `frames` (N, T, 3, H, W), or (N, V, T, 3, H, W) for V views a clip.
      num_classes: K.
      average: of AVERAGES, for a clip's views.

    Raises:
      ValueError: logits are not (batch_size, num_classes).
    """
    scores = [np.empty((0, num_classes), np.float32)]
    for batch in batches:
        frames = batch["frames"]
        num_views = frames.shape[1] if frames.ndim == 6 else 1
        views = frames.reshape((len(frames) * num_views, *frames.shape[-4:]))
        logits = [np.empty((0, num_classes), np.float32)]
        for begin in range(0, len(views), batch_size):
            part = views[begin : begin + batch_size]
            part_logits = predict(_filled_up(part, batch_size))
            if part_logits.shape != (batch_size, num_classes):
                raise ValueError(
                    f"logits must be {(batch_size, num_classes)}, "
                    f"got {part_logits.shape}"
                )
            logits.append(part_logits[: len(part)])
        by_clip = np.concatenate(logits).reshape((len(frames), num_views, num_classes))
        scores.append(AVERAGES[average](by_clip))
    return np.concatenate(scores)


def _filled_up(
    frames: npt.NDArray[np.generic], batch_size: int
) -> npt.NDArray[np.uint8]:
    """Appends black clips until there are `batch_size`."""
    num_missing = batch_size - len(frames)
    if num_missing:
        blank = np.zeros((num_missing, *frames.shape[1:]), frames.dtype)
        frames = np.concatenate([frames, blank])
    return np.ascontiguousarray(frames)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares.astype(np.float32)
