"""Checks one published shard without MindRecord's own reader.

MindRecord has no integrity check: at a flipped byte its reader returns garbage or
crashes the process. So a shard's files are hashed before anything else looks at
them. `row_checks.check_rows` is the other half, for shards that pass here.
"""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

from mindrecord_io import naming, records
from mindrecord_io.records import ClipOutcome, SourceFacts
from mindrecord_io.shards import shard_folders, summary_checks
from mindrecord_io.shards.shard_folders import SummaryFile
from mindrecord_io.storage import files
from mindrecord_io.versions import clips_table, version_checks
from mindrecord_io.versions.manifests import DatasetError, ShardEntry, Version
from mindrecord_io.versions.opening import RemoteVersion
from mindrecord_io.versions.version_checks import Damage

__all__ = [
    "check_hashes",
    "check_listing",
    "check_shard",
    "check_sizes",
    "check_summary",
    "check_summary_size",
    "shard_clips",
    "stored_clips",
    "summary_differences",
    "unhashed_clips",
]

logger = logging.getLogger(__name__)

_MAX_NAMED = 5
_MAX_DAMAGES = 3
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"

_COLUMNS = (
    "clip_id",
    "label_id",
    "source_num_bytes",
    "source_sha256",
    "status",
    "reason",
    "detail",
    "limits",
    "height",
    "width",
    *SourceFacts.__slots__,
    "row",
    "frames_offset",
    "frame_sizes",
    "frames_sha256",
    "frame_crc32s",
)


def check_sizes(version: Version, entry: ShardEntry) -> list[Damage]:
    """Checks that a shard has the files it was published with, in their sizes."""
    folder = _folder(entry)
    try:
        sizes = _sizes(version.dataset / folder)
    except OSError as error:
        why = f"cannot be listed: {error.strerror}; expected {entry.num_rows} clips"
        return [Damage(folder.as_posix(), why)]
    return check_listing(entry, sizes)


def check_listing(entry: ShardEntry, sizes: Mapping[str, int]) -> list[Damage]:
    """Compares the sizes of files, by name, with those a shard was published with."""
    folder, expected = _folder(entry), shard_folders.file_fingerprints(entry)
    damaged = []
    for name, published in expected.items():
        path = (folder / name).as_posix()
        if name not in sizes:
            why = f"is missing, expected {published.num_bytes} bytes"
            damaged.append(Damage(path, why))
        elif sizes[name] != published.num_bytes:
            why = f"has {sizes[name]} bytes, expected {published.num_bytes}"
            damaged.append(Damage(path, why))
    summary = naming.summary_path(folder)
    if summary.name not in sizes:
        damaged.append(Damage(summary.as_posix(), "is missing"))
    for extra in sorted(sizes.keys() - expected.keys() - {summary.name}):
        path = (folder / extra).as_posix()
        damaged.append(Damage(path, "is no part of the published shard"))
    return damaged


def check_shard(
    version: Version, entry: ShardEntry, clips: list[dict[str, Any]] | None
) -> list[Damage]:
    """Hashes a shard's files and compares the shard with the table of clips.

    Checked are: size and SHA-256 of both files; that the folder holds nothing else;
    summary.json against manifest and table; that at every frame's place a JPEG begins
    and ends.

    Args:
      clips: the `shard_clips`, None to compare it with the manifest alone.
    """
    damaged = _check_files(version, entry)
    damaged += check_summary(version, entry, clips)
    if damaged or clips is None or entry.mindrecord is None:
        return damaged
    wrong = list(_wrong_frames(version.shard_path(entry), stored_clips(clips)))
    more = len(wrong) - _MAX_NAMED
    if more > 0:
        wrong[_MAX_NAMED:] = [f"{more} more frames are not JPEGs"]
    return [Damage(entry.path, why) for why in wrong]


def check_summary_size(entry: ShardEntry, sizes: Mapping[str, int]) -> list[Damage]:
    """Compares the size of a shard's summary with that in the manifest, if it is known.

    For a data set whose files are listed and not read.
    """
    path = naming.summary_path(_folder(entry))
    num_bytes = sizes.get(path.name)
    if entry.summary is None or num_bytes in (None, entry.summary.num_bytes):
        return []
    why = f"has {num_bytes} bytes, expected {entry.summary.num_bytes}"
    return [Damage(path.as_posix(), why)]


def check_summary(
    version: Version, entry: ShardEntry, clips: list[dict[str, Any]] | None = None
) -> list[Damage]:
    """Compares a shard's summary.json with the manifest and, if given, the table.

    Args:
      clips: the `shard_clips`.
    """
    path = naming.summary_path(_folder(entry)).as_posix()
    wrong = _wrong_summary(version.dataset / _folder(entry), entry, clips)
    return [Damage(path, why) for why in wrong]


def check_hashes(
    version: Version, split: str, *, num_workers: int | None = None
) -> None:
    """Hashes every shard of a split, several at once, and compares with the manifest.

    Sizes are checked whenever a split is opened; a flipped bit only shows here, or as a
    wrong picture.

    Raises:
      ValueError: there is no such split.
      DatasetError: shards that are not what was published; the message names them.
    """
    if split not in records.SPLITS:
        raise ValueError(f"split must be one of {records.SPLITS}, got {split!r}")
    if isinstance(version, RemoteVersion):
        logger.info("%s: its shards are hashed when they are fetched", version.uri)
        return
    entries = [entry for entry in version.manifest.shards if entry.split == split]
    begin = time.monotonic()
    with futures.ThreadPoolExecutor(num_workers or os.cpu_count()) as pool:
        checked = pool.map(lambda entry: check_shard(version, entry, None), entries)
        damaged = list(itertools.chain.from_iterable(checked))
    if damaged:
        named = "; ".join(f"{d.path}: {d.reason}" for d in damaged[:_MAX_DAMAGES])
        raise DatasetError(
            f"{version.dataset}: {len(damaged)} damages in split {split!r} of version "
            f"{version.manifest.version}: {named}"
        )
    logger.info(
        "%d shards of split %s are as published: hashed in %.1f s",
        len(entries),
        split,
        time.monotonic() - begin,
    )


def shard_clips(version: Version, entry: ShardEntry) -> list[dict[str, Any]]:
    """Returns the rows of clips.parquet of all clips that were planned for a shard.

    Raises:
      TableError: the table cannot be read.
    """
    path = naming.clips_table_path(version.folder)
    return clips_table.read_shard(path, entry.path, _COLUMNS)


def unhashed_clips(version: Version, entry: ShardEntry) -> list[dict[str, Any]] | None:
    """Returns the `shard_clips` where the manifest has no hash of a shard's summary.

    A summary of format version 1 can be held to the table alone, which has one. None
    where the manifest has a hash, or the table cannot be read.
    """
    if entry.summary is not None:
        return None
    try:
        return shard_clips(version, entry)
    except clips_table.TableError:
        return None  # reported already


def stored_clips(clips: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns those of a shard's clips that are stored, in storage order."""
    stored = [clip for clip in clips if clip["status"] == records.STORED]
    return sorted(stored, key=lambda clip: clip["row"])


def _folder(entry: ShardEntry) -> Path:
    return naming.shard_folder(Path(), entry.split, entry.key)


def _sizes(folder: Path) -> dict[str, int]:
    """Returns the bytes of a folder's files by name; of a dangling link, nothing."""
    sizes = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            sizes[path.name] = path.stat().st_size
    return sizes


def _check_files(version: Version, entry: ShardEntry) -> list[Damage]:
    """Checks that a shard has the files it was published with, byte for byte."""
    damaged = check_sizes(version, entry)
    folder = _folder(entry)
    known = {damage.path for damage in damaged}
    if folder.as_posix() in known:  # it cannot be listed
        return damaged
    for name, published in shard_folders.file_fingerprints(entry).items():
        path = folder / name
        if path.as_posix() not in known:
            damaged += version_checks.check_file(version.dataset, path, published)
    return damaged


def _wrong_summary(
    folder: Path, entry: ShardEntry, clips: list[dict[str, Any]] | None
) -> list[str]:
    """Returns how summary.json differs from the manifest and from the table."""
    path = naming.summary_path(folder)
    try:
        file = SummaryFile.of(files.read_bytes(path))
        ShardEntry.of(file)
    except FileNotFoundError:
        return []  # reported already
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]
    except ValueError as error:
        return [f"is not a shard's summary: {error}"]
    return summary_differences(file, entry, clips)


def summary_differences(
    file: SummaryFile, entry: ShardEntry, clips: list[dict[str, Any]] | None
) -> list[str]:
    """Returns how a summary differs from the manifest and, if given, the table."""
    in_summary, summary = records.to_json(ShardEntry.of(file)), file.summary
    if entry.summary is None:
        del in_summary["summary"]  # format version 1 has no hash of it
    wrong = [
        f"says {name} {in_summary[name]!r}, the manifest says {expected!r}"
        for name, expected in records.to_json(entry).items()
        if in_summary.get(name, expected) != expected
    ]
    if why := summary_checks.contradiction(summary):
        wrong.append(f"contradicts itself: {why}")
    if clips is None:
        return wrong
    named = _differing_clips([_columns(clip) for clip in summary.clips], clips)
    if named:
        wrong.append(
            f"tells of {len(summary.clips)} clips, clips.parquet of {len(clips)}; "
            f"those that differ: {named[:_MAX_NAMED]}"
        )
    return wrong


def _columns(clip: ClipOutcome) -> dict[str, Any]:
    """Returns a clip's row of the table, as `shard_clips` does."""
    fields = records.to_json(clip)
    source = fields.pop("source")
    return fields | {
        "source_num_bytes": source["num_bytes"],
        "source_sha256": source["sha256"],
        "frame_sizes": list(clip.frame_sizes),
        "frame_crc32s": list(clip.frame_crc32s),
    }


def _differing_clips(
    of_summary: Sequence[dict[str, Any]], of_table: Sequence[dict[str, Any]]
) -> list[str]:
    by_id = {clip["clip_id"]: clip for clip in of_table}
    named = {clip["clip_id"] for clip in of_summary}
    differing = [c["clip_id"] for c in of_summary if not _agree(c, by_id)]
    return differing + [name for name in by_id if name not in named]


def _wrong_frames(path: Path, clips: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields the frames that do not begin and end as a JPEG does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for clip in clips:
            begin = clip["frames_offset"]
            for index, num_bytes in enumerate(clip["frame_sizes"]):
                end = begin + num_bytes
                ends = os.pread(descriptor, 2, begin), os.pread(descriptor, 2, end - 2)
                if ends != (_SOI, _EOI):
                    yield (
                        f"clip {clip['clip_id']}, frame {index}: bytes [{begin}, {end})"
                        f" begin {ends[0].hex()} and end {ends[1].hex()}, expected "
                        f"ffd8 and ffd9"
                    )
                begin = end
    except (OSError, ValueError) as error:
        yield f"cannot be read at the frames of clip {clip['clip_id']}: {error}"
    finally:
        os.close(descriptor)


def _agree(clip: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> bool:
    row = by_id.get(clip["clip_id"])
    if row is not None and "frame_crc32s" not in row:  # the table is older
        row = row | {"frame_crc32s": clip["frame_crc32s"]}
    return row == clip
