import os
from pathlib import Path

import pytest

from eval.running import config_file, yaml_files
from eval.running.config_file import ConfigError
from eval.running.yaml_files import YamlFileError
from tests.eval.running.test_config_file import SCHEMA

BOMB = "training:\n  scales:\n    - &l0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"    - &l{n} [{','.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: {b: [1, 2.5, yes]}", {"a": {"b": [1, 2.5, True]}}),
        (
            "base: &b {x: 1}\nown: {<<: *b, y: 2}",
            {"base": {"x": 1}, "own": {"x": 1, "y": 2}},
        ),
    ],
)
def test_ordinary_texts_are_read(text, value):
    assert yaml_files.read_text(text) == value


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB + "  learning_rate: *l9\n", r"1\.11e\+10 values, at most 10000|e\+"),
        ("a: &a [*a]", "more than 20 lists or sections in one another"),
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' is given twice"),
        ("m: {x: 1, x: 1}", "line 1: key 'x' is given twice"),
        ("[" * 5000, "recursion|more than 20|node"),
        ("[" * 30 + "]" * 30, "more than 20 lists"),
        (
            "a: !!python/object/apply:os.system [id]",
            "could not determine a constructor",
        ),
        ("a: " + "9" * 5000, "line 1: a number has 5000 characters, at most 100"),
        ("a: [1", "expected ',' or ']'"),
        ("[" + "1," * 20_000 + "]", "values, at most 10000"),
    ],
)
def test_hostile_texts_are_refused_in_a_sentence(text, message):
    with pytest.raises(YamlFileError, match=message) as raised:
        yaml_files.read_text(text)
    assert len(str(raised.value)) < 1000
    assert "\n" not in str(raised.value)


def load(path):
    return config_file.load(path, SCHEMA, overrides={})


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "cannot read .*: .* values"),
        (
            "training: {epochs: [" + "x," * 9000 + "]}",
            "epochs must be int, got \\['x', ",
        ),
        ("training: " + "y" * 100_000, "section training must have keys: 'yyy"),
        ("training: {" + "k" * 900 + ": 1}", "has no key 'kkk"),
        ("z" * 900 + ": {a: 1}", "got 'zzz"),
    ],
)
def test_a_wrong_configuration_is_a_short_sentence(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        load(path)
    assert len(str(raised.value)) < 500 + len(str(path))


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"cannot read .*pipe\.yaml: is a pipe"):
        load(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="cannot read /dev/zero: is a device"):
        load(Path("/dev/zero"))


def test_a_file_without_end_is_not_read_whole(tmp_path):
    path = tmp_path / "c.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match="has more than 1048576 bytes"):
        load(path)
