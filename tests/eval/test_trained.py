"""A network is used as its checkpoint has it; what differs is named."""

import logging

import numpy as np
import pytest

from eval import trained
from eval.running import config_file
from model.cards import ModelCard
from model.tsm import TSM, TSMConfig

NAMES = ("Left", "Right", "Rest")
VIEW = {
    "crop_px": 48,
    "resize_px": 54,
    "eval_crops": "three",
    "eval_frames": "twice",
    "average": "probabilities",
    "train_frames": "dense",
}


@pytest.fixture
def network():
    made = TSM(
        TSMConfig(num_classes=3, arch="resnet18", width=4, num_segments=2, shift_div=4)
    )
    made.card = ModelCard(class_names=NAMES, view=VIEW)
    return made


def test_clips_are_viewed_as_in_training(network, caplog):
    settings = trained.view_settings(network, {"eval_batch_size": 3})
    assert (settings.crop_px, settings.resize_px) == (48, 54)
    assert (settings.eval_crops, settings.eval_frames) == ("three", "twice")
    assert (settings.average, settings.eval_batch_size) == ("probabilities", 3)
    assert caplog.messages == []


def test_what_differs_is_named(network, caplog):
    settings = trained.view_settings(network, {"crop_px": 32, "eval_crops": "three"})
    assert (settings.crop_px, settings.resize_px) == (32, 54)
    assert caplog.messages == [
        "crop_px is 32 as given, the network was trained with 48"
    ]


def test_defaults_stand_in_for_what_the_checkpoint_lacks_and_are_named(network, caplog):
    network.card = ModelCard(view={"crop_px": 48})
    settings = trained.view_settings(network, {"resize_px": 50, "average": "logits"})
    assert settings.crop_px == 48
    assert caplog.messages == [
        f"{name} is 'centre' by default: the checkpoint lacks that of the training"
        for name in ("eval_crops", "eval_frames")
    ]


def test_sizes_that_do_not_go_together_are_wrong_usage(network):
    with pytest.raises(config_file.ConfigError, match="at least crop_px = 64, got 54"):
        trained.view_settings(network, {"crop_px": 64})


@pytest.mark.parametrize(
    ("view", "given", "expected", "num_lines"),
    [
        ({"crop_px": 48}, None, 48, 0),
        ({"crop_px": 48}, 48, 48, 0),
        ({"crop_px": 48}, 64, 64, 1),
        ({}, 64, 64, 0),
        ({}, None, 224, 1),
    ],
)
def test_the_side_of_frames(network, caplog, view, given, expected, num_lines):
    network.card = ModelCard(view=view)
    assert trained.crop_px(network, given) == expected
    assert len(caplog.messages) == num_lines


def order(network, names, **flags):
    return trained.class_order(
        network, names, checkpoint_name="best.ckpt", dataset="data", **flags
    )


def test_classes_with_the_same_numbers_need_no_order(network):
    assert order(network, list(NAMES)) is None
    assert order(network, list(NAMES), is_mapped=True) is None


def test_classes_with_other_numbers_are_listed_or_mapped_by_name(network, caplog):
    names = ["Rest", "Right", "Left"]
    with pytest.raises(
        ValueError,
        match=(
            r"best\.ckpt numbers 2 classes otherwise than data: 0 is 'Left' there and "
            r"'Rest' here, 2 is 'Rest' there and 'Left' here; --map_classes goes by"
        ),
    ):
        order(network, names)
    with caplog.at_level(logging.INFO):
        assert order(network, names, is_mapped=True) == [2, 1, 0]
    assert "classes are mapped by their names" in caplog.text


@pytest.mark.parametrize("is_mapped", [False, True])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["Left", "Right", "Up"],
            "only the checkpoint has 'Rest'; only the data set has 'Up'",
        ),
        (
            ["Left"],
            r"has 3 classes, but data has 1: only the checkpoint has 'Rest', 'R",
        ),
    ],
)
def test_other_classes_are_an_error_that_lists_them(network, names, message, is_mapped):
    with pytest.raises(ValueError, match=message):
        order(network, names, is_mapped=is_mapped)


def test_without_names_only_the_number_is_compared(network):
    network.card = ModelCard()
    assert order(network, ["a", "b", "c"]) is None
    with pytest.raises(ValueError, match=r"has 3 classes, but data has 2$"):
        order(network, ["a", "b"])


def test_logits_come_in_the_order_of_the_data_sets_classes():
    logits = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    predict = trained.in_order(lambda frames: logits, [2, 0, 1])
    assert predict(np.zeros(1)).tolist() == [[3.0, 1.0, 2.0], [6.0, 4.0, 5.0]]
    assert trained.in_order(predict, None) is predict
