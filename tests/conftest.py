"""What the tests of several packages share: tiny clips, plans and a data set.

`python tests/conftest.py FOLDER` writes that data set. The fixture calls it so, in a
process of its own: MindSpore cannot be imported where a test has loaded Beam before.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from mindrecord_io import naming, records
from mindrecord_io.shards import schema, shard_folders, sharding
from mindrecord_io.storage import files, incomplete
from mindrecord_io.versions import clips_table, manifests, opening, publication
from tests import s3_server, small_datasets, versions_by_hand

# Before anything imports MindSpore: on AVX-512 machines oneDNN picks a reference
# convolution that is 50 times slower.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

REPOSITORY = Path(__file__).resolve().parent.parent
LABELS = records.LabelMap(("Moving something left", "Moving something right", "Rest"))
NUM_SHARDS = {"train": 2, "validation": 1}
SETTINGS = records.DecodeSettings(page_num_bytes=32 << 10)  # the smallest page
QUARANTINED_CLIP = "105"
MISSING_CLIP = "109"


def clip_frames(
    clip_id: str, num_frames: int = 6, height: int = 24, width: int = 32
) -> records.ClipFrames:
    """Frames that tell where they are from, as BGR: 20 x the frame's index, a hash of
    the clip_id, and 40 in the left half against 200 in the right one.
    """
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 1] = sharding.clip_hash(clip_id, "colour") % 200
    picture[:, : width // 2, 2], picture[:, width // 2 :, 2] = 40, 200
    jpegs = []
    for index in range(num_frames):
        picture[..., 0] = 20 * index % 256
        is_encoded, jpeg = cv2.imencode(".jpg", picture)
        assert is_encoded
        jpegs.append(jpeg.tobytes())
    return records.ClipFrames(
        jpegs=b"".join(jpegs),
        frame_sizes=tuple(map(len, jpegs)),
        height=height,
        width=width,
        facts=records.SourceFacts(
            fps_from_header=12.0,
            num_frames_from_header=num_frames,
        ),
    )


def planned_clip(clip_id: str, label_id: int = 0) -> records.PlannedClip:
    sha256 = hashlib.sha256(clip_id.encode()).hexdigest()
    source = records.Fingerprint(num_bytes=1000 + len(clip_id), sha256=sha256)
    return records.PlannedClip(clip_id, label_id, f"/clips/{clip_id}.webm", source)


def shard_plan(
    label_ids: Mapping[str, int],
    split: str = "train",
    *,
    index: int = 0,
    num_shards: int = 1,
    settings: records.DecodeSettings | None = None,
) -> records.ShardPlan:
    """Plans a shard of clips given as label_ids by clip_id."""
    return sharding.plan_shard(
        split,
        index,
        num_shards,
        clips=[planned_clip(name, label_id) for name, label_id in label_ids.items()],
        settings=settings or records.DecodeSettings(),
    )


def write_dataset(dataset: Path) -> None:
    """Publishes version 000001: 12 clips in 3 shards, one of them quarantined, and
    one more clip missing. Clip n has label n % 3 and 6, 8, 10 or 12 frames.
    """
    annotations = {
        name: records.Annotation(
            name, split, label := int(name) % 3, LABELS.names[label]
        )
        for split, numbers in (("train", range(101, 109)), ("validation", range(4)))
        for name in (str(n if split == "train" else 201 + n) for n in numbers)
    }
    summaries = [
        _write_shard(dataset, split, index, annotations)
        for split, num_shards in NUM_SHARDS.items()
        for index in range(num_shards)
    ]
    missing = records.Annotation(MISSING_CLIP, "train", 1, LABELS.names[1])
    _publish(dataset, summaries, missing)


def _write_shard(
    dataset: Path,
    split: str,
    index: int,
    annotations: Mapping[str, records.Annotation],
) -> records.ShardSummary:
    from mindrecord_io.shards import writer  # loads MindSpore

    num_shards = NUM_SHARDS[split]
    label_ids = {
        ref.clip_id: ref.label_id
        for ref in annotations.values()
        if ref.split == split and sharding.shard_index(ref.clip_id, num_shards) == index
    }
    plan = shard_plan(
        label_ids, split, index=index, num_shards=num_shards, settings=SETTINGS
    )
    parent = shard_folders.split_folder(dataset, split)
    with incomplete.folder_in(parent) as folder:
        shard = writer.ShardWriter(folder, plan)
        for clip in plan.clips:
            if clip.clip_id == QUARANTINED_CLIP:
                shard.quarantine(clip, records.Quarantined("truncated", "3 of 8"))
            else:
                num_frames = 6 + 2 * (int(clip.clip_id) % 4)
                shard.append(clip, clip_frames(clip.clip_id, num_frames))
        summary = shard.finish()
        shard_folders.publish(dataset, folder, summary)
    return summary


def _publish(
    dataset: Path,
    summaries: list[records.ShardSummary],
    missing: records.Annotation,
) -> None:
    entries = tuple(map(versions_by_hand.entry_of, summaries))
    row_groups = [
        clips_table.shard_rows(
            summary,
            entry.path,
            {clip.clip_id: f"/{clip.clip_id}.webm" for clip in summary.clips},
            label_names=LABELS.names,
        )
        for summary, entry in zip(summaries, entries, strict=True)
    ]
    row_groups.append(clips_table.missing_rows([missing], "no file"))
    rows = [row for rows in row_groups for row in rows]
    with incomplete.folder_in(dataset / "versions") as folder:
        clips_table.write(naming.clips_table_path(folder), row_groups)
        naming.labels_folder(folder).mkdir()
        category = naming.labels_folder(folder) / naming.CATEGORY_FILE
        category.write_text("\n".join(LABELS.names))
        fields = manifests.Manifest(
            format_version=schema.FORMAT_VERSION,
            version="",
            parent="",
            created_at="2025-01-02T03:04:05+00:00",
            settings=SETTINGS,
            salt=sharding.DEFAULT_SALT,
            label_digest=hashlib.sha256(json.dumps(LABELS.names).encode()).hexdigest(),
            num_classes=len(LABELS),
            num_clips=sum(entry.num_rows for entry in entries),
            num_quarantined=1,
            num_missing=1,
            num_unlisted=0,
            num_frames=sum(row["num_frames"] for row in rows),
            clips_table=files.fingerprint(naming.clips_table_path(folder)),
            shards=entries,
        )
        publication.publish(dataset, folder, fields)


def pytest_collection_modifyitems(items):
    """Puts files with slow tests before others, and leaves their order otherwise."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module", autouse=True)
def _mindspores_mode():
    """A file's tests begin in MindSpore's own mode, whatever ran in the process."""
    if mindspore := sys.modules.get("mindspore"):
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


@pytest.fixture
def unprivileged(folder):
    """What permissions forbid is forbidden to this process, even if it is root's.

    The test's own fixture `folder` is made before.
    """
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield
    if is_root:
        os.seteuid(0)


@pytest.fixture(scope="session")
def make_jpegs():
    """Makes a clip's frames: `make_jpegs(clip_id, num_frames=6, height=24, ...)`."""
    return clip_frames


@pytest.fixture(scope="session")
def make_plan():
    """Plans a shard: `make_plan({"101": 2, "102": 0}, split="train", ...)`."""
    return shard_plan


@pytest.fixture(scope="session")
def published_version(tmp_path_factory):
    """A manifest.Version to read (see write_dataset); copy `.dataset` to damage it."""
    dataset = tmp_path_factory.mktemp("published") / "dataset"
    subprocess.run(
        [sys.executable, __file__, str(dataset)],
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    return opening.open_version(dataset)


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """48 clips of moving shapes, and the data set of their frames."""
    return small_datasets.make(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def s3_process():
    """An S3 server for all tests; each resets it."""
    with s3_server.serving() as server:
        yield server


@pytest.fixture
def bucket(s3_process, monkeypatch, tmp_path):
    """The S3 server with empty buckets "clips", "runs" and "bucket", named by the
    environment, as an empty cache is.
    """
    monkeypatch.setenv("CLIPMILL_CACHE", str(tmp_path / "cache"))
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    s3_process.reset()
    for name in ("clips", "runs", "bucket"):
        s3_process.make_bucket(name)
    return s3_process


@pytest.fixture
def sigint_is_heard():
    """Lets processes that a test starts get SIGINTs, even if this one ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    write_dataset(Path(sys.argv[1]))
