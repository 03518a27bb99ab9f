"""The folder that a training writes to."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindrecord_io.storage import files, incomplete
from train import checkpoints

__all__ = ["RunFolder"]


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
    """

    path: Path

    @property
    def config_path(self) -> Path:
        """The file with the version and the configuration."""
        return self.path / "config.json"

    @property
    def metrics_path(self) -> Path:
        """The file with one line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint with the best validation accuracy."""
        return self.path / "best.ckpt"

    @property
    def predictions_path(self) -> Path:
        """The file with the predictions of the best network."""
        return self.path / "predictions.parquet"

    @property
    def checkpoints(self) -> checkpoints.Checkpoints:
        """The checkpoints to resume from."""
        return checkpoints.Checkpoints(self.path / "checkpoints")

    @property
    def board(self) -> Path:
        """The folder for TensorBoard."""
        return self.path / "tensorboard"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps other trainings out of it during the block.

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
            yield

    def begin(self, config: Mapping[str, Any]) -> None:
        """Makes the folder and writes the configuration.

        Raises:
          FileExistsError: another training has come as far as a checkpoint there.
        """
        if self.metrics_path.exists() or self.checkpoints.steps():
            raise FileExistsError(
                f"{self.path} holds another training: --resume it, or choose a new "
                f"folder"
            )
        self._write_config(config)

    def begin_again(self, config: Mapping[str, Any]) -> None:
        """Removes what a training left that has no checkpoint, and begins anew."""
        written = (self.metrics_path, self.predictions_path, self.best_checkpoint)
        for path in written:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.board, ignore_errors=True)
        self.begin(config)

    def update_config(self, config: Mapping[str, Any]) -> None:
        """Replaces the values that a resumed training has changed."""
        self._write_config(self.read_config() | dict(config))

    def read_config(self) -> dict[str, Any]:
        """Returns what `begin` wrote.

        Raises:
          OSError, ValueError: there is none, or it is not JSON.
        """
        config: dict[str, Any] = json.loads(self.config_path.read_text("utf-8"))
        return config

    def _write_config(self, config: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        content = json.dumps(config, indent=2) + "\n"
        files.replace_file(self.config_path, content.encode())

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Appends the line of an epoch."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

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


def _is_whole(line: str) -> bool:
    return line.endswith("\n")  # the last one may have been cut off by a crash


def _step(line: str) -> int:
    step: int = json.loads(line)["step"]
    return step
