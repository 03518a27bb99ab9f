import dataclasses
import re
from pathlib import Path

import pytest

from eval.running import config_file
from model.tsm import TSM
from train import optimizer, run_config
from train.config import TrainConfig

CONFIGS = Path(__file__).resolve().parents[2] / "infra" / "configs"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1: 0"),
        ({"batch_size": 0}, "batch_size must be at least 1: 0"),
        ({"log_every": 0}, "log_every must be at least 1: 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive: 0.0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\): 1.0"),
        ({"label_smoothing": -0.1}, r"label_smoothing must be in \[0, 1\): -0.1"),
        ({"weight_decay": -1.0}, "weight_decay cannot be negative: -1.0"),
        ({"clip_gradient": 0.0}, "clip_gradient must be positive or null: 0.0"),
        ({"warmup_epochs": 51.0}, r"warmup_epochs must be in \[0, epochs = 50\]: 51"),
        ({"base_batch_size": 0}, "base_batch_size must be at least 1: 0"),
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1: 0"),
        ({"loss_scale": 0.0}, "loss_scale must be positive: 0.0"),
        ({"amp_level": "O1"}, r"one of \('O0', 'O2', 'O3', 'auto'\), got 'O1'"),
        ({"trainable": "head"}, r"one of \('all', 'classifier'\), got 'head'"),
        (
            {"sampling": "odd"},
            r"one of \('each_once', 'class_balanced', 'blocks'\), got 'odd'",
        ),
        ({"fresh_parts": ("fc",)}, r"of \('classifier', 'non_local'\), got 'fc'"),
        ({"scales": ()}, r"scales must be in \(0, 1\]: \(\)"),
        ({"scales": (1.5,)}, r"scales must be in \(0, 1\]: \(1.5,\)"),
        ({"milestones": (40.0, 20.0)}, r"milestones must rise: \(40.0, 20.0\)"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*32\): -1"),
        ({"seed": 1 << 32}, r"seed must be in \[0, 2\*\*32\): 4294967296"),
        ({"optimizer": "lion"}, r"one of \('sgd', 'adamw'\), got 'lion'"),
        ({"schedule": "poly"}, r"one of \('step', 'cosine'\), got 'poly'"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load(name, **overrides):
    num_classes = 12 if name == "demo_cpu" else 174
    path = CONFIGS / f"{name}.yaml"
    return run_config.load(path, overrides, num_classes=num_classes)


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_makes_a_network_and_an_optimizer(name):
    """Of a slimmer network: names and shapes of the rest do not depend on the width."""
    settings = load(name, width="8", shift_div="4")
    network = TSM(settings.model)
    groups = optimizer.parameter_groups(
        network.trainable_params(), is_classifier_faster=True
    )
    assert sum(len(group.parameters) for group in groups) > 60
    assert settings.evaluation.view(settings.model.num_segments).num_views == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_names_its_source_and_its_accuracy(name):
    comments = [
        line
        for line in (CONFIGS / f"{name}.yaml").read_text().splitlines()
        if line.startswith("#")
    ]
    text = " ".join(line.removeprefix("# ") for line in comments)
    assert re.search(r"top-1 (of )?\d+\.\d", text)
    if name != "demo_cpu":
        assert "Row to reproduce: " in text
        assert "Not reproduced with this code yet" in text.replace("Not #", "Not")


@pytest.mark.parametrize(
    ("name", "arch", "num_segments", "device_target"),
    [
        ("tsm_sthv2_r50_8f", "resnet50", 8, "Ascend"),
        ("tsm_sthv2_r50_16f", "resnet50", 16, "Ascend"),
        ("tsm_sthv2_r101_8f", "resnet101", 8, "Ascend"),
        ("tsm_sthv2_r50_8f_ascend", "resnet50", 8, "Ascend"),
        ("tsm_sthv2_r50_8f_gpu", "resnet50", 8, "GPU"),
        ("tsm_sthv2_r50_8f_mmaction2", "resnet50", 8, "GPU"),
        ("demo_cpu", "resnet18", 8, "CPU"),
    ],
)
def test_there_is_a_configuration_for(name, arch, num_segments, device_target):
    settings = load(name)
    assert settings.model.arch == arch
    assert settings.model.num_segments == num_segments
    assert settings.evaluation.device_target == device_target


@pytest.mark.parametrize(
    "name", ["tsm_sthv2_r50_8f", "tsm_sthv2_r50_16f", "tsm_sthv2_r101_8f"]
)
def test_published_recipe_is_the_authors(name):
    settings = load(name)
    expected = TrainConfig(base_batch_size=64, fresh_parts=("classifier",))
    assert settings.training == expected
    assert settings.training.clip_gradient == 20.0
    assert settings.model.shift_place == "blockres"


@pytest.mark.parametrize("name", ["tsm_sthv2_r50_8f_ascend", "tsm_sthv2_r50_8f_gpu"])
def test_the_ports_recipe_has_no_clipping(name):
    authors = load("tsm_sthv2_r50_8f").training
    scale = 1024.0 if name.endswith("ascend") else None  # the port's own, on its device
    assert load(name).training == dataclasses.replace(
        authors, clip_gradient=None, static_loss_scale=scale
    )


def test_flags_reach_every_section():
    settings = run_config.load(
        CONFIGS / "demo_cpu.yaml",
        {"shift_place": "none", "epochs": "2", "eval_batch_size": "3"},
        num_classes=12,
    )
    assert settings.model.shift_place == "none"
    assert settings.training.epochs == 2
    assert settings.evaluation.eval_batch_size == 3


def test_another_number_of_classes_is_an_error():
    with pytest.raises(
        config_file.ConfigError, match=r"num_classes is 174 .* has 12 classes"
    ):
        run_config.load(CONFIGS / "tsm_sthv2_r50_8f.yaml", {}, num_classes=12)


def test_an_impossible_value_is_a_config_error():
    with pytest.raises(config_file.ConfigError, match="dropout must be in"):
        run_config.load(CONFIGS / "demo_cpu.yaml", {"dropout": "2"}, num_classes=12)


def test_no_key_is_in_two_sections():
    with pytest.raises(config_file.ConfigError, match="--zzz is no key"):
        run_config.load(CONFIGS / "demo_cpu.yaml", {"zzz": "1"}, num_classes=12)


@pytest.mark.parametrize(
    ("base_batch_size", "batch_size", "rate"),
    [(None, 16, 0.01), (64, 16, 0.0025), (64, 64, 0.01), (64, 128, 0.02)],
)
def test_the_learning_rate_follows_the_batch_size_if_asked(
    base_batch_size, batch_size, rate
):
    settings = TrainConfig(base_batch_size=base_batch_size, batch_size=batch_size)
    assert settings.scaled_learning_rate == pytest.approx(rate)


def test_a_network_without_consensus_is_not_trained():
    with pytest.raises(config_file.ConfigError, match="cannot be trained: use 'avg'"):
        load("demo_cpu", consensus="identity")
