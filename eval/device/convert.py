"""Writes what MindSpore Lite's converter needs to make a network one for an Ascend.

FOLDER/convert.sh       the command: converter_lite --optimize=ascend_oriented ...
FOLDER/converter.cfg    its configuration: precision, numbers of clips, AIPP
FOLDER/aipp.cfg         with AIPP alone: the device normalises bytes before the network

The converter is a program of MindSpore Lite's package and is not needed here. Sources:
https://www.mindspore.cn/lite/docs/en/r2.7.0/mindir/converter_tool.html and
converter_tool_ascend.html beside it; for aipp.cfg
https://www.hiascend.com/document/detail/en/canncommercial/800/devaids/atc/atlasatc_16_0025.html
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.device import metadata
from eval.device.parsers import PRECISION_MODES
from mindrecord_io.storage import files

__all__ = ["ConvertOptions", "ConvertResult", "aipp_text", "config_text", "convert"]

_MAX_NUM_SHAPES, _MAX_NUM_CLIPS = 100, 2048  # converter_tool_ascend, Dynamic Batch Size
_FORMATS = {".mindir": "MINDIR", ".onnx": "ONNX"}


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """One call of the command.

    Attributes:
      network: the exported file.
      output: a folder for the files.
      num_clips: how many clips the network is to take at once; several numbers need a
        network that was exported for any.
      aipp: the device makes the network's floats of bytes.
    """

    network: Path
    output: Path
    num_clips: Sequence[int] = (1,)
    precision_mode: str = PRECISION_MODES[0]
    aipp: bool = False

    def __post_init__(self) -> None:
        if self.network.suffix not in _FORMATS:
            raise ValueError(
                f"--network must be one of {', '.join(_FORMATS)}: {self.network}"
            )
        if self.precision_mode not in PRECISION_MODES:
            raise ValueError(
                f"--precision_mode must be one of {', '.join(PRECISION_MODES)}, got "
                f"{self.precision_mode!r}"
            )
        numbers = self.num_clips
        if (
            len(set(numbers)) != len(numbers)
            or not 1 <= len(numbers) <= _MAX_NUM_SHAPES
        ):
            raise ValueError(
                f"--num_clips must be 1 to {_MAX_NUM_SHAPES} numbers, each once, got "
                f"{' '.join(map(str, numbers)) or 'none'}"
            )
        if not all(1 <= number <= _MAX_NUM_CLIPS for number in numbers):
            raise ValueError(
                f"--num_clips must be in [1, {_MAX_NUM_CLIPS}], got {max(numbers)}"
            )
        if self.aipp and len(numbers) > 1:
            raise ValueError(
                "--aipp is for one number of clips: a network with one input takes "
                "either AIPP or several shapes"
            )


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """The command to run where MindSpore Lite is, and the files that it reads."""

    command: str
    files: tuple[str, ...]


def convert(options: ConvertOptions) -> ConvertResult:
    """Writes the command and its files.

    Raises:
      ValueError: the network cannot be converted so.
      metadata.MetadataError: it has no metadata.
    """
    described = metadata.read(options.network)
    shapes = _shapes(described, options)
    texts = {"converter.cfg": config_text(described, options)}
    if options.aipp:
        texts["aipp.cfg"] = aipp_text(described)
    words = [
        "converter_lite",
        f"--fmk={_FORMATS[options.network.suffix]}",
        f"--modelFile={options.network}",
        "--saveType=MINDIR",
        "--optimize=ascend_oriented",
        f"--configFile={options.output / 'converter.cfg'}",
        f"--outputFile={options.output / f'{options.network.stem}_ascend'}",
    ]
    if len(shapes) == 1:
        sizes = ",".join(map(str, shapes[0]))
        words.append(f"--inputShape={described['input']['name']}:{sizes}")
    command = shlex.join(words)
    texts["convert.sh"] = f"#!/bin/sh\nexec {command}\n"
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        files.replace_file(options.output / name, text.encode())
    written = tuple(str(options.output / name) for name in texts)
    return ConvertResult(command, written)


def config_text(described: Mapping[str, Any], options: ConvertOptions) -> str:
    """Returns the content of converter.cfg."""
    lines = ["[ascend_context]"]
    if len(options.num_clips) > 1:
        first, *rest = _shapes(described, options)
        sizes = ",".join(map(str, [-1, *first[1:]]))
        dims = ",".join(f"[{shape[0]}]" for shape in (first, *rest))
        lines += [f"input_shape={described['input']['name']}:[{sizes}]"]
        lines += [f"dynamic_dims={dims}"]
    lines += [f"precision_mode={options.precision_mode}"]
    if options.aipp:
        path = options.output / "aipp.cfg"
        lines += ["input_format=NCHW", f"insert_op_config_file_path={path}"]
    return "\n".join([*lines, ""])


def aipp_text(described: Mapping[str, Any]) -> str:
    """Returns the content of aipp.cfg: (byte - mean - min) * var_reci for each channel.

    A mean is a whole number there, and what is left of it is in min.

    Raises:
      ValueError: the network takes no normalised images of three channels.
    """
    kind = described["input"].get("kind")
    if kind != "float3":
        raise ValueError(
            f"--aipp makes normalised images of three channels, and the network takes "
            f"{described['input']['shape']} of {kind or described['input']['dtype']}: "
            f"export it with --input float3; one of --input uint8 takes bytes itself"
        )
    height, width = described["input"]["shape"][2:]
    lines = [
        "aipp_mode: static",
        "related_input_rank: 0",
        "input_format: RGB888_U8",
        f"src_image_size_w: {width}",
        f"src_image_size_h: {height}",
        "crop: false",
        "csc_switch: false",
        "rbuv_swap_switch: false",
    ]
    pairs = list(zip(described["mean"], described["std"], strict=True))
    means = [255 * mean for mean, _ in pairs]
    lines += [f"mean_chn_{i}: {int(mean)}" for i, mean in enumerate(means)]
    lines += [f"min_chn_{i}: {mean - int(mean):.6g}" for i, mean in enumerate(means)]
    lines += [
        f"var_reci_chn_{i}: {1 / (255 * std):.9g}" for i, (_, std) in enumerate(pairs)
    ]
    return "\n".join(["aipp_op {", *(f"    {line}" for line in lines), "}", ""])


def _shapes(
    described: Mapping[str, Any], options: ConvertOptions
) -> list[tuple[int, ...]]:
    """Returns the shape of the input for each number of clips.

    Raises:
      ValueError: the network was exported for another number.
    """
    first, *rest = described["input"]["shape"]
    num_rows = metadata.rows_per_clip(described)
    if first is not None and [first] != [n * num_rows for n in options.num_clips]:
        raise ValueError(
            f"{options.network} was exported for {first // num_rows} clips at once: "
            f"--num_clips must be that, or export it without --batch_size"
        )
    return [(number * num_rows, *rest) for number in options.num_clips]
