import shutil

import cv2
import numpy as np
import pytest
import simplejpeg

from mindrecord_io.shards import schema
from pipelines import quarantine
from tests import frame_files
from tests.decoded import decode, jpegs, pictures, refused
from tests.frame_files import HEIGHT, NUM_FRAMES, WIDTH, jpeg, picture, write_folder

PROGRESSIVE = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
FINE = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
RESTARTS = (cv2.IMWRITE_JPEG_RST_INTERVAL, 3)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "7")


def contents(folder):
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def stored(frames):
    return [content.tobytes() for content in jpegs(frames)]


def replace(folder, content, number=3):
    path = folder / f"{number:05d}.jpg"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "settings", [{}, {"short_side_px": HEIGHT}, {"jpeg_quality": 9}]
)
def test_files_are_stored_as_they_are(folder, settings):
    frames = decode(folder, **settings)

    assert stored(frames) == contents(folder)
    assert (frames.width, frames.height) == (WIDTH, HEIGHT)
    assert (frames.facts.fps_from_header, frames.facts.fps_from_content) == (0.0, 0.0)
    assert (frames.facts.num_frames_from_header, frames.facts.num_frames_lost) == (0, 0)
    assert (frames.facts.rotation_degrees, frames.damage) == (0, "")


@pytest.mark.parametrize(
    "content",
    [
        jpeg(picture(2), *RESTARTS),
        jpeg(picture(2), *FINE),
        jpeg(cv2.cvtColor(picture(2), cv2.COLOR_BGR2GRAY)),
        jpeg(picture(2), cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        frame_files.with_exif(jpeg(picture(2)), 1),
        frame_files.with_exif(jpeg(picture(2)), 1, "big"),
    ],
    ids=["restarts", "444", "grey", "optimised", "exif", "exif_big"],
)
def test_plain_jpegs_of_any_kind_are_stored_as_they_are(folder, content):
    replace(folder, content)

    assert stored(decode(folder)) == contents(folder)


@pytest.mark.parametrize(
    "ending",
    [b"\xff\xd6\xff\xd9", b"\xff\xfe\0\x04ab\xff\xd9"],
    ids=["marker_after_the_last_cell", "comment_after_the_last_cell"],
)
def test_what_readers_cannot_cut_up_is_encoded_again(folder, ending):
    restarts = jpeg(picture(2), *RESTARTS)
    odd = restarts.removesuffix(b"\xff\xd9") + ending
    replace(folder, odd)
    frames = decode(folder, jpeg_quality=98)

    assert odd not in stored(frames)
    assert np.abs(pictures(frames)[2].astype(int) - picture(2)).mean() < 2.5


def test_what_is_behind_a_picture_is_left_out(folder):
    whole = jpeg(picture(2))
    replace(folder, whole + jpeg(picture(9)))

    assert stored(decode(folder))[2] == whole


def cmyk():
    pixels = np.dstack([picture(2), picture(3)[..., :1]])
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), colorspace="CMYK", colorsubsampling="444"
    )


@pytest.mark.parametrize(
    "content", [jpeg(picture(2), *PROGRESSIVE), cmyk()], ids=["progressive", "cmyk"]
)
def test_other_jpegs_are_encoded_again(folder, content):
    path = replace(folder, content)

    frames = decode(folder, jpeg_quality=98)

    kept = stored(frames)
    assert [k for k in range(NUM_FRAMES) if kept[k] != contents(folder)[k]] == [2]
    assert b"\xff\xc0" in kept[2]  # baseline
    again = pictures(frames)[2].astype(int)
    assert np.abs(again - cv2.imread(str(path))).mean() < 2.5


def test_pictures_are_reduced_as_any_clip_is(folder):
    frames = decode(folder, short_side_px=36)

    assert (frames.width, frames.height) == (48, 36)
    for found, path in zip(pictures(frames), sorted(folder.iterdir()), strict=True):
        whole = cv2.imread(str(path))
        expected = cv2.resize(whole, (48, 36), interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - expected).mean() < 3


def test_fine_colours_stay_fine_where_pictures_are_encoded(tmp_path):
    folder = tmp_path / "7"
    folder.mkdir()
    replace(folder, jpeg(picture(0), *FINE, *PROGRESSIVE), number=1)

    (found,) = stored(decode(folder))

    _, _, _, subsampling = simplejpeg.decode_jpeg_header(found)
    assert subsampling == "444"


@pytest.mark.parametrize(
    ("orientation", "degrees", "size"),
    [(3, 180, (WIDTH, HEIGHT)), (6, 90, (HEIGHT, WIDTH)), (8, 270, (HEIGHT, WIDTH))],
)
def test_pictures_are_turned_as_exif_asks(tmp_path, orientation, degrees, size):
    folder = write_folder(tmp_path / "7", num_frames=2)
    for path in folder.iterdir():
        path.write_bytes(frame_files.with_exif(path.read_bytes(), orientation))

    frames = decode(folder, jpeg_quality=98)

    assert frames.facts.rotation_degrees == degrees
    assert (frames.width, frames.height) == size
    for found, path in zip(pictures(frames), sorted(folder.iterdir()), strict=True):
        assert np.abs(found.astype(int) - cv2.imread(str(path))).mean() < 2.5


GOOD = jpeg(picture(2))
SCAN = len(GOOD) // 2
BAD = {
    "no_bytes": (b"", "truncated", "has no bytes"),
    "cut": (GOOD[:-200], "truncated", "Premature end of JPEG file"),
    "last_byte": (GOOD[:-1], "truncated", "Premature end of JPEG file"),
    "header": (GOOD[:300], "damaged", "the header of the JPEG is damaged or cut off"),
    "zeros": (
        GOOD[:SCAN] + bytes(200) + GOOD[SCAN + 200 :],
        *("damaged", "Corrupt JPEG data: "),
    ),
    "progressive_cut": (
        jpeg(picture(2), *PROGRESSIVE)[:-500],
        *("truncated", "Premature end of JPEG file"),
    ),
    "progressive_zeros": (
        jpeg(picture(2), *PROGRESSIVE)[:-500] + bytes(498) + b"\xff\xd9",
        *("damaged", "Corrupt JPEG data: "),
    ),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(90), "not_jpeg", "is no JPEG: WebM or Matr"),
    "png": (
        jpeg(picture(2), suffix=".png"),
        *("not_jpeg", "is no JPEG: begins 89 50 4e 47 0d 0a 1a 0a 00 00 00 0d"),
    ),
    "other_size": (
        jpeg(picture(2, height=64)),
        *("concatenated", "is 96x64, the first frame 96x72: not one clip"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_noticed_and_named(folder, name):
    content, reason, words = BAD[name]
    replace(folder, content)

    found, detail = refused(folder)

    assert found == reason
    assert "00003.jpg: " + words in detail
    assert detail.startswith(str(folder))


@pytest.mark.parametrize("name", BAD)
def test_a_clip_that_lost_a_frame_may_be_accepted_and_no_other(folder, name):
    content, reason, words = BAD[name]
    replace(folder, content)
    if reason in ("not_jpeg", "concatenated"):
        assert refused(folder, accept_partial=0.9)[0] == reason
        return

    assert refused(folder, accept_partial=0.2)[0] == reason
    frames = decode(folder, accept_partial=0.21)

    left = [jpeg(picture(k)) for k in (0, 1, 3, 4)]
    assert stored(frames) == left
    assert frames.facts.num_frames_lost == 1
    assert frames.damage.startswith(
        f"{reason}: {folder}: 1 of 5 frames lost: 00003.jpg: {words}"
    )


def test_missing_frames_count_with_the_damaged_ones(folder):
    (folder / "00002.jpg").unlink()
    replace(folder, b"", number=4)

    assert refused(folder, accept_partial=0.4) == (
        "missing_frames",
        f"{folder}: 2 of 5 frames lost: no frame 2",
    )
    frames = decode(folder, accept_partial=0.5)
    assert frames.facts.num_frames_lost == 2
    assert stored(frames) == [jpeg(picture(k)) for k in (0, 2, 4)]


def test_a_clip_without_a_whole_frame_is_never_accepted(folder):
    for k in range(NUM_FRAMES):
        replace(folder, GOOD[:-200], number=k + 1)

    assert refused(folder, accept_partial=0.99)[0] == "truncated"


@pytest.mark.parametrize("parameters", [(), PROGRESSIVE])
def test_large_frames_are_refused_before_they_are_decoded(folder, parameters):
    content = bytearray(jpeg(picture(2), *parameters))
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2")) + 5
    content[at : at + 4] = b"\xea\x60\xea\x60"
    replace(folder, bytes(content))

    assert refused(folder) == (
        "frame_too_large",
        f"{folder}/00003.jpg: frames of 60000x60000, the limit: 8294400 px "
        f"(--max_clip_pixels)",
    )


def test_a_clip_breaks_the_limits_of_frames_and_row(folder, monkeypatch):
    few = quarantine.DecodeLimits(max_frames=NUM_FRAMES - 1)
    assert refused(folder, clip_limits=few)[0] == "too_long"

    for k in range(40):
        shutil.copy(
            folder / "00001.jpg",
            folder / f"{k + 1:05d}.jpg" if k else folder / "00000.jpg",
        )
    num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    monkeypatch.setattr(schema, "MAX_PAGE_NUM_BYTES", 1 << 15)
    assert refused(folder) == (
        "too_large",
        f"its 41 JPEGs have {num_bytes} bytes, the most of a row is "
        f"{(1 << 15) - 64 - 8 * 41}; reduce frames by --short_side",
    )
