"""`clipmill fingerprint`: one hash of the decoded pixels of a data set's clips."""

import logging
from collections.abc import Sequence

from mindrecord_io.commands import command_line, log_lines
from mindrecord_io.serving import pixel_hashes
from mindrecord_io.versions import opening
from pipelines.jobs import parsers

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = parsers.fingerprint_parser().parse_args(argv)

    def run() -> pixel_hashes.PixelHash:
        version = opening.open_version(flags.dataset, flags.version)
        logger.info(
            "hashing the pixels of version %s of %s: %d clips",
            version.manifest.version,
            flags.dataset,
            version.manifest.num_clips,
            extra=log_lines.PER_SHARD,
        )
        return pixel_hashes.hash_pixels(version, flags.num_workers)

    return command_line.run("fingerprint", run)
