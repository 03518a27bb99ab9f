"""What any source lists of a clip, and how such entries become `Annotations`.

Sources other than Something-Something-v2 name files, not ids, and labels, not numbers.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from pipelines.annotations import AnnotationError, Annotations, is_one_line

__all__ = ["ListedClip", "assembled", "split_named"]

logger = logging.getLogger(__name__)

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip as a source lists it.

    Attributes:
      path: of its file, or folder of frames, below the folder of clips, "/" between
        folders; "" where it is found by the clip's id.
      label: its text; not read of test clips, whose labels are not public.
      place: file and line, or folder, for errors.
    """

    path: str
    split: str
    label: str
    place: str
    clip_id: str = ""

    def __post_init__(self) -> None:
        _check_path(self.path, self.place)
        if self.split != "test" and not is_one_line(self.label):
            raise AnnotationError(
                f"{self.place}: a {self.split} clip needs a label that is one line of "
                f"text, got {self.label!r:.80}"
            )

    @property
    def id_or_stem(self) -> str:
        """The id given, or one made of the file's name.

        Characters that no id may have become "_", and a name that begins with "-" or
        "." (as some of YouTube's do) gets a "_" in front.
        """
        if self.clip_id:
            return self.clip_id
        stem = _NOT_IN_IDS.sub("_", PurePosixPath(self.path).stem)
        return f"_{stem}" if stem[:1] in "-." else stem


def split_named(name: str) -> str:
    """Returns the split that a source means by a name, "" if it is none of them."""
    return _SPLIT_NAMES.get(name.strip().lower(), "")


def assembled(
    source: Path,
    listed: Iterable[ListedClip],
    label_names: Sequence[str] | None = None,
) -> Annotations:
    """Puts a source's clips together: train, validation, test, each as listed.

    Args:
      source: for errors and the log.
      listed: the clips.
      label_names: label texts by label_id; None numbers those of the clips, in the
        order of their numbers if all are numbers, else of their letters.

    Raises:
      AnnotationError: no clip, two of one id or file, or a label that is not named.
    """
    clips = sorted(listed, key=lambda clip: SPLITS.index(clip.split))
    _refuse_repeated(clips)
    if not clips:
        raise AnnotationError(f"{source}: lists no clips")
    names = _numbered(clips) if label_names is None else tuple(label_names)
    if not names:
        raise AnnotationError(f"{source}: no clip has a label")
    numbers = {name: number for number, name in enumerate(names)}
    annotated = tuple(_annotation(clip, numbers) for clip in clips)
    paths = tuple(clip.path for clip in clips)
    logger.info("read %s: %d clips, %d labels", source, len(clips), len(names))
    return Annotations(LabelMap(names), annotated, paths if any(paths) else ())


def _annotation(clip: ListedClip, numbers: dict[str, int]) -> Annotation:
    try:
        if clip.split == "test":
            return Annotation(clip.id_or_stem, clip.split, UNLABELLED, "")
        if clip.label not in numbers:
            raise ValueError(f"no label {clip.label!r} among {len(numbers)} labels")
        number = numbers[clip.label]
        return Annotation(clip.id_or_stem, clip.split, number, clip.label)
    except ValueError as cause:
        raise AnnotationError(f"{clip.place}: {cause}") from cause


def _numbered(clips: Sequence[ListedClip]) -> tuple[str, ...]:
    names = {clip.label for clip in clips if clip.split != "test"}
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _refuse_repeated(clips: Sequence[ListedClip]) -> None:
    first_by_id: dict[str, ListedClip] = {}
    first_by_path: dict[str, ListedClip] = {}
    for clip in clips:
        first = first_by_path.setdefault(clip.path, clip) if clip.path else clip
        if first is not clip:
            raise AnnotationError(
                f"file {clip.path!r} is listed twice: {first.place} and {clip.place}"
            )
        first = first_by_id.setdefault(clip.id_or_stem, clip)
        if first is not clip:
            raise AnnotationError(
                f"clip {clip.id_or_stem!r} is listed twice: {first.place} "
                f"({first.path}) and {clip.place} ({clip.path})"
            )


def _check_path(path: str, place: str) -> None:
    """Refuses paths that could lead out of the folder of clips."""
    if not path:
        return
    parts = path.split("/")
    if "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise AnnotationError(
            f"{place}: a clip's path must lead from the folder of clips down to a "
            f"file, with '/' between names, got {path!r:.120}"
        )
