import pytest

from pipelines.decoding import complaints


def test_warnings_and_errors_are_complaints_without_addresses():
    log = (
        "[mov @ 0x55aa] [info] Duration: fine\n"
        "[h264 @ 0x7f01] [error] bad \x01 bits at 0x12\n"
        "a line of another program\n"
        "[mov @ 0x55aa] [warning] partial file @ 0x99"
    )

    assert complaints.of_ffmpeg(log) == (
        "[h264] bad ? bits at 0x12",
        "[mov] partial file",
    )


@pytest.mark.parametrize(
    "line",
    [
        "[swscaler @ 0x1] [warning] No accelerated colorspace conversion found from "
        "yuv420p to rgb24.",
        "[swscaler @ 0x1] [warning] deprecated pixel format used, make sure you did "
        "set range correctly",
        "[mov @ 0x1] [warning] unsupported color_parameter_type nclc",
        "[mov,mp4 @ 0x1] [warning] stream 0, timescale not set",
        "[out#0/image2pipe @ 0x1] [warning] Codec AVOption threads (set the number of "
        "threads) has not been used for any stream.",
        "[out#0/image2pipe @ 0x1] [fatal] Stream map '0:V:0' matches no streams.",
        "[aac @ 0x1] [error] channel element 0.0 is not allocated",
        "[aist#0:1/aac @ 0x1] [dec:aac @ 0x2] [error] stream 1: invalid data",
        "[mov,mp4 @ 0x1] [warning] Could not find codec parameters for stream 1 (Audio",
        "[in#0 @ 0x1] [warning] corrupt input packet in stream 1",
    ],
)
def test_what_changes_no_picture_is_no_complaint(line):
    assert complaints.of_ffmpeg(line) == ()


def test_the_stream_of_the_pictures_is_complained_of_by_its_own_number():
    line = "[in#0 @ 0x1] [warning] corrupt input packet in stream 1"

    assert complaints.of_ffmpeg(line, video_index=1) == (
        "[in#0] corrupt input packet in stream 1",
    )


def test_lines_of_several_threads_make_one_text_in_any_order():
    decoder = [
        "[vp9 @ 0x1] [error] first",
        "[vp9 @ 0x1] [error] second",
    ]
    others = [
        "[matroska,webm @ 0x2] [error] File ended prematurely",
        "[vf#0:0 @ 0x3] [error] Error while filtering",
        "[vist#0:0/vp9 @ 0x4] [dec:vp9 @ 0x5] [error] Error submitting packet",
    ]
    orders = [[*decoder, *others], [*reversed(others), *decoder]]

    texts = {complaints.of_ffmpeg("\n".join(lines)) for lines in orders}

    assert texts == {
        ("[matroska,webm] File ended prematurely", "[vp9] first", "[vp9] second")
    }


def test_the_program_itself_is_quoted_where_no_library_complains():
    line = "[vf#0:0 @ 0x3] [error] Error while filtering: Invalid argument"

    assert complaints.of_ffmpeg(line) == ("Error while filtering: Invalid argument",)


def test_the_library_in_this_process_may_say_what_is_harmless():
    log = "[swscaler @ 0x7f] No accelerated colorspace conversion found from a to b.\n"

    assert complaints.of_library(log) == ()
    assert complaints.of_library(f"{log}[vp9 @ 0x1] bad\n") == ("[vp9] bad",)


def test_every_harmless_word_has_a_source():
    for words, source in complaints.HARMLESS.items():
        assert source.split(":")[0].startswith(("libswscale", "fftools", "libavformat"))
        assert words
