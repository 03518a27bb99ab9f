"""Values of frozen dataclasses as JSON and back, names and types checked."""

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["from_json", "to_json"]


def to_json(value: Any) -> dict[str, Any]:
    """Returns a dataclass's value as JSON-ready dicts and lists."""
    return dataclasses.asdict(value)


def from_json(cls: type, fields: Any) -> Any:
    """Builds `cls` from what `to_json` gave, checking names and types.

    Raises:
      ValueError: a field is missing, unknown or of the wrong type.
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"{cls.__name__} must be a JSON object, got {fields!r:.80}")
    known = {field.name: field.type for field in dataclasses.fields(cls)}
    required = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING
    }
    unknown, missing = fields.keys() - known.keys(), required - fields.keys()
    if unknown or missing:
        raise ValueError(
            f"{cls.__name__}: missing fields {sorted(missing)}, "
            f"unknown fields {sorted(unknown)}"
        )
    return cls(**{name: _typed(known[name], v, name) for name, v in fields.items()})


def _typed(kind: Any, value: Any, name: str) -> Any:
    """Returns `value` as the annotated type `kind`; tuples and nested values too."""
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
        return from_json(kind, value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{name} must be {kind.__name__}, got {value!r:.80}")
    return value
