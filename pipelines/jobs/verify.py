"""`python -m pipelines verify`: says what of a version is not as it was published."""

import argparse
import contextlib
import dataclasses
import functools
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import interrupts, naming
from mindrecord_io.storage import object_store
from mindrecord_io.versions import manifests, version_checks
from pipelines.building import beam_runner, receipts, verify_transforms
from pipelines.jobs import build_options, common_flags, progress
from pipelines.publishing import data_sets

__all__ = ["VerifyError", "VerifyOptions", "VerifyResult", "main", "verify"]

logger = logging.getLogger(__name__)


class VerifyError(RuntimeError):
    """The check did not come to its end."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """One verification.

    Attributes:
      version: None means the current one.
      is_quick: compare sizes and counts, read no shard.
      num_workers: shards checked at once on the local runner.
      scratch: folder that all workers reach; None where they run on this machine.
      beam_flags: handed to Beam as they are.
    """

    dataset: Path | str
    version: str | None = None
    is_quick: bool = False
    num_workers: int = 1
    scratch: Path | None = None
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1: {self.num_workers}")
        if self.version is not None:
            naming.version_number(self.version)


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification found; `to_json` is the command's last line of output."""

    version: str
    num_shards: int
    num_clips: int
    damaged: tuple[version_checks.Damage, ...]
    seconds: float

    def to_json(self) -> dict[str, object]:
        """Returns the fields as they are printed."""
        return dataclasses.asdict(self) | {"seconds": round(self.seconds, 1)}


def verify(asked: VerifyOptions) -> VerifyResult:
    """Checks a version and all its shards; changes nothing.

    Raises:
      ManifestError: there is no such version, or its manifest cannot be read.
      VerifyError: the pipeline failed, so that not every shard was checked.
    """
    with data_sets.opened(asked.dataset) as data_set:
        return _verify(asked, data_set)


def _verify(asked: VerifyOptions, data_set: data_sets.DataSet) -> VerifyResult:
    begin = time.monotonic()
    version = data_set.open_version(asked.version)
    damaged = version_checks.check_version(version)
    if asked.is_quick:
        damaged += data_set.check_sizes(version)
    else:
        table = naming.clips_table_path(version.folder).relative_to(version.dataset)
        has_table = all(damage.path != table.as_posix() for damage in damaged)
        damaged += _check_shards(version, asked, data_set, has_table=has_table)
    return VerifyResult(
        version=version.folder.name,
        num_shards=len(version.manifest.shards),
        num_clips=version.manifest.num_clips,
        damaged=tuple(damaged),
        seconds=time.monotonic() - begin,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    asked = _parse(argv)
    try:
        result = verify(asked)
    except (VerifyError, object_store.StorageError, OSError, ValueError) as error:
        logger.error("verify failed: %s", error)
        return 1
    for damage in result.damaged:
        logger.error("damaged: %s: %s", damage.path, damage.reason)
    logger.info(
        "version %s of %s: %d shards, %d clips, %d things wrong; %.1f s",
        result.version,
        asked.dataset,
        result.num_shards,
        result.num_clips,
        len(result.damaged),
        result.seconds,
    )
    print(json.dumps(result.to_json()))  # noqa: T201
    return 1 if result.damaged else 0


def _check_shards(
    version: manifests.Version,
    asked: VerifyOptions,
    data_set: data_sets.DataSet,
    *,
    has_table: bool,
) -> list[version_checks.Damage]:
    num_shards = len(version.manifest.shards)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_scratch_folder(asked.scratch))
        left_at = data_set.receipts(Path(folder))
        stack.callback(receipts.remove, left_at)
        dataset = asked.dataset
        job = verify_transforms.CheckJob(
            # Absolute, because a worker may run elsewhere.
            dataset=dataset.absolute() if isinstance(dataset, Path) else dataset,
            version=version.folder.name,
            receipts=left_at,
            has_table=has_table,
        )
        num_rows = {
            i: entry.num_rows for i, entry in enumerate(version.manifest.shards)
        }

        def num_done() -> int:
            return sum(num_rows[int(Path(n).stem)] for n in receipts.names(left_at))

        with progress.watched("verify", version.manifest.num_clips, num_done):
            check = verify_transforms.CheckShards(num_shards, job)
            try:
                beam_runner.run(check, asked.beam_flags, asked.num_workers)
            except beam_runner.PipelineError as cause:
                raise VerifyError(f"the pipeline failed: {cause}") from cause
        done = verify_transforms.read_receipts(left_at)
    if len(done) != num_shards:
        raise VerifyError(
            f"{len(done)} of {num_shards} shards left a receipt in {folder}; "
            f"workers on other machines need --scratch DIR, a folder they share"
        )
    return [damage for receipt in done for damage in receipt.damaged]


@contextlib.contextmanager
def _scratch_folder(parent: Path | None) -> Iterator[str]:
    """Makes a temporary folder; an interruption of the job removes it as well."""
    with tempfile.TemporaryDirectory(prefix="verify-", dir=parent) as folder:
        remove = functools.partial(shutil.rmtree, folder, ignore_errors=True)
        interrupts.add_clean_up(remove)
        yield folder
        interrupts.discard_clean_up(remove)


def _parse(argv: Sequence[str] | None) -> VerifyOptions:
    parser = _parser()
    flags, beam_flags = build_options.parse_with_beam(parser, argv)
    try:
        return VerifyOptions(
            dataset=flags.dataset,
            version=flags.version,
            is_quick=flags.quick,
            num_workers=flags.num_workers,
            scratch=flags.scratch,
            beam_flags=tuple(beam_flags),
        )
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines verify",
        description="Compares a version with what was published: every file's size "
        "and hash, every row and the place of every frame. Flags not listed here go "
        "to Apache Beam. Exit status 1 means damage; each is a line of the log.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    common_flags.add_dataset(parser)
    parser.add_argument(
        "--version", metavar="V", help="such as 000003; by default the current one"
    )
    parser.add_argument(
        "--quick", action="store_true", help="sizes and counts alone; reads no shard"
    )
    parser.add_argument(
        "--num_workers",
        type=build_options.positive_int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="shards checked at once on this machine",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="folder that all workers share; by default a temporary one here",
    )
    return parser
