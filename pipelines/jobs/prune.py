"""`clipmill prune`: removes old versions and what only they needed.

Nothing goes while a job is at work that may count on any shard, and versions go before
the shards that they list. What holds jobs off, and what is left where this is killed,
depends on where the data set is: see removal and remote_removal.
"""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.commands import command_line, log_lines, quantities
from mindrecord_io.versions.manifests import ManifestError, Version
from pipelines.jobs import parsers
from pipelines.publishing import data_sets

__all__ = ["PruneResult", "main", "plan_only", "prune"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What was removed; `asdict` of it is the command's last line of output.

    Attributes:
      is_dry_run: nothing was removed: the rest is what would be.
      removed_versions, kept: names of versions.
      removed_shards: folders below the data set's folder.
      freed_bytes: in files of these, and of dead jobs' unfinished work.
    """

    removed_versions: tuple[str, ...]
    removed_shards: tuple[str, ...]
    freed_bytes: int
    kept: tuple[str, ...]
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """Folders below the data set's, but for `kept`, which are names of versions."""

    kept: tuple[str, ...]
    versions: tuple[str, ...]
    shards: tuple[str, ...]


def plan_only(dataset: Path | str, keep: int) -> PruneResult:
    """Returns what `prune` would remove, dead jobs' unfinished work not counted."""
    with data_sets.opened(dataset) as data_set:
        result = _result(data_set, _planned(data_set, keep), 0)
        return dataclasses.replace(result, is_dry_run=True)


def prune(dataset: Path | str, keep: int) -> PruneResult:
    """Removes all but the newest `keep` versions and the current one, for good.

    Raises:
      AtWorkError: another job is at work on the data set.
      ManifestError: there is no data set here, or a version that is to be kept cannot
        be read, so that the shards it needs are unknown.
      StorageError: an object store cannot be read or changed.
    """
    with data_sets.opened(dataset) as data_set:
        data_set.read_manifest()  # before anything is made: is this a data set?
        with data_set.removing() as granted:
            plan = _planned(data_set, keep)
            result = _result(data_set, plan, granted.num_abandoned_bytes)
            granted.remove(plan.versions)
            granted.remove(plan.shards)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = parsers.prune_parser().parse_args(argv)
    action = plan_only if flags.dry_run else prune
    return command_line.run(
        "prune",
        lambda: action(flags.dataset, flags.keep),
        _log,
    )


def _log(result: PruneResult) -> int:
    if result.is_dry_run:
        versions = (f"versions/{name}" for name in result.removed_versions)
        for place in (*versions, *result.removed_shards):
            logger.info("would remove %s", place)
    logger.info(
        "%s versions %s and %d shards, %s; versions %s stay",
        "would remove" if result.is_dry_run else "removed",
        ", ".join(result.removed_versions) or "none",
        len(result.removed_shards),
        quantities.size(result.freed_bytes),
        ", ".join(result.kept),
        extra=log_lines.IN_SUMMARY,
    )
    return 0


def _planned(data_set: data_sets.DataSet, keep: int) -> _Plan:
    names = data_set.list_versions()
    kept = sorted({*names[-keep:], data_set.read_manifest().version})
    needed = {
        f"shards/{place}"
        for name in kept
        for place in _needed_places(data_set.open_version(name))
    }
    return _Plan(
        kept=tuple(kept),
        versions=tuple(f"versions/{name}" for name in names if name not in kept),
        shards=tuple(place for place in _published(data_set) if place not in needed),
    )


def _needed_places(version: Version) -> set[str]:
    """Returns the places of a version's shards, by its manifest and by its table.

    Raises:
      ManifestError, TableError: the table cannot be read, or has clips in a shard that
        the manifest does not list: then neither is believed.
    """
    listed = {entry.path: entry.place for entry in version.manifest.shards}
    for batch in version.clip_batches(["shard"]):
        for path in batch.column("shard").unique().to_pylist():
            if path is not None and path not in listed:
                raise ManifestError(
                    f"{version.location}: version {version.manifest.version} has clips "
                    f"in {path}, which its manifest does not list; nothing was removed"
                )
    return set(listed.values())


def _published(data_set: data_sets.DataSet) -> Iterator[str]:
    """Yields the folders of all shards, listed anywhere or not."""
    for split in records.SPLITS:
        for key in sorted(data_set.shard_keys(split)):
            if naming.is_incomplete(Path(key)):
                continue
            try:
                yield naming.shard_folder(Path(), split, key).as_posix()
            except ValueError:
                stray = f"{data_set.location}/shards/{split}/{key}"
                logger.warning("%s: not a shard's folder; it stays", stray)


def _result(
    data_set: data_sets.DataSet, plan: _Plan, num_abandoned_bytes: int
) -> PruneResult:
    num_bytes = data_set.num_bytes((*plan.versions, *plan.shards))
    return PruneResult(
        removed_versions=tuple(Path(place).name for place in plan.versions),
        removed_shards=plan.shards,
        freed_bytes=num_bytes + num_abandoned_bytes,
        kept=plan.kept,
    )
