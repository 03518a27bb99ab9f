"""The folder that a training leaves behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RunFolder"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a training writes.

    config.json      what was asked for, with all defaults
    metrics.jsonl    a line an epoch
    epoch-0007.ckpt  the newest few, by 0-based epoch
    best.ckpt        of the epoch with the best validation accuracy
    """

    path: Path

    @property
    def config_path(self) -> Path:
        """The file that tells what was asked for."""
        return self.path / "config.json"

    @property
    def metrics_path(self) -> Path:
        """The file with a line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def best_checkpoint(self) -> Path:
        """The network with the best validation accuracy."""
        return self.path / "best.ckpt"

    def epoch_checkpoint(self, epoch: int) -> Path:
        """The network after a 0-based epoch."""
        return self.path / f"epoch-{epoch:04d}.ckpt"

    def begin(self, config: Mapping[str, Any]) -> None:
        """Makes the folder and writes what is asked for.

        Raises:
          FileExistsError: another training has come as far as an epoch there.
        """
        if self.metrics_path.exists():
            raise FileExistsError(
                f"{self.path} holds another training: choose a new folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Adds the line of an epoch."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
