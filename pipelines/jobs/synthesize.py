"""`clipmill synthesize`: draws a stand-in for Something-Something-v2."""

from collections.abc import Sequence

from mindrecord_io.commands import command_line
from pipelines.jobs import parsers
from pipelines.synthetic import drawing
from pipelines.synthetic.drawing_options import SynthesizeOptions

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; the result is the last line of standard output."""
    parser = parsers.synthesize_parser()
    options = parser.make(SynthesizeOptions, **vars(parser.parse_args(argv)))
    return command_line.run("synthesize", lambda: drawing.synthesize(options))
