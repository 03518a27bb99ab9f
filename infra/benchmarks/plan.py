"""Times planning, publishing, verifying and opening at full size without a clip.

Draws a list of clips with the splits and classes of Something-Something-v2, or
`--num_clips` of them, and measures these steps, each in a process of its own:

    publish   reads the list, places every clip in its shard, writes the references and
              publishes a version from the shards' summaries, which are made up: it has
              every part but the shards' files
    plan      `relabel --dry_run` of a list in which some clips have another class:
              reads it and the version, plans all shards, compares them
    verify    `verify --quick`: the table, the label files and the manifest against one
              another; that it finds no shard's files is expected, and counted
    report    the page on the version, which has no pictures to show
    open      opens train for training and draws the first epoch's order; the shards are
              files of the right size with nothing in them, for the time of this step

`python -m infra.benchmarks.plan [--num_clips 10000000]`; the last line is JSON.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from mindrecord_io import records
from mindrecord_io.shards import schema, shard_folders, sharding
from mindrecord_io.versions import manifests, opening, publication

SPLIT_SIZES = {"train": 168_913, "validation": 24_777, "test": 27_157}
NUM_CLASSES = 174
CLASS_SIZES = (51, 3_284)  # smallest and largest in train
NUM_FRAMES = 45
FRAME_NUM_BYTES = 9_700
STEPS = ("publish", "plan", "verify", "report", "open")

_ROWS_PER_GROUP = 100_000
_NUM_DRAWN = 1_024  # clips whose frames differ
_LIST = pa.schema(
    [(name, pa.string()) for name in ("path", "label", "split", "clip_id")]
)


def split_sizes(num_clips: int) -> dict[str, int]:
    """Returns the clips of each split, shared as in SPLIT_SIZES."""
    sizes = {
        split: size * num_clips // sum(SPLIT_SIZES.values())
        for split, size in SPLIT_SIZES.items()
    }
    return sizes | {"train": sizes["train"] + num_clips - sum(sizes.values())}


def write_list(
    path: Path, seed: int, num_changed: int = 0, num_clips: int | None = None
) -> None:
    """Writes a list; of the train clips `num_changed` get another class."""
    sizes = SPLIT_SIZES if num_clips is None else split_sizes(num_clips)
    rng = random.Random(seed)  # noqa: S311
    names = [f"Doing act {i:03d} with something" for i in range(NUM_CLASSES)]
    smallest, largest = CLASS_SIZES
    weights = [
        smallest + (largest - smallest) * (i / (NUM_CLASSES - 1)) ** 2
        for i in range(NUM_CLASSES)
    ]
    number = 0
    with parquet.ParquetWriter(path, _LIST, compression="zstd") as writer:
        for split, size in sizes.items():
            for begin in range(0, size, _ROWS_PER_GROUP):
                num_rows = min(_ROWS_PER_GROUP, size - begin)
                chosen = rng.choices(range(NUM_CLASSES), weights, k=num_rows)
                if split == "train":
                    for i in range(max(0, min(num_rows, num_changed - begin))):
                        chosen[i] = (chosen[i] + 1) % NUM_CLASSES
                ids = [str(number + i + 1) for i in range(num_rows)]
                number += num_rows
                labels = [names[i] for i in chosen]
                paths = [f"{split}/{clip_id}.webm" for clip_id in ids]
                columns = [paths, labels, [split] * num_rows, ids]
                writer.write_table(pa.table(columns, schema=_LIST))


def made_up_summary(
    split: str, index: int, num_shards: int, clips: Sequence[records.PlannedClip]
) -> records.ShardSummary:
    """Returns what a shard of clips would say of itself, all of them stored."""
    plan = sharding.plan_shard(
        split, index, num_shards, clips=clips, settings=records.DecodeSettings()
    )
    clip_num_bytes = NUM_FRAMES * FRAME_NUM_BYTES
    num_bytes = schema.HEADER_NUM_BYTES + len(plan.clips) * clip_num_bytes
    return records.ShardSummary(
        split=split,
        index=index,
        num_shards=num_shards,
        key=plan.key,
        frames_key=plan.frames_key,
        mindrecord=records.Fingerprint(num_bytes, source(plan.key).sha256),
        mindrecord_index=source(plan.key),
        clips=tuple(
            records.ClipOutcome(
                clip_id=c.clip_id,
                label_id=c.label_id,
                source=c.source,
                status=records.STORED,
                height=240,
                width=427,
                row=row,
                frames_offset=schema.HEADER_NUM_BYTES + row * clip_num_bytes,
                frame_sizes=frame_sizes(c.clip_id),
                frames_sha256=c.source.sha256,
            )
            for row, c in enumerate(plan.clips)
        ),
    )


def frame_sizes(clip_id: str) -> tuple[int, ...]:
    """Returns bytes of each frame of a clip: their sum is that of all other clips."""
    return _drawn_sizes(zlib.crc32(clip_id.encode()) % _NUM_DRAWN)


@functools.cache
def _drawn_sizes(seed: int) -> tuple[int, ...]:
    rng = random.Random(seed)  # noqa: S311
    half = [rng.randrange(1, FRAME_NUM_BYTES) for _ in range(NUM_FRAMES // 2)]
    middle = (FRAME_NUM_BYTES,) * (NUM_FRAMES % 2)
    other = (2 * FRAME_NUM_BYTES - size for size in half)
    return (*half, *middle, *other)


def source(name: str) -> records.Fingerprint:
    """Returns a made-up file's size and hash."""
    return records.Fingerprint(88_000, hashlib.sha256(name.encode()).hexdigest())


@dataclass(frozen=True)
class _NamedFiles:
    """Files of which nothing is known but that annotations name them."""

    annotations: Any

    def look_up(self, index: int, clip_ids: Any) -> Any:
        from pipelines.sources import clip_identities, clip_lookup

        paths = dict(self.annotations.paths_in(index))
        uris = [f"/clips/{paths[clip_id]}" for clip_id in clip_ids.to_pylist()]
        of_clips = clip_identities.not_looked_at(pa.array(uris, pa.string()))
        return clip_lookup.FoundFiles(of_clips, ())


def publish(
    listed: Path,
    dataset: Path,
    num_shards: int | None,
    *,
    clips: Any = None,
    source_of: Callable[[str], records.Fingerprint] = source,
) -> manifests.Version:
    """Publishes a version of all clips of a list, without its shards' files.

    It is the newest of those that there are.

    Args:
      num_shards: None for what a build chooses.
      clips: a clip_lookup.ClipFiles; None for those that the list names.
      source_of: returns size and hash of a clip's file by its id.
    """
    from pipelines.building import version_draft
    from pipelines.planning import clip_listing, clip_references, matching
    from pipelines.planning.version_plans import VersionPlan
    from pipelines.publishing import data_sets
    from pipelines.sources import annotation_readers

    annotations = annotation_readers.read(listed)

    listing = matching.match(annotations, clips or _NamedFiles(annotations))
    settings = records.DecodeSettings()
    data_set = data_sets.LocalDataSet(dataset)
    parent = data_set.current_version() if dataset.exists() else None
    version = VersionPlan(
        parent, annotations, listing, settings, total_shards=num_shards
    )
    by_split = version.num_shards()
    with publication.staging_folder(dataset) as staging:
        rows = clip_listing.by_shard(listing, by_split)
        shards = clip_references.write(staging / "unfinished", rows, by_split)
        clip_references.hand_out(staging / "unfinished", staging)

        def made() -> Iterator[version_draft.MadeShard]:
            for shard in shards:
                references = clip_references.read(staging, shard)
                planned = [
                    records.PlannedClip(
                        c.clip_id, c.label_id, c.uri, source_of(c.clip_id)
                    )
                    for c in references
                ]
                place = (shard.split, shard.index, shard.num_shards)
                summary = made_up_summary(*place, planned)
                content = shard_folders.encoded_summary(summary)
                file = shard_folders.SummaryFile.of(content)
                yield version_draft.MadeShard(file, references)

        written = version_draft.write(version, made(), staging)
        return version_draft.publish(written, parent, data_set)


def step(name: str, folder: Path, num_shards: int | None) -> dict[str, Any]:
    """Runs one of STEPS on what is in a folder; returns its result and its costs."""
    begin = time.perf_counter()
    result = _STEPS[name](folder, num_shards)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return result | {
        "seconds": round(time.perf_counter() - begin, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what each step took; the last line is JSON of all of them."""
    flags = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    result: dict[str, Any] = {"num_clips": flags.num_clips}
    with contextlib.ExitStack() as stack:
        folder = flags.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name, num_changed in (("old", 0), ("new", flags.num_changed)):
            path = folder / f"{name}.parquet"
            if not path.exists():
                write_list(path, 1, num_changed, flags.num_clips)
        for name in flags.steps.split(","):
            result[name] = _apart(step, name, folder, flags.num_shards)
            print(json.dumps({name: result[name]}), flush=True)  # noqa: T201
    print(json.dumps(result))  # noqa: T201
    return 0


def _publish(folder: Path, num_shards: int | None) -> dict[str, Any]:
    manifest = publish(folder / "old.parquet", folder / "dataset", num_shards).manifest
    return {"num_shards": len(manifest.shards), "num_clips": manifest.num_clips}


def _plan(folder: Path, num_shards: int | None) -> dict[str, Any]:
    from pipelines.jobs import relabel

    words = ["--annotations", folder / "new.parquet", "--dataset", folder / "dataset"]
    return _result(relabel.main, [*map(str, words), "--dry_run"])


def _verify(folder: Path, num_shards: int | None) -> dict[str, Any]:
    from pipelines.jobs import verify

    logging.getLogger("pipelines.jobs.verify").setLevel(
        logging.CRITICAL
    )  # a line a shard
    result = _result(verify.main, ["--dataset", str(folder / "dataset"), "--quick"])
    reasons = [damage["reason"] for damage in result.pop("damaged")]
    absent = sum(reason.startswith("cannot be listed") for reason in reasons)
    return result | {"num_absent": absent, "num_damaged": len(reasons) - absent}


def _report(folder: Path, num_shards: int | None) -> dict[str, Any]:
    from pipelines.jobs import report

    return _result(report.main, ["--dataset", str(folder / "dataset")])


def _open(folder: Path, num_shards: int | None) -> dict[str, Any]:
    from mindrecord_io.serving import reader, views
    from mindrecord_io.serving.batches import BatchPlan

    version = opening.open_version(folder / "dataset")
    with hollow_shards(version):
        view, plan = views.TrainView(), BatchPlan(batch_size=64)
        steps = reader.open_split(version, "train", view, plan)
        return {"num_clips": len(steps.rows())}


@contextlib.contextmanager
def hollow_shards(version: manifests.Version) -> Iterator[None]:
    """Keeps files of the shards' sizes, which hold nothing, where the shards belong."""
    shards = version.dataset / "shards"
    shards.mkdir()  # fails where there are real ones
    try:
        for entry in version.manifest.shards:
            path = version.shard_path(entry)
            path.parent.mkdir(parents=True)
            path.touch()
            os.truncate(path, entry.mindrecord.num_bytes if entry.mindrecord else 0)
        yield
    finally:
        shutil.rmtree(shards)


_STEPS = dict(zip(STEPS, (_publish, _plan, _verify, _report, _open), strict=True))


def _result(
    command: Callable[[Sequence[str]], int], words: Sequence[str]
) -> dict[str, Any]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        command(words)
    result: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
    return result


def _apart(function: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Calls a function in a process of its own, whose memory is that of nobody else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    total = sum(SPLIT_SIZES.values())
    parser.add_argument("--num_clips", type=int, default=total, help="in the list")
    parser.add_argument(
        "--num_shards", type=int, help="of all splits; by default as a build chooses"
    )
    parser.add_argument(
        "--num_changed", type=int, default=1000, help="relabelled clips"
    )
    parser.add_argument("--steps", default=",".join(STEPS), help="some of them")
    parser.add_argument(
        "--folder", type=Path, help="for the lists and data sets; temporary by default"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
