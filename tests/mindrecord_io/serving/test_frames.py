import os
import resource
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io.serving import frames, views
from mindrecord_io.shards import jpeg_regions


@pytest.fixture
def shard_paths(tmp_path):
    """Three files of 100 bytes; byte k of file n is 10 n + k."""
    paths = [tmp_path / f"shard-{n}" for n in range(3)]
    for n, path in enumerate(paths):
        path.write_bytes(bytes(10 * n + k for k in range(100)))
    return paths


def test_shard_files_read_any_shard_at_any_place(shard_paths):
    files = frames.ShardFiles(shard_paths)
    for shard_index, begin, expected in ((2, 5, 25), (0, 99, 99), (2, 0, 20)):
        with files.borrow(shard_index) as descriptor:
            assert os.pread(descriptor, 1, begin) == bytes([expected])
    files.close()
    assert files.num_open == 0


def test_shard_files_keep_the_shards_used_last(shard_paths):
    files = frames.ShardFiles(shard_paths, max_open=2)
    with files.borrow(0) as first, files.borrow(1):
        assert files.num_open == 2
    with files.borrow(0) as again:
        assert again == first
    with files.borrow(2):  # in the place of 1, the least recently used
        assert files.num_open == 2
    with files.borrow(0) as again:
        assert again == first
    files.close()


def test_shard_files_close_nothing_that_is_being_read(shard_paths):
    files = frames.ShardFiles(shard_paths, max_open=1)
    with files.borrow(0) as first:
        with files.borrow(1), files.borrow(2):
            assert os.pread(first, 1, 7) == b"\x07"
            assert files.num_open == 3
        with files.borrow(0):
            pass
    with files.borrow(1):
        pass
    files.close()


def test_shard_files_return_to_their_limit(shard_paths):
    files = frames.ShardFiles(shard_paths, max_open=1)
    with files.borrow(0), files.borrow(1):
        assert files.num_open == 2
    with files.borrow(2):
        assert files.num_open == 1
    files.close()


def test_shard_files_of_more_shards_than_the_process_may_open(tmp_path):
    paths = [tmp_path / f"shard-{n}" for n in range(1024)]
    for path in paths:
        path.write_bytes(path.name.encode())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 200, hard))
    try:
        files = frames.ShardFiles(paths)
        for shard_index in [*range(1024), *range(0, 1024, 3)]:
            with files.borrow(shard_index) as descriptor:
                assert os.pread(descriptor, 20, 0) == f"shard-{shard_index}".encode()
        assert files.num_open == 128
        files.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_shard_files_serve_several_threads(shard_paths):
    files = frames.ShardFiles(shard_paths, max_open=1)
    wrong = []

    def read(offset):
        for i in range(500):
            shard_index = (i + offset) % 3
            with files.borrow(shard_index) as descriptor:
                if os.pread(descriptor, 1, 4) != bytes([10 * shard_index + 4]):
                    wrong.append(shard_index)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files.close()
    assert wrong == []


def test_shard_files_need_room_for_one():
    with pytest.raises(ValueError, match="max_open must be at least 1, got 0"):
        frames.ShardFiles([], max_open=0)


def gradient(height=240, width=427):
    """Red is the column / 2, green the row, blue 0; all smooth, so JPEG keeps them."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([columns / 2, rows, np.zeros_like(rows)]).astype(np.uint8)


def encode(pixels, interval=0):
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 95]
    parameters += [cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    is_encoded, jpeg = cv2.imencode(".jpg", pixels[..., ::-1], parameters)
    assert is_encoded
    return jpeg.tobytes()


def decode(jpeg, crop, crop_px, size=(240, 427)):
    out = np.zeros((3, crop_px, crop_px), np.uint8)
    frames.CropDecoder(crop_px).decode([jpeg], size, [crop], out[None, None])
    return out


CROPS = {
    "all, squeezed": (views.CropDecision(0, 0, 240, 427), 224),
    "one to one": (views.CropDecision(10, 101, 224, 224), 224),
    "enlarged": (views.CropDecision(15, 108, 210, 210), 224),
    "stretched": (views.CropDecision(60, 200, 180, 158), 224),
    "bottom right": (views.CropDecision(82, 269, 158, 158), 224),
    "reduced by less than 2": (views.CropDecision(0, 93, 210, 210), 112),
    "half": (views.CropDecision(0, 93, 240, 240), 112),
    "a quarter": (views.CropDecision(0, 187, 240, 240), 56),
    "an eighth": (views.CropDecision(1, 3, 239, 239), 20),
}


@pytest.mark.parametrize("interval", [0, 3, 27])
@pytest.mark.parametrize("name", CROPS)
def test_a_crop_shows_what_is_there(name, interval):
    crop, crop_px = CROPS[name]
    actual = decode(encode(gradient(), interval), crop, crop_px).astype(float)
    # Output pixel i shows the source around (i + 0.5) * side / crop_px - 0.5.
    centres = (np.arange(crop_px) + 0.5) / crop_px
    columns = (crop.left + centres * crop.width - 0.5) / 2
    rows = crop.top + centres * crop.height - 0.5
    # Colours of 4:2:0 JPEGs are 2 px wide, and at 1/8 a pixel is 8 px of the frame.
    assert np.abs(actual[0] - columns).max() < 8
    assert np.abs(actual[1] - rows[:, None]).max() < 8
    assert abs((actual[0] - columns).mean()) < 2
    assert abs((actual[1] - rows[:, None]).mean()) < 2


@pytest.mark.parametrize("name", CROPS)
def test_restart_markers_change_no_pixel(name):
    crop, crop_px = CROPS[name]
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (30, 54, 3), np.uint8)
    pixels = cv2.resize(small, (427, 240), interpolation=cv2.INTER_CUBIC)
    plain = decode(encode(pixels), crop, crop_px)
    cut = decode(encode(pixels, jpeg_regions.restart_interval(427)), crop, crop_px)
    np.testing.assert_array_equal(cut, plain)


def test_one_to_one_crops_are_the_decoded_pixels():
    jpeg = encode(gradient())
    whole = simplejpeg.decode_jpeg(jpeg, fastdct=True, fastupsample=True)
    actual = decode(jpeg, views.CropDecision(10, 101, 224, 224), 224)
    expected = whole[10:234, 101:325].transpose(2, 0, 1)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("side", [224, 200])
def test_a_flip_mirrors_the_columns(side):
    jpeg = encode(gradient())
    straight = decode(jpeg, views.CropDecision(10, 101, side, side), 224)
    flipped = decode(jpeg, views.CropDecision(10, 101, side, side, flip=True), 224)
    np.testing.assert_array_equal(flipped, straight[:, :, ::-1])


def test_a_decoder_serves_frames_of_several_sizes():
    decoder = frames.CropDecoder(16)
    out = np.empty((3, 16, 16), np.uint8)
    for height, width in ((32, 48), (240, 427), (20, 20)):
        for interval in (0, jpeg_regions.restart_interval(width)):
            pixels = np.full((height, width, 3), (height // 2, 99, 7), np.uint8)
            crop = views.CropDecision(0, 0, height, height)
            jpegs = [encode(pixels, interval)]
            decoder.decode(jpegs, (height, width), [crop], out[None, None])
            colour = out.reshape(3, -1).mean(axis=1)
            assert np.abs(colour - (height // 2, 99, 7)).max() < 3


@pytest.mark.parametrize("interval", [0, 3])
@pytest.mark.parametrize("size", [(240, 426), (120, 213), (480, 854)])
def test_frames_of_another_size_are_refused(size, interval):
    crop = views.CropDecision(0, 0, 100, 100)
    expected = rf"427x240 pixels, expected {size[1]}x{size[0]}|too small .* \(240, 427"
    with pytest.raises(ValueError, match=expected):
        decode(encode(gradient(), interval), crop, 64, size)


@pytest.mark.parametrize("interval", [0, 3])
@pytest.mark.parametrize(
    "damage",
    [
        lambda jpeg: b"",
        lambda jpeg: b"\0" * len(jpeg),
        lambda jpeg: jpeg[:100],
        lambda jpeg: jpeg[: len(jpeg) * 2 // 3],
        lambda jpeg: jpeg[:-2],
    ],
)
def test_what_is_no_whole_jpeg_is_refused(damage, interval):
    with pytest.raises(ValueError):
        decode(damage(encode(gradient(), interval)), CROPS["enlarged"][0], 224)


def test_inexact_resampling_is_off_by_one_at_most():
    crop, crop_px = CROPS["stretched"]
    jpeg = encode(gradient())
    actual = {}

    def run():
        frames.allow_inexact_resampling()
        actual["pixels"] = decode(jpeg, crop, crop_px)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    exact = decode(jpeg, crop, crop_px)  # this thread was not asked
    assert np.abs(actual["pixels"].astype(int) - exact).max() <= 1


@pytest.mark.parametrize("interval", [0, jpeg_regions.restart_interval(427)])
def test_crops_of_one_frame_are_those_taken_singly(interval):
    jpeg = encode(gradient(), interval)
    crops = views.ThreeCropView().decide(1, height=240, width=427, label_id=0).crops
    outs = np.empty((1, 3, 3, 96, 96), np.uint8)
    frames.CropDecoder(96).decode([jpeg], (240, 427), crops, outs)
    for crop, out in zip(crops, outs[0], strict=True):
        # Where cells or a reduced size begin elsewhere, edges may move by half a pixel.
        assert np.abs(out - decode(jpeg, crop, 96).astype(int)).mean() < 1


@pytest.mark.parametrize("interval", [0, 3, 27])
@pytest.mark.parametrize("name", CROPS)
def test_frames_decoded_together_are_those_decoded_singly(name, interval):
    crop, crop_px = CROPS[name]
    jpegs = [encode(np.roll(gradient(), 7 * i, axis=1), interval) for i in range(5)]
    outs = np.empty((5, 1, 3, crop_px, crop_px), np.uint8)
    frames.CropDecoder(crop_px).decode(jpegs, (240, 427), [crop], outs)
    for jpeg, out in zip(jpegs, outs, strict=True):
        np.testing.assert_array_equal(out[0], decode(jpeg, crop, crop_px))


def test_more_frames_than_a_jpeg_can_hold_are_decoded_all_the_same(monkeypatch):
    monkeypatch.setattr(jpeg_regions, "_MAX_HEIGHT", 480)  # 2 frames
    jpegs = [encode(np.roll(gradient(), 7 * i, axis=1), 3) for i in range(5)]
    crop = views.CropDecision(15, 108, 210, 210)
    outs = np.empty((5, 1, 3, 64, 64), np.uint8)
    frames.CropDecoder(64).decode(jpegs, (240, 427), [crop], outs)
    for jpeg, out in zip(jpegs, outs, strict=True):
        np.testing.assert_array_equal(out[0], decode(jpeg, crop, 64))


def test_frames_with_different_headers_are_decoded_all_the_same():
    jpegs = [encode(gradient(), interval) for interval in (3, 27, 0)]
    crop = views.CropDecision(15, 108, 210, 210)
    outs = np.empty((3, 1, 3, 64, 64), np.uint8)
    frames.CropDecoder(64).decode(jpegs, (240, 427), [crop], outs)
    for jpeg, out in zip(jpegs, outs, strict=True):
        np.testing.assert_array_equal(out[0], decode(jpeg, crop, 64))
