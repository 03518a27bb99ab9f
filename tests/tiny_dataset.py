"""A small data set that is really built, and its annotations, to build upon.

Used by tests whose own process imports Beam: MindSpore runs in a worker process only.
"""

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mindrecord_io import naming, records
from mindrecord_io.versions import manifests
from pipelines.building import worker_pool
from pipelines.jobs import build, build_options, relabel

SETTINGS = records.DecodeSettings(page_num_bytes=64 << 10)
# Of the train clips 102, 103 and 104 are in shard 0, 101 and 105 in shard 1.
NUM_SHARDS = 4
LABELS = ("Moving something left", "Moving something right", "Rest")
SPLITS: dict[str, dict[str, int]] = {
    "train": {"101": 0, "102": 1, "103": 2, "104": 0, "105": 1, "109": 0},
    "validation": {"201": 2, "202": 0},
    "test": {"301": -1},
}
QUARANTINED = {"104": "not_video", "301": "empty"}
MISSING, UNLISTED = "109", "900"


def changed(**label_ids: int | None) -> dict[str, dict[str, int]]:
    """The clips with some other labels: `changed(c101=1)`; None withdraws a clip."""
    splits = {
        split: {c: label_ids.get(f"c{c}", label) for c, label in clips.items()}
        for split, clips in SPLITS.items()
    }
    return {
        split: {c: label for c, label in clips.items() if label is not None}
        for split, clips in splits.items()
    }


def moved(clip_id: str, split: str, label_id: int) -> dict[str, dict[str, int]]:
    """The clips, one of them in another split."""
    splits = changed(**{f"c{clip_id}": None})
    return splits | {split: splits[split] | {clip_id: label_id}}


def annotate(
    folder: Path,
    splits: Mapping[str, Mapping[str, int]],
    labels: tuple[str, ...] = LABELS,
) -> Path:
    """Writes the annotation files for label_ids by clip_id, by split."""
    folder.mkdir(exist_ok=True)
    numbers = {label: str(i) for i, label in enumerate(labels)}
    (folder / "labels.json").write_text(json.dumps(numbers))
    for split, clips in splits.items():
        rows = [
            {"id": clip_id} | ({"template": labels[label]} if label >= 0 else {})
            for clip_id, label in clips.items()
        ]
        (folder / f"{split}.json").write_text(json.dumps(rows))
    return folder


@contextlib.contextmanager
def lent_worker() -> Iterator[None]:
    """Makes jobs in this process faster by the start of a worker: they share one."""
    pool = worker_pool.acquire(1)
    try:
        yield
    finally:
        worker_pool.release(pool)


@dataclass(frozen=True)
class Made:
    """A folder of clips and its data set, of two broken clips and a missing one."""

    folder: Path

    @property
    def clips(self) -> Path:
        return self.folder / "clips"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    @contextlib.contextmanager
    def clips_away(self) -> Iterator[None]:
        away = self.clips.rename(self.folder / "away")
        yield
        away.rename(self.clips)

    def build(
        self, dataset: Path, annotations: Path, num_shards: int = NUM_SHARDS
    ) -> manifests.Version:
        """Builds from the clips, as if there had never been another version."""
        asked = build_options.BuildOptions(
            clips=self.clips,
            annotations=annotations,
            dataset=dataset,
            settings=SETTINGS,
            num_shards=num_shards,
            max_quarantined=len(QUARANTINED) + 1,
            num_workers=1,
        )
        return build.build(asked).version

    def relabel(
        self, dataset: Path, annotations: Path, *flags: str
    ) -> tuple[int, dict | None]:
        """Runs `relabel` without the clips; returns exit status and result."""
        words = ["--annotations", annotations, "--dataset", dataset]
        words += ["--max_withdrawn", "1", *flags]
        output = io.StringIO()
        with self.clips_away(), contextlib.redirect_stdout(output):
            status = relabel.main([*map(str, words), "--num_workers", "1"])
        lines = output.getvalue().splitlines()
        return status, json.loads(lines[-1]) if lines else None


def make(folder: Path, clips: Path) -> Made:
    """Builds the data set; `clips` are those of the package (see conftest)."""
    made = Made(folder)
    shutil.copytree(clips, made.clips)
    (made.clips / "104.webm").write_text("<html>")
    (made.clips / "301.webm").write_bytes(b"")
    shutil.copy(made.clips / "101.webm", made.clips / f"{UNLISTED}.webm")
    made.build(made.dataset, annotate(folder / "annotations", SPLITS))
    return made


def sha256s(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_of(version: manifests.Version) -> dict[str, str]:
    """The hash of every file that a version consists of, by its place there."""
    shards = {
        f"{path.parent.name}/{path.name}": sha256_of(path)
        for entry in version.manifest.shards
        for path in naming.shard_folder(
            version.dataset, entry.split, entry.key
        ).iterdir()
    }
    own = sha256s(version.folder)
    del own["manifest.json"]  # it has a number and a date
    return shards | own


def work_in_progress(dataset: Path) -> list[Path]:
    """The folders of unfinished work, abandoned or not."""
    return [path for path in dataset.rglob("*") if naming.is_incomplete(path)]
