"""Compares new annotations with a published version, before any work is done."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from mindrecord_io import records
from mindrecord_io.storage import spilled_rows, tallies
from mindrecord_io.versions.manifests import Version
from pipelines.planning.clip_references import Reference
from pipelines.planning.published_clips import PublishedClip

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
        self._kept: set[str] = set()  # ids of this partition that both have
        self._relabelled: tallies.Tally[str] = tallies.Tally()
        self._renumbered: tallies.Tally[str] = tallies.Tally()
        self._moved: tallies.Tally[str] = tallies.Tally()
        self._added: tallies.Tally[str] = tallies.Tally()
        self._withdrawn: tallies.Tally[str] = tallies.Tally()
        self._missing: tallies.Tally[str] = tallies.Tally()
        self._listed = spilled_rows.SpilledRows(_WITHDRAWN)

    def add(self, clip: Reference, published: PublishedClip | None) -> None:
        """Records an annotated clip, and what the version has of it."""
        order, clip_id = clip.position, clip.clip_id
        if published is None or not published.is_in_shard:
            self._added.add(order, clip_id)
            return
        self._kept.add(clip_id)
        is_labelled = clip.label_id != records.UNLABELLED
        label = self._label_map.names[clip.label_id] if is_labelled else ""
        if published.split != clip.split:
            self._moved.add(order, f"{clip_id}: {published.split} -> {clip.split}")
        if published.label != label:
            self._relabelled.add(order, f"{clip_id}: {published.label!r} -> {label!r}")
        elif published.label_id != clip.label_id:
            self._renumbered.add(order, clip_id)

    def add_missing(
        self, position: int, clip_id: str, published: PublishedClip | None
    ) -> None:
        """Records an annotated clip without a file, and what the version has of it."""
        if published is not None and published.is_in_shard:
            self._kept.add(clip_id)
            self._missing.add(position, clip_id)

    def end_partition(self, published: Mapping[str, PublishedClip]) -> None:
        """Records which of the version's clips of a partition are not annotated."""
        for clip_id, clip in published.items():
            if clip.is_in_shard and clip_id not in self._kept:
                self._withdrawn.add(clip.order, clip_id)
                self._listed.append((clip_id, clip.split))
        self._kept.clear()

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
