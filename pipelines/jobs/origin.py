"""Records where a version comes from, for its manifest."""

import dataclasses
import os
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from mindrecord_io.storage import files
from mindrecord_io.versions.provenance import Provenance, SourceFile

__all__ = ["published_again", "recorded"]

_SUFFIXES = (".csv", ".json", ".list", ".lst", ".parquet", ".tsv", ".txt")


def recorded(
    command: Sequence[str], annotations: Path, clips: Path | str = ""
) -> Provenance:
    """Returns what is known of a job before it makes anything.

    Of a folder of annotations the files directly in it are hashed that are named as
    lists, tables and JSON are.
    """
    paths = [annotations]
    if annotations.is_dir():
        paths = sorted(
            path
            for path in annotations.iterdir()
            if path.suffix.lower() in _SUFFIXES and path.is_file()
        )
    return Provenance(
        command=files.printable(shlex.join(command)),
        program_version=_program_version(),
        machine=_machine(),
        clips=files.printable(str(clips)),
        annotations=files.printable(str(annotations)),
        annotation_files=tuple(map(_source_file, paths)),
    )


def published_again(provenance: Provenance, command: Sequence[str]) -> Provenance:
    """Returns where an older version's content comes from that a job publishes anew."""
    return dataclasses.replace(
        provenance,
        command=files.printable(shlex.join(command)),
        program_version=_program_version(),
        machine=_machine(),
    )


def _machine() -> str:
    return (
        f"{platform.machine()}, {platform.system()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}"
    )


def _source_file(path: Path) -> SourceFile:
    content = files.fingerprint(path)
    name = files.printable(str(path))
    return SourceFile(name, content.num_bytes, content.sha256)


def _program_version() -> str:
    try:
        return metadata.version("clipmill")
    except metadata.PackageNotFoundError:  # run from its repository
        return "not installed"
