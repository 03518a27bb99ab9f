import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io.serving import clip_ids, clip_index, clip_sampling


def index_of(label_ids):
    """An index of clips of 2 frames given as label_ids by clip_id."""
    zeros = np.zeros(len(label_ids), np.int32)
    return clip_index.ClipIndex(
        name="split 'train' of nothing",
        clip_ids=clip_ids.ClipIds.of(label_ids),
        label_ids=np.array(list(label_ids.values()), np.int32),
        heights=zeros + 24,
        widths=zeros + 32,
        shard_paths=(Path("nowhere"),),
        shard_indices=zeros,
        frames_offsets=np.arange(len(label_ids)) * 100,
        frame_begins=np.arange(len(label_ids) + 1) * 2,
        frame_sizes=np.arange(2 * len(label_ids), dtype=np.int32) + 1,
        digest="0",
    )


TEN = index_of({str(number): int(number == 9) for number in range(10)})


def drawn(sampling, index=TEN, seed=0, epoch=0):
    return [index.clip_ids[row] for row in sampling.draw(index, seed, epoch)]


def test_epoch_order_is_a_permutation_that_is_fixed_for_good():
    clip_ids = [str(number) for number in range(10)]
    # Another value here means that every training run has another order than before.
    expected = [9, 4, 0, 8, 1, 2, 3, 6, 5, 7]
    assert clip_sampling.epoch_order(clip_ids, 0, 0).tolist() == expected


def test_epoch_order_depends_on_which_clips_not_on_where_they_are():
    clip_ids = [str(number) for number in range(100)]
    ordered = [clip_ids[i] for i in clip_sampling.epoch_order(clip_ids, 1, 2)]
    turned = clip_ids[::-1]
    assert [turned[i] for i in clip_sampling.epoch_order(turned, 1, 2)] == ordered


def test_epoch_order_changes_with_seed_and_epoch():
    clip_ids = [str(number) for number in range(100)]
    orders = {
        tuple(clip_sampling.epoch_order(clip_ids, seed, epoch).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_each_once_is_the_order_of_the_epoch():
    order = clip_sampling.epoch_order(TEN.clip_ids, 3, 4)
    actual = drawn(clip_sampling.EachOnce(), seed=3, epoch=4)
    assert actual == [TEN.clip_ids[row] for row in order]


def test_balanced_classes_are_drawn_equally_often():
    # One clip of label 1 among ten: it is half of what is drawn.
    sampling = clip_sampling.ClassBalanced()
    counts = Counter(c for e in range(400) for c in drawn(sampling, epoch=e))
    assert sum(counts.values()) == 4000
    assert abs(counts["9"] / 4000 - 1 / 2) < 0.03
    assert all(abs(counts[str(n)] / 4000 - 1 / 18) < 0.015 for n in range(9))


def test_weights_are_probabilities():
    sampling = clip_sampling.Weighted.of({"0": 3, "1": 1}, default_weight=0)
    counts = Counter(c for e in range(400) for c in drawn(sampling, epoch=e))
    assert set(counts) == {"0", "1"}
    assert abs(counts["0"] / 4000 - 3 / 4) < 0.03


def test_what_is_drawn_is_fixed_for_good():
    # Another value here means that such training runs have other clips than before.
    assert drawn(clip_sampling.ClassBalanced()) == list("9985996999")
    assert drawn(clip_sampling.Weighted.of({"0": 4})) == list("9520861495")


@pytest.mark.parametrize(
    "sampling", [clip_sampling.ClassBalanced(), clip_sampling.Weighted.of({"3": 7})]
)
def test_what_is_drawn_depends_on_the_clips_not_on_where_they_are(sampling):
    label_ids = {str(number): number % 3 for number in range(30)}
    turned = index_of(dict(reversed(label_ids.items())))
    assert drawn(sampling, turned) == drawn(sampling, index_of(label_ids))
    assert drawn(sampling, turned, epoch=1) != drawn(sampling, turned)


def test_a_clip_alone_is_drawn():
    index = index_of({"7": 2})
    assert drawn(clip_sampling.ClassBalanced(), index) == ["7"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([5, 5, 3, 5], [0, 1, 0, 2]),
        ([2, 1, 0], [0, 0, 0]),
        ([4, 3, 4, 3, 3], [0, 0, 1, 1, 2]),
        ([], []),
    ],
)
def test_repetitions_count_what_came_before(rows, expected):
    actual = clip_sampling.repetitions(np.array(rows, np.int64))
    assert actual.tolist() == expected


def test_select_keeps_the_order_and_the_places_of_clips():
    actual = clip_sampling.select(TEN, ["9", "2"])
    assert actual.clip_ids == ("2", "9")
    assert actual.label_ids.tolist() == [0, 1]
    assert actual.frames_offsets.tolist() == [200, 900]
    assert actual.frame_begins.tolist() == [0, 2, 4]
    assert actual.frame_sizes.tolist() == [5, 6, 19, 20]
    offsets, sizes = actual.frame_ranges(1)
    assert (offsets, sizes) == ([900, 919], [19, 20])


def test_a_subset_has_a_digest_of_its_own():
    pairs = (["1", "2"], ["2", "1"], ["1", "3"])
    first, same, other = (clip_sampling.select(TEN, p).digest for p in pairs)
    assert first == same
    assert len({first, other, TEN.digest}) == 3


@pytest.mark.parametrize(
    ("clip_ids", "expected"),
    [
        (["1", "x", "y"], "split 'train' of nothing has no clips x, y (of 10 stored)"),
        ([f"x{n}" for n in range(7)], "no clips x0, x1, x2, x3, x4 and 2 more (of"),
        (["1", "2", "1"], "clip ids must be given once, found twice: 1"),
        ([], "split 'train' of nothing: the list of clip ids is empty"),
    ],
)
def test_wrong_lists_of_clips_are_refused(clip_ids, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        clip_sampling.select(TEN, clip_ids)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: clip_sampling.Weighted.of({"4": -1}),
            "weights must be finite and not negative, got -1 for 4",
        ),
        (
            lambda: clip_sampling.Weighted((), default_weight=float("nan")),
            "got nan for default_weight",
        ),
        (
            lambda: clip_sampling.Weighted((("1", 1), ("1", 2))),
            "found twice: 1",
        ),
        (
            lambda: drawn(clip_sampling.Weighted.of({"77": 1})),
            "has no clips 77",
        ),
        (
            lambda: drawn(clip_sampling.Weighted((), default_weight=0)),
            "all weights are zero: nothing to draw",
        ),
    ],
)
def test_impossible_weights_are_refused(make, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        make()
