"""Keeps compiled networks in the run folder, so that a resumed training begins at once.

MindSpore finds a compiled network again by its code and the shapes of its inputs, not
by values that are compiled in: with another clip_gradient it would silently run the old
one. So each configuration, and each state of the program, has a folder of its own.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import mindspore

__all__ = ["folder_of", "use"]

_PACKAGES = ("eval", "model", "train")


def use(folder: Path, description: Mapping[str, Any], num_ranks: int) -> None:
    """Makes MindSpore keep and look up compiled networks in a run folder.

    Args:
      description: the configuration and whatever else the networks depend on.
    """
    mindspore.set_context(
        enable_compile_cache=True,
        compile_cache_path=str(folder_of(folder, description, num_ranks)),
    )


def folder_of(folder: Path, description: Mapping[str, Any], num_ranks: int) -> Path:
    """Returns the folder of networks compiled for a configuration by this program."""
    text = json.dumps([description, num_ranks, metadata.version("mindspore")])
    digest = hashlib.sha256(text.encode())
    root = Path(__file__).resolve().parent.parent
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return folder / "compile_cache" / digest.hexdigest()[:16]
