import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.decoding import decoder_log


def test_both_descriptors_are_collected(capfd):
    with decoder_log.captured() as log:
        os.write(1, b"one ")
        os.write(2, b"two")
    os.write(1, b"after")

    assert log.text == "one two"
    assert capfd.readouterr() == ("after", "")


def test_silence_is_no_text():
    with decoder_log.captured() as log:
        pass

    assert log.text == ""


def test_what_was_printed_before_stays_outside(capfd):
    print("before", end="")  # noqa: T201
    with decoder_log.captured() as log:
        os.write(1, b"inside")

    assert log.text == "inside"
    assert capfd.readouterr().out == "before"


def test_a_decoder_that_says_too_much_is_not_waited_for():
    with decoder_log.captured() as log:
        os.write(1, b"x" * 60_000)
        os.write(1, b"x" * 60_000)  # as much as fits
        with pytest.raises(BlockingIOError):
            os.write(1, b"x" * 60_000)

    assert 60_000 <= len(log.text) <= 65_536


def test_descriptors_come_back_after_an_error(capfd):
    with pytest.raises(LookupError), decoder_log.captured():
        raise LookupError
    os.write(2, b"back")

    assert capfd.readouterr().err == "back"


def open_descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_nothing_stays_open():
    before = open_descriptors()
    for _ in range(3):
        with decoder_log.captured():
            pass
    with pytest.raises(LookupError), decoder_log.captured():
        raise LookupError

    assert open_descriptors() == before


def test_words_that_are_no_text_are_no_error():
    with decoder_log.captured() as log:
        os.write(1, b"\xff\xfe")

    assert log.text == "\N{REPLACEMENT CHARACTER}" * 2


SAYS_WHAT_THE_LIBRARY_SAYS = """\
import sys
import av
from pipelines.decoding import decoder_log
with decoder_log.captured() as log:
    with av.open(sys.argv[1]) as container:
        for frame in container.decode(video=0):
            pass
sys.stdout.write(log.text)
"""


@pytest.mark.parametrize(
    ("share", "said"), [(1.0, ""), (0.7, "File ended prematurely")]
)
def test_what_libavs_warnings_say_of_a_clip_is_collected(tmp_path, tools, share, said):
    path = tmp_path / "1.webm"
    tools.write_grey_clip(path, [40, 80, 120, 160])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    done = subprocess.run(
        [sys.executable, "-c", SAYS_WHAT_THE_LIBRARY_SAYS, path],
        env=tools.command_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert said in done.stdout if said else done.stdout == ""
