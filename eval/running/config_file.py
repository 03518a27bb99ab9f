"""Reads configuration files: a dataclass for each section, flags override its keys.

    model:                       a section; its keys are the fields of a dataclass
      arch: resnet50
    training:
      learning_rate: 0.01

A key is in one section only, so a flag needs no section: `--learning_rate 0.02`.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.running import yaml_files
from eval.running.yaml_files import YamlFileError

__all__ = ["ConfigError", "build", "load", "parse_overrides"]

Sections = dict[str, dict[str, Any]]

_NULLS = ("null", "none", "~")
_BOOLS = {"true": True, "false": False}


class ConfigError(ValueError):
    """A configuration file or a flag is wrong; the message says which and how."""


def load(
    path: Path | None,
    schema: Mapping[str, type],
    *,
    overrides: Mapping[str, str],
    ignored: Sequence[str] = (),
) -> Sections:
    """Returns the typed values of each section: those of the file, then of the flags.

    Args:
      path: the YAML file; None where flags alone are given.
      schema: section name -> the dataclass whose fields are its keys.
      overrides: key -> text, as given on the command line.
      ignored: sections that the file may have and that are not read.

    Raises:
      ConfigError: an unknown section or key, or a value of the wrong type.
    """
    owners = _owners(schema)
    sections: Sections = {name: {} for name in schema}
    for section, fields in (_read(path) if path else {}).items():
        if section in ignored:
            continue
        if section not in schema:
            names = (*schema, *ignored)
            raise ConfigError(f"{path}: sections are {names}, got {section!r:.80}")
        if not isinstance(fields, dict):
            raise ConfigError(
                f"{path}: section {section} must have keys: {fields!r:.80}"
            )
        for key, value in fields.items():
            if owners.get(key) != section:
                raise ConfigError(f"{path}: {_unknown(key, schema[section], section)}")
            sections[section][key] = _typed(value, schema[section], key, str(path))
    for key, text in overrides.items():
        if key not in owners:
            near = difflib.get_close_matches(key, owners, n=3, cutoff=0.4)
            raise ConfigError(f"--{key} is no key; nearest: {', '.join(near) or '-'}")
        section = owners[key]
        sections[section][key] = _typed(text, schema[section], key, "command line")
    return sections


def build(cls: type, fields: Mapping[str, Any]) -> Any:
    """Returns a section's dataclass; its ValueError becomes a ConfigError."""
    required = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in fields]
    if missing:
        raise ConfigError(f"{cls.__name__} needs {', '.join(missing)}")
    try:
        return cls(**fields)
    except ValueError as cause:
        raise ConfigError(str(cause)) from cause


def parse_overrides(words: Sequence[str]) -> dict[str, str]:
    """Reads `--key value` and `--key=value` pairs.

    Raises:
      ConfigError: a word that is no flag, a flag without value, or one given twice.
    """
    overrides: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise ConfigError(f"expected --key value, got {word!r}")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"--{key} needs a value")
            value = rest.pop(0)
        if key in overrides:
            raise ConfigError(f"--{key} is given twice")
        overrides[key] = value
    return overrides


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml_files.read(path)
    except OSError as cause:
        raise ConfigError(f"cannot read {path}: {cause.strerror}") from cause
    except YamlFileError as cause:
        raise ConfigError(f"cannot read {path}: {cause}") from cause
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must have sections with keys, got {content!r:.80}")
    return content


def _owners(schema: Mapping[str, type]) -> dict[str, str]:
    """Returns the section of every key."""
    owners: dict[str, str] = {}
    for section, cls in schema.items():
        for field in dataclasses.fields(cls):
            assert field.name not in owners, f"{field.name} is in two sections"
            owners[field.name] = section
    return owners


def _unknown(key: object, cls: type, section: str) -> str:
    names = [field.name for field in dataclasses.fields(cls)]
    near = difflib.get_close_matches(f"{key!s:.80}", names, n=3, cutoff=0.4) or names
    return f"section {section} has no key {key!r:.80}; nearest: {', '.join(near)}"


def _typed(value: Any, cls: type, key: str, source: str) -> Any:
    kind = typing.get_type_hints(cls)[key]
    try:
        return _convert(value, kind)
    except (TypeError, ValueError, OverflowError) as cause:
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        text = f"{source}: {key} must be {name}, got {value!r:.80}"
        raise ConfigError(text) from cause


def _convert(value: Any, kind: Any) -> Any:
    """Returns `value`, from YAML or as text, as the annotated type `kind`."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None or str(value).lower() in _NULLS:
            return None
        (kind,) = (k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is tuple:
        if isinstance(value, str):
            value = yaml_files.read_text(_bracketed(value.strip()))
        if not isinstance(value, list):
            raise TypeError("not a list")
        return tuple(_convert(item, typing.get_args(kind)[0]) for item in value)
    return _convert_scalar(value, kind)


def _convert_scalar(value: Any, kind: type) -> Any:
    if kind is bool:
        return value if isinstance(value, bool) else _parse_bool(_text(value))
    if isinstance(value, bool):
        raise TypeError("a truth value")
    if kind is str:
        return _text(value)
    # YAML reads 1e-3 as text and "3" is text on a command line: both are numbers here.
    if kind is int and not isinstance(value, float):
        return int(value)
    if kind is float:
        return _finite(float(value))
    raise TypeError(f"cannot be {kind}")


def _bracketed(text: str) -> str:
    """Returns a list's text; on a command line it may come without brackets."""
    return text if text.startswith("[") else f"[{text}]"


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _parse_bool(text: str) -> bool:
    if text.lower() not in _BOOLS:
        raise ValueError("neither true nor false")
    return _BOOLS[text.lower()]
