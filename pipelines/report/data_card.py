"""Reads a data set's card: card.yaml, what its owner says of it.

    name: Something-Something-v2
    licence: research only
    source: https://example.org/something
    intended_use: training of action recognition

Any of these, or none; `citation` and `notes` too. It lies in the data set's folder and
belongs to no version.
"""

import dataclasses
from dataclasses import dataclass

import yaml

__all__ = ["CARD_FILE", "MAX_NUM_BYTES", "CardError", "DataCard", "parse_card"]

CARD_FILE = "card.yaml"
"""The name of the card below the data set."""

MAX_NUM_BYTES = 65_536
"""The size of a card; a larger one is refused."""


class CardError(ValueError):
    """A card cannot be read."""


@dataclass(frozen=True, slots=True)
class DataCard:
    """What a data set's owner says of it; "" where the card has nothing."""

    name: str = ""
    licence: str = ""
    source: str = ""
    intended_use: str = ""
    citation: str = ""
    notes: str = ""


def parse_card(content: bytes, path: str) -> DataCard:
    """Returns the card in the content of a YAML file; `path` is for messages.

    Raises:
      CardError: it is no YAML, too large, or has other keys or values than text.
    """
    if len(content) > MAX_NUM_BYTES:
        raise CardError(f"{path}: a card may have at most {MAX_NUM_BYTES} bytes")
    try:
        # BaseLoader: every value stays the text that it is, a date or "1.0" too.
        fields = yaml.load(content, Loader=yaml.BaseLoader) or {}  # noqa: S506
    except (yaml.YAMLError, UnicodeError, RecursionError) as cause:
        raise CardError(f"{path}: not YAML: {' '.join(str(cause).split())}") from cause
    names = [field.name for field in dataclasses.fields(DataCard)]
    if not isinstance(fields, dict):
        raise CardError(f"{path}: a card is lines `key: text`; the keys are {names}")
    for key, value in fields.items():
        if key not in names:
            raise CardError(f"{path}: no key {key!r}; the keys are {', '.join(names)}")
        if not isinstance(value, str):
            raise CardError(f"{path}: {key} must be one text, put it in quotes")
    return DataCard(**fields)
