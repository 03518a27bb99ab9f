"""`clipmill infer`: predictions for video files, clips of a data set, or a stream.

    clipmill infer --checkpoint RUN FILE_OR_FOLDER...
    clipmill infer --checkpoint RUN --dataset DATASET --clip_id ID...
    clipmill infer --checkpoint RUN --stream FILE_OR_DEVICE

A clip is viewed as the network was measured in training, unless flags differ.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eval import config, evaluate, infer_files, inference, trained
from eval.inference import InferOptions
from eval.running import command, config_file, parsers
from mindrecord_io import records
from mindrecord_io.commands import command_line
from mindrecord_io.serving import reader
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.versions import opening

__all__ = ["InferOptions", "infer", "main"]


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
    """Yields the predictions for clips of a data set, in the order of its table.

    Raises:
      checkpoint.CheckpointError: the checkpoint cannot be used.
      ValueError: a clip is not in the split, or the data set has not the classes the
        network was trained for.
    """
    assert options.dataset is not None
    config.use_device(options.device_target)
    network = inference.load_network(options)
    version = opening.open_version(options.dataset, options.version)
    names = version.category_names()
    order = trained.class_order(
        network,
        names,
        checkpoint_name=str(options.checkpoint),
        dataset=str(options.dataset),
        is_mapped=options.map_classes,
    )
    settings = options.settings(network, len(options.clip_ids))
    view = settings.view(network.config.num_segments)
    clips = reader.open_split(
        version,
        options.split,
        view,
        BatchPlan(batch_size=max(1, settings.eval_batch_size // view.num_views)),
        num_workers=options.num_workers,
        clip_ids=options.clip_ids,
    )
    predict = trained.in_order(evaluate.make_predict(network), order)
    for frames, label_ids, clip_ids in clips.with_clip_ids():
        scores = inference.scores_of(predict, frames, settings, len(names))
        for i, clip_id in enumerate(clip_ids):
            label_id = int(label_ids[i])
            label = None if label_id == records.UNLABELLED else names[label_id]
            yield Predicted(clip_id, label, **inference.ranked(scores[i], names))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line a clip; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags = vars(parsers.infer_parser().parse_args(argv))
    flags |= {name: tuple(flags[name]) for name in ("clips", "clip_ids")}

    def run() -> None:
        options: InferOptions = config_file.build(InferOptions, flags)
        lines: Callable[[InferOptions], Iterator[Any]] = infer
        if options.clips:
            lines = infer_files.infer_files
        elif options.stream is not None:
            lines = infer_files.infer_stream
        for line in lines(options):
            command_line.print_row(line, _lines_for_people)

    return command.run("infer", run)


def _lines_for_people(row: Any) -> list[str]:
    """Returns a clip or frame, and a line for each of its labels."""
    fields = dataclasses.asdict(row) if isinstance(row, Predicted) else row
    if "reason" in fields:
        return [f"{fields['path']}  {fields['reason']}: {fields['detail']}"]
    name = next(str(fields[n]) for n in ("clip_id", "path", "frame") if n in fields)
    label = fields.get("label")
    pairs = zip(fields["labels"], fields["probabilities"], strict=True)
    return [
        f"{name}  (labelled {label})" if label is not None else name,
        *(f"  {probability:6.1%}  {text}" for text, probability in pairs),
    ]
