"""`clipmill zoo PROGRAM`: a command line of the model zoo's TSM, run by clipmill.

    clipmill zoo train --config_path=tsm_sthv2_config_gpu.yaml --data_path=ssv2

The configuration file, its keys as flags and what they decide are the zoo's.
"""

import contextlib
import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.running import launch
from eval.zoo import keys as zoo_keys
from eval.zoo.parsers import PARSERS
from eval.zoo.runs import ZooRun
from mindrecord_io import naming
from mindrecord_io.commands import command_line
from mindrecord_io.storage import files, locations

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what stands for a program of the zoo; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    program = words[0].removesuffix(".py") if words else ""
    if program not in PARSERS:
        is_help = program in ("-h", "--help")
        stream = sys.stdout if is_help else sys.stderr
        programs = ", ".join(PARSERS)
        print(
            f"usage: clipmill zoo PROGRAM [flags]; the programs are: {programs}",
            file=stream,
        )
        return 0 if is_help else 2
    at = words.index("--") if "--" in words else len(words)
    parser = PARSERS[program]()
    flags, others = parser.parse_known_args(words[1:at])
    status = 0

    def run() -> None:
        nonlocal status
        rest = tuple(words[at + 1 :])
        keys = zoo_keys.read(flags.config_path, others)
        devices = getattr(flags, "devices", 1)
        for key, text in zoo_keys.unused(keys).items():
            logger.info("%s: %s", key, text)
        if flags.dry_run:
            _show(ZooRun(program, _places(keys, is_dry=True), devices, rest))
        else:
            _check(ZooRun(program, keys, devices, rest))
            places = _places(keys)
            status = _run(ZooRun(program, places, devices, rest))

    failed = command_line.run("zoo", run, usage_errors=(zoo_keys.ZooError,))
    return failed or status


def _places(keys: Mapping[str, Any], *, is_dry: bool = False) -> Mapping[str, Any]:
    """Returns the keys with the folders that ModelArts' URLs stand for."""
    if not keys["enable_modelarts"]:
        return keys
    if not is_dry:
        from eval.zoo import modelarts  # pyarrow, which --help does without

        return modelarts.keys_of_places(keys)
    urls = {"data_path": "data_url", "load_path": "checkpoint_url"}
    urls["root_model"] = "train_url"
    return {**keys, **{key: keys[url] for key, url in urls.items() if keys[url]}}


def _show(run: ZooRun) -> None:
    for words in run.commands():
        command_line.print_line(f"clipmill {shlex.join(words)}")


def _check(run: ZooRun) -> None:
    """Checks, before anything is fetched or written, that the data set is one.

    Raises:
      ZooError: it is a folder that is none, as the zoo's own are.
    """
    if run.keys["enable_modelarts"] or locations.is_remote(run.dataset):
        return
    if not naming.current_path(Path(run.dataset)).exists():
        frames = zoo_keys.joined(run.dataset, "something/v2/rawframes")
        raise zoo_keys.ZooError(
            f"data_path {run.dataset} is no data set of clipmill: make one of the "
            f"zoo's frames by clipmill build --clips {frames} --annotations "
            f"ANNOTATIONS --dataset DATASET, or of the videos, and give that"
        )


def _run(run: ZooRun) -> int:
    """Runs the commands until one fails; returns its exit status."""
    from eval.zoo import modelarts  # as above

    lines = [f"{name}: {json.dumps(part)}\n" for name, part in run.sections().items()]
    run.config_path.parent.mkdir(parents=True, exist_ok=True)
    files.replace_file(run.config_path, "".join(lines).encode())
    with contextlib.ExitStack() as stack:
        flags: list[str] = []
        if run.program == "train":
            flags = stack.enter_context(modelarts.mirrored(run.keys, run.output))
        for words in run.commands():
            logger.info("clipmill %s", shlex.join([*words, *flags]))
            status = launch.run_own([*words, *flags])
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(command_line.start(main))
