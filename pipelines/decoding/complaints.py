"""Picks out of ffmpeg's and libavcodec's logs what speaks of damage to the pictures.

The libraries warn of much that changes no pixel, and of sound. One table has the words
that are no damage; neither decoding path keeps a table of its own.
"""

import re
from collections.abc import Mapping

import av
import av.codec.codec

__all__ = ["HARMLESS", "is_complaint", "of_ffmpeg", "of_library"]

HARMLESS: Mapping[str, str] = {
    r"No accelerated colorspace conversion found": (
        "libswscale, swscale_unscaled.c and yuv2rgb.c: the conversion takes C code, as "
        "on ARM where a width is no multiple of 16"
    ),
    r"deprecated pixel format used": "libswscale, utils.c: the range is set anyhow",
    r"Changing video frame properties on the fly": (
        "fftools, ffmpeg_filter.c: sizes change; a reason of its own"
    ),
    r"Guessed Channel Layout": "fftools, ffmpeg_demux.c: sound",
    r"No filtered frames for output stream": (
        "fftools, ffmpeg.c: there are no frames; a reason of its own"
    ),
    r"Codec AVOption .* has not been used": (
        "fftools, ffmpeg_opt.c: an option of this program's command line"
    ),
    r"Stream map '[^']*' matches no streams": (
        "fftools, ffmpeg_opt.c: there is no video; a reason of its own"
    ),
    r"To ignore this, add a trailing '\?'|Failed to set value .* for option 'map'": (
        "fftools, ffmpeg_opt.c: the same"
    ),
    r"Error (?:opening|parsing) (?:output|options for output) file": (
        "fftools, ffmpeg_opt.c: the same"
    ),
    r"unsupported color_parameter_type": (
        "libavformat, mov.c: a colour box of another type is left out"
    ),
    r"timescale not set": "libavformat, mov.c: the movie's time scale is used",
}
"""Words that are no damage, as regular expressions, and their source."""

_LINE = re.compile(r"(?P<source>(?:\[[^]]*\] )*)\[(?P<level>[a-z]+)\] (?P<text>.*)")
_LIBRARY_LINE = re.compile(r"(?P<source>(?:\[[^]]*\] )*)(?P<text>.*)")
_COMPLAINING = frozenset({"warning", "error", "fatal", "panic"})
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")  # another one in every run
_UNPRINTABLE = re.compile(r"[^ -~]")
_HARMLESS = re.compile("|".join(HARMLESS))
_CONTEXT = re.compile(r"\[([^]@]*?)(?: @ 0x[0-9a-f]+)?\]")
_STREAM = re.compile(r"\b[Ss]tream (?:= |#0:)?(\d+)\b")
_AFTER_DECODER = re.compile(r"(?:vist|vf|vost|out)#|dec:|enc:")


def of_ffmpeg(log: str, video_index: int = 0) -> tuple[str, ...]:
    """Returns the warnings and errors in a log of the ffmpeg program.

    Its threads write one log in an order that differs from run to run. So the lines
    are ordered by the part of ffmpeg that wrote them, and name no address. What the
    program adds to the errors of its decoder is left out.

    Args:
      log: with levels.
      video_index: of the stream that is decoded, in the file; what is about another
        stream is left out.
    """
    matches = [match for match in map(_LINE.match, log.splitlines()) if match]
    lines = [
        (_CONTEXT.findall(match["source"]), match["text"])
        for match in matches
        if match["level"] in _COMPLAINING
        and is_complaint(match["source"], match["text"], video_index)
    ]
    first = [line for line in lines if not _is_after_decoder(line[0])]
    chosen = sorted(first or lines, key=lambda line: (not line[0], line[0]))
    return tuple(_printable(contexts, text) for contexts, text in chosen)


def of_library(log: str) -> tuple[str, ...]:
    """Returns the complaints in what libavcodec logged inside this process."""
    matches = [_LIBRARY_LINE.match(line) for line in log.splitlines() if line.strip()]
    return tuple(
        _printable(_CONTEXT.findall(match["source"]), match["text"])
        for match in matches
        if match and is_complaint(match["source"], match["text"], 0)
    )


def is_complaint(source: str, text: str, video_index: int) -> bool:
    """Returns whether a line of a log may mean that pictures are damaged."""
    if _HARMLESS.search(text):
        return False
    stream = _STREAM.search(text)
    if stream and int(stream[1]) != video_index:
        return False
    return not any(map(_is_codec_of_sound, _CONTEXT.findall(source)))


def _is_codec_of_sound(name: str) -> bool:
    """Returns whether a part of the library decodes something else than pictures."""
    try:
        return av.Codec(name, "r").type != "video"
    except av.codec.codec.UnknownCodecError:
        return False


def _is_after_decoder(contexts: list[str]) -> bool:
    """Returns whether a part of the program speaks that repeats a decoder's errors."""
    return bool(contexts and _AFTER_DECODER.match(contexts[0]))


def _printable(contexts: list[str], text: str) -> str:
    names = [name for name in contexts if not _AFTER_DECODER.match(name)]
    source = "".join(f"[{name}] " for name in names)
    return _ADDRESS.sub("", _UNPRINTABLE.sub("?", source + text))
