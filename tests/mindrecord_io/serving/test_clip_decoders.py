import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io import records
from mindrecord_io.serving import clip_decoders, clip_index, frames, views
from mindrecord_io.storage import shard_cache

VIEW = views.CentreView(num_segments=4, crop_px=16, resize_px=16)


@pytest.fixture
def index(published_version):
    return clip_index.read_clip_index(published_version, "train")


def all_of(index):
    rows = np.arange(len(index))
    return clip_decoders.Samples(0, rows, np.zeros_like(rows))


def threads():
    """Those that decode, other tests' included."""
    return {t.ident for t in threading.enumerate() if "clip-decoder" in t.name}


def links_to(paths):
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return {link.name for link in links if link.resolve() in paths}


def test_batches_are_filled(index):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    pixels, label_ids = decoders.submit(all_of(index)).result()
    assert label_ids.tolist() == [int(name) % 3 for name in index.clip_ids]
    assert (pixels[:, :, 0, :, -1] > 150).all()  # red in the right half
    decoders.close()


def test_a_batch_of_no_clips_is_empty(index):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    nothing = np.arange(0)
    samples = clip_decoders.Samples(0, nothing, nothing)
    pixels, label_ids = decoders.submit(samples).result()
    assert (len(pixels), len(label_ids)) == (0, 0)


def test_closing_ends_the_threads_and_closes_the_files(index):
    before, links_before = threads(), links_to(index.shard_paths)
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    decoders.submit(all_of(index)).result()
    assert threads() > before
    assert links_to(index.shard_paths) > links_before
    decoders.close()
    decoders.close()
    assert threads() <= before
    assert links_to(index.shard_paths) <= links_before


def test_few_shards_that_may_leave_the_cache_stay_open(index):
    remote = shard_cache.RemoteShard("x", records.Fingerprint(1, "0" * 64))
    fetched = dataclasses.replace(index, remote_shards=(remote, remote))
    actual = [
        clip_decoders.ClipDecoders(i, VIEW, seed=0, num_workers=1)._files._max_open
        for i in (index, fetched)
    ]
    assert actual == [frames.MAX_OPEN_FILES, 8]


def test_who_forgets_them_ends_them_too(index):
    before, links_before = threads(), links_to(index.shard_paths)
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    decoders.submit(all_of(index)).result()
    pool = decoders._pool
    del decoders
    for thread in pool._threads:
        thread.join(60)
    assert threads() <= before
    assert links_to(index.shard_paths) <= links_before


def test_nobody_waits_where_the_garbage_collector_may_run(index, monkeypatch):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    decoders.submit(all_of(index)).result()
    joined = []
    monkeypatch.setattr(threading.Thread, "join", lambda *_: joined.append(1))
    del decoders
    assert joined == []


def test_after_an_error_nobody_writes_to_the_batch(index, monkeypatch):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    samples = all_of(index)
    samples = clip_decoders.Samples(0, samples.rows + 1, samples.repetitions)  # no row
    batch = decoders.submit(samples)
    with pytest.raises(IndexError):
        batch.result()
    assert all(task.done() for task in batch.tasks)


def test_a_file_that_is_gone_is_named_with_the_clip(index, tmp_path):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=1)
    decoders._files._paths = [tmp_path / "gone"] * 2
    with pytest.raises(frames.FrameError, match=r"clip \d+ in .*No such file"):
        decoders.submit(all_of(index)).result()


def test_threads_are_needed(index):
    with pytest.raises(ValueError, match="num_workers must be at least 1, got 0"):
        clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=0)


def test_memory_is_used_again_once_a_batch_is_forgotten(index):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    for _ in range(5):
        decoders.submit(all_of(index)).result()
    assert decoders._memory.num_blocks == 1
    kept = [decoders.submit(all_of(index)).result() for _ in range(3)]
    assert decoders._memory.num_blocks == len(kept)


def test_a_larger_batch_gets_larger_memory(index):
    decoders = clip_decoders.ClipDecoders(index, VIEW, seed=0, num_workers=2)
    one = np.zeros(1, np.int64)
    small, _ = decoders.submit(clip_decoders.Samples(0, one, one)).result()
    large, _ = decoders.submit(all_of(index)).result()
    np.testing.assert_array_equal(large[0], small[0])
    assert len(large) == len(index)
