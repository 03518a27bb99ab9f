"""Reads tensors by name from each kind of file that weights are published in."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import numpy.typing as npt
import safetensors

from model import cards, checkpoint
from model.checkpoint import CheckpointError

__all__ = ["READERS", "class_names", "read"]

_MAX_HEADER_NUM_BYTES = 16 << 20
_MAX_NUM_TENSORS = 20_000
_MAX_NAME_NUM_CHARS = 500
_MAX_NAMED = 20
_KINDS = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U8", "BOOL")  # NumPy's

Tensors = dict[str, npt.NDArray[np.float32]]

_SAFE_TORCH = (2, 10)
"""Before it, `weights_only` does not keep a crafted file from doing harm
(CVE-2025-32434, CVE-2026-24747)."""


def read(path: Path) -> Tensors:
    """Returns the tensors of a file by the file's own names.

    Raises:
      CheckpointError: there is no such file, it cannot be read, or reading it needs a
        library that is not installed.
    """
    reader = READERS.get(path.suffix)
    if reader is None:
        raise CheckpointError(
            f"weights must be in a file of {', '.join(READERS)}, got {path}"
        )
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    return reader(path)


def class_names(path: Path) -> tuple[str, ...]:
    """Returns the label texts in the card of a file of ours; () of any other file.

    Raises:
      CheckpointError: the file cannot be read, or its card is damaged.
    """
    text = _DESCRIPTIONS[path.suffix](path) if path.suffix in _DESCRIPTIONS else None
    try:
        card = json.loads(text).get("card") if text else None
        return cards.parse(card).class_names if card else ()
    except (AttributeError, TypeError, ValueError) as cause:
        raise CheckpointError(f"{path}: cannot read its card: {cause}") from cause


def _ckpt_description(path: Path) -> str | None:
    entry = _load_ckpt(path).get("clipmill")
    return entry if isinstance(entry, str) else None


def _safetensors_description(path: Path) -> str | None:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text: str | None = (file.metadata() or {}).get("clipmill")
            return text
    except (OSError, safetensors.SafetensorError) as cause:
        raise CheckpointError(f"cannot read {path}: {cause}") from cause


_DESCRIPTIONS: dict[str, Callable[[Path], str | None]] = {
    ".ckpt": _ckpt_description,
    ".safetensors": _safetensors_description,
}


def _read_safetensors(path: Path) -> Tensors:
    try:
        _check_header(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: _float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (
        safetensors.SafetensorError,
        TypeError,
        ValueError,
        RecursionError,
    ) as cause:
        raise CheckpointError(f"cannot read {path}: {cause!s:.500}") from cause


def _check_header(path: Path) -> None:
    """Checks names, types and number of tensors before the library makes them.

    Raises:
      ValueError: there are too many, or one has too long a name or no usable type.
    """
    with path.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
        if num_bytes > _MAX_HEADER_NUM_BYTES:
            raise ValueError(f"its header has {num_bytes} bytes")
        header = json.loads(file.read(num_bytes))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) > _MAX_NUM_TENSORS:
        raise ValueError(f"{len(tensors)} tensors, at most {_MAX_NUM_TENSORS}")
    for name, entry in tensors.items():
        if len(name) > _MAX_NAME_NUM_CHARS:
            raise ValueError(f"a tensor's name has {len(name)} characters: {name:.40}")
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if kind not in _KINDS:
            raise ValueError(f"tensor {name} is {kind!r:.40}, known are {_KINDS}")


def _read_ckpt(path: Path) -> Tensors:
    return {
        name: _float32(entry.asnumpy())
        for name, entry in _load_ckpt(path).items()
        if isinstance(entry, mindspore.Tensor)  # not the text that we add
    }


def _load_ckpt(path: Path) -> dict[str, Any]:
    try:
        return checkpoint.read_entries(path)
    except CheckpointError as cause:
        raise CheckpointError(f"cannot read {path}: {cause}") from cause


def _read_torch(path: Path) -> Tensors:
    try:
        import torch
    except ImportError as cause:
        raise CheckpointError(
            f"reading {path} needs PyTorch: pip install 'torch>=2.10', or save the "
            f"weights as .safetensors where it is installed"
        ) from cause
    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if version < _SAFE_TORCH:
        raise CheckpointError(
            f"reading {path} needs PyTorch 2.10: a crafted file can run code in "
            f"{torch.__version__}"
        )
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch promises no class of errors
        raise CheckpointError(f"cannot read {path}: {cause}") from cause
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict):
        raise CheckpointError(f"{path} has no tensors by name: {type(content)}")
    strange = [name for name, value in tensors.items() if not torch.is_tensor(value)]
    if strange:
        named = ", ".join(f"{name!s:.100}" for name in strange[:_MAX_NAMED])
        raise CheckpointError(f"{path} has no tensors under {named}")
    return {name: value.float().numpy() for name, value in tensors.items()}


def _float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return values.astype(np.float32)


READERS: dict[str, Callable[[Path], Tensors]] = {
    ".safetensors": _read_safetensors,
    ".ckpt": _read_ckpt,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".tar": _read_torch,  # the authors' own: ckpt.best.pth.tar
}
