"""`clipmill infer`: predictions for some clips of a data set, by id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval import config, evaluate
from eval.running import command, config_file, parsers
from mindrecord_io import command_line, records
from mindrecord_io.serving import reader, views
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.versions import opening
from model import checkpoint

__all__ = ["InferOptions", "infer", "main"]


@dataclass(frozen=True, slots=True)
class InferOptions:
    """One call of the command.

    Attributes:
      clip_ids: of stored clips of the split.
      version: of the data set; None for the newest.
      crop_px, resize_px: of the centre view, as in evaluation.
    """

    dataset: Path | str
    checkpoint: Path
    clip_ids: tuple[str, ...]
    split: str = "validation"
    version: str | None = None
    device_target: str = "CPU"
    crop_px: int = 224
    resize_px: int = 256

    def __post_init__(self) -> None:
        config.EvalConfig(
            device_target=self.device_target,
            crop_px=self.crop_px,
            resize_px=self.resize_px,
        )


@dataclass(frozen=True, slots=True)
class Predicted:
    """A clip's label and its most probable labels.

    Attributes:
      label: of the data set; None where it has none.
      labels: up to five, the most probable first, with `probabilities`.
    """

    clip_id: str
    label: str | None
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


def infer(options: InferOptions) -> Iterator[Predicted]:
    """Yields the predictions for each clip, in the order of the table.

    Raises:
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: a clip is not in the split, or the data set has not the classes the
        network was trained for.
    """
    config.use_device(options.device_target)
    network, _ = checkpoint.load(options.checkpoint)
    if network.config.consensus != "avg":
        raise ValueError(
            f"{options.checkpoint} has logits for each segment (consensus "
            f"{network.config.consensus!r}), not for the clip: it needs 'avg'"
        )
    version = opening.open_version(options.dataset, options.version)
    names = version.category_names()
    if len(names) != network.config.num_classes:
        raise ValueError(
            f"{options.checkpoint} has {network.config.num_classes} classes, but "
            f"{options.dataset} has {len(names)}"
        )
    clips = reader.open_split(
        version,
        options.split,
        views.CentreView(
            num_segments=network.config.num_segments,
            crop_px=options.crop_px,
            resize_px=options.resize_px,
        ),
        BatchPlan(batch_size=1),
        clip_ids=options.clip_ids,
    )
    predict = evaluate.make_predict(network)
    for frames, label_ids, (clip_id,) in clips.with_clip_ids():
        evaluation = evaluate.Evaluation.of(predict(frames), label_ids)
        yield _predicted(clip_id, evaluation, names)


def _predicted(
    clip_id: str, evaluation: evaluate.Evaluation, names: Sequence[str]
) -> Predicted:
    label_id = int(evaluation.label_ids[0])
    return Predicted(
        clip_id,
        None if label_id == records.UNLABELLED else names[label_id],
        tuple(names[ranked] for ranked in evaluation.ranked[0].tolist()),
        tuple(round(p, 6) for p in evaluation.probabilities[0].tolist()),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line a clip; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags = vars(parsers.infer_parser().parse_args(argv))
    clip_ids = tuple(flags.pop("clip_id"))

    def run() -> None:
        options = config_file.build(InferOptions, flags | {"clip_ids": clip_ids})
        for predicted in infer(options):
            command_line.print_json(predicted)

    return command.run("infer", run)
