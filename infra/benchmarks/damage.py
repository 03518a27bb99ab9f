"""Measures how much of the damage that a person would see is found, for each codec.

Clips are drawn, encoded by each codec, and damaged inside their frames: one bit
flipped, or 64 bytes set to zero. The judge is the clean clip: damage is visible where
a frame differs from the clean one's by more than VISIBLE_LEVELS grey levels on
average, or where frames are missing. No decoder's opinion counts. A clip that is
stored is judged by the frames stored, one that is refused by what ffmpeg shows a
person who plays it. The last line of standard output is one JSON object.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from infra.benchmarks import measuring
from mindrecord_io.records import ClipFrames, DecodeSettings, PlannedClip
from mindrecord_io.storage import files
from pipelines import ffmpeg
from pipelines.building.killable_decoder import KillableDecoder
from pipelines.decoding import matroska
from pipelines.quarantine import DecodeLimits

__all__ = ["CODECS", "Found", "Options", "main", "measure"]

Frames = npt.NDArray[np.uint8]

CODECS = {
    "VP9": (),  # as drawn
    "VP8": ("-c:v", "libvpx", "-b:v", "600k", "-deadline", "realtime"),
    "H.264": ("-c:v", "libx264", "-preset", "veryfast", "-vf", "crop=trunc(iw/2)*2:ih"),
    "MPEG-4": ("-c:v", "mpeg4", "-q:v", "4"),
}
VISIBLE_LEVELS = 1.0
_NUM_ZEROED = 64
_SEED = 20_261_126


@dataclass(frozen=True, slots=True)
class Options:
    """One benchmark: `num_damaged` clips of each codec, made from `num_clips`."""

    num_clips: int = 20
    num_damaged: int = 160
    codecs: tuple[str, ...] = tuple(CODECS)
    workdir: Path | None = None

    def __post_init__(self) -> None:
        measuring.check_at_least_one(self, "num_clips", "num_damaged")
        if unknown := set(self.codecs) - set(CODECS):
            raise ValueError(f"codecs must be of {list(CODECS)}, got {unknown}")


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the damaged clips of one codec, and of the clean ones.

    Attributes:
      num_visible: damaged clips whose damage is visible; found or stored.
      num_lost_unseen: refused though nobody would see the damage.
      num_clean_lost: of the clips as they were.
    """

    num_damaged: int
    num_visible: int
    num_found: int
    num_stored: int
    num_lost_unseen: int
    num_clean: int
    num_clean_lost: int


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; the last line of standard output is its result."""
    return measuring.main(argv, _parser(), Options, _measure)


def measure(sources: Sequence[Path], folder: Path, num_damaged: int) -> Found:
    """Damages clips in turn, decodes all of them and compares with the clean ones."""
    decoder = KillableDecoder(DecodeLimits())
    try:
        clean = [(path, _stored(decoder, path)) for path in sources]
        pictures = {p: _pictures(c) for p, c in clean if isinstance(c, ClipFrames)}
        outcomes = []
        for source, path in _damaged(sorted(pictures), folder, num_damaged):
            result = _stored(decoder, path)
            is_stored = isinstance(result, ClipFrames)
            seen = _pictures(result) if is_stored else _as_played(path)
            outcomes.append((is_stored, _differ(pictures[source], seen)))
    finally:
        decoder.close()
    return Found(
        num_damaged=len(outcomes),
        num_visible=sum(is_visible for _, is_visible in outcomes),
        num_found=outcomes.count((False, True)),
        num_stored=outcomes.count((True, True)),
        num_lost_unseen=outcomes.count((False, False)),
        num_clean=len(clean),
        num_clean_lost=len(clean) - len(pictures),
    )


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(
        description="Measures how much of the visible damage is found.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--num_clips", type=int, default=defaults.num_clips, help="clips to damage")
    add("--num_damaged", type=int, default=defaults.num_damaged, help="of each codec")
    add("--codecs", nargs="+", default=list(CODECS), metavar="NAME", help="to measure")
    add("--workdir", type=Path, metavar="DIR", help="a temporary folder by default")
    return parser


def _measure(options: Options, folder: Path) -> dict[str, object]:
    drawn = options.workdir or folder
    package = measuring.draw_package(folder, drawn, options.num_clips)
    clips = sorted((package / measuring.CLIPS).iterdir())
    found = {}
    for codec in options.codecs:
        own = folder / codec
        own.mkdir()
        sources = [_encoded(path, own, CODECS[codec]) for path in clips]
        found[codec] = asdict(measure(sources, own, options.num_damaged))
    return {"found": found}


def _encoded(path: Path, folder: Path, encoding: Sequence[str]) -> Path:
    """Returns the clip by another codec, in Matroska, whose blocks are known."""
    if not encoding:
        return path
    encoded = folder / f"{path.stem}.mkv"
    command = [ffmpeg.ffmpeg_path(), "-v", "error", "-y", "-i", str(path), *encoding]
    subprocess.run([*command, "-threads", "1", str(encoded)], check=True)
    return encoded


def _damaged(
    sources: Sequence[Path], folder: Path, num_damaged: int
) -> Iterator[tuple[Path, Path]]:
    """Yields each source in turn, and a damaged copy of it."""
    rng = random.Random(_SEED)  # noqa: S311
    for number in range(num_damaged):
        source = sources[number % len(sources)]
        content = bytearray(source.read_bytes())
        begin, end = rng.choice(matroska.read(bytes(content)).blocks)
        at = rng.randrange(begin, end)
        if number // len(sources) % 2:
            stop = min(end, at + _NUM_ZEROED)
            content[at:stop] = bytes(stop - at)
        else:
            content[at] ^= 1 << rng.randrange(8)
        path = folder / f"damaged-{number}{source.suffix}"
        path.write_bytes(content)
        yield source, path
        path.unlink()


def _stored(decoder: KillableDecoder, path: Path) -> object:
    clip = PlannedClip(path.stem, 0, str(path), files.fingerprint(path))
    ((_, result),) = decoder.decode_all([clip], DecodeSettings())
    return result


def _pictures(result: object) -> list[Frames]:
    """Returns what is stored of a clip, BGR (H, W, 3) each."""
    assert isinstance(result, ClipFrames)
    assert isinstance(result.jpegs, bytes)
    ends = np.cumsum(result.frame_sizes)[:-1]
    parts = np.split(np.frombuffer(result.jpegs, np.uint8), ends)
    return [np.asarray(cv2.imdecode(p, cv2.IMREAD_COLOR), np.uint8) for p in parts]


def _as_played(path: Path) -> list[Frames]:
    """Returns what ffmpeg makes of a clip by default, every error concealed."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames: list[Frames] = []
    while (read := capture.read())[0]:
        frames.append(np.asarray(read[1], np.uint8))
    return frames


def _differ(clean: Sequence[Frames], seen: Sequence[Frames]) -> bool:
    """Returns whether a person would see a difference."""
    if [frame.shape for frame in clean] != [frame.shape for frame in seen]:
        return True
    differences = (
        np.abs(a.astype(np.int16) - b).mean() for a, b in zip(clean, seen, strict=True)
    )
    return any(float(difference) > VISIBLE_LEVELS for difference in differences)


if __name__ == "__main__":
    sys.exit(main())
