"""What new annotations change in a version, told before anything is done."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from mindrecord_io import manifest, records

__all__ = ["Changes", "compare"]

logger = logging.getLogger(__name__)

_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a version and what is asked for, by clip and by class.

    Attributes:
      relabelled: "<clip_id>: <old label> -> <new label>", the text having changed.
      renumbered_clips: ids of clips whose label text stays and whose number changes.
      moved: "<clip_id>: <old split> -> <new split>".
      added, withdrawn: ids of clips that only one of the two has.
      added_classes, removed_classes: label texts.
      renumbered_classes: "<label>: <old label_id> -> <new label_id>".
    """

    version: str
    relabelled: tuple[str, ...]
    renumbered_clips: tuple[str, ...]
    moved: tuple[str, ...]
    added: tuple[str, ...]
    withdrawn: tuple[str, ...]
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
                shown = "; ".join(getattr(self, name)[:_MAX_NAMED])
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


def compare(
    version: manifest.Version,
    label_map: records.LabelMap,
    refs: Sequence[records.ClipRef],
) -> Changes:
    """Compares the clips that a version tells of with those that are asked for."""
    columns = ["clip_id", "split", "label", "label_id", "status"]
    table = version.read_clips(columns)
    lists = [table.column(name).to_pylist() for name in columns]
    before = {
        clip_id: (split, label, label_id)
        for clip_id, split, label, label_id, status in zip(*lists, strict=True)
        if status in (records.STORED, records.QUARANTINED)
    }
    relabelled, renumbered, moved, added = [], [], [], []
    for ref in refs:
        old = before.pop(ref.clip_id, None)
        if old is None:
            added.append(ref.clip_id)
            continue
        split, label, label_id = old
        if split != ref.split:
            moved.append(f"{ref.clip_id}: {split} -> {ref.split}")
        if label != ref.label:
            relabelled.append(f"{ref.clip_id}: {label!r} -> {ref.label!r}")
        elif label_id != ref.label_id:
            renumbered.append(ref.clip_id)
    old_ids = {name: i for i, name in enumerate(version.category_names())}
    new_ids = {name: i for i, name in enumerate(label_map.names)}
    return Changes(
        version=version.manifest.version,
        relabelled=tuple(relabelled),
        renumbered_clips=tuple(renumbered),
        moved=tuple(moved),
        added=tuple(added),
        withdrawn=tuple(before),
        added_classes=tuple(n for n in new_ids if n not in old_ids),
        removed_classes=tuple(n for n in old_ids if n not in new_ids),
        renumbered_classes=tuple(
            f"{name}: {old_ids[name]} -> {new_ids[name]}"
            for name in new_ids
            if name in old_ids and old_ids[name] != new_ids[name]
        ),
    )
