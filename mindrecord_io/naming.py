"""Makes and parses every file and folder name of a data set.

DATASET/CURRENT
DATASET/versions/000003/{manifest.json,clips.parquet,labels/}
DATASET/shards/<split>/<key>/<split>-00017-of-00512.mindrecord[.db]
DATASET/shards/<split>/<key>/summary.json
DATASET/**/.incomplete-<id>/          work in progress, never read
"""

import hashlib
import platform
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import records

__all__ = [
    "CATEGORY_FILE",
    "LIST_FILES",
    "ShardName",
    "clips_table_path",
    "current_path",
    "incomplete_folder",
    "is_incomplete",
    "is_incomplete_name",
    "is_of_this_host",
    "is_version_name",
    "labels_folder",
    "manifest_path",
    "shard_folder",
    "summary_path",
    "version_folder",
    "version_name",
    "version_number",
]

CATEGORY_FILE = "category.txt"
"""Label texts, one a line, in a version's labels folder."""

LIST_FILES = {
    "train": "train_videofolder.txt",
    "validation": "val_videofolder.txt",
    "test": "test_videofolder.txt",
}
"""The clip lists of the TSM ecosystem's tools, by split."""

_INCOMPLETE = ".incomplete-"
_SHARD = re.compile(r"([a-z]+)-(\d{5,})-of-(\d{5,})\.mindrecord", re.ASCII)
_VERSION = re.compile(r"\d{6,15}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardName:
    """The base name of a shard's .mindrecord file; MindRecord stores it inside."""

    split: str
    index: int
    num_shards: int

    def __str__(self) -> str:
        return f"{self.split}-{self.index:05d}-of-{self.num_shards:05d}.mindrecord"

    @property
    def index_file(self) -> str:
        """The name of the sqlite file that MindRecord keeps beside the shard."""
        return f"{self}.db"

    @classmethod
    def parse(cls, name: str) -> "ShardName":
        """Reads a base name; ValueError if it is not one `str` makes."""
        match = _SHARD.fullmatch(name)
        if match is not None and match[1] in records.SPLITS:
            shard = cls(match[1], int(match[2]), int(match[3]))
            if str(shard) == name:  # one name a shard: no leading zeros beyond five
                return shard
        raise ValueError(f"not the name of a shard: {name!r}")


def shard_folder(dataset: Path, split: str, key: str) -> Path:
    """Returns the final folder of the shard with this key, published or not."""
    if split not in records.SPLITS or not _KEY.fullmatch(key):
        raise ValueError(f"no shard can be in split {split!r:.80} with key {key!r:.80}")
    return dataset / "shards" / split / key


def summary_path(folder: Path) -> Path:
    """Returns the path of a shard's own summary."""
    return folder / "summary.json"


def incomplete_folder(parent: Path) -> Path:
    """Returns a new name for work in progress that will be a folder in `parent`."""
    return parent / f"{_INCOMPLETE}{_this_host()}-{uuid.uuid4().hex}"


def is_of_this_host(folder: Path) -> bool:
    """Returns whether work in progress was begun on this machine, by its name."""
    return folder.name.startswith(f"{_INCOMPLETE}{_this_host()}-")


def is_incomplete(folder: Path) -> bool:
    """Returns whether a folder's name marks it as work in progress."""
    return is_incomplete_name(folder.name)


def is_incomplete_name(name: str) -> bool:
    """Returns whether a base name marks work in progress."""
    return name.startswith(_INCOMPLETE)


def current_path(dataset: Path) -> Path:
    """Returns the path of the pointer to the newest published version."""
    return dataset / "CURRENT"


def version_name(number: int) -> str:
    """Returns the name of version `number`, counted from 1: '000001'."""
    if number < 1:
        raise ValueError(f"versions are numbered from 1, got {number}")
    return f"{number:06d}"


def version_number(name: str) -> int:
    """Returns the number of a version's name; ValueError if it is no such name."""
    if not _VERSION.fullmatch(name):
        raise ValueError(f"a version is named like '000003', got {name!r}")
    return int(name)


def is_version_name(name: str) -> bool:
    """Returns whether a name is one that `version_name` makes."""
    return bool(_VERSION.fullmatch(name)) and int(name) > 0


def version_folder(dataset: Path, name: str) -> Path:
    """Returns the folder of a version; the name is checked, as it becomes a path."""
    version_number(name)
    return dataset / "versions" / name


def manifest_path(folder: Path) -> Path:
    """Returns the path of a version's manifest."""
    return folder / "manifest.json"


def clips_table_path(folder: Path) -> Path:
    """Returns the path of a version's table of clips."""
    return folder / "clips.parquet"


def labels_folder(folder: Path) -> Path:
    """Returns the folder of a version's label files."""
    return folder / "labels"


def _this_host() -> str:
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
