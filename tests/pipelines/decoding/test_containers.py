import pytest

from pipelines.decoding import containers


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1a\x45\xdf\xa3\x9f", containers.MATROSKA),
        (b"\0\0\0\x20ftypisom", containers.MP4),
        (b"\0\0\x08\0moov", containers.MP4),
        (b"\0\0\0\x08wide", containers.MP4),
        (b"RIFF\x10\0\0\0AVI LIST", containers.AVI),
        (b"RIFF\x10\0\0\0WAVEfmt ", ""),
        (b"xxxx\x10\0\0\0AVI LIST", ""),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", ""),
        (b"#EXTM3U\n", ""),
        (b"ffconcat version 1.0", ""),
        (b"", ""),
        (b"\x1a\x45", ""),
    ],
)
def test_the_kind_is_told_by_the_first_bytes(content, kind):
    assert containers.kind(content) == kind


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"OggS\0\2", "Ogg"),
        (b"FLV\x01\5", "FLV"),
        (b"GIF89a", "GIF"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "WAV"),
        ((b"\x47" + bytes(187)) * 3, "MPEG transport stream"),
        ((b"\x47" + bytes(187)) * 2, ""),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", ""),
        (b"#EXTM3U\n", ""),
        (b"", ""),
    ],
)
def test_containers_that_are_known_but_not_decoded_have_a_name(content, name):
    assert containers.foreign_kind(content) == name
