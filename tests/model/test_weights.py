"""Weights from elsewhere: every tensor has a place, or is named."""

import dataclasses
import json

import mindspore
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from mindspore import Parameter, Tensor

from model import checkpoint, weights
from model.checkpoint import CheckpointError
from model.tsm import TSM, TSMConfig

MOBILE = {"arch": "mobilenetv2", "width": 64}
SLIM = TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)


def make(seed=1, **changes):
    """A network of random numbers, its norms and their statistics too."""
    mindspore.set_seed(seed)
    network = TSM(dataclasses.replace(SLIM, **changes))
    rng = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        values = rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
        parameter.set_data(Tensor(values))
    return network


def values_of(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def assert_same_frame_network(network, plain):
    """All tensors but the classifier's are equal, wherever `network` is shifted."""
    unwrapped = {
        name.replace(".net.", "."): values
        for name, values in values_of(network).items()
    }
    for name, values in values_of(plain).items():
        if not name.startswith("new_fc"):
            np.testing.assert_array_equal(unwrapped[name], values, err_msg=name)


def torch_tensors(network, prefix="module."):
    """What the authors' code would save of such a network."""
    renamed = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    tensors = {}
    for name, values in values_of(network).items():
        cell, _, kind = name.rpartition(".")
        if ".nl." in name and values.ndim == 4:
            values = values[:, :, None]
        tensors[f"{prefix}{cell}.{renamed.get(kind, kind)}"] = values
        if kind == "gamma":
            tensors[f"{prefix}{cell}.num_batches_tracked"] = np.array(7)
    return tensors


def saved(tmp_path, tensors):
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(values) for name, values in tensors.items()}, path
    )
    return path


def saved_ckpt(tmp_path, tensors):
    path = tmp_path / "weights.ckpt"
    entries = [
        {"name": name, "data": Parameter(Tensor(values), name=name)}
        for name, values in tensors.items()
    ]
    mindspore.save_checkpoint(entries, str(path))
    return path


def assert_same(network, source, left=()):
    own, other = values_of(network), values_of(source)
    for name, values in own.items():
        if not name.startswith(tuple(left)):
            np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shift_place": "block"},
        {"shift_place": "none"},
        {"arch": "resnet34", "non_local": True},
        {"temporal_pool": True, "num_segments": 4},
        {"arch": "mobilenetv2", "width": 16},
    ],
)
def test_the_authors_checkpoint_is_taken_whole(tmp_path, changes):
    source, network = make(1, **changes), make(2, **changes)
    path = saved(tmp_path, torch_tensors(source))
    imported = weights.import_weights(network, path)
    assert_same(network, source)
    assert imported.taken == tuple(values_of(network))
    assert imported.fresh == ()
    assert all(name.endswith("num_batches_tracked") for name in imported.ignored)


@pytest.mark.parametrize("place", ["blockres", "block", "none"])
def test_an_imagenet_network_fits_any_place_of_the_shift(tmp_path, place):
    """Torchvision's layout: no wrappers, a classifier of a thousand."""
    plain, network = make(1, shift_place="none"), make(2, shift_place=place)
    tensors = {
        name.removeprefix("base_model."): values
        for name, values in torch_tensors(plain, prefix="").items()
        if not name.startswith("new_fc")
    }
    tensors |= {"fc.weight": np.zeros((1000, 32)), "fc.bias": np.zeros(1000)}
    before = network.new_fc.weight.asnumpy().copy()
    imported = weights.import_weights(
        network, saved(tmp_path, tensors), fresh=["classifier"]
    )
    assert imported.fresh == ("new_fc.weight", "new_fc.bias")
    assert {"fc.weight", "fc.bias"} <= set(imported.ignored)
    np.testing.assert_array_equal(network.new_fc.weight.asnumpy(), before)
    assert_same_frame_network(network, plain)


def torchvision_tensors(network):
    """What torchvision would save of an unshifted MobileNetV2, as its code nests it."""
    tensors = {}
    for name, values in torch_tensors(network, prefix="").items():
        name = name.removeprefix("base_model.")
        features, number, *rest = name.split(".")
        if rest and rest[0] == "conv":
            nested = 1 if number == "1" else 2  # the first block has no expansion
            place, inner = divmod(int(rest[1]), 3)
            own = [place, inner] if place < nested else [place + inner]
            name = ".".join(map(str, (features, number, "conv", *own, rest[2])))
        tensors[name] = values
    head = {"new_fc.weight": "classifier.1.weight", "new_fc.bias": "classifier.1.bias"}
    return {head.get(name, name): values for name, values in tensors.items()}


@pytest.mark.parametrize("place", ["blockres", "block", "none"])
def test_an_imagenet_mobilenet_fits_any_place_of_the_shift(tmp_path, place):
    plain = make(1, **MOBILE, shift_place="none")
    network = make(2, **MOBILE, shift_place=place)
    tensors = torchvision_tensors(plain) | {
        "classifier.1.weight": np.zeros((1000, 1280)),
        "classifier.1.bias": np.zeros(1000),
    }
    path = saved(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=r"2 of another shape: new_fc\.bias"):
        weights.import_weights(network, path)
    imported = weights.import_weights(network, path, fresh=["classifier"])
    assert imported.fresh == ("new_fc.weight", "new_fc.bias")
    # All tensors of the file are taken, but for the counters of 52 norms and the head.
    assert len(imported.taken) + 52 + 2 == len(tensors) == 314
    assert set(imported.ignored) == {
        name for name in tensors if "classifier" in name or "tracked" in name
    }
    assert_same_frame_network(network, plain)


def test_a_tensor_missing_in_torchvisions_mobilenet_is_named(tmp_path):
    tensors = torchvision_tensors(make(1, **MOBILE, shift_place="none"))
    del tensors["features.5.conv.2.weight"]
    tensors["features.5.conv.9.weight"] = np.zeros(3)
    with pytest.raises(
        CheckpointError,
        match=r"1 missing: base_model\.features\.5\.conv\.6\.weight; "
        r"1 unknown: features\.5\.conv\.9\.weight$",
    ):
        weights.import_weights(make(2, **MOBILE), saved(tmp_path, tensors))


def test_non_local_blocks_begin_anew_if_asked(tmp_path):
    plain = make(1, arch="resnet34")
    network = make(2, arch="resnet34", non_local=True)
    path = saved(tmp_path, torch_tensors(plain))
    with pytest.raises(CheckpointError, match=r"60 missing: .*layer2\.0\.nl\."):
        weights.import_weights(network, path)
    imported = weights.import_weights(network, path, fresh=["non_local"])
    assert len(imported.fresh) == 60
    assert all(".nl." in name for name in imported.fresh)


def test_the_ports_checkpoint_is_taken_without_its_optimizer(tmp_path):
    source, network = make(1), make(2)
    tensors = {
        name.replace(".downsample.", ".down_sample_layer."): values
        for name, values in values_of(source).items()
    }
    tensors |= {f"moments.{name}": values for name, values in tensors.items()}
    tensors |= {"global_step": np.array([9]), "learning_rate": np.array([0.1])}
    imported = weights.import_weights(network, saved_ckpt(tmp_path, tensors))
    assert_same(network, source)
    assert len(imported.ignored) == len(tensors) - len(values_of(source))


def test_our_own_checkpoint_is_taken_with_a_new_classifier(tmp_path):
    source, network = make(1), make(2, num_classes=8)
    path = tmp_path / "best.ckpt"
    checkpoint.save(source, path, {"epoch": 3})
    before = values_of(network)["new_fc.weight"]
    weights.import_weights(network, path, fresh=["classifier"])
    assert_same(network, source, left=["new_fc."])
    np.testing.assert_array_equal(values_of(network)["new_fc.weight"], before)


def test_a_classifier_without_dropout_is_the_classifier(tmp_path):
    source, network = make(1), make(2)
    tensors = {
        name.replace("new_fc", "base_model.fc"): values
        for name, values in torch_tensors(source).items()
    }
    weights.import_weights(network, saved(tmp_path, tensors))
    assert_same(network, source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("module.base_model.layer1.0.bn1.running_mean"),
            r"tensors 1 missing: base_model\.layer1\.0\.bn1\.moving_mean$",
        ),
        (
            lambda t: t.update({"module.base_model.layer5.weight": np.zeros(1)}),
            r"1 unknown: module\.base_model\.layer5\.weight$",
        ),
        (
            lambda t: t.update({"module.new_fc.weight": np.zeros((4, 32))}),
            r"1 of another shape: new_fc\.weight \(4, 32\) instead of \(3, 32\)$",
        ),
        (
            lambda t: t.update({"module.base_model.fc.bias": np.zeros(3)}),
            r"module\.base_model\.fc\.bias and module\.new_fc\.bias are both new_fc",
        ),
    ],
)
def test_a_tensor_without_place_is_named(tmp_path, change, message):
    tensors = torch_tensors(make(1))
    change(tensors)
    network = make(2)
    before = values_of(network)
    with pytest.raises(CheckpointError, match=message):
        weights.import_weights(network, saved(tmp_path, dict(tensors)))
    for name, values in values_of(network).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("changes", [{"shift_place": "none"}, {"shift_place": "block"}])
def test_weights_of_another_shift_are_refused(tmp_path, changes):
    """They were trained for it; without it they would be wrong in silence."""
    path = saved(tmp_path, torch_tensors(make(1)))
    with pytest.raises(CheckpointError, match=r"unknown: .*conv1\.net\.weight"):
        weights.import_weights(make(2, **changes), path)


def test_half_precision_is_read(tmp_path):
    network = make(2)
    tensors = torch_tensors(make(1))
    path = saved(tmp_path, {n: v.astype(np.float16) for n, v in tensors.items()})
    weights.import_weights(network, path)
    expected = tensors["module.new_fc.weight"].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(network.new_fc.weight.asnumpy(), expected)


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\('classifier', 'non_local'\), got 'head'"):
        weights.import_weights(make(), tmp_path / "x.safetensors", fresh=["head"])


@pytest.mark.parametrize("changes", [{}, {"arch": "resnet34", "non_local": True}])
def test_what_is_exported_comes_back(tmp_path, changes):
    source, network = make(1, **changes), make(2, **changes)
    path = tmp_path / "tsm.safetensors"
    weights.save_safetensors(source, path, {"epoch": 4})
    weights.import_weights(network, path)
    assert_same(network, source)
    assert [file.name for file in tmp_path.iterdir()] == ["tsm.safetensors"]


def test_exported_names_and_shapes_are_pytorchs(tmp_path):
    source = make(1, arch="resnet34", non_local=True)
    path = tmp_path / "tsm.safetensors"
    weights.save_safetensors(source, path, {"epoch": 4})
    exported = safetensors.numpy.load_file(path)
    expected = torch_tensors(source, prefix="")
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    assert exported.keys() == expected.keys() - counters
    assert exported["base_model.layer2.0.nl.theta.weight"].shape == (4, 8, 1, 1, 1)
    with safetensors.safe_open(path, framework="numpy") as file:
        result = json.loads(file.metadata()["clipmill"])
    assert result["model"]["arch"] == "resnet34"
    assert result["facts"] == {"epoch": 4}


def test_a_folder_that_is_not_there_is_told(tmp_path):
    path = tmp_path / "nowhere" / "tsm.safetensors"
    with pytest.raises(OSError, match=rf"cannot write {path}: .*No such file"):
        weights.save_safetensors(make(), path, {})


def test_export_refuses_other_suffixes(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        weights.save_safetensors(make(), tmp_path / "tsm.bin", {})
