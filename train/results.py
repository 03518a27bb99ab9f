"""The result of a training, and an epoch of it for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from train.store_traffic import StoreTraffic

__all__ = ["TrainResult", "describe_epoch"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The result of a training, which the program prints last.

    Attributes:
      steps: done by this process and those it resumed from.
      best_top1: of all evaluations; `best_epoch` is the 0-based first that had it.
      best_checkpoint: the network of that epoch.
      seconds: of this process.
      clips_per_second: trained by this process, without its first step, which compiles.
      waiting_share: of that time, in [0, 1], in which there was no batch to train by.
      store: what this process fetched of a data set in an object store.
    """

    epochs: int
    steps: int
    best_top1: float | None
    best_epoch: int
    best_checkpoint: str
    seconds: float
    clips_per_second: float
    waiting_share: float
    store: StoreTraffic | None = None


def describe_epoch(line: Mapping[str, Any]) -> str:
    """Returns the line of metrics of an epoch as a text."""
    text = (
        f"loss {line['loss']:.4f}, train top-1 {line['train_top1']:.4f}, "
        f"{line['clips_per_second']:.1f} clips/s, waiting {line['waiting_share']:.1%}"
    )
    if line["num_skipped"]:
        text += f", {line['num_skipped']} steps skipped for overflow"
    if line["top1"] is None:
        return text
    return f"{text}, validation top-1 {line['top1']:.4f}, top-5 {line['top5']:.4f}"
