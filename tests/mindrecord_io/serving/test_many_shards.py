"""1,024 shards with room for 1,024 open files, and ten epochs in the same memory.

The test's program is this file: a process of its own, for its limit and its memory.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io.serving import batches, clip_decoders, clip_index, views
from mindrecord_io.versions import opening

NUM_SHARDS, NUM_EPOCHS = 1024, 10
pytestmark = pytest.mark.slow

VIEW = views.TrainView(num_segments=2, crop_px=64)


def read(dataset: Path, folder: Path) -> dict:
    index = many_shards(dataset, folder)
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=4)
    plan = batches.BatchPlan(batch_size=32)
    source = batches.BatchSource(index, VIEW, plan, decoders=decoders)
    memory, num_clips, most_files = [], 0, 0
    for epoch in range(NUM_EPOCHS):
        for _, label_ids in source.moved(epoch=epoch, begin_step=0):
            num_clips += len(label_ids)
        most_files = max(most_files, len(list(Path("/proc/self/fd").iterdir())))
        memory.append(resident_bytes())
    return {"num_clips": num_clips, "most_files": most_files, "memory": memory}


def many_shards(dataset: Path, folder: Path) -> clip_index.ClipIndex:
    """One clip of the data set, in 1,024 files."""
    index = clip_index.read_clip_index(opening.open_version(dataset), "train")
    clip = index.take(np.zeros(NUM_SHARDS, np.int64))
    path = index.shard_paths[index.shard_indices[0]]
    paths = [folder / f"{i}.mindrecord" for i in range(NUM_SHARDS)]
    for link in paths:
        link.hardlink_to(path)
    return dataclasses.replace(
        clip,
        clip_ids=tuple(str(i) for i in range(NUM_SHARDS)),
        shard_paths=tuple(paths),
        shard_indices=np.arange(NUM_SHARDS, dtype=np.int32),
    )


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def result(published_version, tmp_path_factory):
    """The results that the program wrote."""
    words = [published_version.dataset, tmp_path_factory.mktemp("shards")]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_clip_is_read_with_few_files_open(result):
    assert result["num_clips"] == NUM_SHARDS * NUM_EPOCHS
    assert result["most_files"] < 200


def test_memory_stays_what_it_was_after_the_first_epoch(result):
    first, *later = result["memory"]
    assert max(later) < 1.05 * first


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    sys.stdout.write(json.dumps(read(Path(sys.argv[1]), Path(sys.argv[2]))))
