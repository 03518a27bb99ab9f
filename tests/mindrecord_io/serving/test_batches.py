import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io.serving import (
    batches,
    clip_decoders,
    clip_ids,
    clip_index,
    clip_sampling,
    frames,
    views,
)
from mindrecord_io.shards import sharding

TRAIN = views.TrainView(num_segments=4, crop_px=16)
CENTRE = views.CentreView(num_segments=4, crop_px=16, resize_px=16)


@pytest.fixture
def index(published_version):
    """7 clips in 2 shards: 101 to 108 without 105; see conftest for their pixels."""
    return clip_index.read_clip_index(published_version, "train")


def many_clips(num_clips):
    """An index of clips "0" to "n - 1" whose shards need not exist."""
    zeros = np.zeros(num_clips, np.int32)
    return clip_index.ClipIndex(
        name="split 'train' of nothing",
        clip_ids=clip_ids.ClipIds.of(str(number) for number in range(num_clips)),
        label_ids=zeros,
        heights=zeros + 24,
        widths=zeros + 32,
        shard_paths=(Path("nowhere"),),
        shard_indices=zeros,
        frames_offsets=np.zeros(num_clips, np.int64),
        frame_begins=np.arange(num_clips + 1),
        frame_sizes=zeros + 1,
    )


def source_of(index, view=TRAIN, num_workers=2, **plan):
    plan = batches.BatchPlan(**{"batch_size": 3} | plan)
    decoders = clip_decoders.ClipDecoders(
        index, view, seed=plan.seed, num_workers=num_workers
    )
    return batches.BatchSource(index, view, plan, decoders=decoders)


def read(index, view=TRAIN, num_workers=2, **plan):
    return list(source_of(index, view, num_workers, **plan))


def assert_same_batches(actual, expected):
    assert len(actual) == len(expected)
    for (pixels, label_ids), (other_pixels, other_label_ids) in zip(
        actual, expected, strict=True
    ):
        np.testing.assert_array_equal(pixels, other_pixels)
        np.testing.assert_array_equal(label_ids, other_label_ids)


def clip_ids_of(actual, index):
    """The clips of batches, recognised by green, which conftest makes of their hash."""
    greens = {sharding.clip_hash(name, "colour") % 200: name for name in index.clip_ids}
    means = [p[:, 1].mean() for pixels, _ in actual for p in pixels]
    return [greens[min(greens, key=lambda g: abs(g - mean))] for mean in means]


def test_batches_have_the_promised_shapes_and_types(index):
    actual = read(index)
    assert [pixels.shape for pixels, _ in actual] == [
        (3, 4, 3, 16, 16),
        (3, 4, 3, 16, 16),
        (1, 4, 3, 16, 16),
    ]
    assert {pixels.dtype for pixels, _ in actual} == {np.dtype(np.uint8)}
    assert {label_ids.dtype for _, label_ids in actual} == {np.dtype(np.int32)}


@pytest.mark.parametrize("view", [TRAIN, CENTRE])
def test_an_epoch_holds_every_clip_once_with_its_label(index, view):
    actual = read(index, view)
    clip_ids = clip_ids_of(actual, index)
    assert sorted(clip_ids) == sorted(index.clip_ids)
    label_ids = np.concatenate([label_ids for _, label_ids in actual])
    assert label_ids.tolist() == [int(clip_id) % 3 for clip_id in clip_ids]


def test_centre_view_keeps_the_order_of_the_table(index):
    assert clip_ids_of(read(index, CENTRE), index) == list(index.clip_ids)


def test_train_view_gives_the_order_of_the_epoch(index):
    order = clip_sampling.epoch_order(index.clip_ids, 5, 2)
    actual = read(index, seed=5, epoch=2)
    assert clip_ids_of(actual, index) == [index.clip_ids[row] for row in order]


def test_centre_view_shows_the_centre_frames_and_all_of_their_height(index):
    (pixels, _) = read(index, CENTRE, batch_size=7)[0]
    row = index.clip_ids.index("103")  # 6 + 2 * 3 = 12 frames: 1, 4, 7, 10
    blue = pixels[row, :, 2].mean(axis=(1, 2))
    assert np.abs(blue - [20, 80, 140, 200]).max() < 6
    red = pixels[row, :, 0].astype(int)  # 40 in the left half, 200 in the right
    assert np.abs(red[:, :, :5] - 40).max() < 30
    assert np.abs(red[:, :, -5:] - 200).max() < 30


def test_views_of_a_clip_are_in_the_order_of_crops_and_then_of_times(index):
    view = views.ThreeCropView(num_segments=2, crop_px=12, resize_px=12)
    (pixels, _) = read(index, view, batch_size=7)[0]
    assert pixels.shape == (7, 6, 2, 3, 12, 12)
    row = index.clip_ids.index("103")  # 12 frames: 3 and 9, then 0 and 6
    blue = pixels[row, :, :, 2].mean(axis=(2, 3))
    assert np.abs(blue - [[60, 180], [0, 120]] * 3).max() < 6
    # 24 of 32 columns from 0, 4 and 8 on: red is 200 from column 16 on.
    red = pixels[row, :, 0, 0].mean(axis=1)  # (views, columns)
    num_red = (red > 120).sum(axis=1)
    assert num_red.tolist() == [4, 4, 6, 6, 8, 8]


def test_all_frames_of_a_clip_have_one_crop_and_one_flip(index):
    view = views.TrainView(num_segments=4, crop_px=16, flip_label_map=(1, 0, 2))
    flips = set()
    for epoch in range(4):
        for pixels, label_ids in read(index, view, epoch=epoch):
            for clip, label_id in zip(
                pixels[:, :, 0].astype(int), label_ids, strict=True
            ):
                assert np.abs(clip - clip[:1]).max() < 25  # T frames, red: the halves
                flips.add((clip[..., 0].mean() > clip[..., -1].mean(), int(label_id)))
    assert {is_flipped for is_flipped, _ in flips} == {False, True}


def test_flipped_clips_have_the_swapped_label(index):
    view = views.TrainView(
        num_segments=4, crop_px=16, scales=(1,), flip_label_map=(1, 0, -1)
    )
    seen = set()
    for epoch in range(6):
        actual = read(index, view, epoch=epoch)
        clips = [clip for pixels, _ in actual for clip in pixels[:, :, 0].astype(int)]
        label_ids = np.concatenate([label_ids for _, label_ids in actual]).tolist()
        for clip_id, clip, label_id in zip(
            clip_ids_of(actual, index), clips, label_ids, strict=True
        ):
            is_flipped = bool(clip[..., 0].mean() > clip[..., -1].mean())
            seen.add((int(clip_id) % 3, is_flipped, label_id))
    assert seen == {
        (0, False, 0),
        (0, True, 1),
        (1, False, 1),
        (1, True, 0),
        (2, False, 2),
    }


@pytest.mark.parametrize("num_workers", [1, 2, 4, 16])
def test_batches_do_not_depend_on_the_number_of_threads(index, num_workers):
    expected = read(index, num_workers=3)
    assert_same_batches(read(index, num_workers=num_workers), expected)


@pytest.mark.parametrize("view", [TRAIN, CENTRE])
@pytest.mark.parametrize("begin_step", [0, 1, 3])
def test_resuming_gives_the_same_batches(index, view, begin_step):
    whole = read(index, view, batch_size=2, epoch=3)
    rest = read(index, view, batch_size=2, epoch=3, begin_step=begin_step)
    assert_same_batches(rest, whole[begin_step:])


def test_resuming_reads_nothing_of_the_steps_before(index, monkeypatch):
    num_reads = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *a: num_reads.append(a) or pread(*a))
    read(index, batch_size=2, begin_step=3)  # one clip of 4 frames is left
    assert len(num_reads) == 4


def test_batches_do_not_depend_on_the_layout_of_the_shards(index):
    rows = np.arange(len(index))[::-1]
    sizes = [index.frame_ranges(row)[1] for row in rows]
    turned = dataclasses.replace(
        index,
        clip_ids=tuple(index.clip_ids[row] for row in rows),
        label_ids=index.label_ids[rows],
        heights=index.heights[rows],
        widths=index.widths[rows],
        shard_paths=index.shard_paths[::-1],
        shard_indices=1 - index.shard_indices[rows],
        frames_offsets=index.frames_offsets[rows],
        frame_begins=np.cumsum([0, *(len(s) for s in sizes)]),
        frame_sizes=np.concatenate(sizes),
    )
    assert_same_batches(read(turned), read(index))


@pytest.mark.parametrize(("batch_size", "num_ranks"), [(2, 2), (4, 3), (7, 7), (3, 2)])
def test_ranks_share_every_batch(index, batch_size, num_ranks):
    whole = read(index, batch_size=batch_size)
    ranks = [
        read(index, batch_size=batch_size, rank=rank, num_ranks=num_ranks)
        for rank in range(num_ranks)
    ]
    joined = [
        tuple(np.concatenate(parts) for parts in zip(*batch, strict=True))
        for batch in zip(*ranks, strict=True)
    ]
    assert_same_batches(joined, whole)


def test_ranks_share_a_short_last_batch_too(index):
    sizes = [
        [len(label_ids) for _, label_ids in read(index, batch_size=4, **rank)]
        for rank in ({"rank": 0, "num_ranks": 2}, {"rank": 1, "num_ranks": 2})
    ]
    assert sizes == [[2, 1], [2, 2]]


@pytest.mark.parametrize(
    ("num_ranks", "expected"),
    [
        (1, [[3, 3, 1]]),
        (2, [[1, 1, 0], [2, 2, 1]]),
        (3, [[1, 1, 0], [1, 1, 0], [1, 1, 1]]),
    ],
)
def test_every_rank_has_equally_many_steps(index, num_ranks, expected):
    sizes = [
        [len(label_ids) for _, label_ids in read(index, rank=rank, num_ranks=num_ranks)]
        for rank in range(num_ranks)
    ]
    assert sizes == expected


@pytest.mark.parametrize("begin_step", [0, 2])
def test_rows_tell_which_clips_a_rank_reads(index, begin_step):
    for rank in range(2):
        source = source_of(index, begin_step=begin_step, rank=rank, num_ranks=2)
        actual = [index.clip_ids[row] for row in source.rows()]
        assert actual == clip_ids_of(list(source), index)


def test_another_epoch_or_seed_gives_other_batches(index):
    first = read(index, batch_size=7)[0]
    for other in ({"epoch": 1}, {"seed": 1}):
        pixels, _ = read(index, batch_size=7, **other)[0]
        assert not np.array_equal(pixels, first[0])


def test_batches_stay_what_they_are_when_the_next_are_made(index):
    source = source_of(index, batch_size=2)
    first, copies = [], []
    for pixels, _ in source:
        first.append(pixels)
        copies.append(pixels.copy())
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(copies))


@pytest.mark.parametrize(
    ("num_clips", "batch_size", "drop_last", "num_steps", "num_dropped"),
    [(7, 3, False, 3, 0), (7, 3, True, 2, 1), (6, 3, False, 2, 0), (6, 3, True, 2, 0)],
)
def test_steps_of_an_epoch(num_clips, batch_size, drop_last, num_steps, num_dropped):
    plan = {"batch_size": batch_size, "drop_last": drop_last}
    source = source_of(many_clips(num_clips), **plan)
    assert (source.num_steps, source.num_dropped) == (num_steps, num_dropped)
    later = source.moved(epoch=0, begin_step=1)
    assert (len(source), len(later)) == (num_steps, num_steps - 1)
    assert later.num_steps == num_steps


def damaged(index, clip_id, tmp_path):
    """The index, with the second frame of a clip overwritten in a copy of its shard."""
    row = index.clip_ids.index(clip_id)
    shard_index = int(index.shard_indices[row])
    content = bytearray(index.shard_paths[shard_index].read_bytes())
    offsets, sizes = index.frame_ranges(row)
    content[offsets[1] : offsets[1] + sizes[1]] = bytes(sizes[1])
    path = tmp_path / "damaged.mindrecord"
    path.write_bytes(content)
    paths = list(index.shard_paths)
    paths[shard_index] = path
    return dataclasses.replace(index, shard_paths=tuple(paths)), path


def test_a_frame_that_cannot_be_decoded_is_named(index, tmp_path):
    view = views.CentreView(num_segments=12, crop_px=16, resize_px=16)
    broken, path = damaged(index, "103", tmp_path)
    with pytest.raises(
        frames.FrameError, match=f"clip 103, frame 1 in {re.escape(str(path))}: "
    ):
        read(broken, view)


def test_an_error_comes_after_the_batches_before_it(index, tmp_path):
    view = views.CentreView(num_segments=12, crop_px=16, resize_px=16)
    broken, _ = damaged(index, index.clip_ids[5], tmp_path)
    batches_of_epoch = iter(source_of(broken, view, batch_size=1))
    for _ in range(5):
        next(batches_of_epoch)
    with pytest.raises(frames.FrameError, match=f"clip {index.clip_ids[5]}, frame 1"):
        next(batches_of_epoch)


def test_a_shard_that_went_missing_is_named(index, tmp_path):
    gone = dataclasses.replace(index, shard_paths=(tmp_path / "a", tmp_path / "b"))
    with pytest.raises(frames.FrameError, match=r"clip \d+ in .*: .*No such file"):
        read(gone)


def test_leaving_the_loop_leaves_nothing_running(index):
    source = source_of(index, batch_size=1, num_workers=3)
    for _ in source:
        break
    first = read(index, batch_size=1, num_workers=1)
    assert_same_batches(list(source), first)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 8, "epoch": -1}, "epoch at least 0, got 8 and -1"),
        ({"batch_size": 8, "rank": 2, "num_ranks": 2}, "rank must be in [0, 2), got 2"),
        ({"batch_size": 2, "num_ranks": 3}, "must be at least num_ranks, 3: 2"),
        ({"batch_size": 3, "begin_step": 3}, "begin_step must be in [0, 3)"),
        ({"batch_size": 3, "begin_step": -1}, "the steps of an epoch: -1"),
        ({"batch_size": 9, "drop_last": True}, "7 clips, less than one batch of 9"),
    ],
)
def test_impossible_plans_are_refused(plan, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        source_of(many_clips(7), **plan)


def test_the_label_map_must_cover_the_labels(index):
    view = views.TrainView(flip_label_map=(1, 0))
    expected = (
        "split 'train' of version 000001: flip_label_map is for 2 labels, got label_id"
    )
    with pytest.raises(ValueError, match=expected):
        source_of(index, view)
