"""Makes a large package of clips out of a small one: `repeat_clips.py SOURCE TARGET N`.

Clip n of the source becomes n, n + k, n + 2k, ... up to N, where the source has k clips
numbered from 1: hard links, and annotations that differ in nothing but the id. Start-up
then no longer decides what a benchmark measures, and few clips have to be drawn.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

__all__ = ["count_clips", "main", "repeat_clips"]

_CLIPS = "20bn-something-something-v2"
_ANNOTATION = "something-something-v2-{}.json"
_SPLITS = ("train", "validation", "test")


def main() -> int:
    """Reads the three arguments; the target must not exist."""
    source, target, num_clips = sys.argv[1:]
    repeat_clips(Path(source), Path(target), int(num_clips))
    return 0


def repeat_clips(source: Path, target: Path, num_clips: int) -> None:
    """Fills the new folder `target` with a package of `num_clips` clips.

    Args:
      source: what `pipelines synthesize` has made.
      target: on the same file system.
      num_clips: at least as many as the source has.
    """
    rows_by_split = {split: _read_rows(source, split) for split in _SPLITS}
    num_distinct = sum(map(len, rows_by_split.values()))
    if num_clips < num_distinct:
        raise ValueError(f"{source} has {num_distinct} clips already, not {num_clips}")
    (target / _CLIPS).mkdir(parents=True)
    (target / "annotations").mkdir()
    for split, rows in rows_by_split.items():
        repeated = []
        for row in rows:
            for number in range(int(row["id"]), num_clips + 1, num_distinct):
                clip = target / _CLIPS / f"{number}.webm"
                clip.hardlink_to(source / _CLIPS / f"{row['id']}.webm")
                repeated.append({**row, "id": str(number)})
        _annotations(target, split).write_text(json.dumps(repeated))
    shutil.copyfile(_annotations(source, "labels"), _annotations(target, "labels"))


def count_clips(package: Path) -> int:
    """Returns how many clips a package's annotations name."""
    return sum(len(_read_rows(package, split)) for split in _SPLITS)


def _read_rows(package: Path, split: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_annotations(package, split).read_bytes())
    return rows


def _annotations(package: Path, role: str) -> Path:
    return package / "annotations" / _ANNOTATION.format(role)


if __name__ == "__main__":
    sys.exit(main())
