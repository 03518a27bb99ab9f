"""A shard's folder: made under a passing name, published by one rename, never changed.

The summary beside the shard's files makes building memoised: a job that plans a shard
with the same key reads there all that building it again would return.
"""

import contextlib
import json
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import Fingerprint, PublishedShard, ShardSummary
from mindrecord_io.storage import files

__all__ = [
    "ShardError",
    "file_fingerprints",
    "parse_summary",
    "publish",
    "read_summary",
    "split_folder",
    "write_summary",
]


class ShardError(ValueError):
    """A published shard is damaged."""


def split_folder(dataset: Path, split: str) -> Path:
    """Returns the folder that holds all shards of a split, of all versions."""
    return dataset / "shards" / split


def write_summary(folder: Path, summary: ShardSummary) -> None:
    """Writes a shard's summary beside its files, as the last of them."""
    text = json.dumps(records.to_json(summary), separators=(",", ":"))
    files.write_synced(naming.summary_path(folder), text.encode())


def publish(dataset: Path, folder: Path, summary: ShardSummary) -> None:
    """Renames a finished shard to its final name; an equal one already there stays."""
    final = naming.shard_folder(dataset, summary.split, summary.key)
    with contextlib.suppress(FileExistsError):
        files.publish_folder(folder, final)


def read_summary(dataset: Path, split: str, key: str) -> ShardSummary | None:
    """Reads the summary of the shard with this key; None if there is no such shard.

    Raises:
      ShardError: the shard is there, but its files are not those it was published with.
    """
    folder = naming.shard_folder(dataset, split, key)
    try:
        content = naming.summary_path(folder).read_bytes()
    except FileNotFoundError:
        if folder.exists():
            raise ShardError(_damaged(folder, "it has no summary.json")) from None
        return None
    summary = parse_summary(content, split, key, str(folder))
    _check_sizes(folder, summary)
    return summary


def parse_summary(content: bytes, split: str, key: str, folder: str) -> ShardSummary:
    """Returns a summary from its JSON; `folder` is for messages.

    Raises:
      ShardError: it is damaged, or another shard's.
    """
    try:
        fields = json.loads(content)
        summary: ShardSummary = records.from_json(ShardSummary, fields)
    except (ValueError, RecursionError) as cause:
        raise ShardError(_damaged(folder, f"bad summary.json: {cause}")) from cause
    if (summary.split, summary.key) != (split, key):
        raise ShardError(_damaged(folder, "its summary is another shard's"))
    return summary


def file_fingerprints(shard: PublishedShard) -> dict[str, Fingerprint]:
    """Returns the content of a shard's files by name; none where it has no clips."""
    name = ShardName(shard.split, shard.index, shard.num_shards)
    both = {str(name): shard.mindrecord, name.index_file: shard.mindrecord_index}
    return {file: content for file, content in both.items() if content is not None}


def _check_sizes(folder: Path, summary: ShardSummary) -> None:
    for file_name, expected in file_fingerprints(summary).items():
        try:
            num_bytes = (folder / file_name).stat().st_size
        except FileNotFoundError:
            raise ShardError(_damaged(folder, f"{file_name} is gone")) from None
        if num_bytes != expected.num_bytes:
            what = f"{file_name} has {num_bytes} bytes, not {expected.num_bytes}"
            raise ShardError(_damaged(folder, what))


def _damaged(folder: Path | str, what: str) -> str:
    return f"{folder}: published shard is damaged: {what}; remove it and build again"
