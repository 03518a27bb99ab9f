"""`clipmill checksums`: lists the SHA-256 of clips, for `build --checksums`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io.commands import command_line
from pipelines.jobs import parsers
from pipelines.planning import checksum_lists

__all__ = ["WrittenChecksums", "main"]


@dataclass(frozen=True, slots=True)
class WrittenChecksums:
    """A list of checksums; the command's last line of output."""

    checksums: Path
    num_files: int

    def to_json(self) -> dict[str, object]:
        """Returns the fields as they are printed."""
        return {"checksums": str(self.checksums), "num_files": self.num_files}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    flags = parsers.checksums_parser().parse_args(argv)

    def run() -> WrittenChecksums:
        num_files = checksum_lists.write_checksums(
            flags.clips, flags.output, flags.num_workers
        )
        return WrittenChecksums(flags.output, num_files)

    return command_line.run("checksums", run)
