"""`clipmill export`: a trained network in a file that other programs run.

    .mindir       MindSpore and MindSpore Lite; any number of clips at once
    .onnx         ONNX Runtime and others; a fixed number of clips
    .safetensors  the weights alone, under the names of the authors' PyTorch code

A network takes uint8 RGB frames (N, T, 3, crop_px, crop_px) and gives logits.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import mindspore
import numpy as np
from mindspore import Tensor, nn

from eval import trained
from eval.running import command, config_file, outputs, parsers
from mindrecord_io.storage import job_files
from model import weights, whole_file
from model.tsm import TSM

__all__ = ["ExportError", "ExportOptions", "export", "main"]

_TOLERANCE = 1e-3
_Exported = tuple[tuple[int | None, ...] | None, float | None]
"""The shape of the file's input and its difference, as in ExportResult."""


class ExportError(RuntimeError):
    """The file does not compute what the network does."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """One export.

    Attributes:
      output: its suffix decides the kind of file.
      checkpoint: a file, or a training's folder for its best one.
      crop_px: height and width of the frames; None for the network's own.
      batch_size: clips at once, where the kind of file fixes that.
    """

    checkpoint: Path | str
    output: Path | str
    crop_px: int | None = None
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.suffix not in EXPORTERS:
            raise ValueError(
                f"--output must end in one of {', '.join(EXPORTERS)}: {self.output}"
            )
        if self.crop_px is not None and self.crop_px < 32:
            raise ValueError(f"--crop_px must be at least 32, got {self.crop_px}")
        if self.batch_size < 1:
            raise ValueError(f"--batch_size must be at least 1, got {self.batch_size}")

    @property
    def suffix(self) -> str:
        """The end of the file's name, which decides its kind."""
        return PurePosixPath(str(self.output)).suffix


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export, which the command prints.

    Attributes:
      input_shape: of the frames; None stands for any number of clips.
      max_difference: largest difference of logits between the file and the network on
        random clips; None where the file cannot be run here.
    """

    output: str
    num_bytes: int
    input_shape: tuple[int | None, ...] | None
    max_difference: float | None


def export(network: TSM, options: ExportOptions) -> ExportResult:
    """Writes the exported file, whole or not at all.

    Raises:
      ExportError: what was written gives other logits.
    """
    network.set_train(False)
    crop_px = trained.crop_px(network, options.crop_px)
    options = dataclasses.replace(options, crop_px=crop_px)
    with job_files.written(options.output) as output:
        with whole_file.replaced(output) as incomplete:
            shape, difference = EXPORTERS[options.suffix](network, incomplete, options)
        num_bytes = output.stat().st_size
    return ExportResult(str(options.output), num_bytes, shape, difference)


def _mindir(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    shape = _clip_shape(network, options)
    frames = Tensor(shape=[None, *shape], dtype=mindspore.uint8)
    mindspore.export(network, frames, file_name=str(path), file_format="MINDIR")
    exported = nn.GraphCell(mindspore.load(str(path)))
    return (None, *shape), _difference(network, exported, shape)


def _onnx(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    shape = (options.batch_size, *_clip_shape(network, options))
    frames = Tensor(np.zeros(shape, np.uint8))
    mindspore.onnx.export(network, frames, file_name=str(path))
    return shape, None


def _safetensors(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    weights.save_safetensors(network, path, {"checkpoint": str(options.checkpoint)})
    return None, None


EXPORTERS: dict[str, Callable[[TSM, Path, ExportOptions], _Exported]] = {
    ".mindir": _mindir,
    ".onnx": _onnx,
    ".safetensors": _safetensors,
}


def _clip_shape(network: TSM, options: ExportOptions) -> tuple[int, ...]:
    assert options.crop_px is not None  # `export` has chosen it
    return (network.config.num_segments, 3, options.crop_px, options.crop_px)


def _difference(network: TSM, exported: nn.Cell, shape: tuple[int, ...]) -> float:
    """Returns the largest difference on clips of noise, one and two at once."""
    clips = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    largest = 0.0
    for num_clips in (1, 2):
        frames = Tensor(clips[:num_clips])
        own, other = network(frames).asnumpy(), exported(frames).asnumpy()
        largest = max(largest, float(np.abs(own - other).max()))
    if not largest <= _TOLERANCE:
        raise ExportError(
            f"the exported network's logits differ by {largest}, more than {_TOLERANCE}"
        )
    return largest


def main(argv: Sequence[str] | None = None) -> int:
    """Exports; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags = vars(parsers.export_parser().parse_args(argv))

    def run() -> ExportResult:
        options = config_file.build(ExportOptions, flags)
        outputs.check("--output", options.output)
        return export(trained.load(options.checkpoint), options)

    return command.run("export", run)
