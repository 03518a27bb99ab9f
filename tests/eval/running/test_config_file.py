"""Configuration files: types, flags, and messages that help."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from eval.running import config_file
from eval.running.config_file import ConfigError


@dataclass(frozen=True, slots=True)
class Network:
    """A section with a key that must be given."""

    num_classes: int
    arch: str = "resnet50"
    dropout: float = 0.5


@dataclass(frozen=True, slots=True)
class Training:
    """A section with every kind of key."""

    epochs: int = 50
    learning_rate: float = 0.01
    milestones: tuple[float, ...] = (20.0, 40.0)
    layers: tuple[int, ...] = ()
    flip: bool = False
    clip_gradient: float | None = 20.0
    num_workers: int | None = None

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1: {self.epochs}")


SCHEMA = {"model": Network, "training": Training}


@pytest.fixture
def load(tmp_path):
    def load_text(text, overrides=(), **kwargs):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return config_file.load(
            path, kwargs.pop("schema", SCHEMA), overrides=dict(overrides), **kwargs
        )

    return load_text


def test_values_get_the_types_of_their_fields(load):
    text = """
model: {num_classes: 12, arch: resnet18, dropout: 1}
training:
  learning_rate: 1e-3
  milestones: [1, 2.5]
  flip: true
  clip_gradient: null
"""
    sections = load(text)
    assert sections["model"] == {"num_classes": 12, "arch": "resnet18", "dropout": 1.0}
    assert sections["training"] == {
        "learning_rate": 0.001,  # which YAML takes for text
        "milestones": (1.0, 2.5),
        "flip": True,
        "clip_gradient": None,
    }
    assert isinstance(sections["model"]["dropout"], float)


@pytest.mark.parametrize(
    ("key", "text", "section", "value"),
    [
        ("epochs", "3", "training", 3),
        ("learning_rate", "1e-3", "training", 0.001),
        ("learning_rate", "2", "training", 2.0),
        ("milestones", "[5,7.5]", "training", (5.0, 7.5)),
        ("milestones", "5, 7.5", "training", (5.0, 7.5)),
        ("milestones", "[]", "training", ()),
        ("layers", "3", "training", (3,)),
        ("flip", "true", "training", True),
        ("flip", "False", "training", False),
        ("clip_gradient", "null", "training", None),
        ("clip_gradient", "None", "training", None),
        ("clip_gradient", "4", "training", 4.0),
        ("num_workers", "2", "training", 2),
        ("arch", "resnet18", "model", "resnet18"),
        ("arch", "50", "model", "50"),
    ],
)
def test_flags_are_typed_by_their_fields(load, key, text, section, value):
    assert load("model: {arch: x}", {key: text})[section][key] == value


def test_flags_win_over_the_file(load):
    sections = load("training: {epochs: 9, flip: true}", {"epochs": "2"})
    assert sections["training"] == {"epochs": 2, "flip": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {epoch: 3}", "no key 'epoch'; nearest: epochs"),
        ("training: {arch: x}", "section training has no key 'arch'"),
        ("trainning: {}", r"sections are \('model', 'training'\), got 'trainning'"),
        ("epochs: 3", r"sections are .* got 'epochs'"),
        ("training: 3", "section training must have keys: 3"),
        ("[1, 2]", "must have sections with keys"),
        ("", "must have sections with keys, got None"),
        ("a: [", "cannot read"),
        ("training: {epochs: 3.0}", "epochs must be int, got 3.0"),
        ("training: {epochs: true}", "epochs must be int, got True"),
        ("training: {epochs: null}", "epochs must be int, got None"),
        ("training: {flip: 1}", "flip must be bool, got 1"),
        ("training: {flip: maybe}", "flip must be bool, got 'maybe'"),
        ("training: {milestones: 20}", "milestones must be .*tuple.*, got 20"),
        ("training: {milestones: [a]}", r"milestones must be .*, got \['a'\]"),
        ("training: {learning_rate: fast}", "learning_rate must be float, got 'fast'"),
        ("model: {arch: 50}", "arch must be str, got 50"),
        ("training: {learning_rate: .nan}", "learning_rate must be float, got nan"),
        ("training: {clip_gradient: .inf}", r"clip_gradient must be .*, got inf"),
        ("training: {milestones: [1, .inf]}", r"milestones must be .*, got \[1, inf\]"),
    ],
)
def test_wrong_files_are_explained(load, text, message):
    with pytest.raises(ConfigError, match=message):
        load(text)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning_rat": "1"}, "--learning_rat is no key; nearest: learning_rate"),
        ({"zzz": "1"}, "--zzz is no key; nearest: -"),
        ({"epochs": "2.5"}, "command line: epochs must be int, got '2.5'"),
        ({"epochs": "null"}, "epochs must be int, got 'null'"),
        ({"learning_rate": "nan"}, "learning_rate must be float, got 'nan'"),
        ({"milestones": "[1"}, r"milestones must be .*, got '\[1'"),
        ({"milestones": "1]"}, r"milestones must be .*, got '1\]'"),
        ({"clip_gradient": "lots"}, "clip_gradient must be float | None, got 'lots'"),
    ],
)
def test_wrong_flags_are_explained(load, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load("training: {}", overrides)


def test_ignored_sections_are_not_looked_into(load):
    schema = {"model": Network}
    text = "model: {arch: x}\ntraining: {anything: goes}"
    sections = load(text, schema=schema, ignored=("training",))
    assert sections == {"model": {"arch": "x"}}
    with pytest.raises(ConfigError, match="--epochs is no key"):
        load(text, {"epochs": "2"}, schema=schema, ignored=("training",))


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"cannot read nowhere\.yaml"):
        config_file.load(Path("nowhere.yaml"), SCHEMA, overrides={})


def test_building_names_missing_keys():
    with pytest.raises(ConfigError, match="Network needs num_classes"):
        config_file.build(Network, {"arch": "x"})


def test_what_a_dataclass_refuses_is_a_config_error():
    with pytest.raises(ConfigError, match="epochs must be at least 1: 0"):
        config_file.build(Training, {"epochs": 0})


def test_building_takes_defaults_for_the_rest():
    assert config_file.build(Network, {"num_classes": 3}) == Network(3)


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        ([], {}),
        (["--epochs", "3", "--flip=true"], {"epochs": "3", "flip": "true"}),
        (["--learning_rate", "-1"], {"learning_rate": "-1"}),
        (["--arch="], {"arch": ""}),
    ],
)
def test_flags_are_pairs(words, overrides):
    assert config_file.parse_overrides(words) == overrides


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epochs", "3"], "expected --key value, got 'epochs'"),
        (["--"], "expected --key value, got '--'"),
        (["--epochs"], "--epochs needs a value"),
        (["--epochs", "--flip", "true"], "--epochs needs a value"),
        (["--epochs", "3", "4"], "expected --key value, got '4'"),
        (["--epochs", "3", "--epochs=4"], "--epochs is given twice"),
    ],
)
def test_what_is_no_pair_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        config_file.parse_overrides(words)
