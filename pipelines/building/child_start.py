"""Starts a child: `python -m pipelines.building.child_start MODULE FD`.

It runs a module as `python -m MODULE FD` would. What the module cannot load is told to
the parent, in a sentence instead of a traceback.
"""

import importlib.util
import runpy
import sys

from pipelines.building import child_process

__all__ = ["main"]


def main() -> int:
    """Runs the module, which sees its own arguments alone."""
    module = sys.argv.pop(1)
    assert importlib.util.find_spec(module), f"no module {module}"
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as error:
        child_process.refuse(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
