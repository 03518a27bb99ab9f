"""`python -m pipelines build`: clips and annotations in, a published version out."""

import collections
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from mindrecord_io import incomplete, manifest, records, sharding, shards
from pipelines import (
    annotations,
    options,
    progress,
    publication,
    sources,
    transforms,
)

__all__ = ["BuildError", "BuildResult", "build", "main"]

logger = logging.getLogger(__name__)


class BuildError(RuntimeError):
    """The build ran and failed; nothing was published."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did.

    Attributes:
      num_shards: by what was done (transforms.ACTIONS).
      shard_seconds: from the first shard's start to the last shard's end.
    """

    version: manifest.Version
    num_shards: dict[str, int]
    seconds: float
    shard_seconds: float

    def to_json(self) -> dict[str, object]:
        """Returns the last line of the command's output."""
        said = self.version.manifest
        return {
            "version": said.version,
            "num_clips": said.num_clips,
            "num_quarantined": said.num_quarantined + said.num_missing,
            "num_frames": said.num_frames,
            "shards": self.num_shards,
            "num_bytes": said.num_bytes,
            "seconds": round(self.seconds, 1),
            "clips_per_second": round(
                said.num_clips / max(self.shard_seconds, 1e-3), 1
            ),
        }


def build(asked: options.BuildOptions) -> BuildResult:
    """Builds what is not built yet and publishes a version of all of it.

    Raises:
      BuildError: more clips are broken or missing than allowed, or a shard failed.
      AnnotationError, SourceError: the input cannot be used.
      PublishConflictError: another version was published in the meantime.
    """
    begin = time.monotonic()
    annotated = annotations.read_annotations(asked.annotations)
    listing = sources.match_clips(annotated, asked.clips)
    _refuse_early(listing, asked.max_quarantined)
    parent = _parent(asked.dataset)
    incomplete.remove_abandoned(asked.dataset / "versions")
    for split in records.SPLITS:
        incomplete.remove_abandoned(shards.split_folder(asked.dataset, split))
    with incomplete.folder_in(asked.dataset / "versions") as staging:
        job = _job(asked, listing.refs, parent, staging / "receipts")
        _run(listing.refs, job, asked)
        receipts = transforms.read_receipts(job.receipts)
        draft = publication.Draft(
            dataset=asked.dataset,
            parent=parent,
            annotated=annotated,
            listing=listing,
            settings=asked.settings,
            salt=job.salt,
            summaries=[_summary(asked.dataset, receipt) for receipt in receipts],
        )
        if problem := publication.too_many_lost(draft.lost, asked.max_quarantined):
            raise BuildError(problem)
        version = publication.publish(draft, staging)
    actions = collections.Counter(receipt.action for receipt in receipts)
    return BuildResult(
        version=version,
        num_shards={name: actions[name] for name in transforms.ACTIONS},
        seconds=time.monotonic() - begin,
        shard_seconds=max(r.end_seconds for r in receipts)
        - min(r.begin_seconds for r in receipts),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    asked = options.parse_build(argv)
    try:
        result = build(asked)
    except (BuildError, OSError, ValueError, manifest.PublishConflictError) as error:
        logger.error("build failed: %s", error)
        return 1
    _report_result(result)
    print(json.dumps(result.to_json()))  # noqa: T201
    return 0


def _refuse_early(listing: sources.ClipListing, max_quarantined: int) -> None:
    """Raises BuildError where the missing clips alone are too many."""
    if listing.unlisted:
        logger.warning(
            "%d files are not annotated and not stored; the first: %s",
            len(listing.unlisted),
            listing.unlisted[0],
        )
    missing = [(a.clip_id, "missing", "no such file") for a in listing.missing]
    if problem := publication.too_many_lost(missing, max_quarantined):
        raise BuildError(problem)


def _parent(dataset: Path) -> manifest.Version | None:
    has_version = manifest.current_version(dataset) is not None
    return manifest.open_version(dataset) if has_version else None


def _job(
    asked: options.BuildOptions,
    refs: Sequence[records.ClipRef],
    parent: manifest.Version | None,
    receipts: Path,
) -> transforms.ShardJob:
    receipts.mkdir()
    if parent is not None and parent.manifest.settings != asked.settings:
        logger.warning(
            "version %s was made with %s, not %s: every shard is made anew",
            parent.manifest.version,
            parent.manifest.settings,
            asked.settings,
        )
    return transforms.ShardJob(
        dataset=asked.dataset,
        receipts=receipts,
        settings=asked.settings,
        clip_limits=asked.clip_limits,
        salt=parent.manifest.salt if parent else sharding.DEFAULT_SALT,
        num_shards=_num_shards(asked.num_shards, refs, parent),
    )


def _num_shards(
    asked: int | None,
    refs: Sequence[records.ClipRef],
    parent: manifest.Version | None,
) -> dict[str, int]:
    """Returns the shards of each split: as asked, as they are, or by their clips."""
    num_clips = collections.Counter(ref.split for ref in refs)
    if asked is not None:
        return sharding.split_num_shards(num_clips, asked)
    known = parent.manifest.num_shards if parent else {}
    return {
        split: known.get(split) or sharding.default_num_shards(num_clips[split])
        for split in num_clips
    }


def _run(
    refs: Sequence[records.ClipRef],
    job: transforms.ShardJob,
    asked: options.BuildOptions,
) -> None:
    """Runs the pipeline; returns when every shard is published and has its receipt."""
    num_clips = collections.Counter(
        transforms.receipt_name(
            ref.split,
            sharding.shard_index(ref.clip_id, job.num_shards[ref.split], job.salt),
            job.num_shards[ref.split],
        )
        for ref in refs
    )

    def num_done() -> int:
        return sum(num_clips[path.name] for path in job.receipts.glob("*.json"))

    with progress.watched("build", len(refs), num_done):
        try:
            pipeline = beam.Pipeline(
                options=options.beam_options(asked.beam_flags, asked.num_workers)
            )
            pipeline | transforms.BuildShards(refs, job)
            pipeline.run().wait_until_finish()
        except RuntimeError as cause:  # what runners make of an error in a task
            raise BuildError(f"the pipeline failed: {cause}") from cause


def _summary(dataset: Path, receipt: transforms.Receipt) -> records.ShardSummary:
    summary = shards.read_summary(dataset, receipt.split, receipt.key)
    if summary is None:
        raise BuildError(f"{receipt}: its shard is gone; something removed it")
    return summary


def _report_result(result: BuildResult) -> None:
    said = result.version.manifest
    logger.info(
        "version %s of %s: %d clips, %d frames, %d bytes; shards %s; %.1f s",
        said.version,
        result.version.dataset,
        said.num_clips,
        said.num_frames,
        said.num_bytes,
        result.num_shards,
        result.seconds,
    )
