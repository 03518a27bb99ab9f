"""What is written with an exported network: all that another program needs to use it.

In an .onnx file as its metadata, a key a value in JSON; an .mindir file, which has no
place for it, has FILE.json beside it:

    {"input": {"name": "frames", "dtype": "uint8", "shape": [null, 8, 3, 224, 224]},
     "outputs": ["logits"], "labels": [...], "num_segments": 8, "crop_px": 224, ...}
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mindrecord_io import json_values
from mindrecord_io.storage import files
from model import whole_file
from model.tsm import TSM

__all__ = [
    "MetadataError",
    "append_to_onnx",
    "beside",
    "read",
    "rows_per_clip",
    "shape_of_a_clip",
    "sidecar",
    "values",
    "write",
]

_METADATA_PROPS = 14  # the field's number in ONNX's ModelProto


class MetadataError(ValueError):
    """A network's file has no metadata, or that of another file."""


def values(network: TSM, *, crop_px: int, checkpoint: str) -> dict[str, Any]:
    """Returns what holds of a network in every file that is made of it."""
    card = network.card
    return {
        "labels": list(card.class_names),
        "num_classes": network.config.num_classes,
        "num_segments": network.config.num_segments,
        "consensus": network.config.consensus,
        "arch": network.config.arch,
        "crop_px": crop_px,
        "resize_px": card.view.get("resize_px"),
        "view": dict(card.view),
        "mean": list(card.mean),
        "std": list(card.std),
        "dataset": card.dataset,
        "dataset_version": card.dataset_version,
        "dataset_digest": card.dataset_digest,
        "checkpoint": checkpoint,
    }


def sidecar(path: Path) -> Path:
    """Returns the file beside an .mindir file that has its metadata."""
    return path.with_name(f"{path.name}.json")


def beside(path: Path, content: Mapping[str, Any]) -> str:
    """Returns the text of the metadata beside an .mindir file, with that one's hash."""
    return json.dumps({**content, "sha256": _sha256(path)}, indent=1) + "\n"


def write(path: Path, text: str) -> None:
    """Writes that text, whole or not at all."""
    with whole_file.replaced(path) as incomplete:
        incomplete.write_text(text, "utf-8")


def append_to_onnx(path: Path, content: Mapping[str, Any]) -> None:
    """Adds metadata to an .onnx file.

    The file is one protobuf message, and what follows a message is merged into it.
    """
    with path.open("ab") as file:
        for key, value in content.items():
            entry = _field(1, key.encode()) + _field(2, json.dumps(value).encode())
            file.write(_field(_METADATA_PROPS, entry))


def read(path: Path) -> dict[str, Any]:
    """Returns the metadata of an .mindir or .onnx file.

    Raises:
      MetadataError: it has none, or another file's.
    """
    if path.suffix == ".onnx":
        from eval.device import runners

        entries = runners.OnnxRunner(path).metadata
        if "num_segments" not in entries:
            raise MetadataError(f"{path} was not written by clipmill export")
        with _errors_of(path):
            return {key: json_values.parse(value) for key, value in entries.items()}
    described = sidecar(path)
    if not path.is_file() or not described.is_file():
        raise MetadataError(f"{path} and {described.name} beside it must both be there")
    with _errors_of(described):
        content: Any = json_values.parse(files.read_bytes(described))
        if not isinstance(content, dict):
            raise ValueError(f"it must be a JSON object, got {content!r:.80}")
    if content.get("sha256") != _sha256(path):
        raise MetadataError(
            f"{described} is of another file than {path}: export it again"
        )
    return content


def rows_per_clip(described: Mapping[str, Any]) -> int:
    """Returns how many rows of a network's input are a clip: 1, or one a frame."""
    is_images = described["input"].get("kind") == "float3"
    return int(described["num_segments"]) if is_images else 1


def shape_of_a_clip(described: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the shape of a network's input for one clip.

    Raises:
      ValueError: the network takes several clips, or frames of a stream.
    """
    first, *rest = described["input"]["shape"]
    num_rows = rows_per_clip(described)
    if first not in (None, num_rows) or described["input"]["name"] != "frames":
        raise ValueError(
            f"the network must take one clip at once, its input is "
            f"{described['input']}: export it with --batch_size 1 and no --streaming"
        )
    return (num_rows, *rest)


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as cause:
        raise MetadataError(f"{path}: cannot read its metadata: {cause}") from cause


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of a protobuf message that has bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
