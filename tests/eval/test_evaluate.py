"""Every clip is scored once, whatever the batches are."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from eval.evaluate import evaluate, make_predict
from eval.metrics import TopK
from model.tsm import TSM, TSMConfig

NUM_CLASSES = 6


def batches(label_ids, batch_size, predicted=None):
    """Clips whose first pixel is the class that `predict` will say."""
    label_ids = np.array(label_ids, np.int32)
    said = label_ids if predicted is None else np.array(predicted)
    frames = np.zeros((len(label_ids), 2, 3, 4, 4), np.uint8)
    frames[:, 0, 0, 0, 0] = said
    for begin in range(0, len(label_ids), batch_size):
        end = begin + batch_size
        yield {"frames": frames[begin:end], "label": label_ids[begin:end]}


class Oracle:
    """Predicts the first pixel and keeps the shapes that it was asked for."""

    def __init__(self):
        self.shapes = []

    def __call__(self, frames):
        self.shapes.append(frames.shape)
        return np.eye(NUM_CLASSES, dtype=np.float32)[frames[:, 0, 0, 0, 0]] * 9


@pytest.mark.parametrize("batch_size", [1, 2, 4, 7, 8])
def test_every_clip_counts_once(batch_size):
    label_ids, predicted = [0, 1, 2, 3, 4, 5, 0], [0, 1, 2, 3, 4, 0, 1]
    oracle = Oracle()
    evaluation = evaluate(
        oracle,
        batches(label_ids, batch_size, predicted),
        batch_size=batch_size,
        num_classes=NUM_CLASSES,
    )
    assert (evaluation.top_k.num_clips, evaluation.top_k.num_top1) == (7, 5)
    assert evaluation.confusion.counts.sum() == 7
    assert evaluation.confusion.counts[5, 0] == 1
    assert evaluation.label_ids.tolist() == label_ids
    assert evaluation.ranked[:, 0].tolist() == predicted
    assert set(oracle.shapes) == {(batch_size, 2, 3, 4, 4)}


def test_ranked_classes_come_with_their_probabilities():
    def predict(frames):
        return np.log(np.array([[0.1, 0.2, 0.3, 0.15, 0.05, 0.2]], np.float32))

    evaluation = evaluate(
        predict, batches([2], 1), batch_size=1, num_classes=NUM_CLASSES
    )
    assert evaluation.ranked.tolist() == [[2, 1, 5, 3, 0]]
    np.testing.assert_allclose(
        evaluation.probabilities, [[0.3, 0.2, 0.2, 0.15, 0.1]], rtol=1e-5
    )


def test_clips_without_label_are_predicted_but_not_counted():
    evaluation = evaluate(
        Oracle(),
        batches([-1, 3, -1], 2, predicted=[1, 3, 2]),
        batch_size=2,
        num_classes=NUM_CLASSES,
    )
    assert evaluation.num_clips == 3
    assert evaluation.ranked[:, 0].tolist() == [1, 3, 2]
    assert evaluation.top_k == TopK(1, 1, 1)


def test_no_clips_are_an_error():
    with pytest.raises(ValueError, match="there are no clips"):
        evaluate(Oracle(), [], batch_size=2, num_classes=NUM_CLASSES)


def test_a_batch_that_is_too_large_is_an_error():
    with pytest.raises(ValueError, match="a batch has 3 clips, at most 2 fit"):
        evaluate(Oracle(), batches([1, 2, 3], 3), batch_size=2, num_classes=6)


def test_logits_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"must be \(2, 5\), got \(2, 6\)"):
        evaluate(Oracle(), batches([1, 2], 2), batch_size=2, num_classes=5)


@pytest.fixture(scope="module")
def network():
    mindspore.set_seed(3)
    config = TSMConfig(
        num_classes=4, arch="resnet18", width=4, num_segments=2, shift_div=4
    )
    return TSM(config)


FRAMES = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 32, 32), np.uint8)


def test_predicting_changes_nothing_and_drops_nothing(network):
    network.set_train(True)
    before = {p.name: p.asnumpy().copy() for p in network.get_parameters()}
    predict = make_predict(network)
    first, second = predict(FRAMES), predict(FRAMES)
    np.testing.assert_array_equal(first, second)
    assert network.training
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])


def test_predicting_follows_the_network_as_it_is_trained(network):
    predict = make_predict(network)
    predict(FRAMES)
    network.new_fc.bias.set_data(Tensor(np.array([1, 2, 3, 4], np.float32)))
    network.new_fc.weight.set_data(Tensor(np.zeros((4, 32), np.float32)))
    np.testing.assert_allclose(predict(FRAMES), [[1, 2, 3, 4]] * 3, rtol=1e-6)


def test_black_filling_does_not_change_the_other_clips(network):
    predict = make_predict(network)
    filled = np.concatenate([FRAMES[:1], np.zeros_like(FRAMES[:2])])
    np.testing.assert_allclose(
        predict(FRAMES)[0], predict(filled)[0], rtol=1e-5, atol=1e-6
    )
