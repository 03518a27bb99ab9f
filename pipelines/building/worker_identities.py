"""Refuses to let workers that decode differently make the shards of one job.

Each process that runs tasks leaves the identity of its decoder among the job's receipts
before its first shard is decoded, and reads those of the others.
"""

import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.records import DecoderIdentity
from pipelines.building import receipts
from pipelines.planning.shard_plans import ShardFailedError

__all__ = ["WorkerIdentity", "check"]

_SUFFIX = ".decoder"

_lock = threading.Lock()
_checked: set[str] = set()  # folders of receipts, by this process


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """A machine, and what decides the pixels that it makes."""

    host: str
    decoder: DecoderIdentity


def check(
    folder: Path | str, identify: Callable[[], DecoderIdentity], *, host: str = ""
) -> None:
    """Compares this process's decoder with the other workers', once for each job.

    Args:
      folder: of the job's receipts.
      identify: returns the identity of this process's decoder.
      host: name of this machine, for the message.

    Raises:
      ShardFailedError: another worker decodes differently.
    """
    with _lock:
        if str(folder) in _checked:
            return
        own = WorkerIdentity(host or platform.node(), identify())
        name = f"{own.decoder.name}{_SUFFIX}"
        receipts.write(folder, name, own)
        for other in receipts.read(folder, WorkerIdentity, suffix=_SUFFIX, but=name):
            if other.decoder != own.decoder:
                raise ShardFailedError(
                    f"workers decode differently, {own.host} as {own.decoder}, "
                    f"{other.host} as {other.decoder}: let one kind of machine with "
                    "one environment do a job"
                )
        _checked.add(str(folder))
