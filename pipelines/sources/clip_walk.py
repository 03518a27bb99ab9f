"""Walks a tree of folders for clips; links to folders are followed.

A clip is a file with the suffix of a video, or a folder of frames. Where a folder has
frames in it, its neighbours are clips as well, and are not opened. Hidden files and
folders are not looked at.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.sources import frame_folders

__all__ = ["CLIP_SUFFIXES", "OTHER_VIDEO_SUFFIXES", "clips_below"]

CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
OTHER_VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".divx", ".f4v", ".flv", ".m2ts", ".mpeg", ".mpg"}
    | {".mts", ".ogg", ".ogm", ".ogv", ".rm", ".ts", ".vob", ".wmv"}
)
"""Suffixes of videos in containers that are recognised and not decoded."""

Identity = tuple[int, int]


def clips_below(
    folder: Path,
    leave_out: Callable[[Path], None],
    error: type[ValueError],
    *,
    _above: tuple[Identity, ...] = (),
) -> Iterator[Path]:
    """Yields the clips in a folder, however deep, in the order of their paths' parts.

    Args:
      leave_out: called with every other file.

    Raises:
      error: a link leads back to a folder that it lies in, or a folder cannot be read.
    """
    try:
        with os.scandir(folder) as all_entries:
            entries = [e for e in all_entries if not e.name.startswith(".")]
        above = (*_above, _identity(folder))
        inner = [Path(e.path) for e in entries if e.is_dir()]
        # A folder that leads back is no clip: it is not even looked at for frames.
        _refuse_loops([p for p in inner if p.is_symlink()], above, error)
    except OSError as cause:
        raise error(f"{cause.filename}: cannot read: {cause.strerror}") from cause
    are_frames = any(map(_is_frames_alone, inner))
    folders = set(inner)
    for path in sorted(Path(e.path) for e in entries):
        if path in folders:
            if are_frames:
                yield path
            else:
                yield from clips_below(path, leave_out, error, _above=above)
        elif path.suffix.lower() in CLIP_SUFFIXES and path.is_file():
            yield path
        else:
            leave_out(path)


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


def _refuse_loops(
    links: list[Path], above: tuple[Identity, ...], error: type[ValueError]
) -> None:
    for link in links:
        if _identity(link) in above:
            raise error(
                f"{link}: a link that leads back to {link.resolve()}, in which it "
                f"lies: remove it"
            )


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino
