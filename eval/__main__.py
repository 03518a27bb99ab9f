"""`python -m eval`: the accuracy of a checkpoint on a split; `python -m eval TOOL`."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.running import command, config_file, process_start
from mindrecord_io import interrupts, records

_TOOLS = {
    "export": "write a trained network for other programs",
    "import_weights": "make a checkpoint of published weights",
    "infer": "tell the most probable labels of some clips",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates; returns 0, 1 if that failed, or 2 for wrong usage.

    A tool's name in front hands the other words to the tool.
    """
    process_start.configure_logging()
    given = sys.argv[1:] if argv is None else list(argv)
    if given and given[0] in _TOOLS:
        process_start.prepare_mindspore()
        status: int = importlib.import_module(f"eval.{given[0]}").main(given[1:])
        return status
    if given and not given[0].startswith("-"):
        _parser().error(f"no tool is called {given[0]!r}: {', '.join(_TOOLS)}")
    flags, words = _parser().parse_known_args(given)
    process_start.prepare_mindspore()
    from eval import job  # leads to MindSpore, so not before the line above

    def run() -> job.EvalResult | None:
        overrides = config_file.parse_overrides(words)
        result = job.run(job.EvalOptions(**vars(flags), overrides=overrides))
        if result is not None and result.num_labelled:
            print(f"top_1 {result.top1:.6f}, top_5 {result.top5:.6f}")
        return result

    return command.exit_status(run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m eval",
        description="Scores every clip of a split with a trained network.",
        epilog="Any key of the sections `model` and `evaluation` of the configuration "
        "file is a flag too: --eval_batch_size 8. Tools have flags of their own: "
        + "; ".join(
            f"`python -m eval {name}`: {text}" for name, text in _TOOLS.items()
        ),
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--config_path", type=Path, required=True, help="YAML file the network is of"
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="FOLDER_OR_URI",
        help="data set: a folder, or s3://bucket/path, obs:// or gs://",
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help=".ckpt file of python -m train"
    )
    parser.add_argument(
        "--split", choices=records.SPLITS, default="validation", help="what to score"
    )
    parser.add_argument("--version", help="of the data set; the newest if not given")
    parser.add_argument("--output", type=Path, help="Parquet file for the predictions")
    parser.add_argument(
        "--report", type=Path, help="JSON file for the classes and their confusions"
    )
    parser.add_argument(
        "--submission", type=Path, help="file for the test server: id;p1;p2;p3;p4;p5"
    )
    return parser


if __name__ == "__main__":
    interrupts.exit_at_sigint("interrupted")
    sys.exit(main())
