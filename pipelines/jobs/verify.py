"""`clipmill verify`: lists what of a version is not as it was published."""

import contextlib
import dataclasses
import functools
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindrecord_io import interrupts, naming
from mindrecord_io.commands import command_line, log_lines, progress_bar
from mindrecord_io.storage import files
from mindrecord_io.versions import manifests, version_checks
from pipelines.building import receipts
from pipelines.jobs import common_flags, parsers
from pipelines.jobs.parsers import VerifyOptions
from pipelines.planning import source_records
from pipelines.planning.source_checks import SourceCheck
from pipelines.publishing import data_sets

if TYPE_CHECKING:
    from pipelines.building import verify_transforms

__all__ = ["VerifyError", "VerifyResult", "main", "verify"]

logger = logging.getLogger(__name__)


class VerifyError(RuntimeError):
    """The check did not come to its end."""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The damage of a version; `to_json` is the command's last line of output.

    Attributes:
      changed_sources: clips that are not what the version was made of; None where
        they were not looked at.
    """

    version: str
    num_shards: int
    num_clips: int
    damaged: tuple[version_checks.Damage, ...]
    seconds: float
    changed_sources: tuple[version_checks.Damage, ...] | None = None

    def to_json(self) -> dict[str, object]:
        """Returns the fields as they are printed."""
        fields = dataclasses.asdict(self) | {"seconds": round(self.seconds, 1)}
        if self.changed_sources is None:
            del fields["changed_sources"]
        return fields


def verify(options: VerifyOptions) -> VerifyResult:
    """Checks a version and all its shards; changes nothing.

    Raises:
      ManifestError: there is no such version, or its manifest cannot be read.
      VerifyError: the pipeline failed, so that not every shard was checked.
    """
    with data_sets.opened(options.dataset) as data_set:
        return _verify(options, data_set)


def _verify(options: VerifyOptions, data_set: data_sets.DataSet) -> VerifyResult:
    begin = time.monotonic()
    version = data_set.open_version(options.version)
    logger.info(
        "verifying version %s of %s: %d shards, %d clips",
        version.folder.name,
        options.dataset,
        len(version.manifest.shards),
        version.manifest.num_clips,
        extra=log_lines.PER_SHARD,
    )
    damaged = version_checks.check_version(version)
    if options.is_quick:
        damaged += data_set.check_sizes(version)
    else:
        table = naming.clips_table_path(version.folder).relative_to(version.dataset)
        has_table = all(damage.path != table.as_posix() for damage in damaged)
        damaged += _check_shards(version, options, data_set, has_table=has_table)
    changed = (
        _check_sources(version, options, data_set) if options.has_sources else None
    )
    return VerifyResult(
        version=version.folder.name,
        num_shards=len(version.manifest.shards),
        num_clips=version.manifest.num_clips,
        damaged=tuple(damaged),
        seconds=time.monotonic() - begin,
        changed_sources=changed,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    options = _parse(argv)
    return command_line.run(
        "verify",
        lambda: verify(options),
        lambda result: _log(options.dataset, result),
    )


def _log(dataset: Path | str, result: VerifyResult) -> int:
    """Logs the damage; returns the command's exit status."""
    for damage in result.damaged:
        logger.error("damaged: %s: %s", damage.path, damage.reason)
    changed = result.changed_sources or ()
    for change in changed:
        logger.error("changed: %s: %s", change.path, change.reason)
    logger.info(
        "version %s of %s: %d shards, %d clips, %d things wrong%s",
        result.version,
        dataset,
        result.num_shards,
        result.num_clips,
        len(result.damaged) + len(changed),
        "; `clipmill build --repair` makes damaged shards again"
        if any(damage.path.startswith("shards/") for damage in result.damaged)
        else "",
        extra=log_lines.IN_SUMMARY,
    )
    return 1 if result.damaged or changed else 0


def _check_sources(
    version: manifests.Version, options: VerifyOptions, data_set: data_sets.DataSet
) -> tuple[version_checks.Damage, ...]:
    path = data_set.copy_of(source_records.FILE_NAME)
    check = SourceCheck(
        version,
        source_records.SourceRecords(path),
        is_quick=options.is_quick,
        num_threads=options.num_workers,
    )
    total = version.manifest.num_clips + version.manifest.num_quarantined
    with progress_bar.watched("sources", total, lambda: check.num_checked):
        return tuple(check.changed())


def _check_shards(
    version: manifests.Version,
    options: VerifyOptions,
    data_set: data_sets.DataSet,
    *,
    has_table: bool,
) -> list[version_checks.Damage]:
    # Apache Beam is loaded where shards are read: --quick needs none.
    from pipelines.building import verify_transforms

    num_shards = len(version.manifest.shards)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_scratch_folder(options.scratch))
        left_at = data_set.receipts(Path(folder))
        remove = functools.partial(receipts.remove, left_at)
        stack.callback(remove)
        stack.enter_context(interrupts.cleaned_up(remove))
        dataset = options.dataset
        job = verify_transforms.CheckJob(
            # Absolute, because a worker may run elsewhere.
            dataset=dataset.absolute() if isinstance(dataset, Path) else dataset,
            version=version.folder.name,
            receipts=left_at,
            has_table=has_table,
        )
        _run(verify_transforms.CheckShards(num_shards, job), version, options, left_at)
        done = verify_transforms.read_receipts(left_at)
    if len(done) != num_shards:
        raise VerifyError(
            f"{len(done)} of {num_shards} shards left a receipt in {folder}; "
            f"workers on other machines need --scratch DIR, a folder they share"
        )
    return [damage for receipt in done for damage in receipt.damaged]


def _run(
    check: "verify_transforms.CheckShards",
    version: manifests.Version,
    options: VerifyOptions,
    left_at: Path | str,
) -> None:
    """Runs the pipeline, with a bar of the clips whose shards left a receipt."""
    from pipelines.building import beam_runner

    num_rows = [entry.num_rows for entry in version.manifest.shards]

    def num_done() -> int:
        return sum(num_rows[int(Path(n).stem)] for n in receipts.names(left_at))

    with progress_bar.watched("checking shards", version.manifest.num_clips, num_done):
        try:
            beam_runner.run(check, options.beam_flags, options.num_workers)
        except beam_runner.PipelineError as cause:
            raise VerifyError(f"the pipeline failed: {cause}") from cause


@contextlib.contextmanager
def _scratch_folder(parent: Path | None) -> Iterator[str]:
    """Makes a temporary folder; an interruption of the job removes it as well."""
    with tempfile.TemporaryDirectory(prefix="verify-", dir=parent) as folder:
        remove = functools.partial(files.remove_folder, Path(folder))
        with interrupts.cleaned_up(remove):
            yield folder


def _parse(argv: Sequence[str] | None) -> VerifyOptions:
    parser = parsers.verify_parser()
    flags, beam_flags = common_flags.parse_with_beam(parser, argv)
    return VerifyOptions(
        dataset=flags.dataset,
        version=flags.version,
        is_quick=flags.quick,
        has_sources=flags.sources,
        num_workers=flags.num_workers,
        scratch=flags.scratch,
        beam_flags=tuple(beam_flags),
    )
