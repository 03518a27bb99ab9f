"""Checkpoints to resume a training from, each a folder that is whole or absent.

    step-00000042/          42 steps are done
      network.ckpt          what `python -m eval` reads
      training.ckpt         the optimizer's and the loss scale's tensors, and the facts
      checkpoint.json       size and SHA-256 of both, written last

A new checkpoint gets a new name; older ones are removed when it is on the disk. So a
kill at any moment leaves at least one that is good. MindSpore's own check (a CRC)
misses a file that was cut off at the right place, hence the hashes.
"""

import contextlib
import dataclasses
import json
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore
from mindspore import Parameter

from mindrecord_io import json_values, naming
from mindrecord_io.commands import plain_text
from mindrecord_io.storage import files, incomplete
from mindrecord_io.storage.folder_mirror import NOWHERE, FolderMirror
from model import checkpoint
from model.tsm import TSM

__all__ = ["Checkpoints", "Tensors", "step_of_file", "whole_step"]

logger = logging.getLogger(__name__)

Tensors = Mapping[str, Parameter]

FORMAT = 1
RATES = "learning_rate"
"""What tensors of learning rates begin with; older checkpoints have them."""

NETWORK_FILE = "network.ckpt"
TRAINING_FILE = "training.ckpt"
_LIST_FILE = "checkpoint.json"
_ENTRY = "clipmill"
_NAME = re.compile(r"step-(\d{8,})")
_WRITTEN = (NETWORK_FILE, TRAINING_FILE, _LIST_FILE)  # in this order
_STORED = re.compile(
    rf"checkpoints/step-(\d{{8,}})/({'|'.join(map(re.escape, _WRITTEN))})"
)


def step_of_file(name: str) -> int | None:
    """Returns of which step's checkpoint a file is, by its path in a training's folder.

    None of any other file.
    """
    match = _STORED.fullmatch(name)
    return int(match[1]) if match else None


def whole_step(name: str) -> int | None:
    """Returns `step_of_file` for the file that is written last, else None."""
    return step_of_file(name) if name.endswith(f"/{_LIST_FILE}") else None


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one training, in one folder.

    Attributes:
      mirror: of the training's folder.
    """

    folder: Path
    mirror: FolderMirror = NOWHERE

    def path_of(self, step: int) -> Path:
        """Returns the folder of the checkpoint after `step` steps, present or not."""
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, in rising order."""
        if not self.folder.is_dir():
            return []
        names = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def save(
        self,
        network: TSM,
        tensors: Tensors,
        facts: Mapping[str, Any],
        *,
        step: int,
        num_kept: int,
    ) -> Path:
        """Writes a checkpoint, then removes all but the newest.

        Args:
          tensors: of the optimizer and the loss scale, by name.
          facts: JSON values that `restore` returns.
          num_kept: how many stay, this one counted.
        """
        incomplete.remove_abandoned(self.folder)
        path = self.path_of(step)
        with incomplete.folder_in(self.folder) as work:
            checkpoint.save(network, work / NETWORK_FILE, facts)
            _save_tensors(work / TRAINING_FILE, tensors, facts)
            _write_list(work)
            files.publish_folder(work, path)
        self.mirror.send(*(path / name for name in _WRITTEN))
        for old in self.steps()[:-num_kept]:
            self._remove(old)
        logger.debug("saved %s", path)
        return path

    def restore(self, step: int, network: TSM, tensors: Tensors) -> dict[str, Any]:
        """Sets a network and the other tensors to a checkpoint's; returns its facts.

        Raises:
          checkpoint.CheckpointError: it is damaged or of another training; the message
            names the newest older one that is good.
        """
        path = self.path_of(step)
        place = self.mirror.place_of(path)
        reason = _damage(path)
        if reason:
            raise checkpoint.CheckpointError(
                f"{place} is damaged: {reason}; {self._advice(step)}"
            )
        saved, _ = checkpoint.load(path / NETWORK_FILE)
        names = saved.card.class_names
        if names and network.card.class_names not in ((), names):
            raise checkpoint.CheckpointError(
                f"{place} was trained by other classes than the data set has now, or "
                f"by classes that were numbered otherwise: {', '.join(names[:5])}, ..."
            )
        own = {p.name: p for p in saved.get_parameters()}
        checkpoint.load_tensors(network, own, source=str(path / NETWORK_FILE))
        return _restore_tensors(path / TRAINING_FILE, tensors)

    def remove_later(self, step: int) -> None:
        """Removes the checkpoints after more than `step` steps."""
        for later in self.steps():
            if later > step:
                logger.info("removing %s: made again", self.path_of(later))
                self._remove(later)
        for stored in set(map(step_of_file, self.mirror.names())):
            if stored is not None and stored not in self.steps():
                self.mirror.remove(self.path_of(stored))  # its upload was cut off

    def _advice(self, step: int) -> str:
        for older in reversed(self.steps()):
            if older < step and not _damage(self.path_of(older)):
                return f"the newest older one that is good: --resume {older}"
        return "there is no older one that is good"

    def _remove(self, step: int) -> None:
        # Renamed first: a folder that was removed in part would look damaged.
        doomed, path = naming.incomplete_folder(self.folder), self.path_of(step)
        path.rename(doomed)
        shutil.rmtree(doomed)
        self.mirror.remove(path / _LIST_FILE, path)


def _save_tensors(path: Path, tensors: Tensors, facts: Mapping[str, Any]) -> None:
    description = json.dumps({"format": FORMAT, "facts": dict(facts)})
    mindspore.save_checkpoint(
        [{"name": name, "data": tensor} for name, tensor in tensors.items()],
        str(path),
        append_dict={_ENTRY: description},
        crc_check=True,
    )
    path.chmod(0o644)
    files.sync(path)


def _restore_tensors(path: Path, tensors: Tensors) -> dict[str, Any]:
    entries = mindspore.load_checkpoint(str(path), crc_check=True)
    description = json.loads(entries.pop(_ENTRY))
    entries = {n: p for n, p in entries.items() if not n.startswith(RATES)}
    if description["format"] != FORMAT:
        raise checkpoint.CheckpointError(
            f"{path} has format {description['format']}, this code reads {FORMAT}"
        )
    differing = [
        name
        for name in sorted(entries.keys() | tensors.keys())
        if _shape(entries, name) != _shape(tensors, name)
    ]
    if differing:
        raise checkpoint.CheckpointError(
            f"{path} is of another training: {len(differing)} tensors are missing, "
            f"unknown or of another shape, {differing[0]} is the first"
        )
    for name, tensor in tensors.items():
        tensor.set_data(entries[name])
    return dict(description["facts"])


def _shape(tensors: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _write_list(folder: Path) -> None:
    prints = {
        name: dataclasses.asdict(files.fingerprint(folder / name))
        for name in (NETWORK_FILE, TRAINING_FILE)
    }
    content = json.dumps({"format": FORMAT, "files": prints}, indent=2) + "\n"
    files.write_synced(folder / _LIST_FILE, content.encode())


def _damage(folder: Path) -> str | None:
    """Returns what is wrong with a checkpoint's files; None if nothing is."""
    try:
        listed = json_values.parse(files.read_bytes(folder / _LIST_FILE))
        prints = {name: listed["files"][name] for name in (NETWORK_FILE, TRAINING_FILE)}
    except (OSError, ValueError) as error:
        return f"cannot read {_LIST_FILE}: {plain_text.sentence(error)}"
    except (KeyError, TypeError):
        return f"{_LIST_FILE} does not list {NETWORK_FILE} and {TRAINING_FILE}"
    for name, expected in prints.items():
        actual: object = "no file"
        with contextlib.suppress(OSError):
            actual = dataclasses.asdict(files.fingerprint(folder / name))
        if actual != expected:
            return f"{name} should be {expected}, found {actual}"
    return None
