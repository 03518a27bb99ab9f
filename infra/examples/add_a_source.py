"""Builds from a layout that no reader is made for, by listing its clips in a CSV file.

    python add_a_source.py CLIPS DATASET

The layout of this example: one folder of clips named <label>_<number>.webm, of which
every fifth is for validation. To teach `build` itself a layout, see tests/README.md.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.__main__ import main as clipmill


def write_list(clips: Path, path: Path) -> None:
    """Writes a row of path, label and split for every clip of the folder."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for clip in sorted(clips.glob("*_*.webm")):
            label, _, number = clip.stem.rpartition("_")
            split = "validation" if int(number) % 5 == 0 else "train"
            rows.writerow((clip.name, label, split))


def main(argv: Sequence[str] | None = None) -> int:
    """Builds a data set; returns the exit status of `build`."""
    clips, dataset = map(Path, sys.argv[1:] if argv is None else argv)
    listed = dataset.with_name(f"{dataset.name}.csv")
    write_list(clips, listed)
    words = ["--clips", clips, "--annotations", listed, "--dataset", dataset]
    return clipmill(["build", *map(str, words)])


if __name__ == "__main__":
    sys.exit(main())
