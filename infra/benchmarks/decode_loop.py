"""The ceiling that `build.py` compares with: decode and encode, nothing stored.

`python decode_loop.py JPEG_QUALITY < PATHS` decodes the clips whose paths come one a
line, as fast as one process can: OpenCV with the settings that clipmill's own decoder
uses, and no checks. Prints {"begin_seconds", "end_seconds", "num_frames"}, times since
the epoch, after the imports.
"""

import json
import sys
import time

import cv2

__all__ = ["main"]


def main() -> int:
    """Decodes every clip named on standard input."""
    cv2.setNumThreads(1)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(sys.argv[1])]
    paths = sys.stdin.read().splitlines()
    begin, num_frames = time.time(), 0
    for path in paths:
        num_frames += _decode(path, quality)
    times = {"begin_seconds": begin, "end_seconds": time.time()}
    print(json.dumps({**times, "num_frames": num_frames}))  # noqa: T201
    return 0


def _decode(path: str, quality: list[int]) -> int:
    one_thread = [cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, one_thread)
    num_frames = 0
    while True:
        is_frame, frame = capture.read()
        if not is_frame:
            capture.release()
            return num_frames
        cv2.imencode(".jpg", frame, quality)
        num_frames += 1


if __name__ == "__main__":
    sys.exit(main())
