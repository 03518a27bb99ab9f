"""Which clips are on the disk, and how they meet the annotations.

Where the annotations name files or folders of frames, these are looked for, and nothing
else. Otherwise clips lie side by side in one folder, as the Something-Something-v2
package unpacks them: `<clip_id>.webm`; or, as Jester's does, `<clip_id>/00001.jpg` and
so on. Files of other kinds and what is hidden are not looked at; links to files are
followed, links to folders are not.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import storage
from mindrecord_io.records import Annotation, ClipRef
from pipelines import frame_folders
from pipelines.annotations import Annotations

__all__ = ["ClipListing", "SourceError", "find_clips", "match_clips"]

logger = logging.getLogger(__name__)

_SUFFIX = ".webm"
_PACKAGE_NAME = "20bn-something-something-v2"
_PACKAGE_PART = re.compile(rf"{_PACKAGE_NAME}-\d\d", re.ASCII)


class SourceError(ValueError):
    """A folder of clips cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class ClipListing:
    """The clips of a folder against the annotations.

    Attributes:
      refs: annotated clips that are on the disk, in annotation order.
      missing: annotated clips that are not, in annotation order.
      unlisted: ids of the files that no annotation names, sorted.
    """

    refs: tuple[ClipRef, ...]
    missing: tuple[Annotation, ...]
    unlisted: tuple[str, ...]


def find_clips(folder: Path | str) -> dict[str, str]:
    """Lists the clips of a folder: absolute path, or URI, by clip id, sorted by id.

    Ids are file names less `.webm` (in any case of letters), and names of folders, and
    need not be valid clip ids; those of names that are no Unicode hold surrogates (PEP
    383). Folders are not opened, except to see that there is one with frames if there
    is no file; clips of both kinds may be side by side.

    Raises:
      SourceError: the folder is missing, unreadable or without clips, or two of its
        files or folders have one id.
    """
    if storage.is_remote(folder):
        return _find_remote_clips(str(folder))
    return _find_local_clips(Path(folder))


def _find_remote_clips(uri: str) -> dict[str, str]:
    paths: dict[str, str] = {}
    try:
        names = storage.open_storage(uri).list_names("")
    except storage.StorageError as cause:
        raise SourceError(f"{uri}: cannot list the folder of clips: {cause}") from cause
    for name in names:
        clip_id = _id_in(name)
        if clip_id is not None and clip_id in paths:
            path = f"{uri}/{name}"
            raise _two_files_error(uri, clip_id, paths[clip_id], path)
        if clip_id is not None:
            paths[clip_id] = f"{uri}/{name}"
    if not paths:
        raise SourceError(
            f"{uri}: no {_SUFFIX} clips in it; folders of frames are read from a disk "
            f"of this machine only"
        )
    return dict(sorted(paths.items()))


def _find_local_clips(folder: Path) -> dict[str, str]:
    paths: dict[str, str] = {}
    names: list[str] = []
    if _printable(str(folder.absolute())) != str(folder.absolute()):
        raise SourceError(
            f"{_printable(str(folder))}: the folder of clips must have a UTF-8 name, "
            f"as decoders cannot open other names"
        )
    try:
        with os.scandir(folder.absolute()) as entries:
            for entry in entries:
                names.append(entry.name)
                clip_id = _clip_id_of(entry)
                if clip_id is None:
                    continue
                if clip_id in paths:
                    first_path = paths[clip_id]
                    raise _two_files_error(folder, clip_id, first_path, entry.path)
                paths[clip_id] = entry.path
    except OSError as cause:
        raise SourceError(
            f"{folder}: cannot list the folder of clips: {cause.strerror}"
        ) from cause
    has_files = any(_id_in(Path(path).name) for path in paths.values())
    if not has_files and not any(map(frame_folders.holds_frames, paths.values())):
        raise SourceError(
            f"{folder}: no {_SUFFIX} clips in it, nor folders of JPEGs"
            f"{_hint(folder, names)}"
        )
    return dict(sorted(paths.items()))


def match_clips(annotations: Annotations, folder: Path | str) -> ClipListing:
    """Matches the annotations with the clips of a folder.

    Raises:
      SourceError: as `find_clips`, or not one annotated clip is in the folder.
    """
    paths = _listed_files(annotations, folder) or find_clips(folder)
    refs: list[ClipRef] = []
    missing: list[Annotation] = []
    for clip in annotations.clips:
        uri = paths.pop(clip.clip_id, None)
        if uri is None:
            missing.append(clip)
            continue
        refs.append(ClipRef(clip.clip_id, clip.split, clip.label_id, clip.label, uri))
    unlisted = tuple(sorted(_printable(clip_id) for clip_id in paths))
    if not refs:
        first = _printable(Path(next(iter(paths.values()))).name)
        raise SourceError(
            f"{folder}: none of the {len(missing)} annotated clips is in it: it has "
            f"{first}, the annotations name {missing[0].clip_id}"
        )
    logger.info(
        "matched %s: %d clips annotated and there, %d missing, %d unlisted",
        folder,
        len(refs),
        len(missing),
        len(unlisted),
    )
    return ClipListing(tuple(refs), tuple(missing), unlisted)


def _listed_files(annotations: Annotations, folder: Path | str) -> dict[str, str]:
    """Returns what the annotations name and is there, files and folders, by clip id."""
    if not annotations.paths:
        return {}
    if storage.is_remote(folder):
        raise SourceError(
            f"{folder}: annotations that name files need a folder of this machine"
        )
    root = Path(folder).absolute()
    if not root.is_dir():
        raise SourceError(f"{folder}: no such folder of clips")
    listed = {
        clip.clip_id: str(root / path)
        for clip, path in zip(annotations.clips, annotations.paths, strict=True)
    }
    found = {clip_id: p for clip_id, p in listed.items() if _is_clip(Path(p))}
    if not found:
        raise SourceError(
            f"{folder}: none of the {len(listed)} clips that the annotations name is "
            f"in it; the first: {annotations.paths[0]}"
        )
    return found


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
    names = sorted(_printable(Path(path).name) for path in (first_path, second_path))
    return SourceError(
        f"{folder}: clip {_printable(clip_id)!r} is there twice: "
        f"{' and '.join(names)}: leave only one"
    )


def _hint(folder: Path, names: Sequence[str]) -> str:
    """Names the usual slip behind a folder without clips, if this is one."""
    if _PACKAGE_NAME in names and (folder / _PACKAGE_NAME).is_dir():
        return f": did you mean its subfolder {folder / _PACKAGE_NAME}?"
    if any(_PACKAGE_PART.fullmatch(name) for name in names):
        return f": its parts are not unpacked: cat {_PACKAGE_NAME}-?? | tar -xz"
    if any(name.endswith(_SUFFIX) and not name.startswith(".") for name in names):
        return f": what is named {_SUFFIX} is no file, nor a link that leads to one"
    if any((folder / name).is_dir() and (folder / name).is_symlink() for name in names):
        return ": links to folders are not followed"
    return ""


def _printable(file_name: str) -> str:
    """Returns a name that any encoding of text can carry; bad bytes as escapes."""
    return file_name.encode("utf-8", "backslashreplace").decode("utf-8")
