"""Our networks against plain PyTorch, given the same weights and frames.

Where PyTorch is not installed, against what it said: infra/reference/logits.json, of
which infra/reference/cases.py tells how weights and frames are made.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from mindspore import Tensor

from infra.reference import cases
from model import weight_names, weights
from model.tsm import TSM, TSMConfig

LOGITS_PATH = Path(cases.__file__).with_name("logits.json")
COMMITTED = json.loads(LOGITS_PATH.read_text())
TOLERANCE = 1e-4
HAS_TORCH = importlib.util.find_spec("torch") is not None

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
every_case = pytest.mark.parametrize("name", cases.CASES)


def make_network(name, tmp_path):
    """A case's network, with weights that came by way of the authors' file format."""
    network = TSM(TSMConfig(num_classes=cases.NUM_CLASSES, **cases.CASES[name]))
    tensors = {}
    for parameter in network.get_parameters():
        torch_name = weight_names.torch_name(parameter.name)
        is_3d = ".nl." in torch_name and parameter.ndim == 4
        shape = (*parameter.shape, 1) if is_3d else parameter.shape
        tensors[f"module.{torch_name}"] = cases.tensor(torch_name, shape)
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(tensors, path)
    weights.import_weights(network, path)
    network.set_train(False)
    return network


def our_logits(network):
    return network(Tensor(cases.frames(network.num_segments))).asnumpy()


@every_case
def test_logits_are_pytorchs(name, tmp_path):
    network = make_network(name, tmp_path)
    expected = np.array(COMMITTED[name])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(our_logits(network), expected, rtol=0, atol=TOLERANCE)


def test_committed_logits_are_of_all_cases():
    assert list(COMMITTED) == list(cases.CASES)


def test_every_network_and_place_of_the_shift_is_a_case():
    assert {(c["arch"], c["shift_place"]) for c in cases.CASES.values()} >= {
        (arch, place)
        for arch in ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2")
        for place in ("blockres", "block", "none")
    }


def test_cases_differ_by_more_than_the_tolerance():
    """Else a shift in the wrong place would not be seen."""
    tables = [np.array(table) for table in COMMITTED.values()]
    for index, table in enumerate(tables):
        for other in tables[:index]:
            if table.shape == other.shape:
                assert np.abs(table - other).max() > 100 * TOLERANCE


@needs_torch
@every_case
def test_committed_logits_are_what_pytorch_says_today(name):
    from infra.reference import make_logits

    np.testing.assert_allclose(
        make_logits.logits(cases.CASES[name]),
        COMMITTED[name],
        rtol=0,
        atol=TOLERANCE / 2,
    )


@needs_torch
@every_case
def test_names_and_shapes_are_those_of_the_pytorch_network(name, tmp_path):
    from infra.reference import make_logits

    path = tmp_path / "ours.safetensors"
    weights.save_safetensors(make_network(name, tmp_path), path, {})
    ours = {n: v.shape for n, v in safetensors.numpy.load_file(path).items()}
    state = make_logits.make_network(cases.CASES[name]).state_dict()
    assert ours == {
        key: tuple(values.shape)
        for key, values in state.items()
        if not key.endswith("num_batches_tracked")
    }


@needs_torch
def test_a_checkpoint_that_pytorch_wrote_gives_its_logits(tmp_path):
    import torch

    from infra.reference import make_logits

    name = "resnet50 blockres"
    state = make_logits.make_network(cases.CASES[name]).state_dict()
    path = tmp_path / "ckpt.best.pth.tar"
    torch.save(
        {"epoch": 45, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path
    )
    network = TSM(TSMConfig(num_classes=cases.NUM_CLASSES, **cases.CASES[name]))
    weights.import_weights(network, path)
    network.set_train(False)
    np.testing.assert_allclose(
        our_logits(network), COMMITTED[name], rtol=0, atol=TOLERANCE
    )
