"""`python -m pipelines history`: every version of a data set and what changed."""

import argparse
import dataclasses
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests
from pipelines.jobs import common_flags
from pipelines.publishing import data_sets

__all__ = ["PastVersion", "Unreadable", "changes", "history", "main"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PastVersion:
    """One version, and how it differs from its parent.

    Attributes:
      parent: "" for the first version.
      num_new_shards: that the parent does not have; all, where it is gone.
      changes: in words; empty where there is no parent to compare with.
    """

    version: str
    is_current: bool
    created_at: str
    num_clips: int
    num_frames: int
    num_bytes: int
    num_quarantined: int
    num_missing: int
    num_classes: int
    num_shards: int
    num_new_shards: int
    parent: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        mark = "*" if self.is_current else " "
        if not self.parent:
            origin = "the first version"
        else:
            origin = f"from {self.parent}: {', '.join(self.changes)}"
        return (
            f"{mark} {self.version}  {self.created_at}  {self.num_clips} clips, "
            f"{self.num_frames} frames, {self.num_bytes} bytes, "
            f"{self.num_quarantined} quarantined, {self.num_missing} missing, "
            f"{self.num_classes} classes  {origin}"
        )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A version whose manifest cannot be read."""

    version: str
    error: str

    def __str__(self) -> str:
        return f"! {self.version}  {self.error}"


def history(dataset: Path | str) -> list[PastVersion | Unreadable]:
    """Returns all versions, newest last.

    Raises:
      ManifestError: there is no data set, or CURRENT is damaged.
      StorageError: an object store cannot be read.
    """
    with data_sets.opened(dataset) as data_set:
        return _history(data_set)


def changes(
    said: manifests.Manifest, parent: manifests.Manifest | None
) -> tuple[str, ...]:
    """Returns in words how a version differs from its parent, None if that is gone."""
    if parent is None:
        return ("which is gone",) if said.parent else ()
    num_new = _num_new_shards(said, parent)
    told = [f"{len(said.shards) - num_new} shards reused, {num_new} new"]
    before, after = (dataclasses.asdict(m.settings) for m in (parent, said))
    told += [
        f"{name} {before[name]} -> {after[name]}"
        for name in after
        if before[name] != after[name]
    ]
    if said.num_shards != parent.num_shards:
        told.append(f"shards by split {parent.num_shards} -> {said.num_shards}")
    if said.label_digest != parent.label_digest:
        told.append("annotations changed")
    if said.num_classes != parent.num_classes:
        told.append(f"{parent.num_classes} -> {said.num_classes} classes")
    if said.num_clips != parent.num_clips:
        told.append(f"{said.num_clips - parent.num_clips:+d} clips")
    for name in ("quarantined", "missing", "unlisted"):
        were, are = (getattr(m, f"num_{name}") for m in (parent, said))
        if were != are:
            told.append(f"{name} {were} -> {are}")
    if len(told) == 1 and not num_new and said.clips_table != parent.clips_table:
        told.append("the table of clips alone, as where files are")
    return tuple(told)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = _parser().parse_args(argv)
    try:
        past = history(flags.dataset)
    except (object_store.StorageError, OSError, ValueError) as error:
        logger.error("history failed: %s", error)
        return 1
    for version in past:
        print(version)  # noqa: T201
    print(json.dumps({"versions": [dataclasses.asdict(v) for v in past]}))  # noqa: T201
    return int(any(isinstance(version, Unreadable) for version in past))


def _history(data_set: data_sets.DataSet) -> list[PastVersion | Unreadable]:
    names = data_set.list_versions()
    current = data_set.current_name()
    if not names:
        raise manifests.ManifestError(
            f"{data_set.location}: no data set here, it has no versions"
        )
    opened: dict[str, manifests.Manifest] = {}
    past: list[PastVersion | Unreadable] = []
    for name in names:
        try:
            said = opened[name] = data_set.read_manifest(name)
        except manifests.ManifestError as error:
            past.append(Unreadable(name, str(error)))
            continue
        parent = opened.get(said.parent)
        past.append(_past_version(said, parent, is_current=name == current))
    return past


def _past_version(
    said: manifests.Manifest, parent: manifests.Manifest | None, *, is_current: bool
) -> PastVersion:
    return PastVersion(
        version=said.version,
        is_current=is_current,
        created_at=said.created_at,
        num_clips=said.num_clips,
        num_frames=said.num_frames,
        num_bytes=said.num_bytes,
        num_quarantined=said.num_quarantined,
        num_missing=said.num_missing,
        num_classes=said.num_classes,
        num_shards=len(said.shards),
        num_new_shards=_num_new_shards(said, parent),
        parent=said.parent,
        changes=changes(said, parent),
    )


def _num_new_shards(said: manifests.Manifest, parent: manifests.Manifest | None) -> int:
    known = {entry.path for entry in parent.shards} if parent else set()
    return sum(entry.path not in known for entry in said.shards)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines history",
        description="Lists the versions of a data set, newest last; the current one "
        "has a star, one that cannot be read an exclamation mark.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    common_flags.add_dataset(parser)
    return parser
