import dataclasses
from pathlib import Path

import pytest

from mindrecord_io import records
from pipelines.decoding import (
    clip_file,
    matroska,
    second_opinion,
    verdicts,
    vpx_headers,
)

PATH = Path("/clips/1.webm")
WHOLE = second_opinion.Opinion(
    num_frames=10,
    num_packets=10,
    times_seconds=tuple(i / 10 for i in range(10)),
    changes_size=False,
    complaints=(),
    is_failure=False,
    has_video=True,
    has_audio=False,
    duration_seconds=1.0,
    rotation_degrees=0,
)
HEADER = records.SourceFacts(10.0, 10, 1.0)


def file_of(num_blocks, *, is_vp9=True, **structure):
    times = [i / 10 for i in range(num_blocks)]
    made = matroska.Structure(
        codec="V_VP9" if is_vp9 else "V_AV1",
        blocks=[(0, 1)] * num_blocks,
        times_seconds=times,
        num_files=1,
        **structure,
    )
    frames = vpx_headers.Frames(num_shown=num_blocks) if is_vp9 else None
    return clip_file.ClipFile(PATH, made, frames)


NO_MATROSKA = clip_file.ClipFile(PATH, None, None)


def verdict(file=None, header=HEADER, **opinion):
    result = dataclasses.replace(WHOLE, **opinion)
    return verdicts.verdict_on(file or file_of(10), header, result)


@pytest.mark.parametrize(
    ("file", "num_frames"),
    [
        (file_of(10), 10),
        (file_of(10, is_vp9=False), 9),
        (file_of(10, is_vp9=False), 11),
        (NO_MATROSKA, 9),
        (NO_MATROSKA, 11),
        (file_of(0, is_vp9=False), 10),
    ],
)
def test_a_clip_with_the_frames_it_promises_is_whole(file, num_frames):
    assert verdict(file, num_frames=num_frames) == verdicts.Verdict("", "", 0)


def test_an_edit_list_may_leave_out_frames_that_were_read():
    assert verdict(NO_MATROSKA, num_frames=6).reason == ""


def test_a_problem_that_only_we_see_loses_no_clip():
    assert verdict(file_of(10, problem="odd")).reason == ""


@pytest.mark.parametrize(
    ("file", "opinion", "expected"),
    [
        (
            file_of(9),
            {"num_frames": 8},
            ("truncated", "8 frames, the file promises 9", 1),
        ),
        (
            NO_MATROSKA,
            {"num_frames": 8, "num_packets": 8},
            ("truncated", "8 frames, the file promises 10", 2),
        ),
        (
            NO_MATROSKA,
            {"num_frames": 12, "num_packets": 12},
            ("too_many_frames", "12 frames, the file promises 10", 0),
        ),
        (
            file_of(7, problem="cut", is_cut_off=True),
            {"num_frames": 7},
            (
                "truncated",
                f"{PATH} is cut off: 7 of 10 frames; cut",
                3,
            ),
        ),
        (
            NO_MATROSKA,
            {"num_frames": 7, "complaints": ("[mov] partial file",)},
            (
                "truncated",
                f"{PATH} is cut off: 7 of 10 frames; ffmpeg: [mov] partial file",
                3,
            ),
        ),
        (
            file_of(10),
            {"num_frames": 9, "complaints": ("[vp9] bad",)},
            ("damaged", f"{PATH} is damaged: 9 of 10 frames; ffmpeg: [vp9] bad", 1),
        ),
        (
            file_of(10),
            {"is_failure": True},
            ("damaged", f"{PATH} is damaged: 10 of 10 frames", 0),
        ),
        (
            file_of(10),
            {"times_seconds": (0.0, 0.2, 0.1)},
            ("damaged", f"{PATH}: frame 2 is to be shown before the last", 0),
        ),
        (
            file_of(10),
            {"changes_size": True},
            ("concatenated", f"{PATH} has frames of several sizes: not one clip", 0),
        ),
        (
            file_of(10),
            {"num_frames": 0},
            ("no_frames", f"{PATH}: the decoder found no frames", 10),
        ),
        (
            file_of(10),
            {"num_frames": 0, "has_video": False},
            ("not_decodable", f"{PATH}: no video stream can be opened", 10),
        ),
        (
            file_of(10),
            {"num_frames": 4, "complaints": ("[vp9] Cannot allocate memory",)},
            (
                "out_of_memory",
                f"{PATH}: ffmpeg has too little (--max_decoder_mib); ffmpeg: [vp9] "
                "Cannot allocate memory",
                6,
            ),
        ),
        (
            NO_MATROSKA,  # sizes beyond reason in a header that cannot be read
            {
                "num_frames": 0,
                "has_video": False,
                "complaints": ("Cannot allocate memory",),
            },
            (
                "not_decodable",
                f"{PATH}: no video stream can be opened; ffmpeg: Cannot allocate "
                "memory",
                10,
            ),
        ),
        (
            NO_MATROSKA,
            {"num_frames": 0, "has_video": False, "has_audio": True},
            ("audio_only", f"{PATH}: sound and no video stream", 10),
        ),
    ],
)
def test_what_is_wrong_has_a_reason_a_detail_and_a_loss(file, opinion, expected):
    assert verdict(file, **opinion) == verdicts.Verdict(*expected)


def test_nobody_knows_what_was_lost_where_nothing_is_promised():
    file = clip_file.ClipFile(PATH, None, None)
    found = verdict(file, records.SourceFacts(), complaints=("[h264] bad",))

    assert (found.reason, found.num_lost) == ("damaged", -1)


@pytest.mark.parametrize(
    ("reason", "num_lost", "accept_partial", "expected"),
    [
        ("damaged", 1, 0.2, True),
        ("truncated", 1, 0.2, True),
        ("damaged", 2, 0.2, False),  # exactly the share
        ("damaged", 0, 0.01, True),
        ("damaged", 0, 0.0, False),
        ("damaged", -1, 0.9, False),
        ("concatenated", 0, 0.9, False),
        ("too_many_frames", 0, 0.9, False),
    ],
)
def test_a_clip_may_lose_less_than_the_share(
    reason, num_lost, accept_partial, expected
):
    found = verdicts.Verdict(reason, "", num_lost)
    num_frames = 10 - max(0, num_lost)
    assert verdicts.is_acceptable(found, num_frames, accept_partial) is expected


def test_no_frames_are_no_part():
    assert not verdicts.is_acceptable(verdicts.Verdict("damaged", "", 0), 0, 0.9)


@pytest.mark.parametrize(
    ("num_blocks", "is_open_ended", "duration_seconds", "expected"),
    [
        (10, True, 1.0, False),
        (9, True, 1.0, False),  # within one frame
        (8, True, 1.0, True),
        (8, False, 1.0, False),
        (8, True, 0.0, False),
        (1, True, 1.0, False),
    ],
)
def test_a_file_without_an_end_of_its_own_is_held_to_its_duration(
    num_blocks, is_open_ended, duration_seconds, expected
):
    file = file_of(
        num_blocks, is_open_ended=is_open_ended, duration_seconds=duration_seconds
    )
    assert verdicts.is_short_of_its_duration(file) is expected


def test_facts_come_from_header_and_times():
    assert verdicts.source_facts(HEADER, [0.0, 0.5, 1.0], 3) == records.SourceFacts(
        fps_from_header=10.0,
        num_frames_from_header=10,
        duration_seconds_from_header=1.0,
        fps_from_content=2.0,
        duration_seconds_from_content=1.5,
    )


@pytest.mark.parametrize("times", [[], [0.7], [0.5, 0.5]])
def test_times_that_tell_nothing_are_zero(times):
    facts = verdicts.source_facts(records.SourceFacts(), times, len(times))

    assert facts.fps_from_content == facts.duration_seconds_from_content == 0.0
