import numpy as np
import pytest

from mindrecord_io import records
from mindrecord_io.storage import files
from pipelines.decoding import matroska
from pipelines.decoding.clip_decoding import decode_clip
from pipelines.quarantine import ClipError
from tests.decoded import LIMITS, decode, refused

CLUSTER = b"\x1f\x43\xb6\x75"  # begins what holds a WebM file's frames


def test_a_missing_file_is_unreadable(tmp_path, grey):
    clip = records.PlannedClip("1", 0, f"{tmp_path}/1.webm", files.fingerprint(grey))

    with pytest.raises(ClipError, match=r"/1\.webm: No such file") as caught:
        decode_clip(clip, records.DecodeSettings(), LIMITS)

    assert caught.value.reason == "unreadable"


def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path, grey):
    path = tmp_path / "1.webm"
    path.write_bytes(grey.read_bytes() + b"\0")
    clip = records.PlannedClip("1", 0, str(path), files.fingerprint(grey))

    with pytest.raises(ClipError, match="changed since the build began") as caught:
        decode_clip(clip, records.DecodeSettings(), LIMITS)

    assert caught.value.reason == "changed"
    assert f"({path.stat().st_size} bytes)" in str(caught.value)


def test_an_empty_file_is_empty(tmp_path):
    (tmp_path / "1.webm").touch()

    assert refused(tmp_path / "1.webm") == ("empty", f"{tmp_path}/1.webm has no bytes")


@pytest.mark.parametrize(
    "content",
    [
        b"<html>404</html>",
        b"x",
        bytes(4096),
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
    ids=["html", "short", "zeros", "concat"],
)
def test_what_is_no_container_is_not_video(tmp_path, content):
    path = tmp_path / "1.webm"
    path.write_bytes(content)

    reason, detail = refused(path)

    assert reason == "not_video"
    assert detail == (
        f"{path} is not WebM, MKV, MP4, MOV or AVI: begins {content[:12].hex(' ')}"
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(100), "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
    ],
)
def test_one_picture_is_not_video_and_has_its_kind_in_the_reason(
    tmp_path, content, kind
):
    path = tmp_path / "1.webm"
    path.write_bytes(content)

    assert refused(path) == (
        "not_video",
        f"{path} is not WebM, MKV, MP4, MOV or AVI, but one {kind}",
    )


def test_a_container_that_is_not_decoded_has_its_name_in_the_reason(tmp_path, tools):
    tools.run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=0.2"),
        *("-c:v", "mpeg4", "-f", "mpegts", tmp_path / "1.webm"),
    )

    assert refused(tmp_path / "1.webm") == (
        "wrong_container",
        f"{tmp_path}/1.webm is not WebM, MKV, MP4, MOV or AVI, "
        "but MPEG transport stream",
    )


def test_a_playlist_does_not_lead_to_the_file_that_it_names(tmp_path, grey):
    path = tmp_path / "1.webm"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{grey}\n")

    assert refused(path)[0] == "not_video"


@pytest.mark.parametrize("magic", [b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftypisom"])
def test_a_container_of_noise_is_refused(tmp_path, magic):
    path = tmp_path / "1.webm"
    noise = np.random.default_rng(3).integers(0, 256, 5000, np.uint8).tobytes()
    path.write_bytes(magic + noise)

    reason, detail = refused(path)

    assert reason in ("not_decodable", "truncated")
    assert "; ffmpeg: [" in detail


@pytest.mark.parametrize("suffix", ["webm", "mp4"])
def test_a_file_of_sound_alone_is_audio_only(tmp_path, tools, suffix):
    sound = tmp_path / f"sound.{suffix}"
    sine = "sine=frequency=440:duration=0.2"
    tools.run_ffmpeg("-f", "lavfi", "-i", sine, "-c:a", "libopus", sound)

    reason, detail = refused(sound.rename(tmp_path / "1.webm"))

    assert reason == "audio_only"
    assert detail.startswith(f"{tmp_path}/1.webm: sound and no video stream")


def test_a_header_without_frames_is_truncated(tmp_path, grey):
    content = grey.read_bytes()
    path = tmp_path / "1.webm"
    path.write_bytes(content[: content.index(CLUSTER)])

    reason, detail = refused(path)

    assert reason == "truncated"
    assert detail.startswith(f"{path} is cut off: 0 ")


@pytest.mark.parametrize("suffix", ["webm", "mkv", "mp4", "avi"])
@pytest.mark.parametrize("share", [0.5, 0.75])
def test_a_clip_cut_off_is_truncated(tmp_path, tools, share, suffix):
    whole = tmp_path / f"whole.{suffix}"
    source = "testsrc2=size=96x64:rate=12:duration=2"
    codec = {"mp4": "libx264", "avi": "mpeg4"}.get(suffix, "libvpx-vp9")
    codec_words = ("-c:v", codec, "-movflags", "+faststart")
    tools.run_ffmpeg("-f", "lavfi", "-i", source, *codec_words, whole)
    content = whole.read_bytes()
    path = tmp_path / "1.webm"
    path.write_bytes(content[: int(len(content) * share)])

    reason, detail = refused(path)

    assert reason == "truncated"
    assert " of 24 frames; ffmpeg: " in detail


def test_a_clip_cut_off_between_its_frames_is_truncated(tmp_path, grey):
    content = grey.read_bytes()
    structure = matroska.read(content)
    path = tmp_path / "1.webm"
    path.write_bytes(content[: structure.blocks[3][1]])

    reason, detail = refused(path)

    assert reason == "truncated"
    assert detail.startswith(f"{path} is cut off: 4 of 6 frames; ")


def test_a_clip_written_live_that_ends_before_its_duration_is_truncated(tmp_path, grey):
    content = grey.read_bytes()
    end = matroska.read(content).blocks[2][1]
    size_at = content.index(b"\x18\x53\x80\x67") + 4
    cluster_at = content.index(CLUSTER) + 4
    live = bytearray(content[:end])
    unknown = b"\x01" + b"\xff" * 7
    live[cluster_at : cluster_at + content_size_length(content, cluster_at)] = unknown
    live[size_at : size_at + content_size_length(content, size_at)] = unknown
    path = tmp_path / "1.webm"
    path.write_bytes(live)

    assert refused(path) == ("truncated", "3 frames, the file promises 6")


def content_size_length(content, at):
    return 9 - content[at].bit_length()


def test_two_clips_in_one_file_are_concatenated(tmp_path, grey, textured):
    path = tmp_path / "1.webm"
    path.write_bytes(grey.read_bytes() + textured.read_bytes())

    assert refused(path) == (
        "concatenated",
        f"{path}: 2 files one behind the other",
    )


def test_frames_of_two_sizes_are_not_one_clip(tmp_path, tools):
    parts = []
    for name, size in (("a", (64, 48)), ("b", (80, 48))):
        parts.append(tmp_path / f"{name}.webm")
        tools.write_grey_clip(parts[-1], [60, 90, 120], width=size[0], height=size[1])
    listing = tmp_path / "parts.txt"
    listing.write_text("".join(f"file {part}\n" for part in parts))
    path = tmp_path / "1.webm"
    tools.run_ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", path)

    assert refused(path) == (
        "concatenated",
        f"{path} has frames of several sizes: not one clip",
    )


def test_a_frame_that_does_not_decode_is_damage_in_the_decoders_words(
    tmp_path, textured
):
    path = with_zeros_in_frame(textured, tmp_path / "1.webm", 1)

    reason, detail = refused(path)

    assert reason == "damaged"
    assert detail.startswith(f"{path} is damaged: ")
    assert " of 3 frames; ffmpeg: " in detail
    assert " @ 0x" not in detail


def with_zeros_in_frame(source, path, index):
    content = bytearray(source.read_bytes())
    begin, end = matroska.read(bytes(content)).blocks[index]
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return path


def test_a_clip_that_lost_less_than_accepted_is_kept_and_says_so(tmp_path, textured):
    path = with_zeros_in_frame(textured, tmp_path / "1.webm", 2)

    frames = decode(path, accept_partial=0.5)

    assert len(frames.frame_sizes) == 2
    assert frames.facts.num_frames_lost == 1
    assert frames.damage.startswith(f"damaged: {path} is damaged: 2 of 3 frames; ")


def test_a_clip_that_lost_just_the_share_accepted_is_refused(tmp_path, textured):
    path = with_zeros_in_frame(textured, tmp_path / "1.webm", 2)

    assert refused(path, accept_partial=1 / 3)[0] == "damaged"


def test_a_whole_clip_is_not_partial(grey):
    frames = decode(grey, accept_partial=0.5)

    assert (frames.facts.num_frames_lost, frames.damage) == (0, "")


def test_the_container_counts_where_the_header_promises_too_little(tmp_path, grey):
    content = grey.read_bytes()
    begin = content.index(b"\x44\x89\x88") + 3
    path = tmp_path / "1.webm"
    short = np.array(83.0, ">f8").tobytes()  # milliseconds: one frame of 12 a second
    path.write_bytes(content[:begin] + short + content[begin + 8 :])

    frames = decode(path)

    assert len(frames.frame_sizes) == 6
    assert frames.facts.num_frames_from_header == 1
    assert frames.facts.duration_seconds_from_header == pytest.approx(0.083)
    assert frames.facts.duration_seconds_from_content == pytest.approx(0.5, abs=0.002)


def test_an_index_that_promises_too_little_is_refused(tmp_path, tools):
    path = tmp_path / "1.avi"
    source = "testsrc2=size=64x48:rate=12:duration=0.5"
    tools.run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "mpeg4", path)
    content = bytearray(path.read_bytes())
    length_at = content.index(b"vids") + 32  # strh: dwLength
    content[length_at : length_at + 4] = (3).to_bytes(4, "little")
    path.write_bytes(content)

    reason, detail = refused(path)

    assert (reason, detail) == ("too_many_frames", "6 frames, the file promises 3")
