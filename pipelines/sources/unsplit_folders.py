"""Reads folders of `<class>/<clip>`, which `--split_by` divides into splits."""

from pathlib import Path

from pipelines.sources import clip_walk, splitting
from pipelines.sources.annotations import AnnotationError, Annotations, LayoutError
from pipelines.sources.choices import Choices
from pipelines.sources.layouts import Layout
from pipelines.sources.listed_clips import ListedClips, id_of

__all__ = ["LAYOUT"]


def _is_layout_of(path: Path) -> bool:
    """Returns whether a folder has folders with clips in them, and none at its top."""
    if not path.is_dir():
        return False
    try:
        below = clip_walk.clips_below(path, lambda _: None, AnnotationError)
        first = next(below, None)
    except AnnotationError:
        return False
    return first is not None and len(first.relative_to(path).parts) == 2


def _read(folder: Path, choices: Choices) -> Annotations:
    """Reads `<class>/<clip>`; the folder is to be given as --clips too.

    Raises:
      AnnotationError: no `--split_by`, a clip lies elsewhere, two have one id, or there
        is none.
    """
    if not choices.split_by:
        raise LayoutError(
            f"{folder}: folders of classes without splits: give --split_by, a share "
            f"for validation such as 0.1, or a list (lines of path,split)"
        )
    splitter = splitting.splitter(choices.split_by, choices.split_seed)
    clips = ListedClips(folder, choices.clips)

    def leave_out(path: Path) -> None:
        clips.leave_out(path.relative_to(folder).as_posix())

    for path in clip_walk.clips_below(folder, leave_out, AnnotationError):
        inner = path.relative_to(folder)
        if len(inner.parts) != 2:
            raise LayoutError(
                f"{path}: a clip must lie in a folder of its class, <class>/<clip>"
            )
        if split := splitter.split_of(inner.as_posix(), id_of(inner.as_posix())):
            clips.add(split, inner.parts[0], place=str(path), path=inner.as_posix())
        else:
            clips.set_aside(inner.as_posix())
    splitter.check_used()
    return clips.annotations()


LAYOUT = Layout(
    annotations="a folder of `<class>/<clip>`, with `--split_by` (a share such as 0.1, "
    "or a list)",
    clips="the same folder",
    is_layout_of=_is_layout_of,
    read=_read,
    takes_split_by=True,
)
