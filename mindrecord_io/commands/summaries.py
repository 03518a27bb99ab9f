"""Writes a command's result for people: a line a value, with units, and its tables.

Names of values have their units and kinds in them, so that no command needs a summary
of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mindrecord_io.commands import quantities

__all__ = ["summary"]

_LABELS = {
    "num_bytes": "size",
    "freed_bytes": "freed",
    "lost": "not stored, by reason",
    "num_quarantined": "not stored",
    "top1": "top-1",
    "top5": "top-5",
    "best_top1": "best top-1",
    "max_difference": "largest difference",
    "is_dry_run": "dry run, nothing is changed",
}
_SHARES = ("top1", "top5", "best_top1", "mean_class_accuracy", "waiting_share")
_MAX_ITEMS = 10  # of a list that are shown


def summary(job: str, result: Mapping[str, Any], seconds: float, status: int) -> str:
    """Returns the lines that end a command on a terminal.

    Args:
      result: as its JSON has it.
      seconds: that the whole command took.
      status: its exit status.
    """
    end = f", exit status {status}" if status else ""
    lines = [f"{job} took {quantities.duration(seconds)}{end}"]
    rows = {_label(k): _shown(k, v) for k, v in result.items() if v != {}}
    rows.pop("seconds", None)
    width = max(map(len, rows), default=0)
    for label, shown in rows.items():
        first, *more = shown
        lines.append(f"  {label:<{width}}  {first}".rstrip())
        lines += [f"  {'':<{width}}  {line}" for line in more]
    return "\n".join(lines)


def _label(name: str) -> str:
    return _LABELS.get(name, name.removeprefix("num_").replace("_", " "))


def _shown(name: str, value: Any) -> list[str]:
    """Returns a value as one or more lines."""
    if isinstance(value, Mapping):
        return _table(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(value)
    return [_word(name, value)]


def _word(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "best_epoch":
        return str(value + 1)  # people count epochs from 1
    if name in _SHARES:
        return quantities.share(value)
    if isinstance(value, int):
        is_size = name.endswith("_bytes")
        return quantities.size(value) if is_size else quantities.count(value)
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _table(values: Mapping[str, Any]) -> list[str]:
    """Returns a line for each of some values, numbers right-aligned."""
    words = {str(k): _word(str(k), v) for k, v in values.items()}
    names, width = max(map(len, words)), max(map(len, words.values()))
    is_numbers = all(isinstance(v, int | float) for v in values.values())
    side = ">" if is_numbers else "<"
    return [f"{name:<{names}}  {word:{side}{width}}" for name, word in words.items()]


def _listed(values: Sequence[Any]) -> list[str]:
    """Returns a shape, or the first of some texts; of anything else how many."""
    if not values:
        return ["none"]
    if all(isinstance(value, int | None) for value in values):
        return [" x ".join("any" if value is None else str(value) for value in values)]
    if not all(isinstance(value, str) for value in values):
        return [quantities.count(len(values))]
    left_out = len(values) - _MAX_ITEMS
    more = [f"and {left_out:,} more"] if left_out > 0 else []
    return [*values[:_MAX_ITEMS], *more]
