"""Compares new annotations with a published version, before any work is done."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from mindrecord_io import records
from mindrecord_io.storage import spilled_rows, table_join, tallies
from mindrecord_io.versions.manifests import Version
from pipelines.planning import published_clips

__all__ = ["Changes", "Comparison"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 3
_WITHDRAWN = pa.schema([("clip_id", pa.string()), ("split", pa.string())])


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a version and new annotations, by clip and by class.

    Clips are counted and the first of them named, in the order of the annotations; the
    withdrawn ones in the order of the version's table.

    Attributes:
      relabelled: "<clip_id>: <old label> -> <new label>", the text having changed.
      renumbered_clips: ids of clips with the same label text and another label_id.
      moved: "<clip_id>: <old split> -> <new split>".
      added, withdrawn: ids of clips that only the annotations, only the version have.
      missing: ids of clips that both have, and whose files are not there.
      added_classes, removed_classes: label texts.
      renumbered_classes: "<label>: <old label_id> -> <new label_id>".
      listed: id and split of every withdrawn clip.
    """

    version: str
    relabelled: tallies.Tally[str]
    renumbered_clips: tallies.Tally[str]
    moved: tallies.Tally[str]
    added: tallies.Tally[str]
    withdrawn: tallies.Tally[str]
    missing: tallies.Tally[str]
    added_classes: tuple[str, ...]
    removed_classes: tuple[str, ...]
    renumbered_classes: tuple[str, ...]
    listed: spilled_rows.SpilledRows

    def counts(self) -> dict[str, int]:
        """Returns the number of changes of each kind."""
        return {
            name: len(getattr(self, name))
            for name in self.__slots__
            if name not in ("version", "listed")
        }

    def log(self) -> None:
        """Logs one line for every kind of change that occurs, with examples."""
        counts = self.counts()
        if not any(counts.values()):
            logger.info("no label or split differs from version %s", self.version)
        for name, count in counts.items():
            if count:
                of_kind = getattr(self, name)
                first = of_kind if isinstance(of_kind, tuple) else of_kind.first
                shown = "; ".join(first[:_MAX_NAMED])
                more = "; ..." if count > _MAX_NAMED else ""
                words = name.replace("_", " ")
                logger.info(
                    "against version %s: %d %s (%s%s)",
                    self.version,
                    count,
                    words,
                    shown,
                    more,
                )


class Comparison:
    """Compares a version's clips with annotated ones, a partition at a time."""

    def __init__(self, version: Version, label_map: records.LabelMap) -> None:
        self._version = version
        self._label_map = label_map
        self._relabelled: tallies.Tally[str] = tallies.Tally()
        self._renumbered: tallies.Tally[str] = tallies.Tally()
        self._moved: tallies.Tally[str] = tallies.Tally()
        self._added: tallies.Tally[str] = tallies.Tally()
        self._withdrawn: tallies.Tally[str] = tallies.Tally()
        self._missing: tallies.Tally[str] = tallies.Tally()
        self._listed = spilled_rows.SpilledRows(_WITHDRAWN)

    def add(
        self, clips: pa.Table, before: pa.Table, is_there: npt.NDArray[np.bool_]
    ) -> None:
        """Records a partition's annotated clips, and what the version has of them.

        Args:
          clips: as Annotations.partition returns them.
          before: as PublishedClips.partition returns them, a row for each of `clips`,
            of nulls where the version does not have it.
          is_there: which of the clips have a file, bool (clips,).
        """
        was_there = published_clips.are_in_shards(before)
        is_kept = is_there & was_there
        is_moved = is_kept & _differ(clips, before, "split")
        is_relabelled = is_kept & _differ(clips, before, "label")
        is_renumbered = is_kept & _differ(clips, before, "label_id") & ~is_relabelled
        rows = table_join.chosen_rows
        for (clip,) in rows(is_there & ~was_there, clips):
            self._added.add(clip["position"], clip["clip_id"])
        for (clip,) in rows(was_there & ~is_there, clips):
            self._missing.add(clip["position"], clip["clip_id"])
        for clip, old in rows(is_moved, clips, before):
            text = f"{clip['clip_id']}: {old['split']} -> {clip['split']}"
            self._moved.add(clip["position"], text)
        for clip, old in rows(is_relabelled, clips, before):
            text = f"{clip['clip_id']}: {old['label']!r} -> {clip['label']!r}"
            self._relabelled.add(clip["position"], text)
        for (clip,) in rows(is_renumbered, clips):
            self._renumbered.add(clip["position"], clip["clip_id"])

    def add_withdrawn(self, published: pa.Table, annotated: table_join.Column) -> None:
        """Records which of the version's clips of a partition are not annotated.

        Args:
          published: as PublishedClips.partition returns them.
          annotated: ids of all that are annotated.
        """
        is_kept = table_join.is_among(published.column("clip_id"), annotated)
        gone = published_clips.are_in_shards(published) & ~is_kept
        for (clip,) in table_join.chosen_rows(gone, published):
            self._withdrawn.add(clip["order"], clip["clip_id"])
            self._listed.append((clip["clip_id"], clip["split"]))

    def result(self) -> Changes:
        """Returns the difference, including that of the classes."""
        version, names = self._version, self._label_map.names
        old_ids = {name: i for i, name in enumerate(version.category_names())}
        new_ids = {name: i for i, name in enumerate(names)}
        return Changes(
            version=version.manifest.version,
            relabelled=self._relabelled,
            renumbered_clips=self._renumbered,
            moved=self._moved,
            added=self._added,
            withdrawn=self._withdrawn,
            missing=self._missing,
            added_classes=tuple(n for n in new_ids if n not in old_ids),
            removed_classes=tuple(n for n in old_ids if n not in new_ids),
            renumbered_classes=tuple(
                f"{name}: {old_ids[name]} -> {new_ids[name]}"
                for name in new_ids
                if name in old_ids and old_ids[name] != new_ids[name]
            ),
            listed=self._listed,
        )


def _differ(clips: pa.Table, before: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    return table_join.mask(compute.not_equal(clips.column(name), before.column(name)))
