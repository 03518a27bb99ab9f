"""Writes numbers for people: 61.3 MB, 24,777, 1 min 23 s."""

__all__ = ["count", "duration", "share", "size"]

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"))


def size(num_bytes: int) -> str:
    """Returns a number of bytes in the unit that suits it, of powers of ten."""
    for unit, name in _UNITS:
        if num_bytes >= unit:
            return f"{num_bytes / unit:,.1f} {name}"
    return f"{num_bytes / 1000:.1f} kB"


def count(number: int, noun: str = "") -> str:
    """Returns a number with separators, and what is counted."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(value: float) -> str:
    """Returns a share as per cent."""
    return f"{value:.1%}"


def duration(seconds: float) -> str:
    """Returns a time in the units that suit it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"
