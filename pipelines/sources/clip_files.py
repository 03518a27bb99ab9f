"""Finds the files of clips: below one folder, by their own names or as annotated.

Where the annotations name files or folders of frames, these are looked for, and nothing
else. Otherwise clips lie side by side in one folder, as the Something-Something-v2
package unpacks them: `<clip_id>.webm`; or, as Jester's does, `<clip_id>/00001.jpg` and
so on. Files of other kinds and hidden ones are ignored; links to files are followed,
links to folders are not. Some annotations have ids whose clips may be in any folder and
have any video's suffix: there links are followed (see clip_walk).
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from mindrecord_io.shards import sharding
from mindrecord_io.storage import (
    files,
    locations,
    object_store,
    range_store,
    spilled_rows,
    wide_listing,
)
from pipelines.sources import clip_walk, frame_folders, listed_clips
from pipelines.sources.annotations import Annotations
from pipelines.sources.clip_identities import of_object

__all__ = ["AnnotatedFiles", "ClipFiles", "FilesByName", "SourceError", "find_clips"]

_ROWS = pa.schema([(n, pa.binary()) for n in ("clip_id", "uri", "identity")])
_NAMES = pa.schema([("name", pa.string())])
_SUFFIX = ".webm"
_NORMAL_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
_PACKAGE_NAME = "20bn-something-something-v2"
_PACKAGE_PART = re.compile(rf"{_PACKAGE_NAME}-\d\d", re.ASCII)


class SourceError(ValueError):
    """A folder of clips cannot be used; the message says which and why."""


class ClipFiles(Protocol):
    """The files of clips, a partition at a time (see sharding.partition_of)."""

    def partition(self, index: int) -> dict[str, str]:
        """Returns path or URI by id of a partition's clips."""

    def identities(self, index: int) -> dict[str, str]:
        """Returns by id how clips are recognised that need not be looked at for it."""

    def unlisted_in(self, index: int) -> Iterator[str]:
        """Yields the paths of files that no annotation names, besides `partition`'s."""


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
        self._rows = spilled_rows.SpilledRows(_ROWS, sharding.NUM_PARTITIONS)
        found: Iterator[tuple[str, ...]]
        if locations.is_remote(folder):
            found = _find_remote_clips(str(folder))
        else:
            found = _find_deep_clips(folder) if is_deep else find_clips(folder)
        for clip_id, uri, *identity in found:
            place = sharding.partition_of(files.printable(clip_id))
            text = identity[0].encode() if identity else b""
            self._rows.append((os.fsencode(clip_id), os.fsencode(uri), text), place)

    def partition(self, index: int) -> dict[str, str]:
        """Returns path or URI by id of a partition's clips.

        Raises:
          SourceError: two files or folders have one id.
        """
        uris: dict[str, str] = {}
        for encoded in self._rows.rows(index, ["clip_id", "uri"]):
            clip_id, uri = map(os.fsdecode, encoded)
            first = uris.setdefault(clip_id, uri)
            if first != uri:
                names = sorted(map(_printable_name, (first, uri)))
                raise SourceError(
                    f"{self._folder}: clip {files.printable(clip_id)!r} is there "
                    f"twice: {' and '.join(names)}: leave only one"
                )
        return uris

    def identities(self, index: int) -> dict[str, str]:
        """Returns by id how remote clips are recognised, as listing them tells it."""
        if not locations.is_remote(self._folder):
            return {}
        rows = self._rows.rows(index, ["clip_id", "identity"])
        return {os.fsdecode(clip_id): text.decode() for clip_id, text in rows}

    def unlisted_in(self, index: int) -> Iterator[str]:
        """Yields nothing: a file that is not annotated is in its id's partition."""
        del index
        return iter(())

    def none_annotated(self, annotations: Annotations) -> SourceError:
        """Returns the error that not one annotated clip is here."""
        partitions = map(self.partition, range(self._rows.num_partitions))
        _, uri = min(min(uris.items()) for uris in partitions if uris)
        return SourceError(
            f"{self._folder}: none of the {len(annotations.clips)} annotated clips is "
            f"in it: it has {_printable_name(uri)}, the annotations name "
            f"{annotations.clip_ids[0]}"
        )


class AnnotatedFiles:
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
        self._unlisted: spilled_rows.SpilledRows | None = None
        if not self._root.is_dir():
            raise SourceError(f"{folder}: no such folder of clips")
        _refuse_unprintable(self._root)

    def partition(self, index: int) -> dict[str, str]:
        """Returns the path by id of a partition's clips."""
        return {
            clip_id: str(path)
            for clip_id, name in self._annotations.paths_in(index)
            if (path := self._clip_named(name)) is not None
        }

    def identities(self, index: int) -> dict[str, str]:
        """Returns none: files of this machine are looked at."""
        del index
        return {}

    def unlisted_in(self, index: int) -> Iterator[str]:
        """Yields the paths of a partition's clips that no annotation names.

        Links that lead back, and folders that cannot be read, are passed by.
        """
        if self._unlisted is None:
            self._unlisted = self._walked()
        return (name for (name,) in self._unlisted.rows(index))

    def _walked(self) -> spilled_rows.SpilledRows:
        named = np.fromiter(map(_hash_of_path, self._annotations.paths), np.uint64)
        named.sort()
        unlisted = spilled_rows.SpilledRows(_NAMES, sharding.NUM_PARTITIONS)

        def is_listed(path: Path) -> bool:
            number = np.uint64(_hash_of_path(self._name(path)))
            place = int(np.searchsorted(named, number))
            return place < len(named) and bool(named[place] == number)

        def add(path: Path) -> None:
            if not is_listed(path):
                name = files.printable(self._name(path))
                unlisted.append((name,), sharding.partition_of(name))

        def leave_out(path: Path) -> None:
            if clip_walk.is_video_name(path.name):
                add(path)

        for path in clip_walk.clips_below(
            self._root, leave_out, None, is_listed=is_listed
        ):
            add(path)
        return unlisted

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

    def none_annotated(self, annotations: Annotations) -> SourceError:
        """Returns the error that not one annotated clip is here."""
        return SourceError(
            f"{self._folder}: none of the {len(annotations.clips)} clips that the "
            f"annotations name is in it; the first: {annotations.paths[0]}"
        )


def find_clips(folder: Path | str) -> Iterator[tuple[str, str]]:
    """Yields the clips of a folder as they come: clip id, and absolute path or URI.

    Ids are file names less `.webm` (in any case of letters), and names of folders, and
    need not be valid clip ids; those of names that are no Unicode hold surrogates (PEP
    383). Folders are not opened, except to see that there is one with frames if there
    is no file; clips of both kinds may be side by side.

    Raises:
      SourceError: the folder is missing, unreadable or without clips.
    """
    if locations.is_remote(folder):
        return ((clip_id, uri) for clip_id, uri, _ in _find_remote_clips(str(folder)))
    return _find_local_clips(Path(folder))


def _find_remote_clips(uri: str) -> Iterator[tuple[str, str, str]]:
    try:
        found = _listed(uri)
    except object_store.StorageError as cause:
        raise SourceError(f"{uri}: cannot list the folder of clips: {cause}") from cause
    num_clips = 0
    for name, identity in found:
        clip_id = _id_in(name)
        if clip_id is not None:
            num_clips += 1
            yield clip_id, f"{uri}/{name}", identity
    if not num_clips:
        raise SourceError(
            f"{uri}: no {_SUFFIX} clips in it; folders of frames are read from a disk "
            f"of this machine only"
        )


def _listed(uri: str) -> list[tuple[str, str]]:
    """Returns the name of each file in a remote folder, and how it is recognised."""
    if locations.split_uri(uri)[0] == "gs":  # names contents otherwise than when read
        return [(name, "") for name in object_store.open_storage(uri).list_names("")]
    listed = wide_listing.list_files(range_store.open_range_store(uri))
    return [(f.name, of_object(f.num_bytes, f.etag).text) for f in sorted(listed)]


def _find_local_clips(folder: Path) -> Iterator[tuple[str, str]]:
    _refuse_unprintable(folder)
    has_file = False
    try:
        with os.scandir(folder.absolute()) as entries:
            for entry in entries:
                clip_id = _clip_id_of(entry)
                if clip_id is None:
                    continue
                has_file = has_file or _id_in(entry.name) is not None
                yield clip_id, entry.path
        has_clip = has_file or _has_folder_of_frames(folder)
    except OSError as cause:
        raise SourceError(
            f"{folder}: cannot list the folder of clips: {cause.strerror}"
        ) from cause
    if not has_clip:
        raise SourceError(
            f"{folder}: no {_SUFFIX} clips in it, nor folders of JPEGs{_hint(folder)}"
        )


def _find_deep_clips(folder: Path | str) -> Iterator[tuple[str, str]]:
    """Yields the clips in a folder, however deep, as `find_clips` does."""
    root = Path(folder).absolute()
    _refuse_unprintable(root)
    num_clips = 0
    others: list[Path] = []
    for path in clip_walk.clips_below(root, others.append, SourceError):
        num_clips += 1
        yield listed_clips.id_of(path.name), str(path)
        yield from _other_videos(root, others)
    yield from _other_videos(root, others)
    if not num_clips:
        raise SourceError(f"{folder}: no clips in it, nor in its folders")


def _other_videos(root: Path, others: list[Path]) -> Iterator[tuple[str, str]]:
    """Yields videos of other kinds by their paths, which are nobody's ids."""
    for path in others:
        if clip_walk.is_video_name(path.name):
            yield path.relative_to(root).as_posix(), str(path)
    others.clear()


def _refuse_unprintable(folder: Path) -> None:
    if files.printable(str(folder.absolute())) != str(folder.absolute()):
        raise SourceError(
            f"{files.printable(str(folder))}: the folder of clips must have a "
            f"UTF-8 name, as decoders cannot open other names"
        )


def _has_folder_of_frames(folder: Path) -> bool:
    with os.scandir(folder.absolute()) as entries:
        return any(
            frame_folders.is_frame_folder(entry)
            and frame_folders.holds_frames(entry.path)
            for entry in entries
        )


def _hash_of_path(path: str) -> int:
    """Returns a hash that is one for all of Unicode's forms of a path."""
    normal = unicodedata.normalize("NFC", path)
    return sharding.clip_hash(files.printable(normal), sharding.DEFAULT_SALT)


def _is_clip(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _clip_id_of(entry: "os.DirEntry[str]") -> str | None:
    """Returns the id of the clip that an entry is, None if it is none."""
    clip_id = _id_in(entry.name)
    try:
        if frame_folders.is_frame_folder(entry):
            return entry.name if clip_id is None else None
        return clip_id if clip_id is not None and entry.is_file() else None
    except OSError:  # a link in a circle, or into a folder that is closed to us
        return None


def _id_in(file_name: str) -> str | None:
    stem, suffix = file_name[: -len(_SUFFIX)], file_name[-len(_SUFFIX) :]
    if suffix.lower() != _SUFFIX or not stem or stem.startswith("."):
        return None
    return stem


def _printable_name(uri: str) -> str:
    return files.printable(Path(uri).name)


def _hint(folder: Path) -> str:
    """Returns the usual mistake behind a folder without clips, "" if it is none."""
    names: Sequence[str] = [path.name for path in folder.iterdir()]
    if _PACKAGE_NAME in names and (folder / _PACKAGE_NAME).is_dir():
        return f": did you mean its subfolder {folder / _PACKAGE_NAME}?"
    if any(_PACKAGE_PART.fullmatch(name) for name in names):
        return f": its parts are not unpacked: cat {_PACKAGE_NAME}-?? | tar -xz"
    if any(name.endswith(_SUFFIX) and not name.startswith(".") for name in names):
        return f": what is named {_SUFFIX} is no file, nor a link that leads to one"
    if any((folder / name).is_dir() and (folder / name).is_symlink() for name in names):
        return ": links to folders are not followed"
    return ""
