"""Walks a tree of folders for clips; links to folders are followed.

A clip is a file with the suffix of a video, or a folder of frames. Where a folder has
frames in it, its neighbours are clips as well, and are not opened. Hidden files and
folders are not looked at.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipelines.sources import frame_folders

__all__ = ["CLIP_SUFFIXES", "OTHER_VIDEO_SUFFIXES", "clips_below", "is_video_name"]

CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
OTHER_VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".divx", ".f4v", ".flv", ".m2ts", ".mpeg", ".mpg"}
    | {".mts", ".ogg", ".ogm", ".ogv", ".rm", ".ts", ".vob", ".wmv"}
)
"""Suffixes of videos in containers that are recognised and not decoded."""

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Entries:
    """The names in a folder, in order; which are folders, no clips, or lead back."""

    names: list[str]
    folders: set[str]
    others: set[str]
    loops: set[str]


def is_video_name(name: str) -> bool:
    """Returns whether a file is named as a video, of any container."""
    return _suffix(name) in CLIP_SUFFIXES | OTHER_VIDEO_SUFFIXES


def clips_below(
    folder: Path,
    leave_out: Callable[[Path], None],
    error: type[ValueError] | None,
    *,
    is_listed: Callable[[Path], bool] | None = None,
    _above: tuple[Identity, ...] = (),
) -> Iterator[Path]:
    """Yields the clips in a folder, however deep, in the order of their paths' parts.

    Args:
      leave_out: called with every other file.
      error: raised where a link leads back to a folder that it lies in, or a folder
        cannot be read; None passes these by.
      is_listed: returns whether a folder is a clip for sure; then every other one is
        looked into, even beside frames.
    """
    try:
        above = (*_above, _identity(folder))
        entries = _read(folder, above)
    except OSError as cause:
        if error is None:
            return
        raise error(f"{cause.filename}: cannot read: {cause.strerror}") from cause
    if entries.loops and error is not None:
        link = folder / min(entries.loops)
        raise error(
            f"{link}: a link that leads back to {link.resolve()}, in which it lies: "
            f"remove it"
        )
    of_frames = _clips_of_frames(folder, entries.folders, is_listed)
    for name in entries.names:
        path = folder / name
        if name in entries.folders and name not in of_frames:
            yield from clips_below(
                path, leave_out, error, is_listed=is_listed, _above=above
            )
        elif name in entries.others:
            leave_out(path)
        elif name not in entries.loops:
            yield path


def _read(folder: Path, above: tuple[Identity, ...]) -> _Entries:
    """Returns what lies in a folder; `above` are itself and those it lies in."""
    names: list[str] = []
    folders: set[str] = set()
    others: set[str] = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            names.append(entry.name)
            kind = _kind(entry)
            if kind == "folder":
                folders.add(entry.name)
            elif kind != "file" or _suffix(entry.name) not in CLIP_SUFFIXES:
                others.add(entry.name)
    # A folder that leads back is no clip: it is not even looked at for frames.
    loops = {name for name in folders if _leads_back(folder / name, above)}
    return _Entries(sorted(names), folders - loops, others, loops)


def _clips_of_frames(
    folder: Path, names: set[str], is_listed: Callable[[Path], bool] | None
) -> set[str]:
    """Returns which folders of these names are clips, as folders of frames are."""
    if is_listed is None:
        has_frames = any(_is_frames_alone(folder / name) for name in names)
        return names if has_frames else set()
    listed = {name for name in names if is_listed(folder / name)}
    return listed | {n for n in names - listed if _is_frames_alone(folder / n)}


def _is_frames_alone(folder: Path) -> bool:
    """Returns whether a folder has frames and neither folders nor clips in it."""
    if not frame_folders.holds_frames(folder):
        return False
    with os.scandir(folder) as entries:
        return not any(
            entry.is_dir() or Path(entry.name).suffix.lower() in CLIP_SUFFIXES
            for entry in entries
            if not entry.name.startswith(".")
        )


def _leads_back(path: Path, above: tuple[Identity, ...]) -> bool:
    return path.is_symlink() and _identity(path) in above


def _kind(entry: "os.DirEntry[str]") -> str:
    """Returns whether an entry is a "file", a "folder" or, as some links are, ""."""
    try:
        return "folder" if entry.is_dir() else "file" * entry.is_file()
    except OSError:  # a link in a circle, or into a folder that is closed to us
        return ""


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()
