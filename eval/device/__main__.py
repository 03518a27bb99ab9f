"""`clipmill device STEP`: a split scored by an exported network, as on a 310."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from eval.device.parsers import PARSERS
from eval.running import process_start
from mindrecord_io.commands import command_line

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a step; returns 0, 1 if that failed, or 2 for wrong usage."""
    words = sys.argv[1:] if argv is None else list(argv)
    step = words[0] if words else ""
    if step not in PARSERS:
        steps = ", ".join(PARSERS)
        is_help = step in ("-h", "--help")
        stream = sys.stdout if is_help else sys.stderr
        print(
            f"usage: clipmill device STEP [flags]; the steps are: {steps}", file=stream
        )
        return 0 if is_help else 2
    flags = vars(PARSERS[step]().parse_args(words[1:]))
    process_start.prepare_mindspore()
    # These lead to MindSpore, so not before the line above.
    from eval.running import command

    return command.run(f"device {step}", lambda: _call(step)(**flags))


def _call(step: str) -> Callable[..., Any]:
    from eval.device import convert, postprocess, preprocess, run
    from eval.running import config_file

    def accuracy(**flags: Any) -> postprocess.Accuracy:
        result = postprocess.postprocess(flags["input"], flags["results"])
        command_line.print_line(result.zoo_line)
        return result

    def convert_it(**flags: Any) -> convert.ConvertResult:
        return convert.convert(config_file.build(convert.ConvertOptions, flags))

    calls: dict[str, Callable[..., Any]] = {
        "convert": convert_it,
        "preprocess": lambda **f: preprocess.preprocess(
            preprocess.PreprocessOptions(**f)
        ),
        "run": lambda **f: run.run(run.RunOptions(**f)),
        "postprocess": accuracy,
    }
    return calls[step]


if __name__ == "__main__":
    sys.exit(command_line.start(main))
