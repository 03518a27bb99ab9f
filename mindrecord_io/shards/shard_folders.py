"""A shard's folder: made under a passing name, published by one rename, never changed.

The summary beside the shard's files makes building memoised: a job that plans a shard
with the same key reads there all that building it again would return.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import json_values, naming, records
from mindrecord_io.naming import ShardName
from mindrecord_io.records import Fingerprint, PublishedShard, ShardSummary
from mindrecord_io.storage import files, incomplete

__all__ = [
    "REMEDY",
    "ShardError",
    "SummaryFile",
    "encoded_summary",
    "file_fingerprints",
    "parse_summary",
    "publish",
    "read_summary",
    "read_summary_file",
    "replace",
    "split_folder",
    "write_summary",
]


REMEDY = "`clipmill build --repair` makes it again"
"""What is to be done about a damaged shard."""


class ShardError(ValueError):
    """A published shard is damaged."""


@dataclass(frozen=True, slots=True)
class SummaryFile:
    """A published shard's summary, and the identity of the file that it was read from.

    The hash is listed in the manifest: a summary is what table and manifest are made
    of, and one that lost a clip is valid JSON all the same.
    """

    summary: ShardSummary
    content: Fingerprint

    @classmethod
    def of(cls, content: bytes) -> "SummaryFile":
        """Returns what is in a summary.json; a ValueError says why it is none."""
        fields = json_values.parse(content)
        summary: ShardSummary = records.from_json(ShardSummary, fields)
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(summary, Fingerprint(len(content), sha256))


def split_folder(dataset: Path, split: str) -> Path:
    """Returns the folder that holds all shards of a split, of all versions."""
    return dataset / "shards" / split


def write_summary(folder: Path, summary: ShardSummary) -> None:
    """Writes a shard's summary beside its files, as the last of them."""
    files.write_synced(naming.summary_path(folder), encoded_summary(summary))


def encoded_summary(summary: ShardSummary) -> bytes:
    """Returns the content of summary.json."""
    return json.dumps(records.to_json(summary), separators=(",", ":")).encode()


def publish(dataset: Path, folder: Path, summary: ShardSummary) -> None:
    """Renames a finished shard to its final name; an equal one already there stays."""
    final = naming.shard_folder(dataset, summary.split, summary.key)
    with contextlib.suppress(FileExistsError):
        files.publish_folder(folder, final)


def replace(dataset: Path, folder: Path, summary: ShardSummary) -> None:
    """Renames a finished shard to its final name in place of a damaged one."""
    final = naming.shard_folder(dataset, summary.split, summary.key)
    with incomplete.folder_in(final.parent) as trash:
        with contextlib.suppress(FileNotFoundError):
            final.rename(trash / final.name)
        try:
            files.publish_folder(folder, final)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                (trash / final.name).rename(final)
            raise


def read_summary(dataset: Path, split: str, key: str) -> ShardSummary | None:
    """Reads the summary of the shard with this key; see `read_summary_file`."""
    file = read_summary_file(dataset, split, key)
    return None if file is None else file.summary


def read_summary_file(dataset: Path, split: str, key: str) -> SummaryFile | None:
    """Reads the summary of the shard with this key; None if there is no such shard.

    Raises:
      ShardError: the shard is there, but its files are not those it was published with.
    """
    folder = naming.shard_folder(dataset, split, key)
    try:
        content = files.read_bytes(naming.summary_path(folder))
    except FileNotFoundError:
        if folder.exists():
            raise ShardError(_damaged(folder, "it has no summary.json")) from None
        return None
    except OSError as cause:
        why = f"summary.json: {cause.strerror}"
        raise ShardError(_damaged(folder, why)) from cause
    file = parse_summary(content, split, key, str(folder))
    _check_sizes(folder, file.summary)
    return file


def parse_summary(content: bytes, split: str, key: str, folder: str) -> SummaryFile:
    """Returns a summary from its JSON; `folder` is for messages.

    Raises:
      ShardError: it is damaged, or another shard's.
    """
    try:
        file = SummaryFile.of(content)
    except ValueError as cause:
        raise ShardError(_damaged(folder, f"bad summary.json: {cause}")) from cause
    if (file.summary.split, file.summary.key) != (split, key):
        raise ShardError(_damaged(folder, "its summary is another shard's"))
    return file


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
    return f"{folder}: published shard is damaged: {what}; {REMEDY}"
