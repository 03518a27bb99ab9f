"""Compares the logits that a device wrote with the labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.device.layout import ClipFolder, ResultFolder
from eval.metrics import TopK

__all__ = ["Accuracy", "postprocess"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The result, which the command prints last.

    Attributes:
      num_labelled: clips that count; without any the accuracies are None.
    """

    split: str
    version: str
    num_clips: int
    num_labelled: int
    num_top1: int
    num_top5: int
    top1: float | None
    top5: float | None

    @property
    def zoo_line(self) -> str:
        """The line that the model zoo's postprocess.py prints."""
        accuracy = 100 * (self.top1 or 0.0)
        return (
            f"after allreduce eval: top1_correct={self.num_top1}, "
            f"tot={self.num_labelled}, acc={accuracy:.2f}%"
        )


def postprocess(clips: Path, results: Path) -> Accuracy:
    """Returns the accuracy of all clips of a folder of preprocess.

    Raises:
      ValueError: a clip's logits are missing or are not one for each class.
    """
    folder, logits_of = ClipFolder(clips), ResultFolder(results).logits
    content = folder.describe()
    num_clips, num_classes = len(content["clip_ids"]), len(content["labels"])
    missing = [n for n in range(num_clips) if not logits_of(n).is_file()]
    if missing:
        raise ValueError(
            f"{results} lacks the logits of {len(missing)} of {num_clips} clips, the "
            f"first {logits_of(missing[0]).name}: run the network over all of them"
        )
    logits = np.empty((num_clips, num_classes), np.float32)
    label_ids = np.empty(num_clips, np.int32)
    for number in range(num_clips):
        logits[number] = _values(logits_of(number), np.dtype("<f4"), num_classes)
        label_ids[number] = _values(folder.label(number), np.dtype("<i4"), 1)[0]
    has_label = label_ids >= 0
    top_k = TopK.of(logits[has_label], label_ids[has_label])
    return Accuracy(
        split=content["split"],
        version=content["version"],
        num_clips=num_clips,
        num_labelled=top_k.num_clips,
        num_top1=top_k.num_top1,
        num_top5=top_k.num_top5,
        top1=top_k.top1,
        top5=top_k.top5,
    )


def _values(path: Path, dtype: np.dtype[Any], count: int) -> Any:
    values = np.fromfile(path, dtype)
    if len(values) != count:
        raise ValueError(
            f"{path} must have {count} values of {dtype.name}, has "
            f"{path.stat().st_size} bytes"
        )
    return values
