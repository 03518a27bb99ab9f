"""Turns frozen dataclasses into JSON and back, checking names and types."""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["EMBEDDED", "from_json", "parse", "to_json"]

_SCALARS = frozenset({bool, float, int, str, type(None)})
_MAX_NUM_DIGITS = 4300  # of a number that Python reads
_LONG_NUMBER = re.compile(rf"(?<![0-9.])[0-9]{{{_MAX_NUM_DIGITS + 1},}}", re.ASCII)

EMBEDDED: Mapping[str, bool] = {"is_embedded": True}
"""Metadata of a field whose own fields are, in JSON, those of the value around it."""


def parse(
    text: str | bytes,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Returns the value of a JSON text.

    Args:
      object_pairs_hook: as json.loads takes it.

    Raises:
      ValueError: it is no JSON in UTF-8, is nested too deeply, or has a number of more
        digits than Python reads; but for the depth, the message says where.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(text, object_pairs_hook=object_pairs_hook)
    except json.JSONDecodeError:
        raise
    except RecursionError as cause:
        raise ValueError("JSON is nested too deeply") from cause
    except ValueError as cause:
        if match := _LONG_NUMBER.search(text):
            why = f"a number has {len(match[0])} digits, more than {_MAX_NUM_DIGITS}"
            raise json.JSONDecodeError(why, text, match.start()) from cause
        raise


def to_json(value: Any) -> dict[str, Any]:
    """Returns a dataclass's value as JSON-ready dicts and lists."""
    shape = _shape(value.__class__)
    fields: dict[str, Any] = {}
    for name in shape.names:
        item = _plain(getattr(value, name))
        if name in shape.embedded:
            fields |= item
        else:
            fields[name] = item
    return fields


def from_json(cls: type, fields: Any) -> Any:
    """Returns a value of `cls` from the fields that `to_json` returns.

    Raises:
      ValueError: a field is missing, unknown or of the wrong type.
    """
    return _made(cls, fields, "")


@dataclass(frozen=True, slots=True)
class _Shape:
    """The fields of a dataclass.

    Attributes:
      names: of all, in order.
      embedded: types of those whose own fields are, in JSON, among the others.
      types: of the others.
      required: those of the others that have no default.
    """

    names: tuple[str, ...]
    embedded: Mapping[str, Any]
    types: Mapping[str, Any]
    required: frozenset[str]


@functools.cache
def _shape(cls: type) -> _Shape:
    fields = dataclasses.fields(cls)
    own = [field for field in fields if field.metadata != EMBEDDED]
    return _Shape(
        tuple(field.name for field in fields),
        {field.name: field.type for field in fields if field.metadata == EMBEDDED},
        {field.name: field.type for field in own},
        frozenset(f.name for f in own if f.default is dataclasses.MISSING),
    )


def _made(cls: type, fields: Any, place: str) -> Any:
    """Returns a value of `cls`; `place` begins what is wrong with its fields."""
    if not isinstance(fields, Mapping):
        raise ValueError(f"{place}must be a JSON object, got {fields!r:.80}")
    shape, fields, values = _shape(cls), dict(fields), dict[str, Any]()
    for name, kind in shape.embedded.items():
        own = [n for n in _shape(kind).names if n in fields]
        values[name] = _made(kind, {n: fields.pop(n) for n in own}, place)
    unknown, missing = fields.keys() - shape.types, shape.required - fields.keys()
    if unknown or missing:
        raise ValueError(
            f"{place}missing fields {sorted(missing)}, unknown fields {sorted(unknown)}"
        )
    for name, value in fields.items():
        values[name] = _typed(shape.types[name], value, name)
    return cls(**values)


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, list | tuple):
        if _SCALARS.issuperset(map(type, value)):  # thousands of sizes of frames
            return value
        return type(value)(map(_plain, value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _typed(kind: Any, value: Any, name: str) -> Any:
    """Returns `value` as the annotated type `kind`; tuples and nested values too."""
    if type(value) is kind:
        return value
    arguments: tuple[Any, ...] = getattr(kind, "__args__", ())
    if type(None) in arguments:
        return None if value is None else _typed(arguments[0], value, name)
    if getattr(kind, "__origin__", None) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name} must be a list, got {value!r:.80}")
        if set(map(type, value)) == {arguments[0]}:  # thousands of sizes of frames
            return tuple(value)
        return tuple(_typed(arguments[0], item, name) for item in value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _made(kind, value, f"{name}: ")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as cause:
            raise ValueError(f"{name} is too large: {value!s:.80}") from cause
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{name} must be {kind.__name__}, got {value!r:.80}")
    return value
