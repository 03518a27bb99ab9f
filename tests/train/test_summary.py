"""The lines before the first step."""

from model.tsm import TSM, TSMConfig
from train import summary
from train.config import TrainConfig


def test_a_network_is_named_with_its_parameters():
    network = TSM(
        TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
    )
    for parameter in network.base_model.get_parameters():
        parameter.requires_grad = False
    line = summary.network_line(network)
    assert line.startswith("network: resnet18, 2 segments, shift blockres; ")
    assert line.endswith(" parameters, 99 of them trained")  # 32 x 3 weights, 3 biases


def test_a_version_is_named_with_its_clips(published_version):
    assert summary.data_lines(published_version) == [
        f"data set: {published_version.dataset}, version 000001",
        "clips: 7 to train by, 4 to measure with, of 3 classes",
    ]


def test_steps_are_named_with_batch_and_devices():
    training = TrainConfig(epochs=50, batch_size=32, accumulate=2)
    assert summary.step_line(training, 2639, device_target="GPU", num_ranks=2) == (
        "steps: 2,639 an epoch, 50 epochs; batches of 32 clips, 2 a step, on 2 x GPU"
    )
    alone = summary.step_line(TrainConfig(), 10, device_target="CPU", num_ranks=1)
    assert alone.endswith("batches of 64 clips, on 1 x CPU")
