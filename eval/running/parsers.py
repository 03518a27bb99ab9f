"""The parsers of `eval` and its tools, apart from them so that `--help` loads nothing.

`TOOL_parser` is that of `clipmill TOOL`. A test compares the choices and defaults here
with those of the modules that do the work.
"""

import functools
from pathlib import Path

from mindrecord_io import records
from mindrecord_io.commands import command_line
from mindrecord_io.commands.command_line import CommandParser

__all__ = [
    "CONFIGS",
    "add_checkpoint",
    "add_config_path",
    "doctor_parser",
    "eval_parser",
    "export_parser",
    "import_weights_parser",
    "infer_parser",
]

CONFIGS = Path(__file__).resolve().parents[2] / "infra" / "configs"
"""The configuration files that come with the program, in a clone and installed."""


def add_config_path(parser: CommandParser, *, required: bool = True) -> None:
    """Adds --config_path, a YAML file or the bare name of one of CONFIGS."""
    parser.add_argument(
        "--config_path",
        type=_config_path,
        required=required,
        metavar="FILE_OR_NAME",
        help="YAML file of the network, or the name of one that comes with clipmill: "
        + ", ".join(_config_names()),
    )


def add_checkpoint(parser: CommandParser) -> None:
    """Adds --checkpoint."""
    parser.add_argument(
        "--checkpoint",
        type=command_line.location,
        required=True,
        metavar="FILE_OR_RUN",
        help=".ckpt file of clipmill train, or its output folder for the best one; "
        "also in an object store",
    )


def eval_parser() -> CommandParser:
    """Returns the parser of `eval`."""
    parser = CommandParser(
        "eval",
        "Scores every clip of a split with a trained network.",
        example="--dataset dataset --checkpoint run",
        notes="Clips are viewed as in training, unless a configuration file or a flag "
        "has it otherwise: any key of the sections `model` and `evaluation` of that "
        "file is a flag too: --eval_batch_size 8. `python -m eval export`, `python -m "
        "eval import_weights` and `python -m eval infer` have flags of their own.",
    )
    add_config_path(parser, required=False)
    command_line.add_dataset(parser)
    add_checkpoint(parser)
    _add_map_classes(parser)
    _add_split(parser, "what to score")
    command_line.add_version(parser)
    for name, text in (
        ("output", "Parquet file for the predictions"),
        ("report", "JSON file for the classes and their confusions"),
        ("submission", "file for the test server: id;p1;p2;p3;p4;p5"),
        ("page", "HTML file: classes, confusions, the clips that are most wrong"),
    ):
        parser.add_argument(
            f"--{name}", type=command_line.location, metavar="FILE", help=text
        )
    parser.add_argument(
        "--zoo_line",
        action="store_true",
        help="print the accuracies as the model zoo's eval.py does, too",
    )
    parser.add_argument(
        "--guess_left_out",
        action="store_true",
        help="in the submission, give clips that are not stored the most frequent "
        "labels of the training; without it every clip must be stored",
    )
    return parser


def doctor_parser() -> CommandParser:
    """Returns the parser of `doctor`."""
    parser = CommandParser(
        "doctor",
        "Prints what this machine has, and what is missing for which jobs; with "
        "--train tries whether a device trains as a processor does.",
        example="",
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="run 20 steps of a small network and compare their losses with recorded "
        "ones of a processor; needs no data set",
    )
    _add_device_target(parser)
    return parser


def infer_parser() -> CommandParser:
    """Returns the parser of `infer`."""
    parser = CommandParser(
        "infer",
        "Prints the five most probable labels of video files, of clips of a data set "
        "or of each frame of a stream, a line of JSON each.",
        example="--checkpoint run video.webm folder",
        notes="Clips are viewed as in training. A file that cannot be decoded is "
        "refused with its reason; the others are scored, and the exit status is 1.",
    )
    parser.add_argument(
        "clips",
        nargs="*",
        default=(),
        type=command_line.local_path,
        metavar="CLIP",
        help="video file, folder of a clip's frames, or folder of these",
    )
    add_checkpoint(parser)
    command_line.add_dataset(parser, required=False)
    parser.add_argument(
        "--clip_id",
        dest="clip_ids",
        nargs="+",
        default=(),
        help="ids of stored clips of the split of --dataset",
    )
    _add_split(parser, "where these clips are")
    command_line.add_version(parser)
    _add_map_classes(parser)
    parser.add_argument(
        "--stream",
        metavar="SOURCE",
        help="file, camera such as /dev/video0, or - for standard input: an online "
        "network looks at it frame by frame",
    )
    parser.add_argument(
        "--stream_fps",
        type=float,
        metavar="FPS",
        help="frames of the stream to look at in a second; by default all",
    )
    _add_device_target(parser)
    _add_pixels(parser, "crop_px", "side of the frames")
    _add_pixels(parser, "resize_px", "short side before that is cut out")
    parser.add_argument(
        "--batch_size",
        type=command_line.positive_int,
        default=16,
        metavar="N",
        help="views of clips at once",
    )
    parser.add_argument(
        "--num_workers",
        type=command_line.positive_int,
        metavar="N",
        help="processes that decode files; by default one a processor",
    )
    return parser


def export_parser() -> CommandParser:
    """Returns the parser of `export`."""
    parser = CommandParser(
        "export",
        "Writes a trained network for other programs.",
        example="--checkpoint run/best.ckpt --output network.onnx",
    )
    add_checkpoint(parser)
    _add_output(parser, "file: .mindir, .onnx, .safetensors, .air")
    _add_pixels(parser, "crop_px", "side of the frames")
    parser.add_argument(
        "--batch_size",
        type=command_line.positive_int,
        metavar="N",
        help="clips at once; by default any number in an .mindir file, 1 elsewhere",
    )
    parser.add_argument(
        "--input",
        choices=("uint8", "float24", "float3"),
        default="uint8",
        help="frames as bytes, as the model zoo's normalised float32 [1, 24, 224, "
        "224], or as normalised images [8, 3, 224, 224], which an Ascend's AIPP makes",
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="one frame and the shifts' states in, logits and states out (.onnx)",
    )
    _add_device_target(parser)
    return parser


def import_weights_parser() -> CommandParser:
    """Returns the parser of `import_weights`."""
    parser = CommandParser(
        "import_weights",
        "Turns published weights into a checkpoint for evaluation.",
        example="--config_path tsm_sthv2_r50_8f --weights tsm.pth --output tsm.ckpt",
        notes="Any key of the sections `model` and `evaluation` of the configuration "
        "file is a flag too: --num_classes 174. Weights of the authors' code, of "
        "mmaction2, torchvision, MindSpore's port and MindCV are read.",
    )
    add_config_path(parser)
    parser.add_argument(
        "--weights",
        type=command_line.location,
        required=True,
        metavar="FILE",
        help="file to read: .safetensors, .ckpt, .pth, .pt, .tar",
    )
    _add_output(parser, ".ckpt file to write")
    parser.add_argument(
        "--fresh",
        choices=("classifier", "non_local"),
        nargs="+",
        default=(),
        help="parts of the network that the file need not have",
    )
    parser.add_argument(
        "--labels",
        type=command_line.local_path,
        metavar="FILE",
        help="label texts by label_id, a line each, as labels/category.txt of a data "
        "set: by default unknown",
    )
    return parser


def _add_device_target(parser: CommandParser) -> None:
    parser.add_argument(
        "--device_target",
        choices=("CPU", "GPU", "Ascend"),
        default="CPU",
        help="what computes",
    )


def _add_map_classes(parser: CommandParser) -> None:
    parser.add_argument(
        "--map_classes",
        action="store_true",
        help="go by the names of the classes where the data set has the checkpoint's, "
        "numbered otherwise",
    )


def _add_split(parser: CommandParser, text: str) -> None:
    parser.add_argument(
        "--split", choices=records.SPLITS, default="validation", help=text
    )


def _add_output(parser: CommandParser, text: str) -> None:
    parser.add_argument(
        "--output",
        type=command_line.location,
        required=True,
        metavar="FILE",
        help=text,
    )


def _add_pixels(parser: CommandParser, name: str, text: str) -> None:
    parser.add_argument(
        f"--{name}",
        type=command_line.positive_int,
        metavar="PX",
        help=f"{text}; by default as in training",
    )


def _config_path(text: str) -> Path:
    path = command_line.local_path(text)
    is_name = Path(text).name == text and not Path(text).suffix
    if not is_name or path.exists():
        return path
    if text not in _config_names():
        raise command_line.WrongFlagError(
            f"no file and no configuration is called {text!r}; those that come with "
            f"clipmill: {', '.join(_config_names())}"
        )
    return CONFIGS / f"{text}.yaml"


@functools.cache
def _config_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
