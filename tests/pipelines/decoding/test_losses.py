"""What is known of frames that are lost, against the clip before it was damaged."""

import pytest

from pipelines.decoding import matroska
from pipelines.quarantine import ClipError
from tests.decoded import decode, refused


@pytest.fixture(scope="module")
def long(tmp_path_factory, tools):
    """48 frames of VP9, of which every one is a fiftieth and more."""
    path = tmp_path_factory.mktemp("long") / "9.webm"
    source = "testsrc2=size=64x48:rate=12:duration=4"
    words = ("-c:v", "libvpx-vp9", "-g", "128", "-deadline", "realtime")
    tools.run_ffmpeg("-f", "lavfi", "-i", source, *words, path)
    return path


def without_rate(content):
    """The same file, its header without the duration of a frame."""
    begin = content.index(b"\x23\xe3\x83\x84")
    return content[:begin] + b"\xec\x86" + bytes(6) + content[begin + 8 :]


def without_duration(content):
    begin = content.index(b"\x44\x89\x88")
    return content[:begin] + b"\xec\x89" + bytes(9) + content[begin + 11 :]


def cut_in_header(content, end):
    return content[: end + 1]


def cut_in_body(content, end):
    return content[: end - 1]


def with_zeroed_id(content, end):
    return content[:end] + b"\0" + content[end + 1 :]


DAMAGES = (cut_in_header, cut_in_body, with_zeroed_id)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("change", [bytes, without_rate], ids=["both", "no rate"])
def test_what_is_lost_is_counted_by_the_headers_duration(
    tmp_path, long, damage, change
):
    content = long.read_bytes()
    end = matroska.read(content).blocks[9][1]
    path = tmp_path / "1.webm"
    path.write_bytes(damage(change(content), end))

    num_whole = 9 if damage is cut_in_body else 10
    lost = (48 - num_whole) / 48
    assert f"{num_whole} of 48 frames" in refused(path, accept_partial=lost)[1]
    frames = decode(path, accept_partial=lost + 0.001)
    assert len(frames.frame_sizes) == num_whole
    assert frames.facts.num_frames_lost == 48 - num_whole


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_lost_without_a_promise_is_unknown_and_not_acceptable(
    tmp_path, long, damage
):
    content = long.read_bytes()
    end = matroska.read(content).blocks[9][1]
    path = tmp_path / "1.webm"
    path.write_bytes(damage(without_duration(without_rate(content)), end))

    reason, detail = refused(path, accept_partial=0.999)

    assert reason in ("truncated", "damaged")
    assert " of " not in detail.split(";")[0]


def test_the_first_of_its_frames_are_right_where_a_clip_is_partial(tmp_path, long):
    content = bytearray(long.read_bytes())
    begin, end = matroska.read(bytes(content)).blocks[24]
    content[begin:end] = bytes(end - begin)
    path = tmp_path / "1.webm"
    path.write_bytes(content)

    partial, whole = decode(path, accept_partial=0.9), decode(long)

    sizes = partial.frame_sizes
    assert sizes == whole.frame_sizes[: len(sizes)]
    assert partial.jpegs == whole.jpegs[: sum(sizes)]


def test_a_clip_that_is_refused_says_what_is_known_of_it(tmp_path, long):
    content = long.read_bytes()
    path = tmp_path / "1.webm"
    path.write_bytes(content[: matroska.read(content).blocks[29][1]])

    with pytest.raises(ClipError) as caught:
        decode(path)

    facts = caught.value.facts
    assert (facts.fps_from_header, facts.num_frames_from_header) == (12.0, 48)
    assert (facts.duration_seconds_from_header, facts.num_frames_lost) == (4.0, 18)
    assert facts.duration_seconds_from_content == pytest.approx(2.5, abs=0.01)


def test_a_loss_that_nothing_counts_is_not_said_to_be_none(tmp_path, long):
    content = without_duration(without_rate(long.read_bytes()))
    path = tmp_path / "1.webm"
    path.write_bytes(content[: matroska.read(content).blocks[29][1]])

    with pytest.raises(ClipError) as caught:
        decode(path)

    assert caught.value.facts.num_frames_lost == -1
