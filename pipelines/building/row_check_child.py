"""Checks rows of shards, as `python -m pipelines.building.row_check_child FD`.

It imports MindSpore, which may crash on a shard that was damaged before it was hashed.
"""

import functools
import resource
import sys
from pathlib import Path
from typing import Any

from mindrecord_io.versions import manifests, opening, row_checks
from pipelines.building import child_process

__all__ = ["main"]

_MAX_MEMORY = 4 << 30  # MindSpore and several pages, of at most 256 MiB each


@functools.lru_cache(maxsize=1)
def _open_version(dataset: str, name: str) -> manifests.Version:
    return opening.open_version(Path(dataset), name)


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Checks the rows of one shard; the answer lists what is wrong with them."""
    try:
        version = _open_version(request["dataset"], request["version"])
        entry = version.manifest.shards[request["shard_index"]]
        return {"wrong": row_checks.check_rows(version, entry)}, b""
    except (OSError, ValueError) as error:
        return {"wrong": [f"cannot be checked: {' '.join(str(error).split())}"]}, b""


def main() -> int:
    """Checks shards until the parent closes the socket."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    child_process.serve(_answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
