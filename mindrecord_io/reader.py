"""A split as a MindSpore data set: what training and evaluation iterate over."""

import logging
from pathlib import Path

from mindspore.dataset import Dataset, GeneratorDataset

from mindrecord_io import batches, clip_index, manifest, views

__all__ = ["COLUMNS", "open_split"]

logger = logging.getLogger(__name__)

COLUMNS = ("frames", "label")


def open_split(
    dataset: Path | str,
    split: str,
    view: views.View,
    *,
    batch_size: int,
    seed: int = 0,
    epoch: int = 0,
    begin_step: int = 0,
    num_workers: int | None = None,
    version: str | None = None,
    drop_last: bool = False,
    rank: int = 0,
    num_ranks: int = 1,
) -> Dataset:
    """Opens one epoch of a split for training or evaluation.

    A TrainView shuffles (see batches.epoch_order), a CentreView keeps the order of the
    table; batches are a function of the arguments, whatever `num_workers` is.

    Args:
      batch_size: clips in a step, over all ranks together.
      seed, epoch: choose order, frames, crops and flips.
      begin_step: 0-based; earlier steps are neither made nor read.
      num_workers: decoding threads, None for one a processor.
      version: of the data set, None for the newest published one.
      drop_last: leave out a short last batch, which is kept otherwise.
      rank, num_ranks: this process gets its equal part of every batch.

    Returns:
      A data set of the columns `frames`, uint8 (N, T, 3, crop_px, crop_px) RGB, and
      `label`, int32 (N,); its size is the number of steps from `begin_step` on. Iterate
      over it once: another pass gives the same epoch again.

    Raises:
      manifest.ManifestError: there is no such data set or version.
      clip_index.DatasetError: a shard is missing or has another size than published.
      ValueError: an argument is wrong, or the split has no clips.
    """
    if not isinstance(view, views.TrainView | views.CentreView):
        raise ValueError(f"view must be a TrainView or a CentreView, got {view!r}")
    plan = batches.BatchPlan(
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        begin_step=begin_step,
        drop_last=drop_last,
        rank=rank,
        num_ranks=num_ranks,
    )
    opened = manifest.open_version(Path(dataset), version)
    index = clip_index.read_clip_index(opened, split)
    source = batches.BatchSource(index, view, plan, num_workers=num_workers)
    logger.debug(
        "%s: %d clips, epoch %d in %d steps, %d clips dropped",
        index.name,
        len(index),
        epoch,
        source.num_steps,
        source.num_dropped,
    )
    return GeneratorDataset(
        source,
        list(COLUMNS),
        shuffle=False,
        num_parallel_workers=1,
        python_multiprocessing=False,
    )
