"""Checks that every element of a Matroska or WebM file is a usual one in its place.

Decoding the blocks alone would overlook anything unusual around them. An element that
is not in the table below need not be wrong; the file is then decoded by ffmpeg instead.
The table has what ffmpeg, mkvmerge and browsers write around one video (RFC 9559,
section 5.1; RFC 8794, section 11).
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from pipelines.decoding import ebml
from pipelines.decoding.ebml import CLUSTER, EBML, SEGMENT, VOID, EbmlError

__all__ = ["oddity"]

_DOC_TYPE, _MAX_ID, _MAX_SIZE, _CRC_32 = 0x4282, 0x42F2, 0x42F3, 0xBF
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_TRACK, _TRACK_UID = 0xAE, 0x73C5
_TARGETS, _TARGET_UID, _SIMPLE_TAG, _TAG_NAME = 0x63C0, 0x63C5, 0x67C8, 0x45A3

_IN_CLUSTER = frozenset({0xE7, 0xAB, 0xA7, 0xA3, 0xA0})
_IN_VIDEO = {0xB0, 0xBA, 0x9A, 0x9D, 0x54B0, 0x54BA, 0x54B2, 0x55B0}
_KNOWN: Mapping[int, Set[int]] = {
    0: {EBML, SEGMENT},
    EBML: {0x4286, 0x42F7, _MAX_ID, _MAX_SIZE, _DOC_TYPE, 0x4287, 0x4285},
    SEGMENT: {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1254C367, 0x1C53BB6B, CLUSTER},
    0x114D9B74: {_SEEK},
    _SEEK: {_SEEK_ID, _SEEK_POSITION},
    0x1549A966: {0x2AD7B1, 0x4489, 0x4D80, 0x5741, 0x73A4, 0x4461, 0x7BA9},  # Info
    0x1654AE6B: {_TRACK},
    _TRACK: {
        *(0xD7, _TRACK_UID, 0x83, 0x9C, 0xB9, 0x88, 0x55AA, 0x22B59C, 0x22B59D),
        *(0x86, 0x258688, 0x23E383, 0x63A2, 0xE0, 0xE1, 0x536E, 0x56AA, 0x56BB),
        *(0x6DE7, 0x6DF8, 0x55EE, 0xAA),
    },
    0xE0: _IN_VIDEO,
    0x55B0: set(range(0x55B1, 0x55BE)),  # Colour
    0xE1: {0xB5, 0x78B5, 0x9F, 0x6264},  # Audio
    0x1254C367: {0x7373},  # Tags
    0x7373: {_TARGETS, _SIMPLE_TAG},
    _TARGETS: {0x68CA, 0x63CA, _TARGET_UID},
    _SIMPLE_TAG: {_TAG_NAME, 0x447A, 0x447B, 0x4484, 0x4487},
    0x1C53BB6B: {0xBB},  # Cues
    0xBB: {0xB3, 0xB7},
    0xB7: {0xF7, 0xF1, 0xF0, 0x5378, 0xB2},
    CLUSTER: _IN_CLUSTER,
    0xA0: {0xA1, 0x9B, 0xFB, 0x75A2},  # BlockGroup
}
_ONCE = frozenset({EBML, SEGMENT, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x114D9B74})
_NEEDED = {_SEEK: {_SEEK_ID, _SEEK_POSITION}, _SIMPLE_TAG: {_TAG_NAME}}
_TEXTS = frozenset({_DOC_TYPE, 0x4D80, 0x5741, 0x7BA9, 0x86, 0x258688, 0x536E})
_TEXTS |= {0x22B59C, 0x22B59D, 0x63CA, _TAG_NAME, 0x447A, 0x447B, 0x4487}
_BINARIES = frozenset({0x73A4, 0x63A2, 0xA1, 0xA3, VOID, _CRC_32, _SEEK_ID, 0x55EE})
_DOC_TYPES = frozenset({b"webm", b"matroska"})


@dataclass(slots=True)
class _Walk:
    """References between elements, collected while a file is read once."""

    content: bytes
    segment_begin: int = 0
    places: set[tuple[int, int]] = field(default_factory=set)  # of the segment's parts
    promised: set[tuple[int, int]] = field(default_factory=set)  # by its SeekHead
    tracks: set[bytes] = field(default_factory=set)
    targets: set[bytes] = field(default_factory=set)


def oddity(content: bytes) -> str:
    """Returns the first unusual thing in a file, "" if there is none."""
    walk = _Walk(content)
    try:
        _check_children(walk, 0, 0, len(content))
    except EbmlError as odd:
        return str(odd)
    if walk.promised - walk.places:
        return "the table of the segment's parts is wrong"
    if walk.targets - walk.tracks:
        return "tags are of a track that there is not"
    return ""


def _check_children(walk: _Walk, parent: int, begin: int, end: int) -> None:
    """Checks the elements in a range of bytes, and those inside them."""
    known, seen = _KNOWN[parent], set[int]()
    for identity, start, at, stop, is_open in ebml.elements(walk.content, begin, end):
        if parent == SEGMENT:
            walk.places.add((identity, start - walk.segment_begin))
        if identity not in known and identity not in (VOID, _CRC_32):
            raise EbmlError(f"element {identity:X} at byte {start} is not known there")
        if stop > end or (identity in _ONCE and identity in seen):
            raise EbmlError(f"element {identity:X} at byte {start} is not to be there")
        if is_open and identity == CLUSTER:
            known = known | _IN_CLUSTER
        seen.add(identity)
        _check(walk, identity, at, stop)
    if not _NEEDED.get(parent, seen) <= seen:
        raise EbmlError(f"element {parent:X} at byte {begin} lacks a part")


def _check(walk: _Walk, identity: int, begin: int, end: int) -> None:
    if identity == SEGMENT:
        walk.segment_begin = begin
    if identity in _KNOWN:
        if identity == _SEEK:
            _note_promise(walk, begin, end)
        _check_children(walk, identity, begin, end)
        return
    value = walk.content[begin:end] if end - begin <= 64 else b""
    if identity not in _TEXTS | _BINARIES:
        ebml.read_unsigned(walk.content, begin, end)
    if identity == _DOC_TYPE and value.rstrip(b"\0") not in _DOC_TYPES:
        raise EbmlError(f"the document's type at byte {begin} is {value!r:.40}")
    if identity == _TAG_NAME and not value.rstrip(b"\0"):
        raise EbmlError(f"the tag at byte {begin} has no name")
    if identity in (_MAX_ID, _MAX_SIZE) and value.lstrip(b"\0") > b"\x08":
        raise EbmlError(f"numbers of {value.hex()} bytes")
    if identity == _TRACK_UID:
        walk.tracks.add(value.lstrip(b"\0"))
    if identity == _TARGET_UID and value.strip(b"\0"):
        walk.targets.add(value.lstrip(b"\0"))


def _note_promise(walk: _Walk, begin: int, end: int) -> None:
    """Records where a Seek element places a part of the segment."""
    values = {
        part.identity: int.from_bytes(walk.content[part.begin : part.end], "big")
        for part in ebml.elements(walk.content, begin, end)
    }
    walk.promised.add((values.get(_SEEK_ID, 0), values.get(_SEEK_POSITION, 0)))
