"""`python -m pipelines prune`: removes old versions and what only they needed.

A shard that no manifest lists may be one that a job at this moment makes, or has found
and counts on, for the version it will publish. Such a job holds, from before it looks
at the first shard until it has published, a folder of work in progress beside the
versions (manifest.staging_folder). So, while nobody can begin such a folder or publish
a version (these and this take turns by one lock):

1. if such a folder is there, and its process lives, nothing is removed;
2. the old versions are moved out of sight, into a folder of work in progress;
3. then the shards that no version lists any more;
4. if a job has begun since 1 all the same, where locks are ignored, all is put back;
5. what was moved is deleted.

A job that begins after 4 does not see them and makes its own. Wherever this stops, no
version that can be read lacks a shard; what lies in folders of work in progress is
removed by the next job.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import files, incomplete, manifest, naming, records, shards
from pipelines import locations

__all__ = ["PruneError", "PruneResult", "main", "plan_only", "prune"]

logger = logging.getLogger(__name__)


class PruneError(RuntimeError):
    """Nothing was removed, because another job is at work."""


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What was removed; `asdict` of it is the command's last line of output.

    Attributes:
      removed_versions, kept: names of versions.
      removed_shards: folders below the data set's folder.
      freed_bytes: in files of these, and of dead jobs' unfinished work.
    """

    removed_versions: tuple[str, ...]
    removed_shards: tuple[str, ...]
    freed_bytes: int
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    kept: tuple[str, ...]
    versions: tuple[Path, ...]
    shards: tuple[Path, ...]


def plan_only(dataset: Path, keep: int) -> PruneResult:
    """Returns what `prune` would remove, dead jobs' unfinished work not counted."""
    return _result(dataset, _planned(dataset, keep), 0)


def prune(dataset: Path, keep: int) -> PruneResult:
    """Removes all but the newest `keep` versions and the current one, for good.

    Raises:
      PruneError: another job is at work on the data set.
      ManifestError: there is no data set here, or a version that is to be kept cannot
        be read, so that nobody knows which shards it needs.
    """
    manifest.open_version(dataset)  # before anything is made: is this a data set?
    versions = dataset / "versions"
    num_abandoned_bytes = _remove_abandoned(dataset)
    with contextlib.ExitStack() as stack:
        trash = {
            folder: stack.enter_context(incomplete.folder_in(folder))
            for folder in (versions, *_split_folders(dataset))
        }
        with files.locked_directory(versions):
            _refuse_others(versions, trash[versions])
            plan = _planned(dataset, keep)
            result = _result(dataset, plan, num_abandoned_bytes)
            with _put_back_unless_done() as moved:
                _move(plan.versions, trash, moved)
                _move(plan.shards, trash, moved)
                _refuse_others(versions, trash[versions])
        for path in moved.values():
            shutil.rmtree(path)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = _parser().parse_args(argv)
    run = plan_only if flags.dry_run else prune
    try:
        result = run(flags.dataset, flags.keep)
    except (PruneError, OSError, ValueError) as error:
        logger.error("prune failed: %s", error)
        return 1
    logger.info(
        "%s versions %s and %d shards, %d bytes; versions %s stay",
        "would remove" if flags.dry_run else "removed",
        list(result.removed_versions),
        len(result.removed_shards),
        result.freed_bytes,
        list(result.kept),
    )
    print(json.dumps(dataclasses.asdict(result)))  # noqa: T201
    return 0


def _planned(dataset: Path, keep: int) -> _Plan:
    names = manifest.list_versions(dataset)
    kept = sorted({*names[-keep:], manifest.open_version(dataset).manifest.version})
    needed = {
        naming.shard_folder(dataset, entry.split, entry.key)
        for name in kept
        for entry in manifest.open_version(dataset, name).manifest.shards
    }
    return _Plan(
        kept=tuple(kept),
        versions=tuple(
            naming.version_folder(dataset, name) for name in names if name not in kept
        ),
        shards=tuple(path for path in _published(dataset) if path not in needed),
    )


def _published(dataset: Path) -> Iterator[Path]:
    """Yields the folders of all shards, listed anywhere or not."""
    for folder in _split_folders(dataset):
        for path in sorted(folder.iterdir()):
            if naming.is_incomplete(path):
                continue
            try:
                yield naming.shard_folder(dataset, folder.name, path.name)
            except ValueError:
                logger.warning("%s: not a shard's folder; it stays", path)


def _split_folders(dataset: Path) -> list[Path]:
    folders = [shards.split_folder(dataset, split) for split in records.SPLITS]
    return [folder for folder in folders if folder.is_dir()]


def _remove_abandoned(dataset: Path) -> int:
    """Removes what dead jobs left; returns its bytes."""
    num_bytes = 0
    for parent in (dataset / "versions", *_split_folders(dataset)):
        found = filter(naming.is_incomplete, parent.iterdir())
        sizes = {folder: _num_bytes(folder) for folder in found}
        num_bytes += sum(sizes.get(f, 0) for f in incomplete.remove_abandoned(parent))
    return num_bytes


def _refuse_others(versions: Path, own: Path) -> None:
    """Raises PruneError if another job is at work, telling which and since when."""
    incomplete.remove_abandoned(versions)
    others = []
    for folder in sorted(filter(naming.is_incomplete, versions.iterdir())):
        with contextlib.suppress(FileNotFoundError):
            if folder != own:
                begun = folder.stat().st_ctime
                since = datetime.datetime.fromtimestamp(begun, datetime.UTC)
                others.append(f"{folder} (since {since:%Y-%m-%d %H:%M:%S} UTC)")
    if others:
        raise PruneError(
            f"another job is at work and may need any shard, so nothing was removed: "
            f"{', '.join(others)}; wait for its end and run this again"
        )


@contextlib.contextmanager
def _put_back_unless_done() -> Iterator[dict[Path, Path]]:
    """Lends a record of what was moved to where; an error undoes the moves."""
    moved: dict[Path, Path] = {}
    with contextlib.ExitStack() as undo:  # whatever goes wrong with one, to the last
        undo.callback(_put_back, moved)
        yield moved
        undo.pop_all()


def _put_back(moved: dict[Path, Path]) -> None:
    with contextlib.ExitStack() as undo:
        for path, where in moved.items():
            undo.callback(_rename_back, where, path)


def _rename_back(where: Path, path: Path) -> None:
    try:
        where.rename(path)
    except OSError:
        if not path.exists():  # else made again by another job, and equal
            raise


def _move(
    paths: Iterable[Path], trash: dict[Path, Path], moved: dict[Path, Path]
) -> None:
    """Moves folders into the trash beside them, and forces that to disk."""
    with contextlib.ExitStack() as synced:
        for parent in trash:
            synced.enter_context(files.synced_directory(parent))
        for path in paths:
            where = trash[path.parent] / path.name
            path.rename(where)
            moved[path] = where


def _result(dataset: Path, plan: _Plan, num_abandoned_bytes: int) -> PruneResult:
    num_bytes = sum(_num_bytes(path) for path in (*plan.versions, *plan.shards))
    return PruneResult(
        removed_versions=tuple(path.name for path in plan.versions),
        removed_shards=tuple(p.relative_to(dataset).as_posix() for p in plan.shards),
        freed_bytes=num_bytes + num_abandoned_bytes,
        kept=plan.kept,
    )


def _num_bytes(folder: Path) -> int:
    """Returns the size of a folder's files; what vanishes meanwhile has none."""
    num_bytes = 0
    for parent, _, names in os.walk(folder):  # which is silent about folders that do
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found = Path(parent, name).lstat()
                num_bytes += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return num_bytes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines prune",
        description="Removes old versions, and every shard that no version needs any "
        "more. Whoever is reading a version that is removed gets errors.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dataset",
        type=locations.local_path,
        required=True,
        help="folder of the data set",
    )
    parser.add_argument(
        "--keep",
        type=_positive_int,
        required=True,
        metavar="N",
        help="newest versions that stay; the current one stays in any case",
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="tell what would be removed, then stop"
    )
    return parser


def _positive_int(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text!r}")
    return int(text)
