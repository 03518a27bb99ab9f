"""Numbers the labels of a source that gives texts; numbers stay what they are."""

import logging
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.sources.annotations import AnnotationError

__all__ = ["number_of", "numbered", "spellings"]

logger = logging.getLogger(__name__)

_WHOLE_NUMBER = re.compile(r"(?P<digits>-?[0-9]+)(?:\.0*)?")  # 2.0: pandas' integers
_NUMPY_NUMBER = re.compile(r"-?[0-9]\.[0-9]+[eE][+-]?[0-9]{2,3}")  # as savetxt writes
_NOTHING = {"nan", "none", "null", "na", "n/a", "<na>", "-", "?"}
_MAX_NUMBER = 65_535
_NUM_NAMED = 3
_SEPARATORS = re.compile(r"[\s_-]+")


def numbered(
    labels: Iterable[str], source: Path
) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Returns label texts by label_id, and the label_id of every label.

    Labels that are all whole numbers (`2` or `2.0`) are the label_ids; a number below
    the highest that no clip has is a class without clips. Others are numbered in the
    order of their letters.

    Raises:
      AnnotationError: numbers that no label_ids can be.
    """
    labels = tuple(labels)
    digits = {label: d for label in labels if (d := _digits(label))}
    if len(digits) < len(labels) or not labels:
        others = [label for label in labels if label not in digits]
        if digits:
            _warn_of_mixture(others, source)
        names = tuple(sorted(labels))
        return names, {name: number for number, name in enumerate(names)}
    numbers = {label: int(text) for label, text in digits.items()}
    _refuse_odd(numbers, source)
    texts: dict[int, str] = {}
    for label, number in numbers.items():
        first = texts.setdefault(number, digits[label])
        if first != digits[label]:
            raise AnnotationError(
                f"{source}: labels {first!r} and {digits[label]!r} are one number: "
                f"write it in one way"
            )
    unused = [n for n in range(max(texts)) if n not in texts]
    if unused:
        logger.warning(
            "%s: labels are numbers up to %d, and %d of these have no clip (%s): they "
            "stay classes, so that no number changes",
            source,
            max(texts),
            len(unused),
            _some(map(str, unused)),
        )
    return tuple(texts.get(n, str(n)) for n in range(max(texts) + 1)), numbers


def number_of(digits: str) -> int:
    """Returns the number that digits spell; with too many to be read, the largest."""
    try:
        return int(digits)
    except ValueError:
        return sys.maxsize


def spellings(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Returns the names that differ by case, spaces, `_` and `-` alone, in groups."""
    groups: dict[str, list[str]] = {}
    for name in names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        plain = "".join(c for c in plain if unicodedata.category(c) != "Cf")
        groups.setdefault(_SEPARATORS.sub("", plain), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _digits(label: str) -> str:
    """Returns the digits of a label that is a whole number, "" of another."""
    if match := _WHOLE_NUMBER.fullmatch(label):
        return match["digits"]
    if _NUMPY_NUMBER.fullmatch(label) and float(label).is_integer():
        return str(int(float(label)))
    return ""


def _warn_of_mixture(others: list[str], source: Path) -> None:
    """Warns of numbers beside other labels.

    Raises:
      AnnotationError: one is what tools write where there is no number.
    """
    nothing = [label for label in others if label.casefold() in _NOTHING]
    if nothing:
        raise AnnotationError(
            f"{source}: labels are numbers, and one is {nothing[0]!r}: a clip without "
            f"a label can be in test only"
        )
    logger.warning(
        "%s: some labels are numbers and %d are not (%s), so all of them are names "
        "and are numbered in the order of their letters",
        source,
        len(others),
        _some(others),
    )


def _refuse_odd(numbers: Mapping[str, int], source: Path) -> None:
    if min(numbers.values()) < 0:
        raise AnnotationError(
            f"{source}: labels are numbers, so they must be at least 0, got "
            f"{min(numbers.values())!s:.80}"
        )
    if max(numbers.values()) > _MAX_NUMBER:
        raise AnnotationError(
            f"{source}: labels are numbers, so they must be at most {_MAX_NUMBER}, got "
            f"{max(numbers.values())!s:.80}; if they are names, write a letter in front"
        )


def _some(texts: Iterable[str]) -> str:
    texts = list(texts)
    return ", ".join([*texts[:_NUM_NAMED], *["..."][: len(texts) - _NUM_NAMED]])
