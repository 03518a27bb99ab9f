"""Scores a network on every clip of a split, each exactly once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from eval.metrics import ConfusionMatrix, TopK, ranked_label_ids

__all__ = ["Evaluation", "Predict", "evaluate", "make_predict"]

Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Frames (N, T, 3, H, W) to logits (N, K)."""

_NUM_RANKED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a network said of M clips, in the order they were read.

    Attributes:
      top_k, confusion: of the clips that have a label.
      label_ids: (M,) int32; negative where the label is not known.
      ranked: (M, min(5, K)) int64, label_ids by falling probability.
      probabilities: the same shape, float32, softmax of the logits.
    """

    top_k: TopK
    confusion: ConfusionMatrix
    label_ids: npt.NDArray[np.int32]
    ranked: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls, logits: npt.NDArray[np.float32], label_ids: npt.NDArray[np.int32]
    ) -> "Evaluation":
        """Ranks logits (M, K) and scores those whose label_ids (M,) are known."""
        has_label = label_ids >= 0
        known = logits[has_label], label_ids[has_label]
        ranked = ranked_label_ids(logits)[:, :_NUM_RANKED]
        return cls(
            TopK.of(*known),
            ConfusionMatrix.of(*known),
            label_ids,
            ranked,
            np.take_along_axis(_softmax(logits), ranked, axis=1),
        )

    def merge(self, later: "Evaluation") -> "Evaluation":
        """Returns the evaluation of these clips and the later ones."""
        return Evaluation(
            self.top_k.merge(later.top_k),
            self.confusion.merge(later.confusion),
            np.concatenate([self.label_ids, later.label_ids]),
            np.concatenate([self.ranked, later.ranked]),
            np.concatenate([self.probabilities, later.probabilities]),
        )

    @property
    def num_clips(self) -> int:
        """The number of clips scored, with or without a label."""
        return len(self.label_ids)


def make_predict(network: nn.Cell) -> Predict:
    """Returns a function that runs `network` as it is used, not trained.

    It sees the network's parameters as they are at each call, and leaves it in training
    mode if it found it so.
    """

    def predict(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        was_training = network.training
        network.set_train(False)
        try:
            logits: npt.NDArray[np.generic] = network(Tensor(frames)).asnumpy()
        finally:
            network.set_train(was_training)
        return logits.astype(np.float32)  # of half precision too

    return predict


def evaluate(
    predict: Predict,
    batches: Iterable[Mapping[str, npt.NDArray[np.generic]]],
    *,
    batch_size: int,
    num_classes: int,
) -> Evaluation:
    """Scores all batches.

    Args:
      predict: always gets `batch_size` clips, so that a graph is compiled for one
        shape: a short batch is filled up and the surplus logits cut off.
      batches: of `frames` (N, T, 3, H, W) and `label` (N,), N <= batch_size.
      batch_size: clips that `predict` gets.
      num_classes: K.

    Raises:
      ValueError: there are no clips, or logits are not (batch_size, num_classes).
    """
    total = None
    for batch in batches:
        frames, label_ids = batch["frames"], batch["label"].astype(np.int32)
        logits = predict(_filled_up(frames, batch_size))
        if logits.shape != (batch_size, num_classes):
            raise ValueError(
                f"logits must be {(batch_size, num_classes)}, got {logits.shape}"
            )
        part = Evaluation.of(logits[: len(label_ids)], label_ids)
        total = total.merge(part) if total else part
    if total is None:
        raise ValueError("there are no clips to evaluate")
    return total


def _filled_up(
    frames: npt.NDArray[np.generic], batch_size: int
) -> npt.NDArray[np.uint8]:
    """Appends black clips until there are `batch_size`."""
    num_missing = batch_size - len(frames)
    if num_missing < 0:
        raise ValueError(f"a batch has {len(frames)} clips, at most {batch_size} fit")
    if num_missing:
        blank = np.zeros((num_missing, *frames.shape[1:]), frames.dtype)
        frames = np.concatenate([frames, blank])
    return np.ascontiguousarray(frames)


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)
