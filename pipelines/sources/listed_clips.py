"""What any source lists of a clip, and how such entries become `Annotations`.

Sources other than Something-Something-v2 name files, not ids, and labels, not numbers.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa

from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files, spilled_rows
from pipelines.sources import repeats
from pipelines.sources.something_something import (
    AnnotationError,
    Annotations,
    is_one_line,
)

__all__ = ["ListedClip", "assembled", "split_named"]

logger = logging.getLogger(__name__)

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ROWS = pa.schema(
    [(name, pa.string()) for name in ("path", "split", "label", "place", "clip_id")]
)
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
    spilled = spilled_rows.SpilledRows(_ROWS, len(SPLITS))
    names_used: dict[str, None] = {}
    has_paths = False
    for clip in listed:
        label = "" if clip.split == "test" else clip.label  # it may be anything there
        place = files.printable(clip.place)
        row = (clip.path, clip.split, label, place, clip.id_or_stem)
        spilled.append(row, SPLITS.index(clip.split))
        has_paths = has_paths or bool(clip.path)
        if clip.split != "test":
            names_used[clip.label] = None
    _refuse_repeated(spilled, has_paths=has_paths)
    if not len(spilled):
        raise AnnotationError(f"{source}: lists no clips")
    names = _numbered(names_used) if label_names is None else tuple(label_names)
    if not names:
        raise AnnotationError(f"{source}: no clip has a label")
    numbers = {name: number for number, name in enumerate(names)}

    def annotation(clip_id: str, split: str, label: str, place: str) -> Annotation:
        return _annotation(clip_id, split, label, place, numbers)

    columns = ("clip_id", "split", "label", "place")
    logger.info("read %s: %d clips, %d labels", source, len(spilled), len(names))
    return Annotations(
        LabelMap(names),
        spilled_rows.SpilledView(spilled, columns, annotation),
        spilled_rows.SpilledView(spilled, ["path"], str) if has_paths else (),
    )


def _annotation(
    clip_id: str, split: str, label: str, place: str, numbers: dict[str, int]
) -> Annotation:
    try:
        if split == "test":
            return Annotation(clip_id, split, UNLABELLED, "")
        if label not in numbers:
            raise ValueError(f"no label {label!r} among {len(numbers)} labels")
        return Annotation(clip_id, split, numbers[label], label)
    except ValueError as cause:
        raise AnnotationError(f"{place}: {cause}") from cause


def _numbered(names: Iterable[str]) -> tuple[str, ...]:
    names = tuple(names)
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _refuse_repeated(spilled: spilled_rows.SpilledRows, *, has_paths: bool) -> None:
    paths = spilled_rows.SpilledView(spilled, ["path"], str)
    path_repeat = repeats.first_repeat(paths) if has_paths else None
    ids = spilled_rows.SpilledView(spilled, ["clip_id"], str)
    id_repeat = repeats.first_repeat(ids)
    places = spilled_rows.SpilledView(spilled, ["place"], str)
    if path_repeat and (not id_repeat or path_repeat[1] <= id_repeat[1]):
        first, second = path_repeat
        raise AnnotationError(
            f"file {paths[first]!r} is listed twice: {places[first]} and "
            f"{places[second]}"
        )
    if id_repeat:
        first, second = id_repeat
        raise AnnotationError(
            f"clip {ids[first]!r} is listed twice: {places[first]} "
            f"({paths[first]}) and {places[second]} ({paths[second]})"
        )


def _check_path(path: str, place: str) -> None:
    """Refuses paths that could lead out of the folder of clips."""
    if not path:
        return
    parts = path.split("/")
    is_text = path.encode("utf-8", "replace").decode() == path
    is_odd = "\0" in path or "\\" in path or not is_text
    if is_odd or any(part in ("", ".", "..") for part in parts):
        raise AnnotationError(
            f"{place}: a clip's path must lead from the folder of clips down to a "
            f"file, with '/' between names, got {path!r:.120}"
        )
