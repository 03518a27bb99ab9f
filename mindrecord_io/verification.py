"""Finds what is wrong with a version, its shards aside: table, labels, counts.

Nothing here stops at the first damage, and nothing is changed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import compute

from mindrecord_io import clips_table, files, manifest, naming, records

__all__ = ["Damage", "check_file", "check_version"]

_MAX_NAMED = 3
_LABEL_ID_OF_UNLABELLED = 0  # in the list files, whose format has no word for it

_COLUMNS = (
    "clip_id",
    "split",
    "label_id",
    "label",
    "status",
    "num_frames",
    "shard",
    "row",
    "frame_sizes",
)


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was published.

    Attributes:
      path: of the file or folder, below the data set's folder.
      reason: what was found and what was expected, on one line.
    """

    path: str
    reason: str


def check_version(version: manifest.Version) -> list[Damage]:
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
    try:
        table = version.read_clips(_COLUMNS)
    except clips_table.TableError as error:
        return [Damage(table_path.as_posix(), _one_line(error))]
    stored = table.filter(compute.equal(table["status"], records.STORED))
    return [
        *(Damage(manifest_path, why) for why in _wrong_counts(version, table, stored)),
        *(Damage(table_path.as_posix(), why) for why in _wrong_rows(stored)),
        *_wrong_labels(version, naming.labels_folder(folder), stored),
    ]


def check_file(
    dataset: Path, path: Path, published: records.Fingerprint
) -> list[Damage]:
    """Compares a file with its fingerprint; `path` is below the data set's folder."""
    try:
        num_bytes = (dataset / path).stat().st_size
        if num_bytes != published.num_bytes:
            why = f"has {num_bytes} bytes, expected {published.num_bytes}"
        else:
            found = files.fingerprint(dataset / path)
            why = f"has SHA-256 {found.sha256}, expected {published.sha256}"
            if found == published:
                return []
    except FileNotFoundError:
        why = f"is missing, expected {published.num_bytes} bytes"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    return [Damage(path.as_posix(), why)]


def _wrong_counts(
    version: manifest.Version, table: pa.Table, stored: pa.Table
) -> list[str]:
    """Returns where the manifest's numbers are not those of the table."""
    said = version.manifest
    by_status = Counter(table["status"].to_pylist())
    by_shard = Counter(stored["shard"].to_pylist())
    counts = {
        "num_clips": (said.num_clips, by_status.pop(records.STORED, 0)),
        "num_quarantined": (
            said.num_quarantined,
            by_status.pop(records.QUARANTINED, 0),
        ),
        "num_missing": (said.num_missing, by_status.pop(records.MISSING, 0)),
        "num_unlisted": (said.num_unlisted, by_status.pop(records.UNLISTED, 0)),
        "num_frames": (said.num_frames, compute.sum(stored["num_frames"]).as_py() or 0),
    }
    for entry in said.shards:
        name = f"num_rows of {entry.path}"
        counts[name] = (entry.num_rows, by_shard.pop(entry.path, 0))
    for path, num_rows in by_shard.items():
        counts[f"num_rows of {path}, which is not listed"] = (0, num_rows)
    for status, num_rows in by_status.items():
        counts[f"the number of clips that are {status!r}"] = (0, num_rows)
    return [
        f"{name} is {of_manifest}, in clips.parquet it is {of_table}"
        for name, (of_manifest, of_table) in counts.items()
        if of_manifest != of_table
    ]


def _wrong_rows(stored: pa.Table) -> list[str]:
    """Returns where the table contradicts itself."""
    clip_ids = stored["clip_id"].to_pylist()
    twice = sorted(name for name, n in Counter(clip_ids).items() if n > 1)
    lengths = compute.list_value_length(stored["frame_sizes"])
    is_wrong = compute.not_equal(lengths, stored["num_frames"])
    miscounted = stored["clip_id"].filter(is_wrong).to_pylist()
    rows_of: dict[str, list[int]] = {}
    for shard, row in zip(
        stored["shard"].to_pylist(), stored["row"].to_pylist(), strict=True
    ):
        rows_of.setdefault(shard, []).append(row)
    misnumbered = [
        shard for shard, rows in rows_of.items() if sorted(rows) != [*range(len(rows))]
    ]
    return [
        f"{what}: {_first(names)}"
        for what, names in (
            ("clips that are stored twice", twice),
            ("clips with more or fewer frame_sizes than num_frames", miscounted),
            ("shards whose rows are not numbered 0, 1, 2, ...", misnumbered),
        )
        if names
    ]


def _wrong_labels(
    version: manifest.Version, folder: Path, stored: pa.Table
) -> list[Damage]:
    """Compares the label files with the table."""
    contents, damaged = {}, []
    for name in (naming.CATEGORY_FILE, *naming.LIST_FILES.values()):
        try:
            contents[name] = (version.dataset / folder / name).read_text("utf-8")
        except FileNotFoundError:
            damaged.append(Damage((folder / name).as_posix(), "is missing"))
        except (OSError, UnicodeDecodeError) as error:
            why = f"cannot be read: {_one_line(error)}"
            damaged.append(Damage((folder / name).as_posix(), why))
    expected = _list_lines(stored)
    for split, name in naming.LIST_FILES.items():
        if name in contents and (why := _difference(contents[name], expected[split])):
            damaged.append(Damage((folder / name).as_posix(), why))
    if (text := contents.get(naming.CATEGORY_FILE)) is not None:
        path = (folder / naming.CATEGORY_FILE).as_posix()
        reasons = _wrong_categories(_lines(text), version.manifest.num_classes, stored)
        damaged += [Damage(path, why) for why in reasons]
    return damaged


def _list_lines(stored: pa.Table) -> Mapping[str, list[str]]:
    """Returns the lines that a version's list files must have, by split."""
    lines: dict[str, list[str]] = {split: [] for split in records.SPLITS}
    columns = ("clip_id", "num_frames", "label_id", "split")
    for clip_id, num_frames, label_id, split in zip(
        *(stored[name].to_pylist() for name in columns), strict=True
    ):
        is_labelled = label_id != records.UNLABELLED
        listed_id = label_id if is_labelled else _LABEL_ID_OF_UNLABELLED
        lines.setdefault(split, []).append(f"{clip_id} {num_frames} {listed_id}")
    return lines


def _difference(text: str, expected: list[str]) -> str:
    """Returns how the lines differ, their order aside; '' if they do not."""
    found_counts, expected_counts = Counter(_lines(text)), Counter(expected)
    extra = sorted((found_counts - expected_counts).elements())
    absent = sorted((expected_counts - found_counts).elements())
    parts = [
        f"{len(lines)} lines {what}: {_first(lines)}"
        for what, lines in (("too many", extra), ("too few", absent))
        if lines
    ]
    return f"differs from clips.parquet: {'; '.join(parts)}" if parts else ""


def _wrong_categories(
    names: list[str], num_classes: int, stored: pa.Table
) -> list[str]:
    wrong = []
    if len(names) != num_classes:
        wrong.append(f"has {len(names)} labels, the manifest says {num_classes}")
    pairs = set(
        zip(stored["label_id"].to_pylist(), stored["label"].to_pylist(), strict=True)
    )
    for label_id, label in sorted(pairs):
        if label_id == records.UNLABELLED:
            continue
        found = names[label_id] if 0 <= label_id < len(names) else None
        if found != label:
            wrong.append(
                f"label_id {label_id} is {found!r}, in clips.parquet it is {label!r}"
            )
    return wrong


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _first(names: list[str]) -> str:
    more = len(names) - _MAX_NAMED
    return f"{names[:_MAX_NAMED]}" + (f" and {more} more" if more > 0 else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
