"""Recognises a file's container by its first bytes, never by its name.

Playlists and other files that refer to further files are not supported.
Signatures: RFC 8794 (EBML), ISO/IEC 14496-12 and Apple's QuickTime File Format, RIFF;
the foreign ones from each format's own description.
"""

__all__ = ["AVI", "FORMATS", "MATROSKA", "MP4", "foreign_kind", "kind", "picture_kind"]

MATROSKA = "WebM or Matroska"
MP4 = "MP4 or MOV"
AVI = "AVI"

FORMATS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi"
"""Names of libavformat's demuxers for these containers; no others may be used."""

_EBML = b"\x1a\x45\xdf\xa3"
_FIRST_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_FOREIGN = (
    (4, b"styp", "a segment of an MP4 that begins in another file"),
    (4, b"moof", "a segment of an MP4 that begins in another file"),
    (0, b"OggS", "Ogg"),
    (0, b"FLV\x01", "FLV"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF or WMV"),
    (0, b"\x00\x00\x01\xba", "MPEG program stream"),
    (0, b"\x00\x00\x01\xb3", "MPEG elementary stream"),
    (0, b"DKIF", "IVF"),
    (0, b"YUV4MPEG2", "YUV4MPEG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b".RMF", "RealMedia"),
    (8, b"WAVE", "WAV"),
    (8, b"WEBP", "WebP"),
)
_PICTURES = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"))
_SYNC, _TS_PACKET_NUM_BYTES = b"\x47", 188


def kind(content: bytes) -> str:
    """Returns MATROSKA, MP4 or AVI, or "" for any other content."""
    if content.startswith(_EBML):
        return MATROSKA
    if content[4:8] in _FIRST_ATOMS:
        return MP4
    if content[8:12] == b"AVI " and content.startswith(b"RIFF"):
        return AVI
    return ""


def foreign_kind(content: bytes) -> str:
    """Returns the name of a recognised container that is not decoded, else ""."""
    for at, signature, name in _FOREIGN:
        if content[at : at + len(signature)] == signature:
            return name
    packets = content[: 3 * _TS_PACKET_NUM_BYTES : _TS_PACKET_NUM_BYTES]
    return "MPEG transport stream" if packets == _SYNC * 3 else ""


def picture_kind(content: bytes) -> str:
    """Returns JPEG or PNG for a file that is one picture, else ""."""
    return next((name for start, name in _PICTURES if content.startswith(start)), "")
