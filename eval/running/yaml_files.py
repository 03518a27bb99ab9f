"""Reads YAML that may be hostile: no key twice, nothing that grows when it is read.

Ten lines of aliases to aliases are a list of ten thousand million entries to whoever
goes through it. YAML itself lets the last of two equal keys win without a word.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from mindrecord_io.storage import files

__all__ = ["YamlFileError", "read", "read_text"]

_MAX_NUM_BYTES = 1 << 20
_MAX_NUM_VALUES = 10_000
_MAX_DEPTH = 20
_MAX_NUMBER_NUM_CHARS = 100


class YamlFileError(ValueError):
    """A text is no YAML, or not such as a configuration can be."""


def read(path: Path) -> Any:
    """Returns the content of a YAML file.

    Raises:
      OSError: it cannot be read, is no regular file, or far too large.
      YamlFileError: as `read_text`.
    """
    try:
        text = files.read_bytes(path, _MAX_NUM_BYTES).decode("utf-8")
    except UnicodeDecodeError as cause:
        raise YamlFileError(
            f"no UTF-8: {cause.reason} at byte {cause.start}"
        ) from cause
    return read_text(text)


def read_text(text: str) -> Any:
    """Returns the value that a YAML text stands for.

    Raises:
      YamlFileError: it is no YAML, has a key twice, goes too deep, or has too many
        values, those behind aliases counted as often as they appear.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        num_values = _num_values(node, 0, {})
        if num_values > _MAX_NUM_VALUES:
            raise YamlFileError(f"{num_values:.3g} values, at most {_MAX_NUM_VALUES}")
        return loader.construct_document(node)
    except YamlFileError:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as cause:
        raise YamlFileError(" ".join(f"{cause!s:.500}".split())) from cause
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Refuses mappings with a key twice, and what goes too deep."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _too_deep()
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MAX_NUMBER_NUM_CHARS:
            raise YamlFileError(
                f"line {node.start_mark.line + 1}: a number has {len(node.value)} "
                f"characters, at most {_MAX_NUMBER_NUM_CHARS}"
            )
        number: int = super().construct_yaml_int(node)
        return number

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen and key_node.value != "<<":
                    line = key_node.start_mark.line + 1
                    raise YamlFileError(
                        f"line {line}: key {key_node.value!r:.80} is given twice"
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _too_deep() -> YamlFileError:
    return YamlFileError(f"more than {_MAX_DEPTH} lists or sections in one another")


def _num_values(node: yaml.Node, depth: int, known: dict[int, int]) -> int:
    """Returns how many values a node stands for, aliases followed each time."""
    if depth > _MAX_DEPTH:
        raise _too_deep()  # by an alias to what it is in
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        parts: list[yaml.Node] = []
        for item in node.value:
            parts.extend(item if isinstance(item, tuple) else (item,))
        known[id(node)] = 1 + sum(_num_values(p, depth + 1, known) for p in parts)
    return known[id(node)]
