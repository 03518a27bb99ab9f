"""What new annotations change in a version, told before anything is done."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mindrecord_io import records
from mindrecord_io.storage import tallies
from mindrecord_io.versions import manifests
from pipelines.planning import clip_references, held_clips

__all__ = ["Changes", "Comparison"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a version and what is asked for, by clip and by class.

    Clips are counted and the first of them named, in the order of the annotations; of
    `withdrawn`, in that of the version's table.

    Attributes:
      relabelled: "<clip_id>: <old label> -> <new label>", the text having changed.
      renumbered_clips: ids of clips whose label text stays and whose number changes.
      moved: "<clip_id>: <old split> -> <new split>".
      added, withdrawn: ids of clips that only one of the two has.
      added_classes, removed_classes: label texts.
      renumbered_classes: "<label>: <old label_id> -> <new label_id>".
    """

    version: str
    relabelled: tallies.Tally[str]
    renumbered_clips: tallies.Tally[str]
    moved: tallies.Tally[str]
    added: tallies.Tally[str]
    withdrawn: tallies.Tally[str]
    added_classes: tuple[str, ...]
    removed_classes: tuple[str, ...]
    renumbered_classes: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Returns how many there are of each kind."""
        return {
            name: len(getattr(self, name))
            for name in self.__slots__
            if name != "version"
        }

    def log(self) -> None:
        """Logs a line for every kind of change that there is, with examples."""
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
    """Compares the clips that a version tells of with those that are asked for."""

    def __init__(self, version: manifests.Version, label_map: records.LabelMap) -> None:
        self._version = version
        self._label_map = label_map
        self._asked_for: set[str] = set()  # of the clips held, in this partition
        self._relabelled: tallies.Tally[str] = tallies.Tally()
        self._renumbered: tallies.Tally[str] = tallies.Tally()
        self._moved: tallies.Tally[str] = tallies.Tally()
        self._added: tallies.Tally[str] = tallies.Tally()
        self._withdrawn: tallies.Tally[str] = tallies.Tally()

    def add(
        self, asked: clip_references.Reference, old: held_clips.HeldClip | None
    ) -> None:
        """Takes note of a clip that is asked for, and of what it is in the version."""
        order, clip_id = asked.position, asked.clip_id
        if old is None or not old.is_in_shard:
            self._added.add(order, clip_id)
            return
        self._asked_for.add(clip_id)
        is_labelled = asked.label_id != records.UNLABELLED
        label = self._label_map.names[asked.label_id] if is_labelled else ""
        if old.split != asked.split:
            self._moved.add(order, f"{clip_id}: {old.split} -> {asked.split}")
        if old.label != label:
            self._relabelled.add(order, f"{clip_id}: {old.label!r} -> {label!r}")
        elif old.label_id != asked.label_id:
            self._renumbered.add(order, clip_id)

    def end_partition(self, held: Mapping[str, held_clips.HeldClip]) -> None:
        """Takes note of the version's clips, of a partition that `add` is done with."""
        for clip_id, clip in held.items():
            if clip.is_in_shard and clip_id not in self._asked_for:
                self._withdrawn.add(clip.order, clip_id)
        self._asked_for.clear()

    def result(self) -> Changes:
        """Returns the difference, that of the classes included."""
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
            added_classes=tuple(n for n in new_ids if n not in old_ids),
            removed_classes=tuple(n for n in old_ids if n not in new_ids),
            renumbered_classes=tuple(
                f"{name}: {old_ids[name]} -> {new_ids[name]}"
                for name in new_ids
                if name in old_ids and old_ids[name] != new_ids[name]
            ),
        )
