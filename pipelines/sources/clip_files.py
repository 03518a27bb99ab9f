"""Which clips are on the disk, and how they meet the annotations.

Where the annotations name files or folders of frames, these are looked for, and nothing
else. Otherwise clips lie side by side in one folder, as the Something-Something-v2
package unpacks them: `<clip_id>.webm`; or, as Jester's does, `<clip_id>/00001.jpg` and
so on. Files of other kinds and what is hidden are not looked at; links to files are
followed, links to folders are not.
"""

import itertools
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mindrecord_io.shards import sharding
from mindrecord_io.storage import files, locations, object_store
from pipelines.planning import clip_listing, held_clips
from pipelines.sources import frame_folders
from pipelines.sources.something_something import Annotations

__all__ = ["SourceError", "find_clips", "match_clips"]

logger = logging.getLogger(__name__)

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
        return _find_remote_clips(str(folder))
    return _find_local_clips(Path(folder))


def _find_remote_clips(uri: str) -> Iterator[tuple[str, str]]:
    try:
        names = object_store.open_storage(uri).list_names("")
    except object_store.StorageError as cause:
        raise SourceError(f"{uri}: cannot list the folder of clips: {cause}") from cause
    num_clips = 0
    for name in names:
        clip_id = _id_in(name)
        if clip_id is not None:
            num_clips += 1
            yield clip_id, f"{uri}/{name}"
    if not num_clips:
        raise SourceError(
            f"{uri}: no {_SUFFIX} clips in it; folders of frames are read from a disk "
            f"of this machine only"
        )


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


def match_clips(
    annotations: Annotations,
    folder: Path | str,
    held: held_clips.HeldClips | None = None,
    *,
    knows: clip_listing.Knows | None = None,
) -> clip_listing.ClipListing:
    """Matches the annotations with the clips of a folder, and with those of a version.

    Args:
      held, knows: as in clip_listing.match.

    Raises:
      SourceError: as `find_clips`, two of its files or folders have one id, or not one
        annotated clip is in the folder.
    """
    salt = sharding.DEFAULT_SALT if held is None else held.version.manifest.salt
    found = clip_listing.FoundClips(salt)
    if annotations.paths:
        _add_listed_files(found, annotations, folder)
    else:
        for clip_id, path in find_clips(folder):
            found.add(clip_id, path)
        _refuse_two_files(found, folder)
    listing = clip_listing.match(annotations, found, held, knows=knows)
    if not listing.num_clips:
        first = _first_file(found)
        raise SourceError(
            f"{folder}: none of the {len(listing.missing)} annotated clips is in it: "
            f"it has {first}, the annotations name {listing.missing.first[0]}"
        )
    logger.info(
        "matched %s: %d clips annotated and there, %d missing, %d unlisted",
        folder,
        listing.num_clips.total(),
        len(listing.missing),
        listing.num_unlisted,
    )
    return listing


def _add_listed_files(
    found: clip_listing.FoundClips, annotations: Annotations, folder: Path | str
) -> None:
    """Adds what the annotations name and is there, files and folders."""
    if locations.is_remote(folder):
        raise SourceError(
            f"{folder}: annotations that name files need a folder of this machine"
        )
    root = Path(folder).absolute()
    if not root.is_dir():
        raise SourceError(f"{folder}: no such folder of clips")
    _refuse_unprintable(root)
    for clip, path in zip(annotations.clips, annotations.paths, strict=True):
        if _is_clip(root / path):
            found.add(clip.clip_id, str(root / path))
    if not len(found):
        raise SourceError(
            f"{folder}: none of the {len(annotations.clips)} clips that the "
            f"annotations name is in it; the first: {next(iter(annotations.paths))}"
        )


def _refuse_two_files(found: clip_listing.FoundClips, folder: Path | str) -> None:
    for partition in range(sharding.NUM_PARTITIONS):
        paths: dict[str, str | None] = {}
        for clip_id, path, _ in found.rows(partition):
            if clip_id in paths:
                raise _two_files_error(folder, clip_id, str(paths[clip_id]), str(path))
            paths[clip_id] = path


def _first_file(found: clip_listing.FoundClips) -> str:
    """Returns the name of the file whose clip id is the first."""
    rows = map(found.rows, range(sharding.NUM_PARTITIONS))
    _, path, _ = min(itertools.chain.from_iterable(rows))
    return files.printable(Path(str(path)).name)


def _is_clip(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and not path.is_symlink())


def _clip_id_of(entry: "os.DirEntry[str]") -> str | None:
    """Returns the id that a name gives its clip, None if it is not a clip."""
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


def _two_files_error(
    folder: Path | str, clip_id: str, first_path: str, second_path: str
) -> SourceError:
    names = sorted(
        files.printable(Path(path).name) for path in (first_path, second_path)
    )
    return SourceError(
        f"{folder}: clip {files.printable(clip_id)!r} is there twice: "
        f"{' and '.join(names)}: leave only one"
    )


def _hint(folder: Path) -> str:
    """Names the usual slip behind a folder without clips, if this is one."""
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
