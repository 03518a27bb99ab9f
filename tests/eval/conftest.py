"""What the tests of `eval` share: clips in files."""

import subprocess

import cv2
import numpy as np
import pytest

from pipelines import ffmpeg


def write_video(path, *, num_frames=12, size="64x48"):
    """A clip in which every frame is another picture."""
    source = f"testsrc=size={size}:rate=12:duration={num_frames / 12}"
    command = [ffmpeg.ffmpeg_path(), "-v", "error", "-y", "-f", "lavfi", "-i", source]
    kind = ["-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, *kind, path], check=True)


def write_frames(folder, num_frames=6):
    folder.mkdir()
    picture = np.zeros((48, 64, 3), np.uint8)
    for number in range(1, num_frames + 1):
        picture[...] = 30 * number
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory):
    """Two videos, a folder of frames, and three files that are none."""
    made = tmp_path_factory.mktemp("videos")
    write_video(made / "a.webm")
    write_video(made / "c.mkv", num_frames=24)
    write_frames(made / "d")
    content = (made / "a.webm").read_bytes()
    (made / "b.webm").write_bytes(content[: len(content) // 2])
    (made / "e.webm").write_bytes(b"")
    (made / "f.mp4").write_text("<html>")
    return made
