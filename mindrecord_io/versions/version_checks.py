"""Checks a version without its shards: table, labels, counts.

Nothing here stops at the first damage, and nothing is changed.
"""

from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.records import Fingerprint
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, table_totals
from mindrecord_io.versions.clips_table import TableError
from mindrecord_io.versions.manifests import Version
from mindrecord_io.versions.table_totals import Names, TableTotals

__all__ = ["Damage", "check_file", "check_version"]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was published.

    Attributes:
      path: of the file or folder, below the data set's folder.
      reason: what is there and what was expected, on one line.
    """

    path: str
    reason: str


def check_version(version: Version) -> list[Damage]:
    """Checks everything of a version that can be checked without opening a shard.

    clips.parquet must be the file that was published, the manifest's counts those of
    the table, and the label files must say what the table says.
    """
    folder = version.folder.relative_to(version.dataset)
    manifest_path = naming.manifest_path(folder).as_posix()
    table_path = naming.clips_table_path(folder)
    damaged = check_file(version.dataset, table_path, version.manifest.clips_table)
    if damaged:
        return damaged
    totals = TableTotals()
    try:
        path = version.dataset / table_path
        for batch in clips_table.batches(path, table_totals.COLUMNS):
            totals.add(batch)
    except TableError as error:
        return [Damage(table_path.as_posix(), _one_line(error))]
    return [
        *(Damage(manifest_path, why) for why in _wrong_counts(version, totals)),
        *(Damage(table_path.as_posix(), why) for why in _wrong_rows(totals)),
        *_wrong_labels(version, naming.labels_folder(folder), totals),
    ]


def check_file(dataset: Path, path: Path, published: Fingerprint) -> list[Damage]:
    """Compares a file with its fingerprint; `path` is below the data set's folder."""
    try:
        num_bytes = (dataset / path).stat().st_size
        if num_bytes != published.num_bytes:
            why = f"has {num_bytes} bytes, expected {published.num_bytes}"
        else:
            content = files.fingerprint(dataset / path)
            why = f"has SHA-256 {content.sha256}, expected {published.sha256}"
            if content == published:
                return []
    except FileNotFoundError:
        why = f"is missing, expected {published.num_bytes} bytes"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    return [Damage(path.as_posix(), why)]


def _wrong_counts(version: Version, totals: TableTotals) -> list[str]:
    """Returns where the manifest's numbers are not those of the table."""
    manifest = version.manifest
    by_status, by_shard = totals.by_status.copy(), totals.by_shard.copy()
    counts = {
        "num_clips": (manifest.num_clips, by_status.pop(records.STORED, 0)),
        "num_quarantined": (
            manifest.num_quarantined,
            by_status.pop(records.QUARANTINED, 0),
        ),
        "num_missing": (manifest.num_missing, by_status.pop(records.MISSING, 0)),
        "num_unlisted": (manifest.num_unlisted, by_status.pop(records.UNLISTED, 0)),
        "num_frames": (manifest.num_frames, totals.num_frames),
    }
    for entry in manifest.shards:
        name = f"num_rows of {entry.path}"
        counts[name] = (entry.num_rows, by_shard.pop(entry.path, 0))
    for path, num_rows in by_shard.items():
        counts[f"num_rows of {path!s:.200}, which is not listed"] = (0, num_rows)
    for status, num_rows in by_status.items():
        counts[f"the number of clips that are {status!r}"] = (0, num_rows)
    return [
        f"{name} is {of_manifest}, in clips.parquet it is {of_table}"
        for name, (of_manifest, of_table) in counts.items()
        if of_manifest != of_table
    ]


def _wrong_rows(totals: TableTotals) -> list[str]:
    """Returns where the table contradicts itself."""
    return [
        f"{what}: {named}"
        for what, named in (
            ("clips that are stored twice", totals.twice()),
            ("clips with more or fewer frame_sizes than num_frames", totals.miscounted),
            ("shards whose rows are not numbered 0, 1, 2, ...", totals.misnumbered()),
        )
        if named
    ]


def _wrong_labels(version: Version, folder: Path, totals: TableTotals) -> list[Damage]:
    """Compares the label files with the table."""
    damaged: list[Damage] = []
    names = None
    path = folder / naming.CATEGORY_FILE
    try:
        text = files.read_bytes(version.dataset / path).decode("utf-8")
        names = text.split("\n") if text else []
    except (OSError, UnicodeDecodeError) as error:
        damaged.append(_unreadable(path, error))
    read = {}
    for split, name in naming.LIST_FILES.items():
        try:
            totals.read_list(split, version.dataset / folder / name)
            read[split] = folder / name
        except (OSError, UnicodeDecodeError) as error:
            damaged.append(_unreadable(folder / name, error))
    for split, differences in totals.list_differences().items():
        if split in read and (why := _difference(*differences)):
            damaged.append(Damage(read[split].as_posix(), why))
    if names is not None:
        reasons = _wrong_categories(names, version.manifest.num_classes, totals)
        damaged += [Damage(path.as_posix(), why) for why in reasons]
    return damaged


def _unreadable(path: Path, error: Exception) -> Damage:
    is_absent = isinstance(error, FileNotFoundError)
    why = "is missing" if is_absent else f"cannot be read: {_one_line(error)}"
    return Damage(path.as_posix(), why)


def _difference(extra: Names, absent: Names) -> str:
    """Returns how lines differ, their order aside; '' if they do not."""
    parts = [
        f"{len(lines)} lines {what}: {lines}"
        for what, lines in (("too many", extra), ("too few", absent))
        if lines
    ]
    return f"differs from clips.parquet: {'; '.join(parts)}" if parts else ""


def _wrong_categories(
    names: list[str], num_classes: int, totals: TableTotals
) -> list[str]:
    wrong = []
    if len(names) != num_classes:
        wrong.append(f"has {len(names)} labels, the manifest says {num_classes}")
    for label_id, label in sorted(totals.labels):
        if label_id == records.UNLABELLED:
            continue
        name = names[label_id] if 0 <= label_id < len(names) else None
        if name != label:
            wrong.append(
                f"label_id {label_id} is {name!r}, in clips.parquet it is {label!r}"
            )
    return wrong


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
