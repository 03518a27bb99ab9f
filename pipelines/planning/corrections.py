"""Makes annotations of a version's own, with some labels corrected.

A file of corrections is a table (CSV, TSV or Parquet) of `clip_id` (or `clip`) and
`label`, the text of a class that there is. All else stays: splits, classes, numbers and
the order of the clips.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mindrecord_io import naming, records
from mindrecord_io.commands import quantities
from mindrecord_io.records import SPLITS, UNLABELLED, Annotation, LabelMap
from mindrecord_io.shards import sharding
from mindrecord_io.storage import spilled_rows
from mindrecord_io.versions.manifests import Version
from pipelines.planning.published_clips import PublishedClips
from pipelines.sources import table_rows, text_lines
from pipelines.sources.annotations import AnnotationError, Annotations

__all__ = ["corrected"]

logger = logging.getLogger(__name__)

_LISTED = pa.schema([("position", pa.int64()), ("clip_id", pa.string())])
_CLIPS = pa.schema(
    [
        ("position", pa.int64()),
        ("clip_id", pa.string()),
        ("split_index", pa.int8()),
        ("label_id", pa.int32()),
    ]
)
_CLIPS_PER_SPLIT = 1 << 40  # more than any split has: it orders the splits


def corrected(version: Version, path: Path) -> Annotations:
    """Returns a version's annotations with the labels that a file corrects.

    Raises:
      AnnotationError: the file names a clip that the version does not have, a label
        that is none of its classes, or a clip twice.
      ManifestError, TableError: the version's files cannot be used.
    """
    label_map = LabelMap(tuple(version.category_names()))
    wanted = _read(path, label_map)
    num_wanted = len(wanted)
    published, listed = PublishedClips(version), _listed(version)
    clips = spilled_rows.SpilledRows(_CLIPS, sharding.NUM_PARTITIONS)
    for index in range(sharding.NUM_PARTITIONS):
        positions = {clip_id: at for at, clip_id in listed.rows(index)}
        rows = []
        for clip in published.partition(index).to_pylist():
            if clip["status"] == records.UNLISTED:
                continue
            clip_id = clip["clip_id"]
            label_id = _label_id(clip_id, clip["label_id"], wanted, path)
            # Clips that are not stored are in no list: they follow those that are.
            at = positions.get(clip_id, _CLIPS_PER_SPLIT // 2 + clip["order"])
            split_index = SPLITS.index(clip["split"])
            at += split_index * _CLIPS_PER_SPLIT
            rows.append((at, clip_id, split_index, label_id))
        for row in sorted(rows):
            clips.append(row, index)
    if wanted:
        raise AnnotationError(
            f"{path}: {quantities.count(len(wanted), 'clip')} not of version "
            f"{version.manifest.version}; the first: {next(iter(wanted))!r}"
        )
    logger.info("%s: %d corrections", path, num_wanted)
    texts = {UNLABELLED: "", **dict(enumerate(label_map.names))}

    def clip_of(_: int, clip_id: str, split_index: int, label_id: int) -> Annotation:
        return Annotation(clip_id, SPLITS[split_index], label_id, texts[label_id])

    return Annotations(
        label_map, spilled_rows.OrderedView(clips, _CLIPS.names, clip_of)
    )


def _read(path: Path, label_map: LabelMap) -> dict[str, int]:
    """Returns label_ids by clip id."""
    column = "clip_id"
    if column not in table_rows.header(path, (column, "clip", "label")):
        column = "clip"
    wanted: dict[str, int] = {}
    for row, place in table_rows.rows(path, (column, "label")):
        clip_id = row[column].strip()
        try:
            label_id = label_map.label_id(text_lines.normal(row["label"]))
        except ValueError as cause:
            raise AnnotationError(f"{place} (clip {clip_id!r}): {cause}") from cause
        if wanted.setdefault(clip_id, label_id) != label_id:
            raise AnnotationError(f"{place}: clip {clip_id!r} has another label above")
    if not wanted:
        raise AnnotationError(f"{path}: lists no corrections")
    return wanted


def _label_id(clip_id: str, before: int, wanted: dict[str, int], path: Path) -> int:
    """Returns a clip's label_id, corrected; takes the correction out of `wanted`."""
    if clip_id not in wanted:
        return before
    if before == UNLABELLED:
        raise AnnotationError(
            f"{path}: clip {clip_id!r} is a test clip without a label: nothing can be "
            f"corrected"
        )
    return wanted.pop(clip_id)


def _listed(version: Version) -> spilled_rows.SpilledRows:
    """Returns the stored clips with their places in the version's lists."""
    listed = spilled_rows.SpilledRows(_LISTED, sharding.NUM_PARTITIONS)
    for name in naming.LIST_FILES.values():
        for position, clip_id in enumerate(_ids(version, name)):
            listed.append((position, clip_id), sharding.partition_of(clip_id))
    return listed


def _ids(version: Version, name: str) -> Iterator[str]:
    path = naming.labels_folder(version.folder) / name
    for line, _ in text_lines.lines(path):
        yield line.partition(" ")[0]
