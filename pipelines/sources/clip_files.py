"""Finds the files of clips below one folder, by their own names.

Clips lie side by side in one folder, as the Something-Something-v2 package unpacks
them: `<clip_id>.webm`; or, as Jester's does, `<clip_id>/00001.jpg` and so on. Files of
other kinds and hidden ones are ignored; links to files are followed, links to folders
are not. Some annotations have ids whose clips may be in any folder and have any video's
suffix: there links are followed (see clip_walk).
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mindrecord_io.storage import (
    files,
    locations,
    object_store,
    range_store,
    wide_listing,
)
from pipelines.sources import clip_identities, clip_walk, frame_folders, listed_clips

__all__ = [
    "SourceError",
    "find_clips",
    "find_deep_clips",
    "find_remote_clips",
    "refuse_unprintable",
]

_SUFFIX = ".webm"
_PACKAGE_NAME = "20bn-something-something-v2"
_PACKAGE_PART = re.compile(rf"{_PACKAGE_NAME}-\d\d", re.ASCII)


class SourceError(ValueError):
    """A folder of clips cannot be used; the message says which and why."""


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
        return ((clip_id, uri) for clip_id, uri, *_ in find_remote_clips(str(folder)))
    return _find_local_clips(Path(folder))


def find_remote_clips(uri: str) -> Iterator[tuple[str, str, str, int | None]]:
    """Yields the clips of a remote folder, with what the list of its files tells.

    Each is id, URI, identity ("" if it is not told) and size in bytes (None).

    Raises:
      SourceError: as `find_clips`.
    """
    try:
        found = _listed(uri)
    except object_store.StorageError as cause:
        raise SourceError(f"{uri}: cannot list the folder of clips: {cause}") from cause
    num_clips = 0
    for name, identity, num_bytes in found:
        clip_id = _id_in(name)
        if clip_id is not None:
            num_clips += 1
            yield clip_id, f"{uri}/{name}", identity, num_bytes
    if not num_clips:
        raise SourceError(
            f"{uri}: no {_SUFFIX} clips in it; folders of frames are read from a disk "
            f"of this machine only"
        )


def _listed(uri: str) -> list[tuple[str, str, int | None]]:
    """Returns name, identity and size of each file in a remote folder."""
    if locations.split_uri(uri)[0] == "gs":  # names contents otherwise than when read
        names = object_store.open_storage(uri).list_names("")
        return [(name, "", None) for name in names]
    listed = wide_listing.list_files(range_store.open_range_store(uri))
    return [
        (f.name, clip_identities.of_object(f.num_bytes, f.etag).text, f.num_bytes)
        for f in sorted(listed)
    ]


def _find_local_clips(folder: Path) -> Iterator[tuple[str, str]]:
    refuse_unprintable(folder)
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


def find_deep_clips(folder: Path | str) -> Iterator[tuple[str, str]]:
    """Yields the clips in a folder, however deep, as `find_clips` does.

    Raises:
      SourceError: as `find_clips`; or folders form a circle.
    """
    root = Path(folder).absolute()
    refuse_unprintable(root)
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


def refuse_unprintable(folder: Path) -> None:
    """Raises SourceError for a folder whose name is no UTF-8."""
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
