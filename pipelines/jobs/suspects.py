"""`clipmill suspects`: a list of the clips whose label a network doubts."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass

from mindrecord_io.commands import command_line
from mindrecord_io.storage import files
from pipelines.browse import suspects as ranking
from pipelines.jobs import browse_options
from pipelines.jobs.browse_options import SuspectsOptions
from pipelines.report.predictions import read_predictions

__all__ = ["SuspectsResult", "main", "suspects"]


@dataclass(frozen=True, slots=True)
class SuspectsResult:
    """What was written; `asdict` of it is the command's last line of output."""

    output: str
    num_clips: int
    num_suspects: int


def suspects(options: SuspectsOptions) -> SuspectsResult:
    """Writes the list, the most doubtful first.

    Raises:
      PredictionsError: the predictions cannot be read. OSError: nor the list written.
    """
    predictions = read_predictions(options.predictions)
    ranked = ranking.suspects_of(predictions)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(ranking.HEAD)
    writer.writerows(dataclasses.astuple(suspect) for suspect in ranked)
    files.replace_file(options.output, buffer.getvalue().encode())
    num_labelled = int((predictions.label_ids >= 0).sum())
    return SuspectsResult(str(options.output), num_labelled, len(ranked))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    options = SuspectsOptions(**vars(browse_options.suspects_parser().parse_args(argv)))
    return command_line.run("suspects", lambda: suspects(options))
