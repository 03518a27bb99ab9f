"""One step on a network whose gradients are known."""

import math

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops

from eval.evaluate import make_predict
from model.tsm import TSM, TSMConfig
from train.step import AccumulatedStep, TrainStep, make_loss

pytestmark = pytest.mark.usefixtures("small_graphs")


class Linear(nn.Cell):
    """Logits are the input times a weight that begins as 1."""

    def __init__(self):
        super().__init__()
        self.weight = mindspore.Parameter(np.ones(2, np.float32), name="weight")

    def construct(self, x):
        return x * self.weight


def sum_of_logits(logits, label_ids):
    return (logits * label_ids).sum()


def one_step(clip_gradient):
    """Returns loss and norm, logits, weight; the gradient is 3 and 4, its norm 5."""
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    step = TrainStep(network, sum_of_logits, optimizer, clip_gradient=clip_gradient)
    step.set_train(True)
    frames = Tensor(np.array([[3.0, 4.0]], np.float32))
    loss, norm, *_, logits = step(frames, Tensor(np.ones((1, 2), np.float32)))
    figures = float(loss.asnumpy()), float(norm.asnumpy())
    return figures, logits.asnumpy().tolist(), network.weight.asnumpy()


@pytest.mark.parametrize(
    ("clip_gradient", "weight"),
    [(None, [0.7, 0.6]), (10.0, [0.7, 0.6]), (1.0, [0.94, 0.92])],
)
def test_gradients_are_clipped_by_their_common_norm(clip_gradient, weight):
    figures, logits, updated = one_step(clip_gradient)
    assert figures == pytest.approx((7.0, 5.0))  # the norm of before the clipping
    assert logits == [[3.0, 4.0]]
    np.testing.assert_allclose(updated, weight, rtol=1e-5)


def test_a_step_changes_what_predicting_sees():
    """Both compile the same network; each must see the parameters of the other."""
    mindspore.set_seed(2)
    network = TSM(
        TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
    )
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    step = TrainStep(network, nn.CrossEntropyLoss(), optimizer)
    predict = make_predict(network)
    frames = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 32, 32), np.uint8)
    before, mean_before = (
        predict(frames),
        network.base_model.bn1.moving_mean.asnumpy().copy(),
    )
    step.set_train(True)
    step(Tensor(frames), Tensor(np.array([0, 2], np.int32)))
    after, mean_after = (
        predict(frames),
        network.base_model.bn1.moving_mean.asnumpy().copy(),
    )
    assert np.abs(after - before).max() > 1e-4
    assert np.abs(mean_after - mean_before).max() > 1e-4
    again = TSM(network.config)
    mindspore.load_param_into_net(again, network.parameters_dict())
    np.testing.assert_allclose(make_predict(again)(frames), after, rtol=1e-5)


def test_parameters_keep_the_networks_names():
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    TrainStep(network, sum_of_logits, optimizer)
    assert [p.name for p in network.get_parameters()] == ["weight"]


def scaled_step(gradient, scale):
    """One step with a loss scale; returns loss, norm, weight and the scale after."""
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    loss_scale = amp.DynamicLossScaler(scale, 2, 1000)
    step = TrainStep(network, sum_of_logits, optimizer, loss_scale=loss_scale)
    step.set_train(True)
    frames = Tensor(np.full((1, 2), gradient, np.float32))
    loss, norm, *_ = step(frames, Tensor(np.ones((1, 2), np.float32)))
    actual = [float(x.asnumpy()) for x in (loss, norm, loss_scale.scale_value)]
    return actual, network.weight.asnumpy().tolist()


def test_a_loss_scale_changes_neither_the_loss_nor_the_update():
    (loss, norm, scale), weight = scaled_step(3.0, 1024.0)
    assert (loss, scale) == (6.0, 1024.0)
    assert norm == pytest.approx(18**0.5)
    assert weight == pytest.approx([0.7, 0.7])


def test_an_overflow_halves_the_loss_scale_and_updates_nothing():
    (loss, norm, scale), weight = scaled_step(3e37, 1024.0)
    assert loss == pytest.approx(6e37)
    assert not np.isfinite(norm)
    assert scale == 512.0
    assert weight == [1.0, 1.0]


@pytest.mark.parametrize("scale", [1024.0, 0.125])
def test_a_static_loss_scale_changes_nothing_but_what_overflows(scale):
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    step = TrainStep(network, sum_of_logits, optimizer, loss_scale=scale)
    step.set_train(True)
    label_ids = Tensor(np.ones((1, 2), np.float32))
    figures = step.run([(Tensor(np.array([[3.0, 4.0]], np.float32)), label_ids)])
    assert float(figures.loss.asnumpy()) == 7.0
    assert float(figures.norm.asnumpy()) == pytest.approx(5.0)
    assert bool(figures.is_finite.asnumpy())
    assert not bool(figures.is_skipped.asnumpy())
    np.testing.assert_allclose(network.weight.asnumpy(), [0.7, 0.6], rtol=1e-6)


@pytest.mark.parametrize("is_finite", [True, False])
def test_an_overflow_is_what_mindspore_makes_of_the_gradients(monkeypatch, is_finite):
    """On an Ascend 910 there is no infinity: gradients are finite, a status is not."""
    limit = 0.0 if is_finite else 1e9

    def all_finite(gradients):
        return gradients[0].sum() > limit

    monkeypatch.setattr(amp, "all_finite", all_finite)
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    loss_scale = amp.DynamicLossScaler(4.0, 2, 1000)
    step = TrainStep(network, sum_of_logits, optimizer, loss_scale=loss_scale)
    step.set_train(True)
    ones = Tensor(np.ones((1, 2), np.float32))
    figures = step.run([(ones, ones)])
    assert bool(figures.is_finite.asnumpy()) == is_finite
    assert bool(figures.is_skipped.asnumpy()) != is_finite
    expected = [0.9, 0.9] if is_finite else [1.0, 1.0]
    np.testing.assert_allclose(network.weight.asnumpy(), expected, rtol=1e-6)


class Dense(nn.Cell):
    """Two layers without batch norm."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(3)
        for name, shape in (("first", (6, 5)), ("second", (5, 3))):
            values = rng.standard_normal(shape).astype(np.float32)
            setattr(self, name, mindspore.Parameter(values, name=f"{name}.weight"))

    def construct(self, x):
        return ops.tanh(x @ self.first) @ self.second


@pytest.mark.parametrize("loss_scale", [None, 64.0])
def test_accumulated_parts_update_as_the_whole_batch_does(loss_scale):
    rng = np.random.default_rng(4)
    batches = [
        (
            rng.standard_normal((8, 6)).astype(np.float32),
            rng.integers(0, 3, 8, np.int32),
        )
        for _ in range(3)
    ]
    results = []
    for num_parts in (1, 4):
        network = Dense()
        optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1, momentum=0.9)
        step = TrainStep(
            *(network, make_loss(0.1), optimizer),
            clip_gradient=1.0,
            loss_scale=loss_scale,
        )
        if num_parts > 1:
            step = AccumulatedStep(step, num_parts)
        step.set_train(True)
        figures = []
        for batch in batches:
            split = zip(*(np.split(array, num_parts) for array in batch), strict=True)
            made = step.run([tuple(map(Tensor, part)) for part in split])
            logits = np.concatenate([part.asnumpy() for part in made.logits])
            figures.append([logits, made.loss.asnumpy(), made.norm.asnumpy()])
        weights = [p.asnumpy() for p in network.get_parameters()]
        results.append([weights, *figures])
    for whole, parts in zip(*results, strict=True):
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("smoothing", "targets"),
    [(0.0, [1.0, 0.0, 0.0, 0.0]), (0.2, [0.85, 0.05, 0.05, 0.05])],
)
def test_loss_is_the_cross_entropy_with_the_smoothed_target(smoothing, targets):
    shares = [0.5, 0.25, 0.125, 0.125]
    logits = Tensor(np.log(np.array([shares], np.float32)))
    label_ids = Tensor(np.array([0], np.int32))
    expected = -sum(t * math.log(p) for t, p in zip(targets, shares, strict=True))
    loss = float(make_loss(smoothing)(logits, label_ids).asnumpy())
    assert loss == pytest.approx(expected, rel=1e-5)


def test_loss_is_the_mean_over_the_clips():
    logits = Tensor(np.log(np.array([[0.5, 0.5], [0.125, 0.875]], np.float32)))
    label_ids = Tensor(np.array([1, 0], np.int32))
    loss = float(make_loss(0.0)(logits, label_ids).asnumpy())
    assert loss == pytest.approx((math.log(2) + math.log(8)) / 2, rel=1e-5)
