import dataclasses
import json
import re

import pytest

from mindrecord_io import records
from mindrecord_io.serving import clip_sampling, reader_state, views

STATE = reader_state.ReaderState(
    split="train",
    version="000002",
    clips_digest="c",
    view_digest="v",
    seed=4,
    batch_size=64,
    drop_last=True,
    epoch=3,
    step=17,
)


def test_a_state_survives_json():
    text = json.dumps(records.to_json(STATE))
    assert reader_state.ReaderState.parse(json.loads(text)) == STATE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"step": "17"}, "not the state of a reader: step must be int, got '17'"),
        ({"speed": 1}, "unknown fields ['speed']"),
        ({"step": -1}, "step >= 0, got 64, 3 and -1"),
        ({"batch_size": 0}, "a state needs batch_size >= 1"),
        ({"seed": 1 << 64}, "seed must fit in 64 bits, got 18446744073709551616"),
    ],
)
def test_what_is_no_state_is_refused(change, expected):
    with pytest.raises(reader_state.StateError, match=re.escape(expected)):
        reader_state.ReaderState.parse(records.to_json(STATE) | change)


@pytest.mark.parametrize("nothing", [None, "state", [1]])
def test_other_json_is_refused(nothing):
    with pytest.raises(reader_state.StateError, match="not the state of a reader"):
        reader_state.ReaderState.parse(nothing)


def test_place_and_version_may_differ():
    other = dataclasses.replace(STATE, epoch=0, step=0, version="000009")
    STATE.check_continues(other)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": "test"}, "the split is 'test' here, 'train' in the state"),
        ({"seed": 5}, "seed is 5 here, 4 in the state"),
        ({"batch_size": 8}, "batch_size (over all ranks) is 8 here, 64 in the state"),
        ({"drop_last": False}, "drop_last is False here, True in the state"),
        ({"clips_digest": "d"}, "the digest of the clips, their labels and their"),
        ({"view_digest": "w"}, "the digest of the view and the sampling is 'w' here"),
    ],
)
def test_another_reading_is_refused(change, expected):
    other = dataclasses.replace(STATE, **change)
    with pytest.raises(reader_state.StateError, match=re.escape(expected)) as caught:
        STATE.check_continues(other)
    begin = "cannot go on from a state of version 000002, epoch 3, step 17: "
    assert str(caught.value).startswith(begin)


def test_every_difference_is_named():
    other = dataclasses.replace(STATE, seed=5, batch_size=8)
    with pytest.raises(reader_state.StateError, match=r"seed is 5.*; batch_size"):
        STATE.check_continues(other)


def test_digests_tell_values_apart():
    values = [
        views.TrainView(),
        views.TrainView(num_segments=16),
        views.CentreView(),
        clip_sampling.EachOnce(),
        clip_sampling.ClassBalanced(),
        clip_sampling.Weighted.of({"1": 2}),
        clip_sampling.Weighted.of({"1": 3}),
        "text",
        ("1", "2"),
    ]
    actual = [reader_state.digest(value) for value in values]
    assert len(set(actual)) == len(values)
    assert [reader_state.digest(value) for value in values] == actual
