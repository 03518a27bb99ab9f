"""Where a version comes from: what was run, on what, of what."""

from dataclasses import dataclass

__all__ = ["Provenance", "SourceFile"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file from which annotations were read."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a version comes from; "" and () where it was not recorded.

    Attributes:
      command: as it was given.
      program_version: of clipmill.
      machine: architecture, system, processors and Python of the first process.
      clips: path or URI of the folder of clips; "" where they were not looked at.
      clips_digest: sum modulo 2 ** 256, in hex, of BLAKE2b-256 over "<clip_id>
        <source_sha256>" of every clip in a shard; independent of their order.
      annotations: path of the annotations; their files are annotation_files.
    """

    command: str = ""
    program_version: str = ""
    machine: str = ""
    clips: str = ""
    clips_digest: str = ""
    annotations: str = ""
    annotation_files: tuple[SourceFile, ...] = ()
