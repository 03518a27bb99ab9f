"""Hand-built boxes, and files of ffmpeg's whose frames are counted by decoding."""

import pytest

from pipelines.decoding import mp4_boxes
from tests.decoded import decode, refused

PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=2")
LONG_SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2.6")
H264 = ("-c:v", "libx264", "-g", "6", "-c:a", "aac")


def box(kind, *parts, size=None):
    body = b"".join(parts)
    return (size if size is not None else 8 + len(body)).to_bytes(4) + kind + body


def words(*numbers):
    return b"".join(number.to_bytes(4) for number in numbers)


def track(number=1, kind=b"vide", *, entry=b"avc1", num_samples=0, duration=0):
    header = words(0, 0, 0, number, 0, duration)
    media = words(0, 0, 0, 1200, duration)
    return box(
        b"trak",
        box(b"tkhd", header),
        box(
            b"mdia",
            box(b"mdhd", media),
            box(b"hdlr", words(0, 0), kind),
            box(
                b"minf",
                box(
                    b"stbl",
                    box(b"stsd", words(0, 1, 16), entry),
                    box(b"stsz", words(0, 0, num_samples)),
                ),
            ),
        ),
    )


def fragment(number, num_samples, *, default=0, durations=()):
    run_flags = 0x100 if durations else 0
    return box(
        b"moof",
        box(
            b"traf",
            box(b"tfhd", words(0x8 if default else 0, number), words(default)),
            box(b"trun", words(run_flags, num_samples), words(*durations)),
        ),
    )


def test_the_pictures_own_samples_and_duration_are_read():
    sound = track(2, b"soun", entry=b"mp4a", num_samples=99, duration=9000)
    video = track(num_samples=24, duration=2400)
    movie = mp4_boxes.read(box(b"ftyp", b"isom") + box(b"moov", sound, video))

    assert movie == mp4_boxes.Movie(
        has_header=True, codec="avc1", num_frames=24, duration_seconds=2.0
    )


def test_fragments_are_added_to_what_the_header_lists():
    header = box(
        b"moov",
        track(num_samples=6, duration=600),
        box(b"mvex", box(b"trex", words(0, 1, 1, 100, 0, 0))),
    )
    fragments = [
        fragment(1, 4),  # 100 each, by the header's default
        fragment(2, 50),  # of another track
        fragment(1, 3, default=200),
        fragment(1, 2, durations=(300, 100)),
    ]

    movie = mp4_boxes.read(header + b"".join(fragments))

    assert movie.num_frames == 6 + 4 + 3 + 2
    assert movie.duration_seconds == pytest.approx((600 + 400 + 600 + 400) / 1200)
    assert movie.is_fragmented


@pytest.mark.parametrize("content", [b"", bytes(3), bytes(100), b"\xff" * 4000])
def test_what_is_no_box_states_nothing(content):
    assert mp4_boxes.read(content).codec == ""


def test_boxes_in_boxes_without_end_are_left():
    content = b""
    for _ in range(5000):
        content = box(b"moov", content)

    assert not mp4_boxes.read(content).has_header


def test_a_run_that_promises_more_than_it_lists_counts_what_is_listed():
    header = box(b"moov", track(), box(b"mvex"))
    content = header + fragment(1, 1 << 31, durations=(100,))

    assert mp4_boxes.read(content).num_frames == 1


def test_a_box_beyond_the_end_is_noticed():
    content = box(b"moov", track(num_samples=3)) + box(b"mdat", bytes(10), size=100)

    movie = mp4_boxes.read(content)

    assert (movie.num_frames, movie.is_cut_off) == (3, True)


@pytest.mark.parametrize(
    ("sound", "flags"),
    [
        ((), "+faststart"),
        (LONG_SOUND, "+faststart"),
        (LONG_SOUND, "frag_keyframe+empty_moov"),
        ((), "frag_keyframe"),
        ((), "frag_keyframe+empty_moov+default_base_moof"),
        (LONG_SOUND, "frag_keyframe+empty_moov+dash"),
    ],
)
def test_whole_clips_of_every_kind_are_stored_whole(tmp_path, tools, sound, flags):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(*PICTURES, *sound, *H264, "-movflags", flags, path)

    frames = decode(path)

    assert (len(frames.frame_sizes), frames.damage) == (24, "")
    assert frames.facts.num_frames_from_header == 24
    assert frames.facts.duration_seconds_from_header == pytest.approx(2.0)


def test_sound_that_cannot_be_decoded_damages_no_picture(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(*PICTURES, *LONG_SOUND, *H264, path)
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzzz"))

    frames = decode(path)

    assert (len(frames.frame_sizes), frames.damage) == (24, "")


def test_what_a_cut_off_fragmented_clip_lost_is_not_known(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(*PICTURES, *H264, "-movflags", "frag_keyframe+empty_moov", path)
    content = path.read_bytes()
    third = [at for at in range(len(content)) if content[at : at + 4] == b"moof"][2]
    path.write_bytes(content[: third + 500])

    reason, _ = refused(path, accept_partial=0.99)

    assert reason == "truncated"


def test_frames_that_are_encrypted_are_named_so(tmp_path, tools):
    path = tmp_path / "1.mp4"
    key = ("-encryption_key", "00" * 16, "-encryption_kid", "11" * 16)
    scheme = ("-encryption_scheme", "cenc-aes-ctr")
    tools.run_ffmpeg(*PICTURES, "-c:v", "libx264", *scheme, *key, path)

    assert refused(path) == (
        "encrypted",
        f"{path}: the frames are encrypted: its sample entry is encv",
    )


def test_a_header_sent_before_its_frames_has_no_frames(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(*PICTURES, *H264, "-movflags", "frag_keyframe+empty_moov", path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moof") - 4])

    reason, detail = refused(path)

    assert reason == "no_frames"
    assert detail.startswith(f"{path} is a header of a video, without any frames")


def test_a_segment_without_its_header_is_named_so(tmp_path, tools):
    path = tmp_path / "1.mp4"
    tools.run_ffmpeg(*PICTURES, *H264, "-movflags", "frag_keyframe+empty_moov", path)
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"moof") - 4 :])

    reason, detail = refused(path)

    assert reason == "wrong_container"
    assert detail.endswith("but a segment of an MP4 that begins in another file")
