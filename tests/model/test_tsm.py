"""The network as a whole: its configuration, its shapes, what it can tell apart."""

import dataclasses

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from model.tsm import TSM, TSMConfig

SLIM = TSMConfig(num_classes=5, arch="resnet18", width=8, num_segments=4, shift_div=4)


def random_clips(num_clips=2, num_segments=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num_clips, num_segments, 3, 32, 32), np.uint8)


def make_network(**changes):
    """A network whose numbers neither vanish nor agree, so that all parts count."""
    mindspore.set_seed(1)
    network = TSM(dataclasses.replace(SLIM, **changes))
    rng = np.random.default_rng(0)
    for parameter in network.get_parameters():
        if parameter.name.endswith("gamma"):
            values = rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(values))
        is_depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
        if is_depthwise or parameter.name == "new_fc.weight":
            values = rng.normal(size=parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(values))
    network.set_train(False)
    return network


@pytest.mark.parametrize("place", ["blockres", "block", "none"])
def test_logits_are_one_row_a_clip(place):
    assert make_network(shift_place=place)(Tensor(random_clips(3))).shape == (3, 5)


def test_identity_consensus_keeps_the_segments():
    network = make_network(consensus="identity")
    assert network(Tensor(random_clips(2))).shape == (2, 4, 5)


def test_bytes_and_floats_of_the_same_pixels_agree():
    network, clips = make_network(), random_clips()
    np.testing.assert_array_equal(
        network(Tensor(clips)).asnumpy(),
        network(Tensor(clips.astype(np.float32))).asnumpy(),
    )


def test_pixels_are_normalised_by_imagenet_per_channel():
    network = make_network()
    seen = []

    class Recorder(nn.Cell):
        def construct(self, x):
            seen.append(x.asnumpy())
            return x.mean(axis=(2, 3))

    network.base_model = Recorder()
    network.new_fc = nn.Dense(3, 5)
    clips = np.zeros((1, 4, 3, 2, 2), np.uint8)
    clips[0, 1] = 255
    network(Tensor(clips))
    black, white = seen[0][0, :, 0, 0], seen[0][1, :, 0, 0]
    np.testing.assert_allclose(black, [-2.11790, -2.03571, -1.80444], atol=1e-4)
    np.testing.assert_allclose(white, [2.24891, 2.42857, 2.64], atol=1e-4)


def test_unshifted_network_is_blind_to_the_order_of_frames():
    network, clips = make_network(shift_place="none"), random_clips()
    np.testing.assert_allclose(
        network(Tensor(clips)).asnumpy(),
        network(Tensor(np.ascontiguousarray(clips[:, ::-1]))).asnumpy(),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("place", ["blockres", "block"])
def test_shifted_network_sees_the_order_of_frames(place):
    network, clips = make_network(shift_place=place), random_clips()
    forwards = network(Tensor(clips)).asnumpy()
    backwards = network(Tensor(np.ascontiguousarray(clips[:, ::-1]))).asnumpy()
    assert np.abs(forwards - backwards).max() > 0.01


def test_clips_of_a_batch_do_not_see_each_other():
    network = make_network()
    clips, other = random_clips(2), random_clips(2, seed=1)
    other[0] = clips[0]
    np.testing.assert_allclose(
        network(Tensor(clips)).asnumpy()[0],
        network(Tensor(other)).asnumpy()[0],
        rtol=1e-4,
        atol=1e-4,
    )


def test_parameter_names_are_the_authors():
    names = {p.name for p in make_network().get_parameters()}
    assert "base_model.layer1.0.conv1.net.weight" in names
    assert {"base_model.conv1.weight", "new_fc.weight", "new_fc.bias"} <= names
    assert all(name.startswith(("base_model.", "new_fc.")) for name in names)


def test_dropout_drops_with_its_own_probability():
    """The reference port had it inverted: 0.8 dropped a fifth."""
    assert TSM(dataclasses.replace(SLIM, dropout=0.8)).dropout.p == 0.8


def test_published_network_has_the_published_number_of_parameters():
    network = TSM(TSMConfig(num_classes=174))
    num_parameters = sum(p.size for p in network.trainable_params())
    assert num_parameters == 25_557_032 - 2_049_000 + 2048 * 174 + 174
    assert round(num_parameters / 1e6, 2) == 23.86


def test_pooled_segments_have_logits_of_their_own():
    network = make_network(temporal_pool=True, consensus="identity")
    assert network(Tensor(random_clips(2))).shape == (2, 2, 5)


def test_average_with_pooling_is_one_row_a_clip():
    network = make_network(temporal_pool=True)
    assert network(Tensor(random_clips(3))).shape == (3, 5)


def test_online_network_sees_no_later_frame():
    network = make_network(shift_mode="online", consensus="identity")
    clips = random_clips(1)
    changed = clips.copy()
    changed[0, 2:] = 255 - changed[0, 2:]
    before, after = network(Tensor(clips)), network(Tensor(changed))
    difference = np.abs(before.asnumpy() - after.asnumpy()).max(axis=2)[0]
    assert difference[:2].max() < 1e-4
    assert difference[2:].min() > 0.01


def test_offline_network_sees_later_frames():
    network = make_network(consensus="identity")
    clips = random_clips(1)
    changed = clips.copy()
    changed[0, 3] = 255 - changed[0, 3]
    before, after = network(Tensor(clips)), network(Tensor(changed))
    assert np.abs(before.asnumpy() - after.asnumpy())[0, 0].max() > 0.01


def test_clips_with_another_number_of_segments_are_refused():
    """Else the shift would take the end of a clip for the next one's beginning."""
    with pytest.raises(ValueError, match="must have 4 segments, got 8"):
        make_network()(Tensor(random_clips(1, num_segments=8)))


@pytest.mark.parametrize("place", ["blockres", "block", "none"])
def test_mobilenet_puts_out_logits(place):
    network = make_network(arch="mobilenetv2", width=16, shift_place=place)
    assert network(Tensor(random_clips(1))).shape == (1, 5)


def test_non_local_blocks_change_nothing_at_first():
    """Their norm's factor is zero, so that pretrained weights still fit."""
    plain, new = (
        TSM(
            dataclasses.replace(SLIM, arch="resnet34", shift_place="none", non_local=on)
        )
        for on in (False, True)
    )
    own = {
        p.name.replace(".block.", "."): p
        for p in new.get_parameters()
        if ".nl." not in p.name
    }
    for parameter in plain.get_parameters():
        own[parameter.name].set_data(parameter)
    clips = Tensor(random_clips(1))
    plain.set_train(False), new.set_train(False)
    np.testing.assert_allclose(
        new(clips).asnumpy(), plain(clips).asnumpy(), rtol=1e-5, atol=1e-6
    )


def test_partial_bn_leaves_one_trainable_norm():
    network = TSM(dataclasses.replace(SLIM, partial_bn=True))
    names = [p.name for p in network.trainable_params()]
    assert [name for name in names if name.endswith("gamma")] == [
        "base_model.bn1.gamma"
    ]
