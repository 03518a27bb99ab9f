"""Clips in files, seen as those of a data set are, or refused with a reason."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval import video_files
from mindrecord_io import records
from mindrecord_io.serving import reader, views
from mindrecord_io.serving.batches import BatchPlan
from mindrecord_io.versions import opening

VIEW = views.CentreView(num_segments=4, crop_px=32, resize_px=36)
SETTINGS = records.DecodeSettings()


@pytest.fixture
def open_reader():
    opened = []

    def open_with(view=VIEW, settings=SETTINGS):
        opened.append(video_files.VideoReader(view, settings, 2))
        return opened[-1]

    yield open_with
    for made in opened:
        made.close()


def test_a_folder_stands_for_the_clips_in_it(video_folder, tmp_path):
    names = [path.name for path in video_files.find([video_folder])]
    assert names == ["a.webm", "b.webm", "c.mkv", "d", "e.webm", "f.mp4"]
    assert video_files.find([video_folder / "d", video_folder / "a.webm"]) == [
        video_folder / "d",
        video_folder / "a.webm",
    ]
    with pytest.raises(ValueError, match=r"has no clips: files of \.webm, "):
        video_files.find([tmp_path])
    with pytest.raises(ValueError, match=r"there is no clip .*gone\.webm"):
        video_files.find([tmp_path / "gone.webm"])


def test_damaged_clips_are_refused_and_the_others_seen_in_order(
    video_folder, open_reader
):
    clips = list(open_reader().read(video_files.find([video_folder])))
    reasons = [getattr(clip, "reason", None) for clip in clips]
    assert reasons == [None, "truncated", None, None, "empty", "not_video"]
    assert [clip.path.name for clip in clips][1:3] == ["b.webm", "c.mkv"]
    seen = [clip.pixels for clip in clips if isinstance(clip, video_files.Seen)]
    assert {pixels.shape for pixels in seen} == {(4, 3, 32, 32)}
    greys = seen[2].mean(axis=(1, 2, 3)) / 30  # frames 0, 2, 3, 5, numbered from 1
    np.testing.assert_allclose(greys, [1, 3, 4, 6], atol=0.1)


def test_closing_leaves_no_process(video_folder):
    opened = video_files.VideoReader(VIEW, SETTINGS, 2)
    list(opened.read([video_folder / "a.webm"] * 3))
    pids = [decoder._child.pid for decoder in opened._decoders]
    assert pids
    opened.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        views.ThreeCropView(num_segments=3, crop_px=40, resize_px=40),
    ],
)
def test_pixels_are_those_of_the_same_clips_in_a_data_set(
    small_dataset, open_reader, view
):
    version = opening.open_version(small_dataset.dataset)
    plan = BatchPlan(batch_size=1)
    split = reader.open_split(version, "validation", view, plan, num_workers=1)
    stored = {ids[0]: frames[0].copy() for frames, _, ids in split.with_clip_ids()}
    paths = [small_dataset.clip_path(clip_id) for clip_id in stored]
    assert len(paths) > 5
    for clip in open_reader(view, version.manifest.settings).read(paths):
        np.testing.assert_array_equal(clip.pixels, stored[clip.path.stem])


def test_a_stream_gives_every_frame_of_a_file(video_folder):
    frames = list(video_files.stream_frames(str(video_folder / "c.mkv")))
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert len(frames) == 24
    fewer = list(video_files.stream_frames(str(video_folder / "c.mkv"), fps=6))
    assert len(fewer) == 12


def test_a_stream_is_read_from_standard_input(video_folder):
    program = (
        "from eval import video_files\n"
        "print(sum(1 for _ in video_files.stream_frames('-')))"
    )
    with (video_folder / "a.webm").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", program], stdin=file, capture_output=True, text=True
        )
    assert (done.stdout, done.returncode) == ("12\n", 0), done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.webm", "there is no stream"), ("f.mp4", "stream ended after 0 frames")],
)
def test_what_is_no_stream_is_named(video_folder, name, message):
    with pytest.raises(ValueError, match=message):
        list(video_files.stream_frames(str(video_folder / name)))


def test_leaving_a_stream_early_ends_its_program(video_folder):
    frames = video_files.stream_frames(str(video_folder / "c.mkv"))
    next(frames)
    frames.close()
    name = str(video_folder / "c.mkv")
    running = [path.read_bytes() for path in _command_lines()]
    assert not any(name.encode() in line for line in running)


def _command_lines():
    paths = Path("/proc").glob("[0-9]*/cmdline")
    return [path for path in paths if path.exists()]
