"""The folder that a training writes to, on this machine or in an object store."""

import contextlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mindrecord_io import json_values
from mindrecord_io.storage import (
    files,
    incomplete,
    job_files,
    locations,
    object_store,
    shard_cache,
    transfers,
)
from mindrecord_io.storage.folder_mirror import FolderMirror
from model import checkpoint
from model.tsm import TSM
from train import checkpoints

__all__ = ["RunFolder", "opened"]

_CONFIG_FILE = "config.json"
_METRICS_FILE = "metrics.jsonl"
_PREDICTIONS_FILE = "predictions.parquet"
_CHECKPOINTS = "checkpoints"
_OWNER_FILE = "owner.json"  # in a store, which has no locks


@contextlib.contextmanager
def opened(output: Path | str) -> Iterator["RunFolder"]:
    """Yields the folder of a training.

    Of one in an object store this is a folder of this machine, removed after the block;
    what the methods write to it, they send to the store.
    """
    if not locations.is_remote(output):
        yield RunFolder(Path(output))
        return
    parent = shard_cache.work_folder()
    incomplete.remove_abandoned(parent)
    with incomplete.folder_in(parent) as folder:
        yield RunFolder(folder / PurePosixPath(str(output)).name, str(output))


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one training.

    config.json      the version and the configuration, with all defaults
    metrics.jsonl    one line per epoch
    checkpoints/     all that is needed to go on, after the newest few epochs
    best.ckpt        the network of the epoch with the best validation accuracy
    predictions.parquet
                     what it predicted for the validation clips, as `eval --output`
    report.html      a page on all of this, written at the end
    tensorboard/     the same and more, for TensorBoard

    Attributes:
      path: of this machine.
      uri: of the folder in an object store that it stands for; "" without one.
      owner: by which the store's folder belongs to this process.
    """

    path: Path
    uri: str = ""
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def mirror(self) -> FolderMirror:
        """The folder with its copy in the store."""
        return FolderMirror(self.path, self.uri)

    @property
    def place(self) -> Path | str:
        """Where users find it: the URI in a store, or the path."""
        return self.mirror.place_of(self.path)

    @property
    def config_path(self) -> Path:
        """The file with the version and the configuration."""
        return self.path / _CONFIG_FILE

    @property
    def metrics_path(self) -> Path:
        """The file with one line per epoch."""
        return self.path / _METRICS_FILE

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint with the best validation accuracy."""
        return self.path / checkpoint.BEST_FILE

    @property
    def predictions_path(self) -> Path:
        """The file with the predictions of the best network."""
        return self.path / _PREDICTIONS_FILE

    @property
    def checkpoints(self) -> checkpoints.Checkpoints:
        """The checkpoints to resume from."""
        return checkpoints.Checkpoints(self.path / _CHECKPOINTS, self.mirror)

    @property
    def board(self) -> Path:
        """The folder for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def profile(self) -> Path:
        """The folder for what a profile of some steps writes."""
        return self.path / "profile"

    def check_new(self) -> None:
        """Checks, before any work, that a training can begin there.

        Raises:
          FileExistsError: another training has come as far as a checkpoint there.
          StorageError: nothing can be written to the store.
        """
        names = self.mirror.names()
        listed = set(filter(None, map(checkpoints.whole_step, names)))
        is_there = self.metrics_path.exists() or _METRICS_FILE in names
        if is_there or listed or self.checkpoints.steps():
            raise FileExistsError(
                f"{self.place} holds another training: --resume it, or choose a new "
                f"folder"
            )
        if self.uri:
            job_files.check_writable(self.mirror.place_of(self.config_path))

    def fetch(self) -> None:
        """Copies what a store has of a training, but for pages and TensorBoard's files.

        Raises:
          StorageError: the store cannot be read.
        """
        names = self.mirror.names()
        whole = set(map(checkpoints.whole_step, names))
        steps = [n for n in names if checkpoints.step_of_file(n) in whole - {None}]
        own = (_CONFIG_FILE, _METRICS_FILE, _PREDICTIONS_FILE, checkpoint.BEST_FILE)
        self.mirror.fetch([*(name for name in own if name in names), *steps])

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps other trainings out of it during the block.

        A store has no locks: there the folder belongs to the training that came last,
        and one that was at work before ends where it would write again.

        Raises:
          FileExistsError: another training is at work in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(incomplete.exclusive(self.path))
            except BlockingIOError as cause:
                raise FileExistsError(
                    f"another training is running there: {cause}; wait for its end, or "
                    f"choose a new folder"
                ) from cause
            if self.uri:
                process = f"{os.getpid()} on {socket.gethostname()}"
                content = json.dumps({"process": process, "owner": self.owner})
                remote = object_store.open_storage(self.uri)
                transfers.put(remote, _OWNER_FILE, content.encode())
            yield

    def check_owner(self) -> None:
        """Checks that no other training has begun in the store's folder since.

        Raises:
          FileExistsError: one has.
          StorageError: the store cannot be read.
        """
        if not self.uri:
            return
        content = object_store.open_storage(self.uri).read_bytes(_OWNER_FILE)
        claim = json.loads(content)
        if claim["owner"] != self.owner:
            raise FileExistsError(
                f"process {claim['process']} goes on with the training in {self.uri}"
            )

    def begin(self, config: Mapping[str, Any]) -> None:
        """Makes the folder and writes the configuration.

        Raises:
          FileExistsError: another training has come as far as a checkpoint there.
        """
        self.check_new()
        self._write_config(config)

    def begin_again(self, config: Mapping[str, Any]) -> None:
        """Removes what a training left that has no checkpoint, and begins anew."""
        written = (self.metrics_path, self.predictions_path, self.best_checkpoint)
        for path in written:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.board, ignore_errors=True)
        self.mirror.remove(*written, self.board)
        self.begin(config)

    def update_config(self, config: Mapping[str, Any]) -> None:
        """Replaces the values that a resumed training has changed."""
        self._write_config(self.read_config() | dict(config))

    def read_config(self) -> dict[str, Any]:
        """Returns what `begin` wrote.

        Raises:
          OSError, ValueError: there is none, or it is not a JSON object.
        """
        try:
            config: Any = json_values.parse(files.read_bytes(self.config_path))
        except ValueError as cause:
            raise ValueError(f"{self.config_path}: {cause}") from cause
        if not isinstance(config, dict):
            raise ValueError(f"{self.config_path}: must be a JSON object")
        return config

    def _write_config(self, config: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        content = json.dumps(config, indent=2) + "\n"
        files.replace_file(self.config_path, content.encode())
        self.mirror.send(self.config_path)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Appends the line of an epoch."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.mirror.send(self.metrics_path)

    def save_best(self, network: TSM, facts: Mapping[str, Any]) -> None:
        """Writes the network of the best epoch, in place of the one before."""
        checkpoint.save(network, self.best_checkpoint, facts)
        self.mirror.send(self.best_checkpoint)

    def go_back(self, step: int) -> None:
        """Removes the checkpoints and metrics of steps after `step`."""
        self.checkpoints.remove_later(step)
        for unfinished in self.path.glob(".incomplete-*.ckpt"):
            unfinished.unlink()  # a best.ckpt that a crash cut off
        if not self.metrics_path.exists():
            return
        lines = self.metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _is_whole(line) and _step(line) <= step]
        files.replace_file(self.metrics_path, "".join(kept).encode())
        self.mirror.send(self.metrics_path)


def _is_whole(line: str) -> bool:
    return line.endswith("\n")  # the last one may have been cut off by a crash


def _step(line: str) -> int:
    step: int = json.loads(line)["step"]
    return step
