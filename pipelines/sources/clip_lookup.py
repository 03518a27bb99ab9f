"""Looks up the files of annotated clips, by their ids or by the paths annotated."""

import itertools
import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import compute

from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, locations, spilled_rows, table_join
from pipelines.sources import clip_files, clip_identities, clip_walk
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_files import SourceError

__all__ = ["ClipFiles", "FilesByName", "FilesByPath", "FoundFiles"]

_FOUND = pa.schema(
    [
        ("clip_id", pa.binary()),
        ("uri", pa.binary()),
        ("identity", pa.string()),
        ("num_bytes", pa.int64()),
    ]
)
_NUM_AT_ONCE = 10_000
_NAMES = pa.schema([("name", pa.string())])
_NORMAL_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


class FoundFiles(NamedTuple):
    """The files of a partition.

    Attributes:
      of_clips: a row of clip_identities.FILES for each annotated clip.
      unlisted: the names of those that no annotation names.
    """

    of_clips: pa.Table
    unlisted: Sequence[str]


class ClipFiles(Protocol):
    """The files of clips, a partition at a time (see sharding.partition_of)."""

    def look_up(self, index: int, clip_ids: table_join.Column) -> FoundFiles:
        """Returns the files of a partition.

        Args:
          clip_ids: of all its annotated clips, in annotation order.
        """


class FilesByName:
    """The clips of a folder by the ids that their names give, on the disk.

    Ids may be any file name.
    """

    def __init__(self, folder: Path | str, *, is_deep: bool = False) -> None:
        """Lists the folder; with `is_deep` all folders in it too.

        Raises:
          SourceError: as `find_clips`.
        """
        self._folder = folder
        self._rows = spilled_rows.SpilledRows(_FOUND, sharding.NUM_PARTITIONS)
        found: Iterator[tuple[Any, ...]]
        if locations.is_remote(folder):
            found = clip_files.find_remote_clips(str(folder))
        elif is_deep:
            found = clip_files.find_deep_clips(folder)
        else:
            found = clip_files.find_clips(folder)
        while some := list(itertools.islice(found, _NUM_AT_ONCE)):
            clip_ids, uris, *told = zip(*some, strict=True)
            names = (list(map(os.fsencode, texts)) for texts in (clip_ids, uris))
            known = told or ([""] * len(some), [None] * len(some))
            rows = pa.record_batch([*names, *known], schema=_FOUND)
            hashes = sharding.clip_hashes(map(files.printable, clip_ids))
            self._rows.extend(rows, sharding.partitions_of(hashes))

    def look_up(self, index: int, clip_ids: table_join.Column) -> FoundFiles:
        """Looks at clips of this machine; what others are like is listed.

        Raises:
          SourceError: two files or folders have one id, or a path is no UTF-8.
        """
        here, clip_ids = self._here(index), clip_ids.cast(pa.binary())
        names = here.column("clip_id")
        others = names.filter(pa.array(~table_join.is_among(names, clip_ids)))
        unlisted = [files.printable(os.fsdecode(n)) for n in others.to_pylist()]
        found = table_join.aligned(here, clip_ids)
        uris = self._texts(found.column("uri"))
        if not locations.is_remote(self._folder):
            return FoundFiles(clip_identities.looked_at(uris), unlisted)
        told = (found.column(name) for name in ("identity", "num_bytes"))
        return FoundFiles(clip_identities.not_looked_at(uris, *told), unlisted)

    def none_annotated(self, annotations: Annotations) -> SourceError:
        """Returns the error that not one annotated clip is here."""
        rows = (self._rows.rows(i) for i in range(self._rows.num_partitions))
        _, uri, *_ = min(row for some in rows for row in some)
        return SourceError(
            f"{self._folder}: none of the {len(annotations.clips)} annotated clips is "
            f"in it: it has {_printable_name(os.fsdecode(uri))}, the annotations name "
            f"{annotations.clip_ids[0]}"
        )

    def _here(self, index: int) -> pa.Table:
        table = self._rows.table(index)
        counts = compute.value_counts(table.column("clip_id"))
        if len(counts) < table.num_rows:
            self._refuse_repeats(table)
        return table

    def _refuse_repeats(self, table: pa.Table) -> None:
        first_uris: dict[bytes, bytes] = {}
        for clip_id, uri, *_ in zip(*table.to_pydict().values(), strict=True):
            first = first_uris.setdefault(clip_id, uri)
            if first != uri:
                names = sorted(_printable_name(os.fsdecode(u)) for u in (first, uri))
                raise SourceError(
                    f"{self._folder}: clip "
                    f"{files.printable(os.fsdecode(clip_id))!r} is there twice: "
                    f"{' and '.join(names)}: leave only one"
                )

    def _texts(self, uris: pa.ChunkedArray) -> pa.ChunkedArray:
        """Returns paths as text."""
        try:
            return uris.cast(pa.string())
        except pa.ArrowInvalid as cause:
            paths = (os.fsdecode(uri) for uri in uris.drop_null().to_pylist())
            path = next(p for p in paths if files.printable(p) != p)
            raise SourceError(
                f"{files.printable(path)}: a clip's folder must have a UTF-8 name, as "
                f"decoders cannot open other names: rename it"
            ) from cause


class FilesByPath:
    """The clips in a folder that are there of those that annotations name by paths."""

    def __init__(self, annotations: Annotations, folder: Path | str) -> None:
        """Checks the folder.

        Raises:
          SourceError: it is missing, remote or has a name that decoders cannot open.
        """
        if locations.is_remote(folder):
            raise SourceError(
                f"{folder}: annotations that name files need a folder of this machine"
            )
        self._folder = folder
        self._root = Path(folder).absolute()
        self._annotations = annotations
        self._others: spilled_rows.SpilledRows | None = None
        if not self._root.is_dir():
            raise SourceError(f"{folder}: no such folder of clips")
        clip_files.refuse_unprintable(self._root)

    def look_up(self, index: int, clip_ids: table_join.Column) -> FoundFiles:
        """Looks at the annotated paths of clips.

        Links that lead back, and folders that cannot be read, are passed by where files
        are looked for that no annotation names.
        """
        names = dict(self._annotations.paths_in(index))
        paths = (self._clip_named(names[clip_id]) for clip_id in clip_ids.to_pylist())
        uris = [None if path is None else str(path) for path in paths]
        if self._others is None:
            self._others = self._walked()
        unlisted = [name for (name,) in self._others.rows(index)]
        looked_at = clip_identities.looked_at(pa.array(uris, pa.string()))
        return FoundFiles(looked_at, unlisted)

    def none_annotated(self, annotations: Annotations) -> SourceError:
        """Returns the error that not one annotated clip is here."""
        return SourceError(
            f"{self._folder}: none of the {len(annotations.clips)} clips that the "
            f"annotations name is in it; the first: {annotations.paths[0]}"
        )

    def _walked(self) -> spilled_rows.SpilledRows:
        named = np.fromiter(map(_hash_of_path, self._annotations.paths), np.uint64)
        named.sort()
        others = spilled_rows.SpilledRows(_NAMES, sharding.NUM_PARTITIONS)

        def is_listed(path: Path) -> bool:
            number = np.uint64(_hash_of_path(self._name(path)))
            place = int(np.searchsorted(named, number))
            return place < len(named) and bool(named[place] == number)

        def add(path: Path) -> None:
            if not is_listed(path):
                name = files.printable(self._name(path))
                others.append((name,), sharding.partition_of(name))

        def leave_out(path: Path) -> None:
            if clip_walk.is_video_name(path.name):
                add(path)

        for path in clip_walk.clips_below(
            self._root, leave_out, None, is_listed=is_listed
        ):
            add(path)
        return others

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _clip_named(self, name: str) -> Path | None:
        """Returns a clip's path; the folder may spell it in another normal form."""
        if _is_clip(path := self._root / name):
            return path
        for form in () if name.isascii() else _NORMAL_FORMS:
            if _is_clip(path := self._root / unicodedata.normalize(form, name)):
                return path
        return None


def _hash_of_path(path: str) -> int:
    """Returns a hash that is one for all of Unicode's forms of a path."""
    normal = unicodedata.normalize("NFC", path)
    return sharding.clip_hash(files.printable(normal), sharding.DEFAULT_SALT)


def _is_clip(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _printable_name(uri: str) -> str:
    return files.printable(Path(uri).name)
