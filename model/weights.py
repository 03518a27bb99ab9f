"""Imports published weights into a network and exports a network's weights."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from mindspore import Parameter, Tensor

from model import checkpoint, weight_files, weight_names, whole_file
from model.checkpoint import CheckpointError
from model.tsm import TSM
from model.weight_names import FRESH_PARTS

__all__ = ["FRESH_PARTS", "Imported", "import_weights", "save_safetensors"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Imported:
    """Names of the tensors that were taken, left and ignored.

    Attributes:
      taken: parameters that the file's tensors were put into.
      fresh: parameters of the fresh parts, which stay as they were.
      ignored: the file's names of counters, of an optimizer's state, and of tensors for
        the fresh parts.
      class_names: label texts by label_id, where the file has them.
    """

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    ignored: tuple[str, ...]
    class_names: tuple[str, ...] = ()


def import_weights(network: TSM, path: Path, *, fresh: Sequence[str] = ()) -> Imported:
    """Sets a network's parameters to the tensors of a file.

    The file may be a checkpoint of the authors' PyTorch code or of mmaction2, a frame
    network in torchvision's layout (ResNets and MobileNetV2) or of MindCV, a checkpoint
    of MindSpore's port, or one of ours.

    Args:
      path: one of the kinds in `weight_files.READERS`.
      fresh: parts of FRESH_PARTS that stay as they are, whatever the file has for
        them.

    Raises:
      CheckpointError: the file cannot be read, or a tensor is missing, is unknown, has
        another shape or a value that is no finite number; the message names it and the
        network is unchanged.
    """
    is_fresh = _pattern(fresh).match
    tensors = weight_files.read(path)
    named = _by_canonical_name(tensors, path)
    own = {parameter.name: parameter for parameter in network.get_parameters()}
    wanted = weight_names.own_names(own, named)
    kept = tuple(name for name in own if is_fresh(wanted[name]))
    parameters = {
        name: _parameter(tensors[named[wanted[name]]], like=own[name])
        for name in own
        if wanted[name] in named and name not in kept
    }
    used = {named[wanted[name]] for name in parameters}
    _check_finite({name: tensors[name] for name in used}, path)
    ignored = {name for name in tensors if weight_names.is_no_weight(name)}
    ignored |= {name for canonical, name in named.items() if is_fresh(canonical)}
    surplus = {
        name: Parameter(Tensor(tensors[name]))
        for name in tensors.keys() - used - ignored
    }
    parameters |= {name: own[name] for name in kept}
    checkpoint.load_tensors(network, surplus | parameters, source=str(path))
    logger.info(
        "%s: took %d tensors, ignored %d; %d of the network stay as they are",
        path,
        len(used),
        len(ignored),
        len(kept),
    )
    taken = tuple(name for name in own if name not in kept)
    _warn_of_new_shifts(taken, named, path)
    names = weight_files.class_names(path)
    return Imported(taken, kept, tuple(sorted(ignored)), names)


def save_safetensors(network: TSM, path: Path, facts: Mapping[str, Any]) -> None:
    """Writes a network's weights under the authors' names, for PyTorch and others.

    Args:
      path: a file name that ends in .safetensors; an old file is replaced in one step.
      facts: JSON values, kept with the network's configuration as metadata.

    Raises:
      OSError: the file cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"the file's name must end in .safetensors, got {path}")
    tensors = {
        weight_names.torch_name(parameter.name): _for_torch(parameter)
        for parameter in network.get_parameters()
    }
    metadata = {"format": "pt", "clipmill": checkpoint.describe(network, facts)}
    try:
        with whole_file.replaced(path) as incomplete:
            safetensors.numpy.save_file(tensors, incomplete, metadata)
    except safetensors.SafetensorError as cause:
        raise OSError(f"cannot write {path}: {cause}") from cause


def _check_finite(tensors: weight_files.Tensors, path: Path) -> None:
    broken = [n for n, values in tensors.items() if not np.isfinite(values).all()]
    if broken:
        more = ", ..." if len(broken) > _MAX_NAMED else ""
        raise CheckpointError(
            f"{path}: {len(broken)} tensors have values that are no finite numbers: "
            f"{', '.join(sorted(broken)[:_MAX_NAMED])}{more}"
        )


def _warn_of_new_shifts(
    taken: Sequence[str], canonical_names: Iterable[str], path: Path
) -> None:
    """Warns where a whole network, classifier and all, was trained without shifts."""
    has_shifts = any(".net." in name for name in taken)
    has_classifier = any(name.startswith("new_fc.") for name in taken)
    was_shifted = any(".net." in name for name in canonical_names)
    if has_shifts and has_classifier and not was_shifted:
        logger.warning(
            "%s was trained without shifts and becomes a network with them: its logits "
            "will be others; `shift_place: none` keeps it as it is",
            path,
        )


def _pattern(fresh: Sequence[str]) -> re.Pattern[str]:
    """Returns what matches the canonical names of these parts."""
    unknown = [part for part in fresh if part not in FRESH_PARTS]
    if unknown:
        raise ValueError(f"fresh must be of {tuple(FRESH_PARTS)}, got {unknown[0]!r}")
    return re.compile("|".join(FRESH_PARTS[part] for part in fresh) or r"(?!)")


def _by_canonical_name(names: Iterable[str], path: Path) -> dict[str, str]:
    """Returns the file's names of weights by their canonical ones.

    Raises:
      CheckpointError: two tensors would have one name.
    """
    named: dict[str, str] = {}
    for name, flat in weight_names.flat_names(names).items():
        if weight_names.is_no_weight(name):
            continue
        canonical = weight_names.canonical_name(flat)
        if canonical in named:
            raise CheckpointError(
                f"{path}: {named[canonical]} and {name} are both {canonical}"
            )
        named[canonical] = name
    return named


def _parameter(values: npt.NDArray[np.float32], *, like: Parameter) -> Parameter:
    """Returns the values; 1x1x1 convolutions lose the dimension that they lack here."""
    if values.ndim == 5 and like.ndim == 4 and values.shape[2] == 1:
        values = values[:, :, 0]
    return Parameter(Tensor(values), name=like.name)


def _for_torch(parameter: Parameter) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = parameter.asnumpy()
    if ".nl." in parameter.name and values.ndim == 4:
        return np.ascontiguousarray(values[:, :, None])  # a 3-D convolution there
    return values
