"""What a configuration says, and what it refuses."""

import dataclasses

import pytest

from model.config import ARCHS, TSMConfig

SLIM = TSMConfig(num_classes=5, arch="resnet18", width=8, num_segments=4, shift_div=4)


def test_defaults_are_the_published_network():
    config = TSMConfig(num_classes=174)
    assert (config.arch, config.width, config.num_segments) == ("resnet50", 64, 8)
    assert (config.shift_place, config.shift_mode) == ("blockres", "offline")
    assert config.shift_div == 8
    for part in (config.temporal_pool, config.non_local, config.partial_bn):
        assert part is False


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SLIM.width = 9


def test_networks():
    assert ARCHS == ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "resnet19"}, r"arch must be one of \('resnet18', .*got 'resnet19'"),
        (
            {"shift_place": "both"},
            r"one of \('blockres', 'block', 'none'\), got 'both'",
        ),
        ({"shift_mode": "live"}, r"one of \('offline', 'online'\), got 'live'"),
        ({"consensus": "rnn"}, r"consensus must be one of \('avg', 'identity'\)"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"width": 2}, "width must be at least 4, got 2"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"num_segments": 0}, "num_segments must be at least 1, got 0"),
        ({"num_segments": 1}, "at least 2 to shift along time, got 1"),
        ({"shift_div": 9}, r"shift_div must be in \[2, 8\], the channels .*, got 9"),
        ({"shift_div": 1}, r"shift_div must be in \[2, 8\], .*got 1"),
        ({"temporal_pool": True, "num_segments": 5}, "must be even .* got 5"),
        ({"temporal_pool": True, "num_segments": 2}, "at least 4 to shift .* got 2"),
        (
            {"temporal_pool": True, "shift_mode": "online"},
            "looks at later segments: not for online",
        ),
        (
            {"temporal_pool": True, "arch": "mobilenetv2"},
            r"temporal_pool needs arch one of \('resnet18',.*got 'mobilenetv2'",
        ),
        (
            {"non_local": True},
            r"one of \['resnet34', 'resnet50', 'resnet101'\], got 'resnet18'",
        ),
        ({"non_local": True, "arch": "mobilenetv2"}, "got 'mobilenetv2'"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SLIM, **changes)


def test_shift_div_of_mobilenet_is_held_against_its_own_channels():
    """A sixteenth of its 24 is 1.5, rounded up to 8."""
    config = dataclasses.replace(SLIM, arch="mobilenetv2", width=4, shift_div=8)
    assert config.shift_div == 8
    with pytest.raises(ValueError, match=r"\[2, 8\]"):
        dataclasses.replace(config, shift_div=9)


def test_one_segment_is_fine_without_shift():
    config = dataclasses.replace(SLIM, num_segments=1, shift_place="none")
    assert config.num_segments == 1


@pytest.mark.parametrize(("has_pool", "num_segments"), [(False, 4), (True, 2)])
def test_pooling_halves_the_segments(has_pool, num_segments):
    config = dataclasses.replace(SLIM, temporal_pool=has_pool)
    assert config.num_pooled_segments == num_segments


def test_disagreements_name_the_fields():
    fields = {"arch": "resnet50", "width": 8, "shift_div": 8}
    assert SLIM.disagreements(fields) == [
        "arch is 'resnet18' here and 'resnet50' there",
        "shift_div is 4 here and 8 there",
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("width", 10**9, "width must be at most 256, got 1000000000"),
        ("width", 24.0, "width must be int, got 24.0"),
        ("width", "24", "width must be int, got '24'"),
        ("num_classes", True, "num_classes must be int, got True"),
        (
            "num_classes",
            10**12,
            "num_classes must be at most 100000, got 1000000000000",
        ),
        ("num_segments", 10**9, "num_segments must be at most 1024"),
        ("dropout", float("nan"), r"dropout must be in \[0, 1\), got nan"),
        ("dropout", "0.5", "dropout must be float, got '0.5'"),
        ("arch", ["resnet50"], "arch must be str, got"),
        ("partial_bn", 1, "partial_bn must be bool, got 1"),
    ],
)
def test_a_wrong_type_or_size_is_a_sentence(field, value, message):
    with pytest.raises(ValueError, match=message):
        TSMConfig(**{"num_classes": 2, field: value})
