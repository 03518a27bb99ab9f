"""Files of weights: what is read, and what is said of those that cannot be."""

import sys

import mindspore
import numpy as np
import pytest
import safetensors.numpy
from mindspore import nn

from model import checkpoint, weight_files
from model.checkpoint import CheckpointError
from model.tsm import TSM, TSMConfig


def test_safetensors_are_read_as_float32(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({"a": np.array([1, 2], np.float16)}, path)
    (values,) = weight_files.read(path).values()
    assert values.dtype == np.float32
    assert values.tolist() == [1, 2]


def test_ckpt_is_read_without_the_text_in_it(tmp_path):
    """Ours have a checksum at the end, others have none."""
    config = TSMConfig(num_classes=2, arch="resnet18", width=8, num_segments=2)
    ours, others = tmp_path / "ours.ckpt", tmp_path / "others.ckpt"
    checkpoint.save(TSM(config), ours, {})
    mindspore.save_checkpoint(nn.Dense(2, 3, bias_init="ones"), str(others))
    assert "new_fc.weight" in weight_files.read(ours)
    assert "clipmill" not in weight_files.read(ours)
    assert weight_files.read(others)["bias"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_what_is_no_such_file_is_refused(tmp_path, suffix):
    path = (tmp_path / "broken").with_suffix(suffix)
    path.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=f"cannot read .*broken{suffix}"):
        weight_files.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no file .*gone\.pth"):
        weight_files.read(tmp_path / "gone.pth")


def test_unknown_kinds_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(CheckpointError, match=r"\.safetensors, \.ckpt, .*got .*\.h5"):
        weight_files.read(tmp_path / "weights.h5")


def test_without_pytorch_its_files_are_refused_with_the_way_out(tmp_path, monkeypatch):
    path = tmp_path / "best.pth.tar"
    path.write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match=r"needs PyTorch: .* \.safetensors"):
        weight_files.read(path)


class TestWithPyTorch:
    """Where it is installed."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    @pytest.mark.parametrize("suffix", [".pth", ".pt", ".tar"])
    def test_state_dict_of_a_checkpoint_is_read(self, torch, tmp_path, suffix):
        path = (tmp_path / "best").with_suffix(suffix)
        tensors = {"module.new_fc.bias": torch.tensor([1.0, 2.0]).half()}
        torch.save({"epoch": 3, "state_dict": tensors}, path)
        read = weight_files.read(path)
        assert read["module.new_fc.bias"].tolist() == [1, 2]
        assert read["module.new_fc.bias"].dtype == np.float32

    def test_bare_tensors_are_read(self, torch, tmp_path):
        path = tmp_path / "resnet.pth"
        torch.save({"fc.bias": torch.ones(2)}, path)
        assert weight_files.read(path)["fc.bias"].tolist() == [1, 1]

    def test_code_in_a_file_is_not_run(self, torch, tmp_path):
        path = tmp_path / "evil.pth"
        torch.save({"fc.bias": torch.nn.ReLU()}, path)
        with pytest.raises(CheckpointError, match=r"cannot read .*evil\.pth"):
            weight_files.read(path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [([1], "no tensors by name"), ({"a": 1}, "no tensors under a")],
    )
    def test_other_content_is_refused(self, torch, tmp_path, content, message):
        path = tmp_path / "other.pth"
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=message):
            weight_files.read(path)
