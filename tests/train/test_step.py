"""One step on a network whose gradients are known."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from eval import config
from eval.evaluate import make_predict
from model.tsm import TSM, TSMConfig
from train.step import TrainStep


@pytest.fixture(autouse=True, scope="module")
def _graph_mode():
    config.use_graph_mode()


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
    """Returns loss, logits and weight; the gradient is 3 and 4, its norm 5."""
    network = Linear()
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    step = TrainStep(network, sum_of_logits, optimizer, clip_gradient)
    step.set_train(True)
    frames = Tensor(np.array([[3.0, 4.0]], np.float32))
    loss, logits = step(frames, Tensor(np.ones((1, 2), np.float32)))
    return float(loss.asnumpy()), logits.asnumpy().tolist(), network.weight.asnumpy()


@pytest.mark.parametrize(
    ("clip_gradient", "weight"),
    [(None, [0.7, 0.6]), (10.0, [0.7, 0.6]), (1.0, [0.94, 0.92])],
)
def test_gradients_are_clipped_by_their_common_norm(clip_gradient, weight):
    loss, logits, updated = one_step(clip_gradient)
    assert loss == 7.0
    assert logits == [[3.0, 4.0]]
    np.testing.assert_allclose(updated, weight, rtol=1e-5)


def test_a_step_changes_what_predicting_sees():
    """Both compile the same network; each must see the parameters of the other."""
    mindspore.set_seed(2)
    network = TSM(
        TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
    )
    optimizer = nn.SGD(network.trainable_params(), learning_rate=0.1)
    step = TrainStep(network, nn.CrossEntropyLoss(), optimizer, None)
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
    TrainStep(network, sum_of_logits, optimizer, None)
    assert [p.name for p in network.get_parameters()] == ["weight"]
