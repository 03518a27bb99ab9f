"""The rule that weights and frames of the reference numbers are made by."""

import numpy as np
import pytest

from infra.reference import cases


def test_a_tensor_depends_on_its_name_and_shape_alone():
    first = cases.tensor("base_model.conv1.weight", (4, 3, 7, 7))
    again = cases.tensor("base_model.conv1.weight", (4, 3, 7, 7))
    other = cases.tensor("base_model.conv2.weight", (4, 3, 7, 7))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_the_rule_is_the_one_that_the_numbers_were_made_by():
    """Committed logits would be wrong with other weights."""
    values = cases.tensor("new_fc.bias", (3,))
    np.testing.assert_allclose(values, [-0.0544555, 0.0836093, 0.1240729], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape", "low", "high"),
    [
        ("base_model.bn1.running_var", (1000,), 0.5, 1.5),
        ("base_model.bn1.running_mean", (1000,), -0.2, 0.2),
        ("base_model.bn1.weight", (1000,), 0.4, 0.9),
        ("base_model.layer2.0.nl.W.1.weight", (1000,), 0.08, 0.18),
        ("base_model.features.0.1.weight", (1000,), 0.64, 1.44),
        ("new_fc.weight", (10, 300), -0.1, 0.1),  # sqrt(3 / 300)
        ("base_model.conv1.weight", (64, 3, 1, 2), -1.0, 1.0),  # sqrt(6 / 6)
    ],
)
def test_numbers_fill_their_range(name, shape, low, high):
    values = cases.tensor(name, shape)
    assert values.dtype == np.float32
    assert low <= values.min() < low + 0.1 * (high - low)
    assert high - 0.1 * (high - low) < values.max() <= high


def test_frames_move_and_differ_by_clip():
    clips = cases.frames(4)
    assert clips.shape == (2, 4, 3, 64, 64)
    assert clips.dtype == np.uint8
    assert np.abs(clips[0, 0].astype(int) - clips[0, 1]).mean() > 20
    assert np.abs(clips[0].astype(int) - clips[1]).mean() > 20


def test_names_tell_what_a_case_changes():
    assert cases.CASES["resnet50 blockres temporal_pool"] == {
        "arch": "resnet50",
        "shift_place": "blockres",
        "temporal_pool": True,
        "shift_div": 8,
        "num_segments": 4,
        "width": 16,
        "consensus": "avg",
    }
