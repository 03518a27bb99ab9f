"""The order of training does not depend on the machine: many readings of 23 clips."""

import dataclasses
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from mindrecord_io.serving import (
    batches,
    clip_decoders,
    clip_ids,
    clip_index,
    clip_reader,
    clip_sampling,
    reader,
    views,
)

VIEW = views.TrainView(num_segments=4, crop_px=16, flip_label_map=(1, 0, 2))
NUM_CLIPS, BATCH_SIZE, SEED, NUM_EPOCHS = 23, 8, 5, 3
STEPS_PER_EPOCH = 3  # of 8, 8 and 7 clips


@pytest.fixture
def decisions(monkeypatch):
    """Has decoders note each sample's clip and decision, in place of pixels."""
    noted, numbers = {}, itertools.count()

    def see(reader, row, epoch, repetition):
        number = next(numbers)
        decision = reader.decide(row, epoch, repetition)
        noted[number] = (reader._index.clip_ids[row], decision)
        return clip_reader.SeenClip(dataclasses.replace(decision, label_id=number), [])

    monkeypatch.setattr(clip_reader.ClipReader, "see", see)
    monkeypatch.setattr(clip_reader.ClipReader, "decode", lambda *arguments: None)
    return noted


def made_index(*, order=1, num_shards=2):
    """Clips of several lengths and sizes, laid out in shards in some way."""
    numbers = list(range(NUM_CLIPS))[::order]
    lengths = np.array([9 + n % 13 for n in numbers])
    return clip_index.ClipIndex(
        name="split 'train' of nothing",
        clip_ids=clip_ids.ClipIds.of(str(1000 + n) for n in numbers),
        label_ids=np.array([n % 3 for n in numbers], np.int32),
        heights=np.array([240 + n % 5 for n in numbers], np.int32),
        widths=np.array([320 + n % 7 for n in numbers], np.int32),
        shard_paths=tuple(Path(f"{i}") for i in range(num_shards)),
        shard_indices=np.arange(NUM_CLIPS, dtype=np.int32) % num_shards,
        frames_offsets=np.zeros(NUM_CLIPS, np.int64),
        frame_begins=np.concatenate([[0], np.cumsum(lengths)]),
        frame_sizes=np.ones(int(lengths.sum()), np.int32),
        digest="the same clips",
    )


def source_of(index, view, plan, num_workers=1):
    decoders = clip_decoders.ClipDecoders(
        index, view, seed=plan.seed, num_workers=num_workers
    )
    return batches.BatchSource(index, view, plan, decoders=decoders)


def opened(rank=0, num_ranks=1, *, num_workers=2, index=None, state=None, **plan):
    plan = {"batch_size": BATCH_SIZE, "seed": SEED} | plan
    plan = batches.BatchPlan(rank=rank, num_ranks=num_ranks, **plan)
    source = source_of(index or made_index(), VIEW, plan, num_workers=num_workers)
    split = reader.SplitReader("000001", "train", source)
    if state:
        split.resume(state)
    return split


def steps_of(split, decisions):
    """The samples of each step from where a reader is to the end of the last epoch."""
    while split.epoch < NUM_EPOCHS:
        for _, numbers in split:
            yield [decisions[number] for number in numbers.tolist()]


def global_steps(decisions, num_ranks, *, state=None, **options):
    readers = [
        opened(rank, num_ranks, state=state, **options) for rank in range(num_ranks)
    ]
    parts = zip(*(steps_of(split, decisions) for split in readers), strict=True)
    return [list(itertools.chain(*step)) for step in parts]


@pytest.fixture
def expected(decisions):
    return global_steps(decisions, 1)


def test_each_epoch_sees_each_clip_once(expected):
    assert [len(step) for step in expected] == [8, 8, 7] * NUM_EPOCHS
    for epoch in range(NUM_EPOCHS):
        steps = expected[epoch * STEPS_PER_EPOCH : (epoch + 1) * STEPS_PER_EPOCH]
        seen = sorted(clip_id for step in steps for clip_id, _ in step)
        assert seen == sorted(made_index().clip_ids)


@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
def test_global_batches_are_the_same(decisions, expected, num_ranks, num_workers):
    actual = global_steps(decisions, num_ranks, num_workers=num_workers)
    assert actual == expected


@pytest.mark.parametrize("layout", [{"order": -1}, {"num_shards": 7}])
def test_shards_do_not_matter(decisions, expected, layout):
    assert global_steps(decisions, 2, index=made_index(**layout)) == expected


def test_what_is_interrupted_goes_on_with_other_ranks(decisions, expected):
    choices = random.Random(7)
    for _ in range(20):
        num_before, num_after = (choices.choice([1, 2, 3, 8]) for _ in "ab")
        step = choices.randrange(1, len(expected))
        rank = choices.randrange(num_before)
        interrupted = opened(rank, num_before)
        list(itertools.islice(steps_of(interrupted, decisions), step))
        state = interrupted.state()
        assert (state.epoch, state.step) == divmod(step, STEPS_PER_EPOCH)
        actual = global_steps(decisions, num_after, state=state)
        assert actual == expected[step:]


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_drawing_by_class_is_elastic_too(decisions, num_ranks):
    sampling = clip_sampling.ClassBalanced()
    first = opened(sampling=sampling)
    whole = list(steps_of(first, decisions))
    assert len({clip_id for step in whole[:3] for clip_id, _ in step}) < NUM_CLIPS
    split = opened(sampling=sampling)
    next(iter(split))
    state = split.state()
    actual = global_steps(decisions, num_ranks, state=state, sampling=sampling)
    assert actual == whole[1:]


def test_a_clip_drawn_twice_is_seen_in_two_ways(decisions):
    weights = clip_sampling.Weighted.of({"1001": 1.0}, default_weight=0.0)
    (*_, last) = steps_of(opened(sampling=weights, epoch=2), decisions)
    assert {clip_id for clip_id, _ in last} == {"1001"}
    assert len({decision for _, decision in last}) == len(last) == 7


def test_the_last_clips_are_dropped_only_where_asked(decisions):
    assert opened().num_dropped == 0
    split = opened(drop_last=True)
    assert (split.num_dropped, split.steps_per_epoch) == (7, 2)
    assert [len(step) for step in steps_of(split, decisions)] == [8, 8] * NUM_EPOCHS


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
def test_evaluation_sees_each_clip_once_in_the_order_of_the_table(num_ranks):
    index, view = made_index(order=-1), views.CentreView()
    parts = []
    for rank in range(num_ranks):
        plan = batches.BatchPlan(BATCH_SIZE, rank=rank, num_ranks=num_ranks)
        parts.append(source_of(index, view, plan).rows().tolist())
    assert sorted(itertools.chain(*parts)) == list(range(NUM_CLIPS))
    assert all(part == sorted(part) for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= STEPS_PER_EPOCH


def test_states_of_shuffled_clips_do_not_depend_on_the_layout():
    turned = opened(index=made_index(order=-1))
    assert turned.state() == opened().state()


def test_states_in_table_order_do():
    states = []
    for order in (1, -1):
        index, plan = made_index(order=order), batches.BatchPlan(BATCH_SIZE)
        source = source_of(index, views.CentreView(), plan)
        states.append(reader.SplitReader("000001", "train", source).state())
    assert states[0].clips_digest != states[1].clips_digest


def test_a_step_after_the_end_of_the_epoch_is_refused():
    state = dataclasses.replace(opened().state(), step=3)
    with pytest.raises(ValueError, match="is at step 3, but an epoch has 3 steps"):
        opened(state=state)
