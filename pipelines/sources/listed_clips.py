"""Collects the clips that a source lists, one by one, into `Annotations`.

Sources other than Something-Something-v2 name files, not ids, and labels, not numbers.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa

from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files, spilled_rows
from pipelines.sources.annotations import (
    AnnotationError,
    Annotations,
    first_repeat,
    is_one_line,
)

__all__ = ["ListedClips", "split_named"]

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


class ListedClips:
    """The clips of one source, on the disk: train, validation, test, each as listed."""

    def __init__(self, source: Path) -> None:
        """Begins with no clips; `source` is for errors and the log."""
        self._source = source
        self._rows = spilled_rows.SpilledRows(_ROWS, len(SPLITS))
        self._labels: dict[str, None] = {}
        self._has_paths = False

    def add(
        self, split: str, label: str, *, place: str, path: str = "", clip_id: str = ""
    ) -> None:
        """Adds a clip.

        Args:
          label: its text; not read of test clips, whose labels are not public.
          place: file and line, or folder, for errors.
          path: of its file, or folder of frames, below the folder of clips, "/" between
            folders; "" where it is found by the clip's id.
          clip_id: "" makes one of the file's name: characters that no id may have
            become "_", and a name that begins with "-" or "." (as some of YouTube's
            do) gets a "_" in front.

        Raises:
          AnnotationError: the path leads elsewhere, or a label is no line of text.
        """
        _check_path(path, place)
        if split == "test":
            label = ""  # it may be anything there
        elif is_one_line(label):
            self._labels[label] = None
        else:
            raise AnnotationError(
                f"{place}: a {split} clip needs a label that is one line of text, got "
                f"{label!r:.80}"
            )
        self._has_paths = self._has_paths or bool(path)
        row = (path, split, label, files.printable(place), clip_id or _id_of(path))
        self._rows.append(row, SPLITS.index(split))

    def annotations(self, label_names: Sequence[str] | None = None) -> Annotations:
        """Returns the clips with numbered labels.

        Args:
          label_names: label texts by label_id; None numbers those of the clips, in the
            order of their numbers if all are numbers, else of their letters.

        Raises:
          AnnotationError: no clip, two of one id or file, or a label that is not named.
        """
        self._refuse_repeated()
        if not len(self._rows):
            raise AnnotationError(f"{self._source}: lists no clips")
        names = _numbered(self._labels) if label_names is None else tuple(label_names)
        if not names:
            raise AnnotationError(f"{self._source}: no clip has a label")
        numbers = {name: number for number, name in enumerate(names)}

        def clip(clip_id: str, split: str, label: str, place: str) -> Annotation:
            return _annotation(clip_id, split, label, place, numbers)

        columns = ("clip_id", "split", "label", "place")
        annotations = Annotations(
            LabelMap(names),
            spilled_rows.SpilledView(self._rows, columns, clip),
            self._column("path") if self._has_paths else None,
        )
        num_clips = len(self._rows)
        logger.info("read %s: %d clips, %d labels", self._source, num_clips, len(names))
        return annotations

    def _refuse_repeated(self) -> None:
        paths, ids, places = map(self._column, ("path", "clip_id", "place"))
        path_repeat = first_repeat(paths) if self._has_paths else None
        id_repeat = first_repeat(ids)
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

    def _column(self, name: str) -> Sequence[str]:
        return spilled_rows.SpilledView(self._rows, [name], str)


def split_named(name: str) -> str:
    """Returns the split that a source means by a name, "" if it is none of them."""
    return _SPLIT_NAMES.get(name.strip().lower(), "")


def _id_of(path: str) -> str:
    stem = _NOT_IN_IDS.sub("_", PurePosixPath(path).stem)
    return f"_{stem}" if stem[:1] in "-." else stem


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
