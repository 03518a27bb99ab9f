"""Reads tensors by name from each kind of file that weights are published in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import numpy.typing as npt
import safetensors

from model.checkpoint import CheckpointError

__all__ = ["READERS", "read"]

Tensors = dict[str, npt.NDArray[np.float32]]


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


def _read_safetensors(path: Path) -> Tensors:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: _float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, TypeError) as cause:
        raise CheckpointError(f"cannot read {path}: {cause}") from cause


def _read_ckpt(path: Path) -> Tensors:
    try:
        entries = mindspore.load_checkpoint(str(path))
    except (ValueError, RuntimeError) as cause:
        raise CheckpointError(f"cannot read {path}: {cause}") from cause
    return {
        name: _float32(entry.asnumpy())
        for name, entry in entries.items()
        if isinstance(entry, mindspore.Tensor)  # not the text that we add
    }


def _read_torch(path: Path) -> Tensors:
    try:
        import torch
    except ImportError as cause:
        raise CheckpointError(
            f"reading {path} needs PyTorch: pip install torch, or save the weights as "
            f".safetensors where it is installed"
        ) from cause
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch promises no class of errors
        raise CheckpointError(f"cannot read {path}: {cause}") from cause
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict):
        raise CheckpointError(f"{path} has no tensors by name: {type(content)}")
    strange = [name for name, value in tensors.items() if not torch.is_tensor(value)]
    if strange:
        raise CheckpointError(f"{path} has no tensors under {', '.join(strange)}")
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
