"""Files of weights: what is read, and what is said of those that cannot be."""

import json
import os
import re
import sys
import types

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


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    config = TSMConfig(num_classes=2, arch="resnet18", width=8, num_segments=2)
    path = tmp_path_factory.mktemp("ours") / "ours.ckpt"
    checkpoint.save(TSM(config), path, {})
    return path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda c, i=i: c[:i] + bytes([c[i] ^ 0x40]) + c[i + 1 :]
        for i in (3, 1000, -100_000, -5_003, -18, -17, -11, -10, -1)
    ]
    + [lambda c: c[:-17], lambda c: c[:-1], lambda c: c[: len(c) // 2]],
)
def test_a_flipped_bit_or_a_cut_is_not_imported(tmp_path, ours, change):
    path = tmp_path / "bad.ckpt"
    path.write_bytes(change(ours))
    with pytest.raises(CheckpointError, match=r"cannot read .*bad\.ckpt"):
        weight_files.read(path)


def safetensors_of(header, data=b"", num_bytes=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if num_bytes is None else num_bytes
    return length.to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(0,), offsets=(0, 0)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (safetensors_of({}, num_bytes=2**63), f"its header has {2**63} bytes"),
        (safetensors_of(b"[" * 100_000), "maximum recursion depth"),
        (safetensors_of(b"[]"), "its header is no JSON object"),
        (
            safetensors_of({"a": tensor("F8_E4M3", [2], [0, 2])}, b"12"),
            "a is 'F8_E4M3'",
        ),
        (
            safetensors_of({"a": tensor("BF16", [1], [0, 2])}, b"12"),
            "tensor a is 'BF16'",
        ),
        (safetensors_of({"a": 5}), "tensor a is None"),
        (
            safetensors_of({f"t{i}": tensor() for i in range(30_000)}),
            "30000 tensors, at most 20000",
        ),
        (safetensors_of({"x" * 10**7: tensor()}), "name has 10000000 characters: xxx"),
        (safetensors_of({"a": tensor("F32", [2**62, 2**62], [0, 8])}, b"1" * 8), ""),
        (safetensors_of({"a": tensor("F32", [0, 2**62], [0, 0])}), ""),
    ],
)
def test_a_hostile_header_is_a_short_sentence(tmp_path, content, message):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=f"cannot read .*bad.*{message}"
    ) as raised:
        weight_files.read(path)
    assert len(str(raised.value)) < 1000


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors", ".pth"])
def test_a_pipe_and_a_device_are_not_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(CheckpointError, match="there is no file"):
            weight_files.read(tmp_path / f"{name}{suffix}")


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


def test_a_pytorch_that_a_crafted_file_can_use_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "best.pth.tar"
    path.write_bytes(b"anything")
    for version in ("2.9.1", "1.13.0+cpu"):
        unsafe = types.SimpleNamespace(__version__=version)  # and nothing to load by
        monkeypatch.setitem(sys.modules, "torch", unsafe)
        message = f"needs PyTorch 2.10: a crafted file can run code in {version}"
        with pytest.raises(CheckpointError, match=re.escape(message)):
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
