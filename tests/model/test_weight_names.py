"""Names of tensors, by table."""

import pytest

from model import weight_names


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        # The authors' checkpoints.
        ("module.base_model.conv1.weight", "base_model.conv1.weight"),
        (
            "module.base_model.layer1.0.conv1.net.weight",
            "base_model.layer1.0.conv1.net.weight",
        ),
        ("module.new_fc.bias", "new_fc.bias"),
        ("module.base_model.fc.weight", "new_fc.weight"),  # trained without dropout
        ("base_model.classifier.weight", "new_fc.weight"),
        # ImageNet networks.
        (
            "layer2.0.downsample.1.running_var",
            "base_model.layer2.0.downsample.1.running_var",
        ),
        ("fc.weight", "new_fc.weight"),
        ("classifier.bias", "new_fc.bias"),
        ("classifier.1.weight", "new_fc.weight"),  # behind its dropout
        ("features.3.conv.0.weight", "base_model.features.3.conv.0.weight"),
        # MindSpore's port, and ours.
        ("base_model.bn1.gamma", "base_model.bn1.weight"),
        ("base_model.bn1.beta", "base_model.bn1.bias"),
        ("base_model.bn1.moving_mean", "base_model.bn1.running_mean"),
        ("base_model.bn1.moving_variance", "base_model.bn1.running_var"),
        (
            "base_model.layer1.0.down_sample_layer.1.gamma",
            "base_model.layer1.0.downsample.1.weight",
        ),
        ("end_point.weight", "new_fc.weight"),
        # MindCV.
        (
            "layer2.0.down_sample.0.weight",
            "base_model.layer2.0.downsample.0.weight",
        ),
        # mmaction2.
        ("backbone.conv1.conv.weight", "base_model.conv1.weight"),
        ("backbone.conv1.bn.running_var", "base_model.bn1.running_var"),
        (
            "backbone.layer1.0.conv1.conv.net.weight",
            "base_model.layer1.0.conv1.net.weight",
        ),
        ("backbone.layer3.1.conv2.bn.bias", "base_model.layer3.1.bn2.bias"),
        (
            "backbone.layer4.0.downsample.conv.weight",
            "base_model.layer4.0.downsample.0.weight",
        ),
        (
            "backbone.layer4.0.downsample.bn.weight",
            "base_model.layer4.0.downsample.1.weight",
        ),
        ("cls_head.fc_cls.bias", "new_fc.bias"),
        # No classifier, though its name begins like one.
        ("fc.0.weight", "base_model.fc.0.weight"),
    ],
)
def test_names_of_files_become_the_authors(name, canonical):
    assert weight_names.canonical_name(name) == canonical


# A block without and one with an expansion, then what is no block, by torchvision.
NESTED = {
    "features.1.conv.0.0.weight": "features.1.conv.0.weight",
    "features.1.conv.0.1.running_var": "features.1.conv.1.running_var",
    "features.1.conv.1.weight": "features.1.conv.3.weight",
    "features.1.conv.2.bias": "features.1.conv.4.bias",
    "features.2.conv.0.0.weight": "features.2.conv.0.weight",
    "features.2.conv.0.1.bias": "features.2.conv.1.bias",
    "features.2.conv.1.0.weight": "features.2.conv.3.weight",
    "features.2.conv.1.1.running_mean": "features.2.conv.4.running_mean",
    "features.2.conv.2.weight": "features.2.conv.6.weight",
    "features.2.conv.3.num_batches_tracked": "features.2.conv.7.num_batches_tracked",
    "features.0.0.weight": "features.0.0.weight",
    "features.18.1.weight": "features.18.1.weight",
    "classifier.1.weight": "classifier.1.weight",
}


@pytest.mark.parametrize("prefix", ["", "module.base_model."])
def test_torchvisions_mobilenet_has_its_layers_one_after_the_other(prefix):
    names = {prefix + name: prefix + flat for name, flat in NESTED.items()}
    assert weight_names.flat_names(names) == names
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        ["features.1.conv.1.weight", "features.2.conv.6.weight"],  # TSM's own layout
        ["features.3.conv.0.net.weight", "features.3.conv.1.weight"],  # shifted
        ["features.3.net.conv.0.weight", "layer1.0.conv1.weight", "fc.weight"],
    ],
)
def test_other_layouts_keep_their_names(names):
    assert weight_names.flat_names(names) == dict(zip(names, names, strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("module.base_model.bn1.num_batches_tracked", True),
        ("bn1.num_batches_tracked", True),
        ("moments.base_model.conv1.weight", True),
        ("accum.new_fc.weight", True),
        ("stat.new_fc.weight", True),
        ("adam_m.base_model.conv1.weight", True),
        ("adam_v.new_fc.bias", True),
        ("lamb_v.new_fc.bias", True),
        ("exp_avg_sq.new_fc.bias", True),
        ("max_exp_avg_sq.new_fc.bias", True),
        ("state_step", True),
        ("data_preprocessor.mean", True),
        ("global_step", True),
        ("learning_rate", True),
        ("learning_rate_group_0", True),
        ("epoch_num", True),
        ("base_model.conv1.weight", False),
        ("module.new_fc.weight", False),
        ("momentum_head.weight", False),
        ("statistics.weight", False),
        ("adam_norm.weight", False),
    ],
)
def test_counters_and_optimizers_are_no_weights(name, expected):
    assert weight_names.is_no_weight(name) is expected


OURS = (
    "base_model.layer2.net.0.block.conv1.net.weight",
    "base_model.layer2.net.0.nl.W.1.gamma",
)


@pytest.mark.parametrize(
    ("in_file", "expected"),
    [
        (
            ("base_model.a.net.weight", "base_model.b.nl.theta.weight"),
            ("layer2.net.0.block.conv1.net.weight", "layer2.net.0.nl.W.1.weight"),
        ),
        (
            ("base_model.a.net.weight",),
            ("layer2.net.0.conv1.net.weight", "layer2.net.0.nl.W.1.weight"),
        ),
        (
            ("base_model.conv1.weight",),
            ("layer2.0.conv1.weight", "layer2.0.nl.W.1.weight"),
        ),
    ],
)
def test_wrappers_are_looked_for_only_where_there_are_any(in_file, expected):
    names = weight_names.own_names(OURS, in_file)
    assert names == {
        own: f"base_model.{name}" for own, name in zip(OURS, expected, strict=True)
    }
