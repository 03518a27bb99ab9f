"""What a machine has and lacks, by its device files."""

import pytest

from eval import config
from eval.running import config_file, devices


@pytest.fixture
def folder(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "davinci0", "davinci_manager"):
        (tmp_path / name).touch()
    return tmp_path


def test_devices_are_counted_without_their_managers(folder, tmp_path_factory):
    assert [devices.count(kind, folder) for kind in ("CPU", "GPU", "Ascend")] == [
        1,
        2,
        1,
    ]
    assert devices.describe_machine(folder) == "CPU, 2 x NVIDIA GPU, 1 x Ascend NPU"
    assert devices.describe_machine(tmp_path_factory.mktemp("none")) == "CPU"


@pytest.mark.parametrize(
    ("device_target", "needed"),
    [
        ("GPU", "needs CUDA 11.1 or 11.6 and a"),
        ("Ascend", "needs CANN 8.2, 8.3, 8.5 or"),
    ],
)
def test_a_device_that_is_not_there_is_one_sentence(tmp_path, device_target, needed):
    message = (
        rf"^device_target is {device_target}, and this machine has CPU: MindSpore "
    )
    message += rf"2\.9\.\d+ {needed} .*; --device_target CPU runs without$"
    with pytest.raises(config_file.ConfigError, match=message):
        devices.check(device_target, tmp_path)


def test_an_evaluation_checks_the_device_first(monkeypatch):
    monkeypatch.setattr(config.devices, "count", lambda *_: 0)
    with pytest.raises(config_file.ConfigError, match="device_target is GPU"):
        config.use_device("GPU")


@pytest.mark.parametrize(
    ("device_target", "precision_mode", "used"),
    [
        ("Ascend", "force_fp16", ["force_fp16"]),
        ("Ascend", None, []),
        ("CPU", "force_fp16", []),
    ],
)
def test_the_precision_mode_is_for_ascend(
    monkeypatch, device_target, precision_mode, used
):
    """As MindSpore is called: no such device is here."""
    modes = []
    monkeypatch.setattr(config.devices, "check", lambda *_: None)
    monkeypatch.setattr(config.mindspore, "set_device", lambda *_: None)
    precision = config.mindspore.device_context.ascend.op_precision
    monkeypatch.setattr(precision, "precision_mode", modes.append)
    config.use_device(device_target, precision_mode)
    assert modes == used
