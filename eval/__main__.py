"""`clipmill eval`: a checkpoint's accuracy on a split; its tools by their names."""

import importlib
import sys
from collections.abc import Sequence

from eval.running import early_checks, parsers, process_start
from mindrecord_io.commands import command_line

_TOOLS = ("export", "import_weights", "infer")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates; returns 0, 1 if that failed, or 2 for wrong usage.

    A tool's name in front hands the other words to the tool.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] == "doctor":  # which loads no library
        from eval import doctor

        return doctor.main(words[1:])
    if words and words[0] in _TOOLS:
        # --help and wrong flags are answered here, before MindSpore is loaded.
        parser = getattr(parsers, f"{words[0]}_parser")()
        flags, _ = parser.parse_known_args(words[1:])
        if status := early_checks.refuse_absent(words[0], flags):
            return status
        process_start.prepare_mindspore()
        tool = importlib.import_module(f"eval.{words[0]}")
        return int(tool.main(words[1:]))
    parser = parsers.eval_parser()
    if words and not words[0].startswith("-"):
        parser.error(f"no tool is called {words[0]!r}: {', '.join(_TOOLS)}")
    flags, rest = parser.parse_known_args(words)
    if status := early_checks.refuse_absent("eval", flags):
        return status
    has_zoo_line = vars(flags).pop("zoo_line")
    process_start.prepare_mindspore()
    # These lead to YAML's library and MindSpore, so not before the line above.
    from eval import job
    from eval.running import command, config_file

    def evaluate() -> job.EvalResult | None:
        overrides = config_file.parse_overrides(rest)
        result = job.run(job.EvalOptions(**vars(flags), overrides=overrides))
        if result is not None and result.num_labelled:
            command_line.print_line(f"top_1 {result.top1:.6f}, top_5 {result.top5:.6f}")
            if has_zoo_line:
                command_line.print_line(f"result: {result.zoo_accuracies}")
        return result

    return command.run("eval", evaluate)


if __name__ == "__main__":
    sys.exit(command_line.start(main))
