"""Holds a command of its own process at a named pipe, before it reads CURRENT."""

import os
from pathlib import Path

_HOOK = """
import sys
if {package!r} in sys.orig_argv:
    from mindrecord_io.storage import files
    read_bytes = files.read_bytes
    def read_after_the_pipe(path, *limits):
        if path.name == "CURRENT":
            open(path.with_name("pipe")).read()
        return read_bytes(path, *limits)
    files.read_bytes = read_after_the_pipe
"""


def planted(folder: Path, dataset: Path, package: str) -> Path:
    """Writes what Python imports first in `folder`, to be put on its path.

    Returns: the pipe, which `python -m PACKAGE` reads to its end.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK.format(package=package))
    pipe = dataset / "pipe"
    os.mkfifo(pipe)
    return pipe
