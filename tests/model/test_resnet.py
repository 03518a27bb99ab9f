"""The frame networks: names, shapes and what is shifted."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from model import resnet
from model.temporal import Temporal


class Shifted(nn.Cell):
    """Stands for the temporal shift: only its place matters here."""

    def __init__(self, net, *, in_channels, num_segments):
        super().__init__()
        self.net = net
        self.in_channels = in_channels
        self.num_segments = num_segments

    def construct(self, x):
        return self.net(x)


def make(arch, width=4, place="blockres", **parts):
    temporal = Temporal(Shifted, place, num_segments=8, **parts)
    return resnet.ResNet(resnet.RESNETS[arch], width, temporal)


def shifted_cells(network):
    return [name for name, cell in network.cells_and_names() if type(cell) is Shifted]


def test_resnet18_parameter_names_are_torchvisions_with_net():
    names = [p.name for p in make("resnet18").trainable_params()]
    assert names[:9] == [
        "conv1.weight",
        "bn1.gamma",
        "bn1.beta",
        "layer1.0.conv1.net.weight",
        "layer1.0.bn1.gamma",
        "layer1.0.bn1.beta",
        "layer1.0.conv2.weight",
        "layer1.0.bn2.gamma",
        "layer1.0.bn2.beta",
    ]
    assert "layer2.0.downsample.0.weight" in names
    assert "layer2.0.downsample.1.gamma" in names
    assert "layer1.0.downsample.0.weight" not in names


@pytest.mark.parametrize(
    ("arch", "num_parameters"),
    [
        # torchvision's counts less the classifiers: 512 or 2048 times 1000, plus 1000.
        ("resnet18", 11_689_512 - 513_000),
        ("resnet34", 21_797_672 - 513_000),
        ("resnet50", 25_557_032 - 2_049_000),
    ],
)
def test_number_of_parameters_is_torchvisions(arch, num_parameters):
    network = make(arch, width=64)
    assert sum(p.size for p in network.trainable_params()) == num_parameters


@pytest.mark.parametrize(
    ("arch", "num_shifted"),
    [("resnet18", 8), ("resnet34", 16), ("resnet50", 16), ("resnet101", 18)],
)
def test_blocks_that_are_shifted(arch, num_shifted):
    """Of ResNet-101 every second: 2 of 3, 2 of 4, 12 of 23 and 2 of 3."""
    cells = shifted_cells(make(arch))
    assert len(cells) == num_shifted
    assert cells[0] == "layer1.0.conv1"


def test_resnet101_shifts_the_even_blocks():
    cells = shifted_cells(make("resnet101"))
    assert [name for name in cells if name.startswith("layer2")] == [
        "layer2.0.conv1",
        "layer2.2.conv1",
    ]


def test_place_block_shifts_whole_blocks():
    network = make("resnet18", place="block")
    assert shifted_cells(network)[:2] == ["layer1.0", "layer1.1"]
    assert "layer1.0.net.conv1.weight" in {p.name for p in network.get_parameters()}


def test_place_block_shifts_every_block_of_resnet101_too():
    """As the authors' code does: only their blockres leaves out every second."""
    assert len(shifted_cells(make("resnet101", place="block"))) == 33


def test_place_none_shifts_nothing():
    assert shifted_cells(make("resnet50", place="none")) == []


def test_shift_is_told_the_channels_of_its_input():
    network = make("resnet50", width=8)
    cells = dict(network.cells_and_names())
    channels = {name: cells[name].in_channels for name in shifted_cells(network)}
    assert channels["layer1.0.conv1"] == 8
    assert channels["layer1.1.conv1"] == 32
    assert channels["layer4.0.conv1"] == 128


def test_unknown_place_is_refused():
    with pytest.raises(ValueError, match=r"one of .*'blockres'.* got 'inside'"):
        make("resnet18", place="inside")


@pytest.mark.parametrize(("arch", "expansion"), [("resnet18", 1), ("resnet50", 4)])
def test_features_are_one_vector_a_frame(arch, expansion):
    network = make(arch)
    network.set_train(False)
    features = network(Tensor(np.zeros((2, 3, 33, 47), np.float32)))
    assert network.num_features == 4 * 8 * expansion
    assert features.shape == (2, network.num_features)


def test_stride_of_a_bottleneck_is_on_its_3x3_convolution():
    block = make("resnet50").layer2[0]
    assert block.conv1.net.stride == (1, 1)
    assert block.conv2.stride == (2, 2)
    assert block.conv2.kernel_size == (3, 3)


def test_pooling_equals_padding_with_minus_infinity():
    """Also for odd sizes, where the last row counts."""
    network = make("resnet18")
    x = np.abs(np.random.default_rng(0).normal(size=(1, 2, 7, 8))).astype(np.float32)
    pooled = network.maxpool(resnet._padded(Tensor(x))).asnumpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    expected = [
        [padded[0, 1, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max() for c in range(4)]
        for r in range(4)
    ]
    np.testing.assert_array_equal(pooled[0, 1], expected)


def test_norms_begin_as_torchvisions():
    for name, cell in make("resnet18").cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            assert cell.gamma.asnumpy().all(), name
            assert not cell.beta.asnumpy().any(), name
            assert (cell.eps, cell.momentum) == pytest.approx((1e-5, 0.1)), name


def test_pooling_halves_the_segments_from_the_second_stage_on():
    network = make("resnet18", has_pool=True)
    cells = dict(network.cells_and_names())
    segments = {name: cells[name].num_segments for name in shifted_cells(network)}
    assert segments["layer1.1.conv1"] == 8
    assert {n: k for n, k in segments.items() if not n.startswith("layer1")} == {
        "layer2.net.0.conv1": 4,
        "layer2.net.1.conv1": 4,
        "layer3.0.conv1": 4,
        "layer3.1.conv1": 4,
        "layer4.0.conv1": 4,
        "layer4.1.conv1": 4,
    }


def test_pooling_puts_out_half_as_many_features():
    network = make("resnet18", has_pool=True)
    features = network(Tensor(np.zeros((8, 3, 32, 32), np.float32)))
    assert features.shape == (4, network.num_features)


def test_non_local_blocks_are_behind_every_second_block_in_the_middle():
    names = [name for name, _ in make("resnet50", has_non_local=True).cells_and_names()]
    assert [name for name in names if name.endswith(".nl")] == [
        "layer2.0.nl",
        "layer2.2.nl",
        "layer3.0.nl",
        "layer3.2.nl",
        "layer3.4.nl",
    ]
    assert "layer2.0.block.conv1" in names


@pytest.mark.parametrize(
    ("arch", "has_room"),
    [("resnet18", False), ("resnet34", True), ("resnet50", True), ("resnet101", True)],
)
def test_networks_with_room_for_non_local_blocks(arch, has_room):
    assert resnet.RESNETS[arch].has_non_local_room is has_room


def test_sizes_of_blocks_follow_each_other():
    """Pooling and non-local blocks together, with as few pixels as there can be."""
    network = make("resnet34", has_pool=True, has_non_local=True)
    assert network(Tensor(np.zeros((8, 3, 32, 32), np.float32))).shape == (4, 32)
