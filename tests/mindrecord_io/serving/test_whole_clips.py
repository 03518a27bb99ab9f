import re
import shutil

import numpy as np
import pytest

from mindrecord_io.serving import clip_index, whole_clips
from mindrecord_io.serving.frames import FrameError
from mindrecord_io.versions import opening


def test_all_frames_come_at_their_size_in_rgb(published_version):
    frames = whole_clips.read_clip(published_version, "103")
    assert (frames.shape, frames.dtype) == ((12, 24, 32, 3), np.uint8)
    # Blue is 20 times the frame's index; red is 40 in the left half, 200 in the right.
    blue = frames[..., 2].mean(axis=(1, 2))
    assert np.abs(blue - 20 * np.arange(12)).max() < 6
    assert np.abs(frames[:, :, :12, 0].mean() - 40) < 6
    assert np.abs(frames[:, :, 20:, 0].mean() - 200) < 6


def test_a_clip_of_any_split_is_read_by_the_path_of_the_data_set(published_version):
    dataset = str(published_version.dataset)
    frames = whole_clips.read_clip(dataset, "201")
    index = clip_index.read_clip_index(published_version, "validation")
    assert len(frames) == index.num_frames(index.clip_ids.index("201"))


@pytest.mark.parametrize(
    ("clip_id", "expected"),
    [
        ("7", "version 000001 has no clip 7"),
        ("105", "has no frames of clip 105: it is quarantined ("),
        ("109", "has no frames of clip 109: it is missing ("),
    ],
)
def test_a_clip_without_frames_is_named(published_version, clip_id, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        whole_clips.read_clip(published_version, clip_id)


def test_damage_is_named(published_version, tmp_path):
    dataset = tmp_path / "copy"
    shutil.copytree(published_version.dataset, dataset)
    index = clip_index.read_clip_index(opening.open_version(dataset), "train")
    row = index.clip_ids.index("103")
    path = index.shard_paths[index.shard_indices[row]]
    with path.open("r+b") as shard:
        shard.seek(index.frame_ranges(row)[0][1])
        shard.write(bytes(100))
    with pytest.raises(FrameError, match=f"clip 103 in {re.escape(str(path))}: "):
        whole_clips.read_clip(dataset, "103")
