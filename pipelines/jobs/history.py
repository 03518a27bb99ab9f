"""`clipmill history`: every version of a data set and what changed."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.commands import command_line, progress_bar, quantities, terminal
from mindrecord_io.versions import manifests, version_differences
from pipelines.jobs import clip_changes, parsers
from pipelines.publishing import data_sets

__all__ = ["History", "PastVersion", "Unreadable", "history", "main", "print_changes"]


@dataclass(frozen=True, slots=True)
class PastVersion:
    """One version, and how it differs from its parent.

    Attributes:
      parent: "" for the first version.
      num_new_shards: that the parent does not have; all, where it is gone.
      changes: in words; empty where there is no parent to compare with.
      command, program_version, machine: as in Provenance.
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
    command: str = ""
    program_version: str = ""
    machine: str = ""

    def __str__(self) -> str:
        what = f"{self._stored}, {self._more}  {self._origin}"
        return "; ".join(
            [f"{self._mark}  {self.created_at}  {what}", *self._made_by],
        )

    def to_lines(self) -> list[str]:
        """Returns what `str` has, in lines for a terminal."""
        created_at = self.created_at[:16].replace("T", " ")
        more = (self._more, self._origin, *self._made_by)
        return [
            f"{self._mark}  {created_at}  {self._stored}",
            *(f"          {line}" for line in more),
        ]

    @property
    def _mark(self) -> str:
        return f"{'*' if self.is_current else ' '} {self.version}"

    @property
    def _stored(self) -> str:
        size = quantities.size(self.num_bytes)
        return f"{self.num_clips:,} clips, {self.num_frames:,} frames, {size}"

    @property
    def _more(self) -> str:
        lost = f"{self.num_quarantined:,} quarantined, {self.num_missing:,} missing"
        return f"{lost}, {self.num_classes} classes"

    @property
    def _origin(self) -> str:
        if not self.parent:
            return "the first version"
        return f"from {self.parent}: {', '.join(self.changes)}"

    @property
    def _made_by(self) -> list[str]:
        if not self.command:
            return []
        return [f"by {self.command} ({self.program_version}; {self.machine})"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A version whose manifest cannot be read."""

    version: str
    error: str

    def __str__(self) -> str:
        return f"! {self.version}  {self.error}"

    def to_lines(self) -> list[str]:
        """Returns the line."""
        return [str(self)]


@dataclass(frozen=True, slots=True)
class History:
    """What the command prints as its last line."""

    versions: list[PastVersion | Unreadable]

    def to_lines(self) -> list[str]:
        """Returns a line for each version; a few short ones for people."""
        if not terminal.is_for_people():
            return [str(version) for version in self.versions]
        return [line for v in self.versions for line in v.to_lines()]


def history(dataset: Path | str) -> list[PastVersion | Unreadable]:
    """Returns all versions, newest last.

    Raises:
      ManifestError: there is no data set, or CURRENT is damaged.
      StorageError: an object store cannot be read.
    """
    with data_sets.opened(dataset) as data_set:
        return _history(data_set)


def print_changes(dataset: Path | str, name: str) -> dict[str, object]:
    """Prints a line for each change of a clip by a version; returns their numbers.

    Raises:
      ManifestError, TableError: the version, or its parent, cannot be read.
      StorageError: an object store cannot be read.
    """
    counts: collections.Counter[str] = collections.Counter()
    with data_sets.opened(dataset) as data_set:
        for row in clip_changes.of_version(data_set, name):
            counts[row[1]] += 1
            progress_bar.end_phase()
            print("\t".join(row))  # noqa: T201
    return {"version": name, "changes": dict(counts)}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = parsers.history_parser().parse_args(argv)
    if flags.changes is not None:
        return command_line.run(
            "history", lambda: print_changes(flags.dataset, flags.changes)
        )
    return command_line.run("history", lambda: History(history(flags.dataset)), _status)


def _status(past: History) -> int:
    return int(any(isinstance(version, Unreadable) for version in past.versions))


def _history(data_set: data_sets.DataSet) -> list[PastVersion | Unreadable]:
    names = data_set.list_versions()
    current = data_set.current_name()
    if not names:
        raise manifests.ManifestError(
            f"{data_set.location}: no data set here, it has no versions"
        )
    read: dict[str, manifests.Manifest] = {}
    past: list[PastVersion | Unreadable] = []
    for name in names:
        try:
            manifest = read[name] = data_set.read_manifest(name)
        except manifests.ManifestError as error:
            past.append(Unreadable(name, str(error)))
            continue
        parent = read.get(manifest.parent)
        past.append(_past_version(manifest, parent, is_current=name == current))
    return past


def _past_version(
    manifest: manifests.Manifest, parent: manifests.Manifest | None, *, is_current: bool
) -> PastVersion:
    return PastVersion(
        version=manifest.version,
        is_current=is_current,
        created_at=manifest.created_at,
        num_clips=manifest.num_clips,
        num_frames=manifest.num_frames,
        num_bytes=manifest.num_bytes,
        num_quarantined=manifest.num_quarantined,
        num_missing=manifest.num_missing,
        num_classes=manifest.num_classes,
        num_shards=len(manifest.shards),
        num_new_shards=version_differences.num_new_shards(manifest, parent),
        parent=manifest.parent,
        changes=version_differences.changes(manifest, parent),
        command=manifest.provenance.command,
        program_version=manifest.provenance.program_version,
        machine=manifest.provenance.machine,
    )
