import numpy as np
import pytest

from train import schedule


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1.0), (19.99, 1.0), (20, 0.1), (39.9, 0.1), (40, 0.01), (50, 0.01)],
)
def test_step_divides_by_ten_at_each_milestone(epoch, factor):
    assert schedule.step_factor(epoch, 50, (20, 40)) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0, 1.0), (10, 0.8535534), (20, 0.5), (40, 0.0)]
)
def test_cosine_falls_to_zero(epoch, factor):
    assert schedule.cosine_factor(epoch, 40, ()) == pytest.approx(factor)


def test_rates_are_of_every_step():
    rates = schedule.learning_rates(
        "step", 0.1, num_epochs=3, steps_per_epoch=2, milestones=(1, 2.5)
    )
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.01, 0.001], rtol=1e-6)
    assert rates.dtype == np.float32


def test_warm_up_rises_to_the_schedule_without_a_zero_step():
    rates = schedule.learning_rates(
        "step", 1.0, num_epochs=3, steps_per_epoch=4, warmup_epochs=0.75
    )
    np.testing.assert_allclose(rates[:5], [0.25, 0.5, 0.75, 1.0, 1.0])


def test_warm_up_follows_the_schedule_below_it():
    steps = {"num_epochs": 2, "steps_per_epoch": 2}
    bare = schedule.learning_rates("cosine", 1.0, **steps)
    warmed = schedule.learning_rates("cosine", 1.0, warmup_epochs=1, **steps)
    np.testing.assert_allclose(warmed, bare * [1 / 3, 2 / 3, 1, 1], rtol=1e-6)


def test_published_recipe_changes_after_two_fifths():
    rates = schedule.learning_rates(
        "step", 0.01, num_epochs=50, steps_per_epoch=2639, milestones=(20, 40)
    )
    assert len(rates) == 131_950
    assert np.flatnonzero(np.diff(rates)).tolist() == [52_779, 105_559]
