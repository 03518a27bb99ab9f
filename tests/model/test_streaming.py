"""Frame by frame against the whole clip at once."""

import mindspore
import numpy as np
import pytest

from model.streaming import Stream
from tests.model.test_tsm import make_network, random_clips

ONLINE = {"shift_mode": "online", "consensus": "identity", "num_segments": 5}


def clips(num_clips=2, seed=0):
    return random_clips(num_clips, num_segments=5, seed=seed)


def streamed(stream, frames):
    """Logits (N, T, K) of clips (N, T, 3, H, W), pushed frame by frame."""
    return np.stack([stream.push(frames[:, t]) for t in range(frames.shape[1])], axis=1)


def at_once(network, frames):
    return network(mindspore.Tensor(frames)).asnumpy()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shift_place": "block"},
        {"shift_place": "none"},
        {"arch": "resnet50", "shift_div": 8},
        {"arch": "mobilenetv2", "width": 16},
        {"arch": "mobilenetv2", "width": 16, "shift_place": "block"},
    ],
)
def test_each_frame_has_the_logits_of_the_whole_clip(changes):
    network = make_network(**(ONLINE | changes))
    expected = at_once(network, clips())
    assert np.abs(expected[:, 0] - expected[:, 1]).max() > 0.01
    np.testing.assert_allclose(
        streamed(Stream(network), clips()), expected, rtol=1e-4, atol=1e-4
    )


def test_the_network_is_as_before():
    network = make_network(**ONLINE)
    network.set_train(True)
    Stream(network).push(clips()[:, 0])
    assert network.training
    network.set_train(False)
    expected = at_once(make_network(**ONLINE), clips())
    np.testing.assert_allclose(at_once(network, clips()), expected, rtol=1e-5)


def test_two_streams_of_a_network_do_not_see_each_other():
    network = make_network(**ONLINE)
    first, second = Stream(network), Stream(network)
    expected = at_once(network, clips(1))[:, :2]
    before = first.push(clips(1)[:, 0])
    second.push(clips(1, seed=1)[:, 0])
    after = first.push(clips(1)[:, 1])
    np.testing.assert_allclose(
        np.stack([before, after], axis=1), expected, rtol=1e-4, atol=1e-4
    )


def test_reset_begins_a_new_clip():
    network = make_network(**ONLINE)
    stream = Stream(network)
    first = stream.push(clips()[:, 0])
    second = stream.push(clips()[:, 0])
    assert np.abs(first - second).max() > 0.01
    stream.reset()
    np.testing.assert_array_equal(stream.push(clips()[:, 0]), first)


def test_frames_of_another_size_are_refused():
    stream = Stream(make_network(**ONLINE))
    stream.push(clips()[:, 0])
    with pytest.raises(ValueError, match=r"or call reset\(\): .* \(1, 2, 8, 8\), had"):
        stream.push(clips(1)[:, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift_mode": "offline"}, "needs shift_mode 'online', got 'offline'"),
        (
            {"arch": "resnet34", "non_local": True, "shift_mode": "online"},
            "non_local look at later segments",
        ),
        (
            {"temporal_pool": True, "shift_place": "none", "shift_mode": "offline"},
            "temporal_pool and non_local look",
        ),
    ],
)
def test_networks_that_look_ahead_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Stream(make_network(**changes))


def test_graph_mode_is_refused():
    """There the network would be compiled without its memory."""
    stream = Stream(make_network(**ONLINE))
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    try:
        with pytest.raises(RuntimeError, match="PYNATIVE_MODE"):
            stream.push(clips()[:, 0])
    finally:
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
