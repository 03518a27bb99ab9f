"""Measures what it takes to see that no clip of a data set has changed.

Draws some clips and links them under `--num_clips` names; publishes a version of them,
whose shards' files are made up and whose sources are true; and records how the clips
are recognised, as a build does. What is measured then, in a process of its own, is what
a build does until every shard is planned and has the key that is published:

    list       lists the folder of clips, and nothing else
    annotate   reads the annotations
    plan       lists the clips, joins them with annotations, version and records, and
               writes every shard's references
    recognise  looks at every clip, as workers do, and computes the shards' keys
    rehash     the same with all clips read, as without records; from memory, because
               few files are behind all the names

`python -m infra.benchmarks.unchanged`; the last line is JSON.
"""

import collections
import functools
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.benchmarks import measuring, plan
from mindrecord_io.records import Fingerprint, PlannedClip
from mindrecord_io.shards import sharding
from mindrecord_io.storage import files
from mindrecord_io.versions import opening
from mindrecord_io.versions.manifests import Version

__all__ = ["Options", "look", "main", "measure", "publish"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """One measurement."""

    num_clips: int = sum(plan.SPLIT_SIZES.values())
    num_rounds: int = 3
    num_workers: tuple[int, ...] = (1,)
    workdir: Path | None = None

    def __post_init__(self) -> None:
        measuring.check_at_least_one(self, "num_clips", "num_rounds")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    parser = measuring.parser(__doc__ or "", Options())
    return measuring.main(argv, parser, Options, measure)


def measure(options: Options, folder: Path) -> Mapping[str, object]:
    """Returns what was counted, and the least processor time of each step."""
    package = measuring.draw_package(folder, folder, options.num_clips)
    time.sleep(3)  # what is younger than that is read
    dataset = folder / "dataset"
    _apart(publish, package, dataset)
    rounds = [_apart(look, package, dataset) for _ in range(options.num_rounds)]
    steps = rounds[0]["cpu_seconds"]
    least = {step: min(r["cpu_seconds"][step] for r in rounds) for step in steps}
    above = least["plan"] - least["list"] + least["recognise"]
    return {
        **rounds[-1],
        "cpu_seconds": least,
        "cpu_seconds_above_listing": round(above, 2),
    }


def publish(package: Path, dataset: Path) -> None:
    """Publishes a version of a package's clips, and records how they are recognised."""
    from pipelines.planning import source_records
    from pipelines.planning.clip_references import Reference
    from pipelines.sources import clip_files, clip_identities, clip_lookup

    folder = package / measuring.CLIPS
    by_inode: dict[int, Fingerprint] = {}
    made, sources = source_records.NewRecords(), dict[str, Fingerprint]()
    for clip_id, uri in clip_files.find_clips(folder):
        path, clip = Path(uri), Reference(0, clip_id, "train", 0, uri)
        inode = path.stat().st_ino
        if inode not in by_inode:
            by_inode[inode] = files.fingerprint(path)
        sources[clip_id] = by_inode[inode]
        made.add([clip], [clip_identities.identity(uri).text], sources)
    plan.publish(
        *(package / "annotations", dataset, None),
        clips=clip_lookup.FilesByName(folder),
        source_of=sources.__getitem__,
    )
    made.write(dataset / source_records.FILE_NAME)


@dataclass(slots=True)
class _Steps:
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.cpu_seconds[name] = round(time.process_time() - begin, 2)


def look(package: Path, dataset: Path) -> dict[str, Any]:
    """Plans a build of clips that did not change; returns what it took and read."""
    from pipelines.sources import annotation_readers, clip_files

    clips, steps, opened = package / measuring.CLIPS, _Steps(), _Opened()
    sys.addaudithook(functools.partial(opened.note, f"{clips}/"))
    with steps.timed("list"):
        collections.deque(clip_files.find_clips(clips), 0)
    with steps.timed("annotate"):
        annotations = annotation_readers.read(package / "annotations")
    parent = opening.open_version(dataset)
    begin = _num_bytes_read()
    with steps.timed("plan"):
        shards = _planned(annotations, clips, parent)
    with steps.timed("recognise"):
        keys = {(shard.split, shard.key) for shard in parent.manifest.shards}
        num_reused = sum(_place(parent, shard) in keys for shard in shards)
    num_bytes = _num_bytes_read() - begin
    num_opened = opened.num_files
    with steps.timed("rehash"):
        for shard in shards:
            _place(parent, shard, is_rehash=True)
    return {
        "num_clips": parent.manifest.num_clips,
        "num_shards": len(shards),
        "num_shards_reused": num_reused,
        "num_clips_opened": num_opened,
        "num_bytes_read": num_bytes,  # of the version's table, records and references
        "num_clips_opened_by_rehash": opened.num_files - num_opened,
        "cpu_seconds": steps.cpu_seconds,
    }


class _Opened:
    """Counts the files in a folder that this process opens."""

    def __init__(self) -> None:
        self.num_files = 0

    def note(self, folder: str, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(folder):
            self.num_files += 1


def _planned(annotations: Any, clips: Path, parent: Version) -> list[Any]:
    """Returns where each shard's references are, in a file in the data set."""
    from pipelines.planning import (
        clip_listing,
        clip_references,
        matching,
        published_clips,
        source_records,
    )
    from pipelines.planning.version_plans import VersionPlan

    recorded = source_records.SourceRecords(parent.dataset / source_records.FILE_NAME)
    listing = matching.match_clips(
        *(annotations, clips, parent),
        reuse=published_clips.are_in_shards,
        recorded=recorded,
    )
    version = VersionPlan(parent, annotations, listing, parent.manifest.settings)
    num_shards = version.num_shards()
    unfinished = parent.dataset / "unfinished"
    by_shard = clip_listing.by_shard(listing, num_shards)
    shards = clip_references.write(unfinished, by_shard, num_shards)
    clip_references.hand_out(unfinished, parent.dataset)
    return shards


def _place(parent: Version, shard: Any, *, is_rehash: bool = False) -> tuple[str, str]:
    """Returns split and key of a shard, planned as a worker does."""
    from pipelines.planning import clip_references, shard_plans

    references = clip_references.read(parent.dataset, shard)
    identities: dict[str, str] = {}

    def identify(clip: clip_references.Reference) -> PlannedClip:
        if is_rehash:
            clip = clip._replace(identity="", is_seen=False)
        return shard_plans.hash_clip(clip, identities=identities)

    planned = sharding.plan_shard(
        *(shard.split, shard.index, shard.num_shards),
        clips=shard_plans.identified(references, identify),
        settings=parent.manifest.settings,
        salt=parent.manifest.salt,
    )
    return shard.split, planned.key


def _num_bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def _apart(function: Callable[..., Any], *arguments: Path) -> Any:
    """Calls a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


if __name__ == "__main__":
    sys.exit(main())
