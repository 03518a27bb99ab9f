import av.error
import av.video.reformatter
import cv2
import numpy as np
import pytest

from mindrecord_io.storage import files
from pipelines.decoding import clip_file, decoder_log, libav


@pytest.fixture
def drawn(tmp_path, tools):
    def draw(codec="libvpx-vp9", size="96x64", *encoding):
        path = tmp_path / "1.webm"
        source = f"testsrc2=size={size}:rate=12:duration=0.75"
        tools.run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", codec, *encoding, path)
        return path

    return draw


def read(path):
    return clip_file.read_clip_file(path, files.fingerprint(path))


def opencvs_frames(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = []
    while (frame := capture.read())[0]:
        found.append(frame[1])
    return found


def decode_and_log(file):
    with decoder_log.captured() as log:
        num_frames = sum(1 for _ in libav.frames(file))
    return num_frames, log.text


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
@pytest.mark.parametrize("size", ["96x64", "107x61", "427x240", "16x16"])
def test_the_pixels_are_those_of_opencv(drawn, codec, size):
    path = drawn(codec, size)

    frames = [frame.copy() for frame in libav.frames(read(path))]

    assert len(frames) == 9
    assert np.array_equal(frames, opencvs_frames(path))


def test_frames_that_are_shown_later_or_never_are_not_given_twice(drawn):
    hidden = ("-deadline", "good", "-auto-alt-ref", "1", "-lag-in-frames", "5")
    path = drawn("libvpx-vp9", "96x64", *hidden)

    assert len(list(libav.frames(read(path)))) == 9


def test_a_frame_outlives_its_successors(drawn):
    file = read(drawn())

    kept = list(libav.frames(file))

    copies = [frame.copy() for frame in libav.frames(file)]
    assert np.array_equal(kept, copies)


def test_of_a_sound_clip_nothing_is_said(drawn):
    assert decode_and_log(read(drawn())) == (9, "")


def test_decoding_ends_at_a_block_that_is_no_frame(drawn):
    file = read(drawn())
    begin, end = file.structure.blocks[4]
    content = bytearray(file.content)
    content[begin:end] = bytes(end - begin)
    damaged = clip_file.ClipFile(file.path, file.structure, file.frames, bytes(content))

    num_frames, log = decode_and_log(damaged)

    assert num_frames == 4
    assert "[libvpx-vp9 @ " in log


def test_what_is_not_of_8_bits_and_420_is_not_given(drawn):
    path = drawn("libvpx-vp9", "96x64", "-pix_fmt", "yuv444p")

    assert list(libav.frames(read(path))) == []


class Reformatter:
    def reformat(self, *_, **__):
        raise av.error.MemoryError(12, "Cannot allocate memory")


def test_memory_that_is_missing_is_no_damage(drawn, monkeypatch):
    monkeypatch.setattr(av.video.reformatter, "VideoReformatter", Reformatter)

    with pytest.raises(MemoryError, match="Cannot allocate memory"):
        list(libav.frames(read(drawn())))
