"""`clipmill rollback`: publishes an older version again, as the newest.

Versions never change and CURRENT only moves forward, so going back is a step forward:
a new version with the old one's content. The shards are shared; nothing is decoded.
"""

import dataclasses
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming
from mindrecord_io.commands import command_line, log_lines
from mindrecord_io.storage import files, own_folders
from mindrecord_io.versions import manifests, version_checks
from pipelines.jobs import common_flags, origin, parsers
from pipelines.publishing import data_sets

__all__ = ["RollbackError", "RollbackResult", "main", "rollback"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 3


class RollbackError(RuntimeError):
    """The older version is damaged; nothing was published."""


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """Two versions with the same content; the first is the current one now."""

    version: str
    same_as: str


def rollback(
    dataset: Path | str, name: str, *, command: Sequence[str] = ()
) -> RollbackResult:
    """Publishes version `name` again, unless the current one has its content.

    Args:
      command: the words of the command, to be recorded.

    Raises:
      RollbackError: one of its files is missing or not the published one.
      ManifestError: there is no such data set or version.
      PublishConflictError: another version was published in the meantime.
      StorageError: an object store cannot be read or written.
    """
    with data_sets.opened(dataset) as data_set:
        return _rollback(data_set, name, command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = parsers.rollback_parser().parse_args(argv)
    words = common_flags.words("rollback", argv)
    return command_line.run(
        "rollback",
        lambda: rollback(flags.dataset, flags.version, command=words),
        _log,
    )


def _log(result: RollbackResult) -> int:
    text = "version %s is current, as %s was"
    logger.info(text, result.version, result.same_as, extra=log_lines.IN_SUMMARY)
    return 0


def _rollback(
    data_set: data_sets.DataSet, name: str, command: Sequence[str]
) -> RollbackResult:
    if isinstance(data_set.location, Path):
        own_folders.check_place(data_set.location, f"versions/{name}")
    current = data_set.read_manifest()
    before = data_set.read_manifest(name)
    again = dataclasses.replace(
        before,
        parent=current.version,
        created_at=manifests.utc_now(),
        provenance=origin.published_again(before.provenance, command),
    )
    if again.says_the_same(current):
        logger.info(
            "version %s has the content of %s already: it stays", again.parent, name
        )
        return RollbackResult(again.parent, same_as=name)
    # Held from before the shards are looked at, so that none of them is pruned.
    with data_set.staging() as staging:
        old = data_set.open_version(name)
        _refuse_damaged(data_set, old)
        folder = staging / "version"
        _copy(old.folder, folder)
        table = naming.clips_table_path(folder)
        if files.fingerprint(table) != again.clips_table:
            raise RollbackError(f"{table}: the copy is not what was published")
        version = data_set.publish(folder, again)
    return RollbackResult(version.manifest.version, same_as=name)


def _refuse_damaged(data_set: data_sets.DataSet, version: manifests.Version) -> None:
    """Raises RollbackError unless table, labels and the shards' sizes are right."""
    damaged = version_checks.check_version(version) + data_set.check_sizes(version)
    if damaged:
        named = "; ".join(f"{d.path} {d.reason}" for d in damaged[:_MAX_NAMED])
        raise RollbackError(
            f"version {version.manifest.version} is damaged in {len(damaged)} places, "
            f"nothing is published: {named}"
        )


def _copy(old: Path, new: Path) -> None:
    """Copies what a version consists of, but for its manifest, to the disk."""
    labels = naming.labels_folder(new)
    labels.mkdir(parents=True)
    pairs = [(naming.clips_table_path(old), naming.clips_table_path(new))]
    for name in (naming.CATEGORY_FILE, *naming.LIST_FILES.values()):
        pairs.append((naming.labels_folder(old) / name, labels / name))
    for source, copy in pairs:
        shutil.copyfile(source, copy)
        files.sync(copy)
