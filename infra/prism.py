"""Prism, Beam's own portable runner in one program: built from Go's module proxy.

It is what `make cluster-test` compares the other engines with: it neither tries again
what failed nor is it fast, but every part of it is Beam's. It listens on every network
while it runs, and has no flag that changes that.
"""

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import apache_beam

__all__ = ["PrismError", "ensure"]

logger = logging.getLogger(__name__)

_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism"


class PrismError(RuntimeError):
    """There is no Go, or it failed."""


def ensure(folder: Path) -> Path:
    """Returns the program, of the version of the Beam that is installed.

    Raises:
      PrismError: it is not there, and could not be built.
    """
    program = folder.absolute() / f"prism-{apache_beam.__version__}"
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise PrismError("go is not on the path: Prism cannot be built")
    logger.info("building Prism (minutes, and 2 GB on the disk meanwhile) ...")
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=".go-") as name:
        where = {"GOPATH": f"{name}/path", "GOCACHE": f"{name}/cache", "GOBIN": name}
        command = ["go", "install", f"{_MODULE}@v{apache_beam.__version__}"]
        done = subprocess.run(
            command,
            env=os.environ | where | {"GOFLAGS": "-modcacherw"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PrismError(f"go failed: {done.stderr.strip()[-1000:]}")
        (Path(name) / "prism").rename(program)
    return program
