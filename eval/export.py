"""`clipmill export`: a trained network in a file that other programs run.

    .mindir       MindSpore and MindSpore Lite; any number of clips at once, or N
    .onnx         ONNX Runtime and others; a fixed number of clips
    .air          Ascend's own tools; written on an Ascend alone
    .safetensors  the weights alone, under the names of the authors' PyTorch code

A network takes RGB bytes (N, T, 3, crop_px, crop_px), or the model zoo's normalised
floats (N, T * 3, crop_px, crop_px), and gives logits. With `streaming` it takes a frame
and what the shifts keep, and gives both anew.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import mindspore
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn

from eval import config, trained
from eval.device import forms, metadata, onnx_states, runners
from eval.running import command, config_file, outputs, parsers
from mindrecord_io.commands import progress_bar
from mindrecord_io.storage import job_files
from model import weights, whole_file
from model.streaming import Stream
from model.tsm import TSM

__all__ = ["ExportError", "ExportOptions", "export", "main"]

_TOLERANCE = 1e-4  # of the largest logit, or of 1 if that is larger
_MAX_TOLERANCE = 1e-3  # of MindSpore with itself, however large the logits
_Shape = tuple[int | None, ...]
_Exported = tuple[_Shape | None, float | None]
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
      batch_size: clips at once; None for any number in an .mindir file, 1 elsewhere.
      input: one of forms.INPUTS.
      streaming: one frame in, and what the shifts keep; .onnx alone.
      device_target: of MindSpore; an .air file is written by "Ascend" alone.
    """

    checkpoint: Path | str
    output: Path | str
    crop_px: int | None = None
    batch_size: int | None = None
    input: str = "uint8"
    streaming: bool = False
    device_target: str = "CPU"

    def __post_init__(self) -> None:
        suffix = self.suffix
        if suffix not in EXPORTERS:
            raise ValueError(
                f"--output must end in one of {', '.join(EXPORTERS)}: {self.output}"
            )
        if suffix == ".air" and self.device_target != "Ascend":
            raise ValueError(
                f"{self.output}: an .air file can be written on an Ascend alone, with "
                f"--device_target Ascend; elsewhere write .mindir or .onnx"
            )
        if self.streaming and (suffix != ".onnx" or self.input != "uint8"):
            raise ValueError(
                f"--streaming is for .onnx files that take uint8 frames, got "
                f"--output {self.output} and --input {self.input}"
            )
        if self.input not in forms.INPUTS:
            raise ValueError(f"--input must be of {forms.INPUTS}, got {self.input!r}")
        if self.crop_px is not None and self.crop_px < 32:
            raise ValueError(f"--crop_px must be at least 32, got {self.crop_px}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"--batch_size must be at least 1, got {self.batch_size}")

    @property
    def num_clips(self) -> int | None:
        """How many clips the file takes at once; None for any number."""
        is_fixed = self.suffix != ".mindir"
        return 1 if is_fixed and self.batch_size is None else self.batch_size

    @property
    def suffix(self) -> str:
        """The end of the file's name, which decides its kind."""
        return PurePosixPath(str(self.output)).suffix

    def input_shape(self, num_segments: int) -> _Shape:
        """Returns the shape of the file's input; None stands for any number."""
        assert self.crop_px is not None  # `export` has chosen it
        if self.streaming:
            return (self.num_clips, 3, self.crop_px, self.crop_px)
        return forms.input_shape(self.input, self.num_clips, num_segments, self.crop_px)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export, which the command prints.

    Attributes:
      input_shape: of the frames; None stands for any number of clips.
      max_difference: largest difference of logits between the file and the network on
        random clips; None where the file cannot be run here.
      metadata: the file that has the labels and sizes; None for weights alone.
    """

    output: str
    num_bytes: int
    input_shape: _Shape | None
    max_difference: float | None
    metadata: str | None


def export(network: TSM, options: ExportOptions) -> ExportResult:
    """Writes the exported file, whole or not at all.

    Raises:
      ExportError: what was written gives other logits.
    """
    network.set_train(False)
    crop_px = trained.crop_px(network, options.crop_px)
    options = dataclasses.replace(options, crop_px=crop_px)
    is_described_beside = options.suffix in (".mindir", ".air")
    described: str | None = None
    with job_files.written(options.output) as output:
        with whole_file.replaced(output) as incomplete:
            shape, difference = EXPORTERS[options.suffix](network, incomplete, options)
        num_bytes = output.stat().st_size
        text = ""
        if is_described_beside:
            content = _metadata(network, options, ["logits"])
            text = metadata.beside(output, content)
    if is_described_beside:
        described = f"{options.output}.json"
        is_local = isinstance(options.output, Path)
        with job_files.written(Path(described) if is_local else described) as path:
            metadata.write(path, text)
    elif options.suffix == ".onnx":
        described = str(options.output)
    return ExportResult(str(options.output), num_bytes, shape, difference, described)


def _mindir(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    shape = options.input_shape(network.config.num_segments)
    example = _example(shape, options)
    if None in shape:
        example = Tensor(shape=list(shape), dtype=forms.input_dtype(options.input))
    cell = _cell(network, options)
    mindspore.export(cell, example, file_name=str(path), file_format="MINDIR")
    return shape, _difference(network, runners.MindirRunner(path), options)


def _air(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    shape = options.input_shape(network.config.num_segments)
    cell, example = _cell(network, options), _example(shape, options)
    mindspore.export(cell, example, file_name=str(path), file_format="AIR")
    return shape, None


def _onnx(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    if options.streaming:
        return _streaming(network, path, options)
    shape = options.input_shape(network.config.num_segments)
    mindspore.onnx.export(
        _cell(network, options),
        _example(shape, options),
        file_name=str(path),
        input_names=["frames"],
        output_names=["logits"],
    )
    metadata.append_to_onnx(path, _metadata(network, options, ["logits"]))
    if not runners.has_onnx_runtime():
        return shape, None
    return shape, _difference(network, runners.OnnxRunner(path), options)


def _streaming(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    shape = options.input_shape(1)
    sizes = [size or 1 for size in shape]
    frames = forms.noise((2 * network.config.num_segments, *sizes))
    stream = Stream(network)
    own = [stream.push(frame) for frame in frames]
    cell = forms.StatefulFrame(network, stream.state_shapes)
    mindspore.onnx.export(
        cell,
        Tensor(frames[0]),
        file_name=str(path),
        input_names=["frame"],
        output_names=["logits"],
    )
    onnx_states.open_states(path, cell.state_names)
    states = [f"next_state_{i}" for i in range(len(stream.state_shapes))]
    described = _metadata(network, options, ["logits", *states])
    metadata.append_to_onnx(path, described)
    if not runners.has_onnx_runtime():
        return shape, None
    runner = runners.OnnxRunner(path)
    kept: list[npt.NDArray[Any]]
    kept = [np.zeros(size, np.float32) for size in stream.state_shapes]
    largest = 0.0
    for frame, expected in zip(frames, own, strict=True):
        logits, *kept = runner(frame, *kept)
        largest = max(largest, _checked(expected, logits))
    return shape, largest


def _safetensors(network: TSM, path: Path, options: ExportOptions) -> _Exported:
    weights.save_safetensors(network, path, {"checkpoint": str(options.checkpoint)})
    return None, None


EXPORTERS: dict[str, Callable[[TSM, Path, ExportOptions], _Exported]] = {
    ".mindir": _mindir,
    ".onnx": _onnx,
    ".safetensors": _safetensors,
    ".air": _air,
}


def _example(shape: _Shape, options: ExportOptions) -> Tensor:
    """Returns an input of zeros, for one clip where any number is taken."""
    zeros = np.zeros([size or 1 for size in shape], np.float32)
    return Tensor(zeros, forms.input_dtype(options.input))


def _cell(network: TSM, options: ExportOptions) -> nn.Cell:
    return network if options.input == "uint8" else forms.packed_network(network)


def _metadata(
    network: TSM, options: ExportOptions, outputs: Sequence[str]
) -> dict[str, Any]:
    assert options.crop_px is not None  # `export` has chosen it
    content = metadata.values(
        network, crop_px=options.crop_px, checkpoint=str(options.checkpoint)
    )
    taken = {
        "name": "frame" if options.streaming else "frames",
        "dtype": "uint8" if options.input == "uint8" else "float32",
        "shape": list(options.input_shape(network.config.num_segments)),
        "kind": options.input,
        "is_normalised": options.input != "uint8",
    }
    return {"input": taken, "outputs": list(outputs)} | content


def _difference(network: TSM, runner: runners.Runner, options: ExportOptions) -> float:
    """Returns the largest difference on clips of noise."""
    assert options.crop_px is not None  # `export` has chosen it
    num_segments, px = network.config.num_segments, options.crop_px
    largest = 0.0
    for num_clips in (options.num_clips,) if options.num_clips else (1, 2):
        clips = forms.noise((num_clips, num_segments, 3, px, px))
        own = network(Tensor(clips)).asnumpy()
        (other,) = runner(forms.AS_INPUT[options.input](clips))
        is_mindspore = options.suffix == ".mindir"
        largest = max(largest, _checked(own, other, is_mindspore=is_mindspore))
    return largest


def _checked(
    own: npt.NDArray[Any], other: npt.NDArray[Any], *, is_mindspore: bool = False
) -> float:
    """Returns the largest difference of logits.

    Raises:
      ExportError: it is too large.
    """
    limit = _TOLERANCE * max(1.0, float(np.abs(own).max()))
    if is_mindspore:
        limit = min(_MAX_TOLERANCE, limit)
    difference = float(np.abs(own - other).max())
    if not difference <= limit:
        raise ExportError(
            f"the exported network's logits differ by {difference}, more than {limit}"
        )
    return difference


def main(argv: Sequence[str] | None = None) -> int:
    """Exports; returns 0, 1 if that failed, or 2 for wrong usage."""
    flags = vars(parsers.export_parser().parse_args(argv))

    def run() -> ExportResult:
        options = config_file.build(ExportOptions, flags)
        outputs.check("--output", options.output)
        if options.device_target != "CPU":
            config.use_device(options.device_target, is_compiled=False)
        network = trained.load(options.checkpoint)
        progress_bar.phase("compiling and writing the network")
        return export(network, options)

    return command.run("export", run)
