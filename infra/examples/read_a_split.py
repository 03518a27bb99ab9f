"""Reads a split as a training script would: python read_a_split.py DATASET.

Prints how many clips each label has, then the shapes and the mean brightness of the
batches of one epoch, and stops and goes on in the middle of it.
"""

import sys
from collections.abc import Sequence

from mindrecord_io import BatchPlan, TrainView, open_split, open_version


def main(argv: Sequence[str] | None = None) -> int:
    """Reads one epoch; returns 0."""
    (dataset,) = sys.argv[1:] if argv is None else argv
    version = open_version(dataset)
    names = version.category_names()
    clips = version.read_clips(["label", "status"], split="train").to_pylist()
    labels = [clip["label"] for clip in clips if clip["status"] == "stored"]
    for name in names:
        print(f"{labels.count(name):>4}  {name}")  # noqa: T201

    view = TrainView(num_segments=4, crop_px=32)
    plan = BatchPlan(batch_size=4, seed=7)
    steps = open_split(version, "train", view, plan)
    for frames, label in steps:  # uint8 (4, 4, 3, 32, 32) RGB, int32 (4,)
        print(frames.shape, [names[i] for i in label], f"{frames.mean():.1f}")  # noqa: T201
        if steps.step == 1:
            state = steps.state()  # to be kept with a checkpoint

    resumed = open_split(version, "train", view, plan, state=state)
    print(f"resumed at step {resumed.step} of {resumed.steps_per_epoch}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
