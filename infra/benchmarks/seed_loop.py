"""What clipmill replaces: one ffmpeg process a clip that writes JPEG files.

`python seed_loop.py FRAMES_FOLDER NUM_WORKERS < PATHS` does what vid2img_sthv2.py of
the MindSpore TSM sample does to the clips whose paths come one a line, so many at a
time (the sample starts one thread per 100 clips). Prints {"begin_seconds",
"end_seconds"}, times since the epoch.
"""

import json
import subprocess
import sys
import time
from concurrent import futures
from pathlib import Path

from pipelines import ffmpeg

__all__ = ["main"]


def main() -> int:
    """Extracts the frames of every clip named on standard input."""
    frames, num_workers = Path(sys.argv[1]), int(sys.argv[2])
    clips = [Path(line) for line in sys.stdin.read().splitlines()]
    program = ffmpeg.ffmpeg_path()
    begin = time.time()
    with futures.ThreadPoolExecutor(num_workers) as executor:
        tasks = [
            executor.submit(_extract, program, clip, frames / clip.stem)
            for clip in clips
        ]
        for task in tasks:
            task.result()
    print(json.dumps({"begin_seconds": begin, "end_seconds": time.time()}))  # noqa: T201
    return 0


def _extract(program: str, clip: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    # Its command word for word; -q:v 0 asks for the best quality.
    words = ["-threads", "1", "-vf", "scale=-1:256", "-q:v", "0"]
    subprocess.run(
        [program, "-i", clip, *words, folder / "%06d.jpg"],
        check=True,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    sys.exit(main())
