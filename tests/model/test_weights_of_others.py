"""Weights under the names of other projects, and those that cannot be right."""

import logging

import numpy as np
import pytest

from model import checkpoint, weights
from model.cards import ModelCard
from model.checkpoint import CheckpointError
from tests.model.test_weights import (
    assert_same,
    make,
    saved,
    saved_ckpt,
    torch_tensors,
    values_of,
)


def mindcv_names(network):
    """A frame network as MindCV saves it."""
    return {
        name.removeprefix("base_model.")
        .replace(".net.", ".")
        .replace("new_fc.", "classifier.")
        .replace(".downsample.", ".down_sample."): values
        for name, values in values_of(network).items()
    }


def mmaction2_names(network):
    """A network as mmaction2 saves it: a convolution and its norm are one module."""
    tensors = {}
    for name, values in torch_tensors(network, prefix="").items():
        name = name.removeprefix("base_model.")
        name = name.replace("downsample.0.", "downsample.conv.")
        name = name.replace("downsample.1.", "downsample.bn.")
        for number in "12":
            name = name.replace(f"bn{number}.", f"conv{number}.bn.")
            name = name.replace(f"conv{number}.net.", f"conv{number}.conv.net.")
            name = name.replace(f"conv{number}.weight", f"conv{number}.conv.weight")
        name = f"backbone.{name}".replace("backbone.new_fc.", "cls_head.fc_cls.")
        tensors[name] = values
    return tensors


def test_mindcvs_imagenet_network_is_taken(tmp_path):
    source, network = make(1), make(2)
    weights.import_weights(network, saved_ckpt(tmp_path, mindcv_names(source)))
    assert_same(network, source)


def test_mmaction2s_network_is_taken_shifts_and_all(tmp_path):
    source, network = make(1), make(2)
    tensors = mmaction2_names(source)
    assert "backbone.layer1.0.conv1.conv.net.weight" in tensors
    tensors["data_preprocessor.mean"] = np.ones((3, 1, 1))
    weights.import_weights(network, saved(tmp_path, tensors))
    assert_same(network, source)


@pytest.mark.parametrize("states", [("adam_m", "adam_v"), ("lamb_m", "lamb_v")])
def test_an_optimizers_state_is_left(tmp_path, states):
    source, network = make(1), make(2)
    tensors = values_of(source)
    tensors |= {f"{s}.{n}": v for s in states for n, v in values_of(source).items()}
    imported = weights.import_weights(network, saved_ckpt(tmp_path, tensors))
    assert_same(network, source)
    assert len(imported.ignored) == 2 * len(values_of(source))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_finite_numbers_are_refused_by_name(tmp_path, value):
    tensors = torch_tensors(make(1))
    tensors["module.new_fc.bias"][1] = value
    tensors["module.base_model.bn1.weight"][0] = value
    network = make(2)
    before = values_of(network)
    message = (
        r"2 tensors have values that are no finite numbers: "
        r"module\.base_model\.bn1\.weight, module\.new_fc\.bias$"
    )
    with pytest.raises(CheckpointError, match=message):
        weights.import_weights(network, saved(tmp_path, tensors))
    for name, values in values_of(network).items():
        np.testing.assert_array_equal(values, before[name])


def test_broken_values_of_what_is_not_taken_do_no_harm(tmp_path):
    tensors = torch_tensors(make(1))
    tensors["module.new_fc.bias"][1] = np.nan
    weights.import_weights(make(2), saved(tmp_path, tensors), fresh=["classifier"])


@pytest.mark.parametrize(
    ("without_shifts", "changes", "fresh", "is_warned"),
    [
        (True, {}, [], True),
        (True, {}, ["classifier"], False),  # an ImageNet network
        (True, {"shift_place": "none"}, [], False),
        (False, {}, [], False),
    ],
)
def test_a_whole_network_that_gets_shifts_is_warned_of(
    tmp_path, caplog, without_shifts, changes, fresh, is_warned
):
    source = make(1, **({"shift_place": "none"} if without_shifts else {}))
    with caplog.at_level(logging.WARNING):
        path = saved(tmp_path, torch_tensors(source))
        weights.import_weights(make(2, **changes), path, fresh=fresh)
    assert ("was trained without shifts" in caplog.text) is is_warned


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_class_names_come_with_weights_of_ours(tmp_path, suffix):
    source = make(1)
    source.card = ModelCard(class_names=("a", "b", "c"))
    path = (tmp_path / "ours").with_suffix(suffix)
    if suffix == ".ckpt":
        checkpoint.save(source, path, {})
    else:
        weights.save_safetensors(source, path, {})
    imported = weights.import_weights(make(2), path)
    assert imported.class_names == ("a", "b", "c")
