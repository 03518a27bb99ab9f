"""Writes a split as the .bin files that a device's program reads."""

import contextlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval import config
from eval.device import forms, metadata
from eval.device.layout import ClipFolder
from mindrecord_io.commands import progress_bar
from mindrecord_io.serving import reader, split_columns, views
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.storage import files
from mindrecord_io.versions import manifests, opening

__all__ = ["PreprocessOptions", "PreprocessResult", "preprocess"]

logger = logging.getLogger(__name__)

_LABEL_NUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class PreprocessOptions:
    """One call of the command.

    Attributes:
      network: the exported file; what it takes is what is written.
      version: of the data set; None for the newest.
      dry_run: say what it would take, and write nothing.
      aipp: write bytes (T, H, W, 3), which AIPP makes the network's input of.
    """

    network: Path
    dataset: Path | str
    output: Path
    split: str = "validation"
    version: str | None = None
    num_workers: int | None = None
    dry_run: bool = False
    aipp: bool = False


@dataclass(frozen=True, slots=True)
class PreprocessResult:
    """What was written; `num_kept` clips were there from an earlier call."""

    output: str
    num_clips: int
    num_written: int
    num_kept: int
    num_bytes: int


def preprocess(options: PreprocessOptions) -> PreprocessResult:
    """Writes each clip's input and label; what is there already stays.

    Raises:
      ValueError: the folder is of other clips, or the data set of other classes.
      OSError: the disk has too little room.
    """
    described = metadata.read(options.network)
    view = _view(described)
    version = opening.open_version(options.dataset, options.version)
    _check_classes(described, version.category_names(), options)
    ids = list(split_columns.clip_ids_of(version, options.split))
    dtype, shape, as_input = _input_of(described, options)
    clip_num_bytes = int(np.prod(shape)) * dtype.itemsize
    folder = ClipFolder(options.output)
    missing = {
        clip_id: number
        for number, clip_id in enumerate(ids)
        if not _is_whole(folder, number, clip_num_bytes)
    }
    _check_room(len(ids), len(missing), clip_num_bytes, options.output)
    num_bytes = len(ids) * (clip_num_bytes + _LABEL_NUM_BYTES)
    if options.dry_run:
        kept = len(ids) - len(missing)
        return PreprocessResult(str(options.output), len(ids), 0, kept, num_bytes)
    folder.begin(
        {
            "dataset": str(options.dataset),
            "version": version.manifest.version,
            "split": options.split,
            "dtype": dtype.name,
            "shape": list(shape),
            "view": {"crop_px": view.crop_px, "resize_px": view.resize_px},
            "labels": list(version.category_names()),
            "clip_ids": ids,
        }
    )
    if missing:
        _write(options, version, view, folder, missing=missing, as_input=as_input)
    kept = len(ids) - len(missing)
    return PreprocessResult(
        str(options.output), len(ids), len(missing), kept, num_bytes
    )


def _write(
    options: PreprocessOptions,
    version: manifests.Version,
    view: views.CentreView,
    folder: ClipFolder,
    *,
    missing: dict[str, int],
    as_input: forms.AsInput,
) -> None:
    """Writes the files of the clips that are not there, each after its label."""
    clips = reader.open_split(
        version,
        options.split,
        view,
        BatchPlan(batch_size=1),
        num_workers=options.num_workers,
        clip_ids=list(missing),
    )
    bar = progress_bar.Bar("writing clips", len(missing))
    with contextlib.closing(bar):
        for frames, label_ids, (clip_id,) in clips.with_clip_ids():
            number = missing[clip_id]
            label = label_ids.astype("<i4").tobytes()
            files.replace_file(folder.label(number), label)
            files.replace_file(folder.frames(number), as_input(frames).tobytes())
            bar.advance(1)


def _view(described: dict[str, Any]) -> views.CentreView:
    """Returns the view by which the network is shown a clip once."""
    view = described["view"]
    for name, once in (("eval_crops", "centre"), ("eval_frames", "centre")):
        if view.get(name, once) != once:
            text = "%s is %r in training: a device is shown each clip once, by %r"
            logger.warning(text, name, view[name], once)
    default = config.EvalConfig().resize_px
    return views.CentreView(
        num_segments=described["num_segments"],
        crop_px=described["crop_px"],
        resize_px=max(described["resize_px"] or default, described["crop_px"]),
    )


def _input_of(
    described: dict[str, Any], options: PreprocessOptions
) -> tuple[np.dtype[Any], tuple[int, ...], forms.AsInput]:
    """Returns the type and the shape of the input for a clip, and what makes it.

    Raises:
      ValueError: the network takes several clips, or frames of a stream; or AIPP makes
        no input of it.
    """
    shape = metadata.shape_of_a_clip(described)
    is_packed = described["input"]["is_normalised"]
    kind = described["input"].get("kind", "float24" if is_packed else "uint8")
    if not options.aipp:
        return np.dtype(described["input"]["dtype"]), shape, forms.AS_INPUT[kind]
    if kind != "float3":
        raise ValueError(
            f"--aipp is for a network of --input float3, {options.network} is of {kind}"
        )
    num_frames, channels, height, width = shape
    shape = (num_frames, height, width, channels)
    return np.dtype(np.uint8), shape, forms.bytes_for_aipp


def _check_classes(
    described: dict[str, Any], names: Sequence[str], options: PreprocessOptions
) -> None:
    own = described["labels"]
    if described["num_classes"] != len(names) or (own and own != list(names)):
        raise ValueError(
            f"{options.network} is for other classes than {options.dataset}: "
            f"{described['num_classes']} and {len(names)} of them"
        )


def _is_whole(folder: ClipFolder, number: int, num_bytes: int) -> bool:
    """Returns whether a clip is there: its frames are written after its label."""
    path = folder.frames(number)
    return path.is_file() and path.stat().st_size == num_bytes


def _check_room(
    num_clips: int, num_missing: int, clip_num_bytes: int, output: Path
) -> None:
    needed = num_missing * (clip_num_bytes + _LABEL_NUM_BYTES)
    beside = next(path for path in (output, *output.parents) if path.exists())
    free = shutil.disk_usage(beside).free
    text = "%d clips of %d bytes: %.3f GB to write, %.3f GB are free"
    logger.info(text, num_clips, clip_num_bytes, needed / 1e9, free / 1e9)
    if needed > free:
        raise OSError(
            f"{output} needs {needed} bytes for {num_missing} clips, the disk has "
            f"{free} free: --input uint8 takes a quarter of float24"
        )
