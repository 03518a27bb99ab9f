"""Splits of a published version, scored by networks that only look at pixels."""

import numpy as np
import pytest

from eval import config, job
from mindrecord_io.serving import clip_index
from model.tsm import TSMConfig

NETWORK = TSMConfig(num_classes=3, arch="resnet18", width=8, num_segments=4)
SETTINGS = config.EvalConfig(crop_px=32, resize_px=36, eval_batch_size=3)


class Recorder:
    """Says class 0 of everything and keeps what it was shown."""

    def __init__(self):
        self.batches = []

    def __call__(self, frames):
        self.batches.append(frames.copy())
        logits = np.zeros((len(frames), 3), np.float32)
        logits[:, 0] = 1.0
        return logits


@pytest.fixture
def scored(published_version):
    recorder = Recorder()
    evaluation = job.evaluate_split(
        recorder, NETWORK, SETTINGS, version=published_version, split="validation"
    )
    return recorder, evaluation


def test_batches_have_the_networks_segments_and_the_configured_size(scored):
    recorder, _ = scored
    assert [batch.shape for batch in recorder.batches] == [(3, 4, 3, 32, 32)] * 2
    assert all(batch.dtype == np.uint8 for batch in recorder.batches)


def test_a_short_last_batch_is_filled_with_black(scored):
    """Four clips in batches of three."""
    recorder, _ = scored
    assert recorder.batches[1][0].any()
    assert not recorder.batches[1][1:].any()


def test_clips_are_scored_in_the_order_of_the_table(scored, published_version):
    _, evaluation = scored
    index = clip_index.read_clip_index(published_version, "validation")
    assert sorted(index.clip_ids) == ["201", "202", "203", "204"]
    assert evaluation.label_ids.tolist() == [int(n) % 3 for n in index.clip_ids]


def test_accuracy_counts_the_clips_of_the_class_that_is_always_said(scored):
    _, evaluation = scored
    assert evaluation.num_clips == 4
    assert evaluation.top_k.num_top1 == 2  # 201 and 204
    assert evaluation.confusion.counts.tolist() == [[2, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_scoring_twice_shows_the_same_pixels(scored, published_version):
    recorder, _ = scored
    again = Recorder()
    job.evaluate_split(
        again, NETWORK, SETTINGS, version=published_version, split="validation"
    )
    for first, second in zip(recorder.batches, again.batches, strict=True):
        np.testing.assert_array_equal(first, second)


def test_frames_are_those_of_the_middle_of_each_segment(scored, published_version):
    """The blue channel of a stored frame is 20 times its index (see conftest.py)."""
    recorder, _ = scored
    index = clip_index.read_clip_index(published_version, "validation")
    first = recorder.batches[0][0]  # (T, 3, H, W), RGB
    num_frames = index.num_frames(0)
    middles = [int(num_frames / 8 + num_frames / 4 * i) for i in range(4)]
    blue = first[:, 2].mean(axis=(1, 2)) / 20
    np.testing.assert_allclose(blue, middles, atol=0.5)


def test_a_split_that_is_not_there_is_an_error(published_version):
    with pytest.raises(ValueError, match="test"):
        job.evaluate_split(
            Recorder(), NETWORK, SETTINGS, version=published_version, split="test"
        )


class Brightness:
    """Says how bright the left and the right half of the first frame are."""

    def __init__(self):
        self.shapes = []

    def __call__(self, frames):
        self.shapes.append(frames.shape)
        red = frames[:, 0, 0].astype(np.float32) / 255  # (N, H, W)
        half = red.shape[2] // 2
        left, right = red[..., :half].mean((1, 2)), red[..., half:].mean((1, 2))
        return np.stack([left, right, np.zeros_like(left)], axis=1)


@pytest.mark.parametrize(("eval_batch_size", "num_views"), [(4, 3), (6, 6), (16, 12)])
def test_three_crops_twice_are_averaged_over_all_of_the_frame(
    published_version, eval_batch_size, num_views
):
    """A step scores whole clips, or equal parts of one.

    Stored frames are 24 x 32, dark on the left, bright on the right.
    """
    predict = Brightness()
    settings = config.EvalConfig(
        crop_px=32,
        resize_px=32,
        eval_crops="three",
        eval_frames="twice",
        eval_batch_size=eval_batch_size,
    )
    evaluation = job.evaluate_split(
        predict, NETWORK, settings, version=published_version, split="validation"
    )
    assert evaluation.num_clips == 4
    assert set(predict.shapes) == {(num_views, 4, 3, 32, 32)}
    assert evaluation.ranked[:, 0].tolist() == [1, 1, 1, 1]


class OtherRanks:
    """This rank's scores and, in place of the others', what they would have sent."""

    def __init__(self, num_ranks):
        self.num_ranks, self.is_first, self.rank = num_ranks, True, 0
        self.sent = []

    def summed(self, values):
        self.sent.append(values)
        return values


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
def test_ranks_score_each_clip_once_and_leave_the_others_zero(
    published_version, num_ranks
):
    """Four clips, for 7 ranks too: some have none."""
    parts = []
    for rank in range(num_ranks):
        ranks = OtherRanks(num_ranks)
        ranks.rank = rank
        job.evaluate_split(
            Recorder(),
            NETWORK,
            SETTINGS,
            version=published_version,
            split="validation",
            ranks=ranks,
        )
        (scores,) = ranks.sent
        parts.append(scores)
    total = np.sum(parts, axis=0)
    np.testing.assert_array_equal(total, [[1.0, 0.0, 0.0]] * 4)
