"""What every kind of inference shares: its options, its network, its best labels."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eval import config, evaluate, trained
from model.tsm import TSM

__all__ = [
    "Floats",
    "InferOptions",
    "class_names_of",
    "load_network",
    "ranked",
    "scores_of",
]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InferOptions:
    """One call of the command; exactly one of clips, clip_ids and stream is given.

    Attributes:
      checkpoint: a file, or a training's folder for its best one.
      clips: video files, folders of frames, and folders of these.
      clip_ids: of stored clips of the split of a data set.
      version: of the data set; None for the newest.
      stream: a file, a camera's device, or "-" for standard input.
      stream_fps: frames of the stream to look at in a second; None for all.
      map_classes: go by the classes' names where the data set numbers them otherwise.
      crop_px, resize_px: None for those that the network was trained with.
      batch_size: views at once.
      num_workers: processes that decode files; None for one a processor.
    """

    checkpoint: Path | str
    clips: tuple[Path, ...] = ()
    dataset: Path | str | None = None
    clip_ids: tuple[str, ...] = ()
    split: str = "validation"
    version: str | None = None
    stream: str | None = None
    stream_fps: float | None = None
    map_classes: bool = False
    device_target: str = "CPU"
    crop_px: int | None = None
    resize_px: int | None = None
    batch_size: int = 16
    num_workers: int | None = None

    def __post_init__(self) -> None:
        given = [bool(self.clips), bool(self.clip_ids), self.stream is not None]
        if sum(given) != 1:
            raise ValueError(
                "give either CLIP..., video files and folders, or --dataset and "
                "--clip_id, clips of a data set, or --stream"
            )
        if bool(self.clip_ids) != (self.dataset is not None):
            raise ValueError("--dataset and --clip_id need each other")
        if self.stream_fps is not None and self.stream_fps <= 0:
            raise ValueError(f"--stream_fps must be positive: {self.stream_fps}")
        config.EvalConfig(device_target=self.device_target)

    def settings(self, network: TSM, num_clips: int) -> config.EvalConfig:
        """Returns how clips are viewed and scored."""
        pixels = {"crop_px": self.crop_px, "resize_px": self.resize_px}
        given = {name: px for name, px in pixels.items() if px is not None}
        settings = trained.view_settings(network, given)
        num_views = num_clips * settings.view(network.config.num_segments).num_views
        batch_size = min(self.batch_size, num_views)
        return dataclasses.replace(settings, eval_batch_size=batch_size)


def load_network(options: InferOptions) -> TSM:
    """Returns the network of the checkpoint, which has logits for a clip.

    Raises:
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: it has logits for each segment.
    """
    network = trained.load(options.checkpoint)
    if network.config.consensus != "avg":
        raise ValueError(
            f"{options.checkpoint} has logits for each segment (consensus "
            f"{network.config.consensus!r}), not for the clip: it needs 'avg'"
        )
    return network


def class_names_of(network: TSM, options: InferOptions) -> tuple[str, ...]:
    """Returns the label texts of a network by label_id.

    Raises:
      ValueError: the checkpoint has none.
    """
    if not network.card.class_names:
        raise ValueError(
            f"{options.checkpoint} has no class names: it was written by an earlier "
            f"program; --dataset and --clip_id go by those of a data set"
        )
    return network.card.class_names


def scores_of(
    predict: evaluate.Predict,
    frames: npt.NDArray[np.uint8],
    settings: config.EvalConfig,
    num_classes: int,
) -> Floats:
    """Returns the scores (N, K) of N clips, of all the views of each."""
    return evaluate.score_clips(
        predict,
        [{"frames": frames}],
        batch_size=settings.eval_batch_size,
        num_classes=num_classes,
        average=settings.average,
    )


def ranked(scores: Floats, names: Sequence[str]) -> dict[str, Any]:
    """Returns a clip's five most probable labels and their probabilities."""
    evaluation = evaluate.Evaluation.of(scores[np.newaxis], np.array([-1], np.int32))
    return {
        "labels": tuple(names[ranked] for ranked in evaluation.ranked[0].tolist()),
        "probabilities": tuple(
            round(p, 6) for p in evaluation.probabilities[0].tolist()
        ),
    }
