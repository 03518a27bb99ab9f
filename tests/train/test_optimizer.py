"""Groups by name, and updates by numbers computed by hand."""

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from model.tsm import TSM, TSMConfig
from train import optimizer

CONFIG = TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)


def parameter(name, value=1.0):
    return Parameter(Tensor(np.full(2, value, np.float32)), name=name)


def factors(names, *, is_classifier_faster=True):
    groups = optimizer.parameter_groups(
        [parameter(name) for name in names], is_classifier_faster=is_classifier_faster
    )
    return {
        p.name: (group.rate_factor, group.decay_factor)
        for group in groups
        for p in group.parameters
    }


NAMES = [
    "base_model.conv1.weight",
    "base_model.layer1.0.conv1.net.weight",
    "base_model.layer1.0.conv1.net.bias",
    "base_model.bn1.gamma",
    "base_model.bn1.beta",
    "new_fc.weight",
    "new_fc.bias",
]


def test_groups_are_the_recipes():
    assert factors(NAMES) == {
        "base_model.conv1.weight": (1.0, 1.0),
        "base_model.layer1.0.conv1.net.weight": (1.0, 1.0),
        "base_model.layer1.0.conv1.net.bias": (2.0, 0.0),
        "base_model.bn1.gamma": (1.0, 0.0),
        "base_model.bn1.beta": (1.0, 0.0),
        "new_fc.weight": (5.0, 1.0),
        "new_fc.bias": (10.0, 0.0),
    }


def test_classifier_is_like_the_rest_if_asked():
    actual = factors(NAMES, is_classifier_faster=False)
    assert actual["new_fc.weight"] == (1.0, 1.0)
    assert actual["new_fc.bias"] == (2.0, 0.0)


def test_a_bias_inside_the_frame_network_is_not_the_classifiers():
    assert factors(["base_model.new_fc.bias"]) == {"base_model.new_fc.bias": (2.0, 0.0)}


def test_empty_groups_are_left_out():
    groups = optimizer.parameter_groups(
        [parameter("a.gamma")], is_classifier_faster=True
    )
    assert [group.name for group in groups] == ["norm"]


def test_a_parameter_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match=r"head\.scale must end in weight, bias"):
        factors(["head.scale"])


def test_every_parameter_of_a_network_is_in_one_group():
    parameters = TSM(CONFIG).trainable_params()
    groups = optimizer.parameter_groups(parameters, is_classifier_faster=True)
    grouped = [p.name for group in groups for p in group.parameters]
    assert sorted(grouped) == sorted(p.name for p in parameters)
    assert {g.name: len(g.parameters) for g in groups} == {
        "weight": 20,
        "norm": 40,
        "classifier_weight": 1,
        "classifier_bias": 1,
    }


def updated(name, rates, gradients, *, weight_decay, momentum=0.9):
    """Values of a weight, a gamma and a classifier's bias, all 1 before, by step."""
    parameters = [parameter(n) for n in ("c.weight", "b.gamma", "new_fc.bias")]
    groups = optimizer.parameter_groups(parameters, is_classifier_faster=True)
    updates = optimizer.make_optimizer(
        name,
        groups,
        np.array(rates, np.float32),
        weight_decay=weight_decay,
        momentum=momentum,
    )
    values = []
    for gradient in gradients:
        gradient_tensor = Tensor(np.full(2, gradient, np.float32))
        updates((gradient_tensor,) * 3)
        values.append([float(p.asnumpy()[0]) for p in parameters])
    return values


def test_sgd_is_momentum_with_decay_and_rate_by_group():
    values = updated("sgd", [0.1, 0.01], [1.0, 1.0], weight_decay=0.5)
    # weight: v = 1 + 0.5, p = 1 - 0.1 v; then v = 0.9 v + 1 + 0.5 p, p -= 0.01 v
    assert values[0] == pytest.approx([0.85, 0.9, 0.0])
    second = [0.85 - 0.01 * (0.9 * 1.5 + 1 + 0.425), 0.9 - 0.01 * 1.9, -0.1 * 1.9]
    assert values[1] == pytest.approx(second)


def test_adamw_decays_the_weights_only():
    values = updated("adamw", [0.1], [0.0], weight_decay=0.5)
    assert values[0] == pytest.approx([1 - 0.1 * 0.5, 1.0, 1.0])


def test_adamw_corrects_its_bias():
    """Against the algorithm in numpy; without the correction the first step is 3.2."""
    weight, gamma = parameter("c.weight"), parameter("b.gamma")
    rates, gradients = [0.1, 0.05, 0.02], [[1.0, -2.0], [0.5, 0.3], [-3.0, 1e-6]]
    groups = optimizer.parameter_groups([weight, gamma], is_classifier_faster=True)
    updates = optimizer.make_optimizer(
        *("adamw", groups, np.array(rates, np.float32)), weight_decay=0.5, momentum=0.9
    )
    expected = {"weight": np.ones(2), "gamma": np.ones(2)}
    mean = square = np.zeros(2)
    for step, (rate, gradient) in enumerate(zip(rates, gradients, strict=True), 1):
        updates((Tensor(np.array(gradient, np.float32)),) * 2)
        mean = 0.9 * mean + 0.1 * np.array(gradient)
        square = 0.999 * square + 0.001 * np.array(gradient) ** 2
        root = np.sqrt(square / (1 - 0.999**step)) + 1e-8
        direction = mean / (1 - 0.9**step) / root
        for name, decay in (("weight", 0.5), ("gamma", 0.0)):
            expected[name] = (1 - rate * decay) * expected[name] - rate * direction
        np.testing.assert_allclose(weight.asnumpy(), expected["weight"], atol=1e-6)
        np.testing.assert_allclose(gamma.asnumpy(), expected["gamma"], atol=1e-6)


def test_optimizers_by_name():
    assert list(optimizer.OPTIMIZERS) == ["sgd", "adamw"]


def test_group_order_does_not_mix_up_gradients():
    """The optimizer sorts its parameters by group; gradients must follow."""
    mindspore.set_seed(0)
    parameters = [parameter(n) for n in ("new_fc.bias", "c.weight")]
    groups = optimizer.parameter_groups(parameters, is_classifier_faster=False)
    updates = optimizer.make_optimizer(
        "sgd", groups, np.array([1.0], np.float32), weight_decay=0.0, momentum=0.0
    )
    assert [p.name for p in updates.parameters] == ["c.weight", "new_fc.bias"]
