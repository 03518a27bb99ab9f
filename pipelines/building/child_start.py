"""Starts a child: `python -m pipelines.building.child_start MODULE FD`.

It runs a module as `python -m MODULE FD` would. What the module cannot load is told to
the parent, in a sentence instead of a traceback.
"""

import runpy
import sys

from mindrecord_io.commands import plain_text
from pipelines.building import child_process

__all__ = ["main"]


def main() -> int:
    """Runs the module, which sees its own arguments alone."""
    module = sys.argv.pop(1)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if plain_text.is_our_own(error):
            raise
        child_process.refuse(plain_text.sentence(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
