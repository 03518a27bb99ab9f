"""What a network's use needs, as JSON and back."""

import dataclasses
import json

import pytest

from model import cards
from model.cards import ModelCard

CARD = ModelCard(
    class_names=("Left", "Right"),
    view={"crop_px": 48, "resize_px": 54, "eval_crops": "centre"},
    weights="resnet50.pth",
    weights_sha256="ab" * 32,
    dataset="/data",
    dataset_version="000002",
    dataset_digest="cd" * 32,
    decode_settings={"short_side_px": 72},
    program="0.1.0",
)


def test_a_card_comes_back_from_json():
    values = json.loads(json.dumps(CARD.to_json()))
    assert cards.parse(values) == CARD
    assert CARD.missing == ()


def test_the_digest_is_of_the_names_a_line_each():
    """By sha256sum of the two lines, without an end of the last."""
    digest = "917f8ff76242c318ede9f4115dd6aaa9f1b7902d7764572aff33741b2b851929"
    assert CARD.to_json()["class_digest"] == digest
    assert cards.class_digest(()) == ""


def test_names_that_the_digest_is_not_of_are_refused():
    values = CARD.to_json() | {"class_names": ["Right", "Left"]}
    with pytest.raises(ValueError, match="not those that class_digest is of"):
        cards.parse(values)


def test_another_normalisation_is_refused():
    values = CARD.to_json() | {"mean": [0.5, 0.5, 0.5]}
    with pytest.raises(ValueError, match=r"mean \(0\.5, 0\.5, 0\.5\)"):
        cards.parse(values)


def test_keys_of_later_programs_are_left_out():
    assert cards.parse(CARD.to_json() | {"licence": "none"}) == CARD


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"class_names": ()}, ("class_names",)),
        ({"weights_sha256": ""}, ("weights_sha256",)),
        ({"weights": "random", "weights_sha256": ""}, ()),
        ({"program": "", "view": {}}, ("view", "program")),
    ],
)
def test_what_is_missing_is_named(changes, missing):
    assert dataclasses.replace(CARD, **changes).missing == missing


def test_an_earlier_programs_checkpoint_has_some_of_it():
    run = {
        "version": "000003",
        "evaluation": {"crop_px": 48, "resize_px": 54, "num_workers": 3},
        "training": {"tune_from": None, "train_frames": "segments"},
    }
    view = {"crop_px": 48, "resize_px": 54, "train_frames": "segments"}
    expected = ModelCard(view=view, weights="random", dataset_version="000003")
    assert cards.parse_run(run) == expected
    assert cards.parse_run({}) == ModelCard()
