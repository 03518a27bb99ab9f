"""MobileNetV2: names, sizes and what is shifted."""

import numpy as np
import pytest
from mindspore import Tensor

from model.mobilenet import MobileNetV2, num_channels
from model.temporal import Temporal
from tests.model.test_resnet import Shifted, shifted_cells

# Residual blocks by their place in the network, with the channels of their input.
RESIDUAL = {3: 24, 5: 32, 6: 32, 8: 64, 9: 64, 10: 64, 12: 96, 13: 96, 15: 160, 16: 160}


def make(width=16, place="blockres"):
    return MobileNetV2(width, Temporal(Shifted, place, num_segments=2))


def test_number_of_parameters_is_the_published_one():
    """3,504,872 less the classifier: 1280 times 1000, plus 1000."""
    network = make(width=64)
    assert sum(p.size for p in network.trainable_params()) == 3_504_872 - 1_281_000


def test_parameter_names_are_the_authors():
    names = [p.name for p in make().trainable_params()]
    assert names[:6] == [
        "features.0.0.weight",
        "features.0.1.gamma",
        "features.0.1.beta",
        "features.1.conv.0.weight",
        "features.1.conv.1.gamma",
        "features.1.conv.1.beta",
    ]
    assert "features.3.conv.0.net.weight" in names
    assert "features.2.conv.0.weight" in names
    assert names[-3:] == [
        "features.18.0.weight",
        "features.18.1.gamma",
        "features.18.1.beta",
    ]


@pytest.mark.parametrize(
    ("place", "name"), [("blockres", "features.{}.conv.0"), ("block", "features.{}")]
)
def test_blocks_with_a_shortcut_are_shifted(place, name):
    network = make(width=64, place=place)
    cells = dict(network.cells_and_names())
    assert {n: cells[n].in_channels for n in shifted_cells(network)} == {
        name.format(index): channels for index, channels in RESIDUAL.items()
    }


def test_place_none_shifts_nothing():
    assert shifted_cells(make(place="none")) == []


@pytest.mark.parametrize(
    ("published", "width", "expected"),
    [(24, 64, 24), (24, 16, 8), (160, 16, 40), (24, 90, 40), (1280, 128, 2560)],
)
def test_channels_are_multiples_of_eight(published, width, expected):
    assert num_channels(published, width) == expected


def test_features_are_one_vector_a_frame():
    network = make()
    features = network(Tensor(np.zeros((2, 3, 32, 40), np.float32)))
    assert network.num_features == 1280
    assert features.shape == (2, 1280)


def test_depthwise_convolutions_have_a_kernel_a_channel():
    block = make(width=64).features[2]
    assert block.conv[3].weight.shape == (96, 1, 3, 3)
    assert block.conv[3].stride == (2, 2)
