"""Keeps the corrections file: the labels that a person has decided on.

A line per clip that was looked at, `clip_id`, a tab, `label`: the right label, which is
the old one where it was kept. `clipmill relabel --corrections` reads the file.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mindrecord_io.storage import files

__all__ = ["Corrections", "CorrectionsError"]

_HEAD = ["clip_id", "label"]


class CorrectionsError(ValueError):
    """A corrections file cannot be read, or a correction cannot be used."""


class Corrections:
    """The decisions so far; the file is whole after every one of them."""

    def __init__(self, path: Path, category_names: Sequence[str]) -> None:
        """Reads the file where there is one.

        Raises:
          CorrectionsError: it is no corrections file of these classes.
        """
        self.path = path
        self._names = frozenset(category_names)
        self._labels: dict[str, str] = {}
        if path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._labels)

    def label(self, clip_id: str) -> str | None:
        """Returns the label that a clip is to have, None if nobody has decided."""
        return self._labels.get(clip_id)

    def decide(self, clip_id: str, label: str) -> None:
        """Records and writes that a clip is to have a label.

        Raises:
          CorrectionsError: there is no such label. OSError: the file cannot be written.
        """
        self._check(label, clip_id)
        labels = self._labels | {clip_id: label}
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
        writer.writerow(_HEAD)
        writer.writerows(labels.items())
        files.replace_file(self.path, buffer.getvalue().encode())
        self._labels = labels

    def _check(self, label: str, clip_id: str) -> None:
        if label not in self._names:
            raise CorrectionsError(
                f"{self.path}: clip {clip_id}: no class is called {label!r}"
            )

    def _read(self) -> None:
        try:
            text = self.path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as cause:
            raise CorrectionsError(f"{self.path}: not UTF-8 text: {cause}") from cause
        rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
        if not rows or rows[0] != _HEAD or any(len(row) != 2 for row in rows):
            raise CorrectionsError(
                f"{self.path}: not a corrections file: its lines must be clip_id, a "
                "tab, label, and the first one these two words"
            )
        for clip_id, label in rows[1:]:
            self._check(label, clip_id)
            self._labels[clip_id] = label
