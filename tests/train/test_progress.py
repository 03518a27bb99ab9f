import json

import pytest

from eval.metrics import TopK
from train.progress import Progress


def test_steps_add_up():
    progress = Progress().after_step(1.5, TopK(4, 1, 2)).after_step(0.5, TopK(4, 3, 4))
    assert progress == Progress(2, 2.0, TopK(8, 4, 6))


def test_an_epoch_begins_with_nothing_seen_and_all_steps_done():
    progress = Progress(6, 3.0, TopK(8, 4, 6)).after_epoch(1, None)
    assert progress == Progress(6)


@pytest.mark.parametrize(
    ("best", "score", "is_best"),
    [
        (None, None, False),
        (None, TopK(4, 0, 0), True),
        (TopK(4, 2, 2), None, False),
        (TopK(4, 2, 2), TopK(4, 2, 4), False),
        (TopK(4, 2, 2), TopK(4, 3, 3), True),
    ],
)
def test_only_a_better_evaluation_is_the_best(best, score, is_best):
    before = Progress(6, best=best, best_epoch=1)
    assert before.is_best(score) is is_best
    after = before.after_epoch(2, score)
    assert (after.best, after.best_epoch) == ((score, 2) if is_best else (best, 1))


@pytest.mark.parametrize(
    "progress",
    [Progress(), Progress(7, 0.1 + 0.2, TopK(4, 1, 2), TopK(9, 8, 9), 3)],
)
def test_json_keeps_it_exactly(progress):
    assert Progress.parse(json.loads(json.dumps(progress.to_json()))) == progress
