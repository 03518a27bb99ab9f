"""Collects the clips that a source lists, one by one, into `Annotations`.

Sources other than Something-Something-v2 name files, not ids, and labels, not numbers.
"""

import collections
import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa

from mindrecord_io.commands import quantities
from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.storage import files, spilled_rows, tallies
from pipelines.sources import clip_walk, label_numbers, text_lines
from pipelines.sources.annotations import (
    AnnotationError,
    Annotations,
    fault_of_label,
    first_repeat,
)

__all__ = ["ListedClips", "id_of", "split_named"]

logger = logging.getLogger(__name__)

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "validate", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ROWS = pa.schema(
    [(name, pa.string()) for name in ("path", "split", "label", "place", "clip_id")]
)
_OTHER_IDS = ": rename one, or list them in a table that has a column clip_id"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)


class ListedClips:
    """The clips of one source, on the disk: train, validation, test, each as listed."""

    def __init__(self, source: Path, clips: Path | None = None) -> None:
        """Begins with no clips.

        Args:
          source: for errors and the log.
          clips: the folder of clips, below which absolute paths must lead; None takes
            them as they are, as nothing is looked for there.
        """
        self._source = source
        self._roots = None if clips is None else (clips.absolute(), clips.resolve())
        self._others: collections.Counter[str] = collections.Counter()
        self._first_others: tallies.Tally[str] = tallies.Tally(1)
        self._set_aside: tallies.Tally[str] = tallies.Tally(1)
        self._rows = spilled_rows.SpilledRows(_ROWS, len(SPLITS))
        self._labels: dict[str, None] = {}
        self._has_paths = self._makes_ids = False

    def add(
        self, split: str, label: str, *, place: str, path: str = "", clip_id: str = ""
    ) -> None:
        """Adds a clip.

        Args:
          label: its text, compared stripped and in Unicode's NFC; not read of test
            clips, whose labels are not public.
          place: file and line, or folder, for errors.
          path: of its file, or folder of frames, below the folder of clips, "/" between
            folders, or an absolute one; "" where it is found by the clip's id.
          clip_id: "" makes one of the file's name (see id_of).

        Raises:
          AnnotationError: the path leads elsewhere, or a label is no line of text.
        """
        path = self._relative(path, place)
        label = text_lines.normal(label)
        if split == "test":
            label = ""  # it may be anything there
        elif why := fault_of_label(label):
            raise AnnotationError(
                f"{place}: a {split} clip needs a label, which {why}, got {label!r:.80}"
            )
        else:
            self._labels[label] = None
        self._has_paths = self._has_paths or bool(path)
        self._makes_ids = self._makes_ids or not clip_id
        row = (path, split, label, files.printable(place), clip_id or id_of(path))
        self._rows.append(row, SPLITS.index(split))

    def leave_out(self, path: str) -> None:
        """Counts a file that is there and is no clip; videos are listed when matched.

        What lists and folders do not name is found in the folder of clips.
        """
        if not clip_walk.is_video_name(path):
            suffix = PurePosixPath(path).suffix.lower()
            self._others[suffix or "no suffix"] += 1
            path = files.printable(path)
            self._first_others.add(path, path)

    def set_aside(self, clip: str) -> None:
        """Counts a listed clip, by its path or id, that is to be in no split."""
        self._set_aside.add(len(self._set_aside), files.printable(clip))

    def annotations(
        self, label_names: Sequence[str] | None = None, *, is_deep: bool = False
    ) -> Annotations:
        """Returns the clips with numbered labels.

        Args:
          label_names: label texts by label_id; None numbers those of the clips (see
            label_numbers).
          is_deep: as in Annotations.

        Raises:
          AnnotationError: no clip, two of one id or file, or a label that is not named.
        """
        self._refuse_repeated()
        if not len(self._rows):
            raise AnnotationError(f"{self._source}: lists no clips")
        numbers: Mapping[str, int]
        if label_names is None:
            names, numbers = label_numbers.numbered(self._labels, self._source)
        else:
            names = tuple(map(text_lines.normal, label_names))
            self._refuse_odd_names(names)
            numbers = {name: number for number, name in enumerate(names)}
        if not names:
            raise AnnotationError(f"{self._source}: no clip has a label")

        def clip(clip_id: str, split: str, label: str, place: str) -> Annotation:
            return _annotation(clip_id, split, label, place, names=names, of=numbers)

        columns = ("clip_id", "split", "label", "place")
        annotations = Annotations(
            LabelMap(names),
            spilled_rows.SpilledView(self._rows, columns, clip),
            self._column("path") if self._has_paths else None,
            is_deep=is_deep,
        )
        self._log_left_out()
        num_clips = len(self._rows)
        logger.info("read %s: %d clips, %d labels", self._source, num_clips, len(names))
        return annotations

    def _refuse_odd_names(self, names: Sequence[str]) -> None:
        for number, name in enumerate(names):
            if why := fault_of_label(name):
                raise AnnotationError(
                    f"{self._source}: the text of label {number} {why}, got "
                    f"{name!r:.80}"
                )

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
            remedy = _OTHER_IDS if self._makes_ids else ""
            raise AnnotationError(
                f"clip {ids[first]!r} is listed twice: {places[first]} "
                f"({paths[first]}) and {places[second]} ({paths[second]}){remedy}"
            )

    def _log_left_out(self) -> None:
        if self._others:
            logger.warning(
                "%s: left out %s whose names are no clips' (%s); the first: %s",
                self._source,
                quantities.count(self._others.total(), "file"),
                ", ".join(f"{s}: {n}" for s, n in self._others.most_common(5)),
                self._first_others.first[0],
            )

        if self._set_aside:
            logger.warning(
                "%s: left out %s for which there is no split; the first: %s",
                self._source,
                quantities.count(len(self._set_aside), "clip"),
                self._set_aside.first[0],
            )

    def _relative(self, path: str, place: str) -> str:
        """Returns a path below the folder of clips; one that leads out is refused."""
        if path.startswith("/"):
            path = self._below_roots(path, place)
        while path.startswith("./"):  # as find writes it
            path = path[2:].lstrip("/")
        _check_path(path, place)
        return path

    def _below_roots(self, path: str, place: str) -> str:
        if self._roots is None:
            return path.lstrip("/")
        above, name = os.path.split(path)
        for there in (path, f"{os.path.realpath(above)}/{name}"):
            for root in self._roots:
                if there.startswith(f"{root}/".replace("//", "/")):
                    return there[len(str(root)) :].lstrip("/")
        raise AnnotationError(
            f"{place}: an absolute path must lead into the folder of clips, "
            f"{self._roots[0]}, got {path!r:.120}"
        )

    def _column(self, name: str) -> Sequence[str]:
        return spilled_rows.SpilledView(self._rows, [name], str)


def split_named(name: str) -> str:
    """Returns the split that a source means by a name, "" if it is none of them."""
    return _SPLIT_NAMES.get(name.strip().lower(), "")


def id_of(path: str) -> str:
    """Returns the id that a path's last part gives, less its suffix.

    Characters that no id may have become "_", and a name that begins with "-" or "."
    (as some of YouTube's do) gets a "_" in front. A hash of the name follows where it
    has characters outside of ASCII, so that names of any script stay apart.
    """
    stem = text_lines.normal(PurePosixPath(path).stem)
    clip_id = _NOT_IN_IDS.sub("_", stem)
    if not stem.isascii():
        digest = hashlib.blake2b(stem.encode("utf-8", "replace"), digest_size=4)
        clip_id = f"{clip_id}-{digest.hexdigest()}"
    return f"_{clip_id}" if clip_id[:1] in "-." else clip_id


def _annotation(
    clip_id: str,
    split: str,
    label: str,
    place: str,
    *,
    names: Sequence[str],
    of: Mapping[str, int],
) -> Annotation:
    try:
        if split == "test":
            return Annotation(clip_id, split, UNLABELLED, "")
        if label not in of:
            raise ValueError(f"no label {label!r} among {len(names)} labels")
        return Annotation(clip_id, split, of[label], names[of[label]])
    except ValueError as cause:
        raise AnnotationError(f"{place}: {cause}") from cause


def _check_path(path: str, place: str) -> None:
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
