"""Times planning at full size without a clip: the fields of Something-Something-v2.

Draws annotations with the data set's number of clips, splits and classes, writes a
version of them that has every part but the shards, and measures what
`relabel --dry_run` takes to plan all shards of changed annotations and compare them
with that version. `python infra/benchmarks/plan.py`
"""

import argparse
import contextlib
import hashlib
import io
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mindrecord_io import (
    clips_table,
    files,
    manifest,
    naming,
    records,
    schema,
    sharding,
)
from pipelines import annotations

SPLIT_SIZES = {"train": 168_913, "validation": 24_777, "test": 27_157}
NUM_CLASSES = 174
CLASS_SIZES = (51, 3_284)  # smallest and largest in train
NUM_FRAMES = 45
FRAME_NUM_BYTES = 9_700


def split_sizes(num_clips: int) -> dict[str, int]:
    """Returns the clips of each split, shared as in SPLIT_SIZES."""
    sizes = {
        split: size * num_clips // sum(SPLIT_SIZES.values())
        for split, size in SPLIT_SIZES.items()
    }
    return sizes | {"train": sizes["train"] + num_clips - sum(sizes.values())}


def write_annotations(
    folder: Path, seed: int, num_changed: int = 0, num_clips: int | None = None
) -> None:
    """Writes the four files; of the train clips `num_changed` get another class."""
    sizes = SPLIT_SIZES if num_clips is None else split_sizes(num_clips)
    rng = random.Random(seed)  # noqa: S311
    names = [f"Doing act {i:03d} with something" for i in range(NUM_CLASSES)]
    smallest, largest = CLASS_SIZES
    weights = [
        smallest + (largest - smallest) * (i / (NUM_CLASSES - 1)) ** 2
        for i in range(NUM_CLASSES)
    ]
    ids = list(range(1, sum(sizes.values()) + 1))
    rng.shuffle(ids)
    begin = 0
    labels = {name: str(i) for i, name in enumerate(names)}
    _write(folder / "labels.json", labels)
    for split, size in sizes.items():
        chosen = rng.choices(range(NUM_CLASSES), weights, k=size)
        if split == "train":
            for i in range(num_changed):
                chosen[i] = (chosen[i] + 1) % NUM_CLASSES
        rows: list[dict[str, object]] = []
        for clip_id, label_id in zip(ids[begin : begin + size], chosen, strict=True):
            row: dict[str, object] = {"id": str(clip_id)}
            if split != "test":
                name = names[label_id]
                row["label"] = name.replace("something", "a thing")
                row["template"] = name.replace("something", "[something]")
                row["placeholders"] = ["a thing"]
            rows.append(row)
        _write(folder / f"{split}.json", rows)
        begin += size


def write_version(
    dataset: Path, annotated: annotations.Annotations, shards: int
) -> None:
    """Publishes a version of all the annotated clips, without its shards' files."""
    counts = dict.fromkeys(records.SPLITS, 0)
    for clip in annotated.clips:
        counts[clip.split] += 1
    num_shards = sharding.split_num_shards(counts, shards)
    places: dict[tuple[str, int], list[records.Annotation]] = {}
    for clip in annotated.clips:
        index = sharding.shard_index(clip.clip_id, num_shards[clip.split])
        places.setdefault((clip.split, index), []).append(clip)
    entries: list[manifest.ShardEntry] = []
    incomplete = naming.incomplete_folder(dataset / "versions")
    incomplete.mkdir(parents=True)
    table = naming.clips_table_path(incomplete)
    clips_table.write(table, _row_groups(places, num_shards, entries))
    naming.labels_folder(incomplete).mkdir()
    category = naming.labels_folder(incomplete) / naming.CATEGORY_FILE
    category.write_text("\n".join(annotated.label_map.names))
    manifest.publish(
        dataset,
        incomplete,
        manifest.Manifest(
            format_version=schema.FORMAT_VERSION,
            version="",
            parent="",
            created_at=manifest.utc_now(),
            settings=records.DecodeSettings(),
            salt=sharding.DEFAULT_SALT,
            label_digest=annotated.digest,
            num_classes=len(annotated.label_map),
            num_clips=len(annotated.clips),
            num_quarantined=0,
            num_missing=0,
            num_unlisted=0,
            num_frames=NUM_FRAMES * len(annotated.clips),
            clips_table=files.fingerprint(table),
            shards=tuple(entries),
        ),
    )


def _row_groups(
    places: dict[tuple[str, int], list[records.Annotation]],
    num_shards: dict[str, int],
    entries: list[manifest.ShardEntry],
) -> Iterator[list[dict[str, object]]]:
    """Yields the rows of each shard; appends its entry."""
    for (split, index), clips in sorted(places.items()):
        planned = [
            records.PlannedClip(c.clip_id, c.label_id, _uri(c), _source(c))
            for c in clips
        ]
        plan = sharding.plan_shard(
            split,
            index,
            num_shards[split],
            clips=planned,
            settings=records.DecodeSettings(),
        )
        summary = records.ShardSummary(
            split=split,
            index=index,
            num_shards=num_shards[split],
            key=plan.key,
            frames_key=plan.frames_key,
            mindrecord=_source(clips[0]),
            mindrecord_index=_source(clips[0]),
            clips=tuple(
                records.ClipOutcome(
                    clip_id=c.clip_id,
                    label_id=c.label_id,
                    source=c.source,
                    status=records.STORED,
                    height=240,
                    width=427,
                    row=row,
                    frames_offset=schema.HEADER_NUM_BYTES
                    + row * NUM_FRAMES * FRAME_NUM_BYTES,
                    frame_sizes=(FRAME_NUM_BYTES,) * NUM_FRAMES,
                    frames_sha256=c.source.sha256,
                )
                for row, c in enumerate(plan.clips)
            ),
        )
        entries.append(manifest.ShardEntry.of(summary))
        refs = {
            c.clip_id: records.ClipRef(c.clip_id, c.split, c.label_id, c.label, _uri(c))
            for c in clips
        }
        yield clips_table.shard_rows(summary, entries[-1].path, refs)


def _source(clip: records.Annotation) -> records.Fingerprint:
    return records.Fingerprint(
        88_000, hashlib.sha256(clip.clip_id.encode()).hexdigest()
    )


def _uri(clip: records.Annotation) -> str:
    return f"/clips/{clip.clip_id}.webm"


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what planning took; the last line is JSON."""
    from pipelines import relabel  # loads Beam, which the rest can do without

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--num_clips", type=int, default=sum(SPLIT_SIZES.values()))
    parser.add_argument("--num_shards", type=int, default=1024)
    parser.add_argument(
        "--num_changed", type=int, default=1000, help="relabelled clips"
    )
    flags = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new, dataset = folder / "old", folder / "new", folder / "dataset"
        old.mkdir()
        new.mkdir()
        write_annotations(old, seed=1, num_clips=flags.num_clips)
        write_annotations(new, 1, flags.num_changed, flags.num_clips)
        # In a process of its own: its memory is not what is measured here.
        _write_version_apart(dataset, old, flags.num_shards)
        output = io.StringIO()
        begin = time.perf_counter()
        with contextlib.redirect_stdout(output):
            status = relabel.main(
                ["--annotations", str(new), "--dataset", str(dataset), "--dry_run"]
            )
        seconds = time.perf_counter() - begin
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = json.loads(output.getvalue().splitlines()[-1])
    result |= {"seconds": round(seconds, 3), "peak_mib": round(peak_mib)}
    print(json.dumps(result))  # noqa: T201
    return status


def _write_version_apart(dataset: Path, old: Path, num_shards: int) -> None:
    import multiprocessing

    process = multiprocessing.get_context("spawn").Process(
        target=_write_version_of, args=(dataset, old, num_shards)
    )
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"writing the version failed: {process.exitcode}")


def _write_version_of(dataset: Path, old: Path, num_shards: int) -> None:
    write_version(dataset, annotations.read_annotations(old), num_shards)


if __name__ == "__main__":
    sys.exit(main())
