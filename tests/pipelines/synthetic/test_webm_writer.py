import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines import ffmpeg
from pipelines.synthetic import webm_writer


def _frames(num_frames: int, *, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Flat grey frames, each 20 levels brighter than the one before."""
    return [
        np.full((height, width, 3), 40 + 20 * index, np.uint8)
        for index in range(num_frames)
    ]


def _write(frames, path: Path, program: str | None = None, width: int = 64) -> None:
    webm_writer.write_webm(
        frames,
        path,
        video=webm_writer.Video(width, 48, fps=12),
        ffmpeg=program or ffmpeg.ffmpeg_path(),
    )


def _script(folder: Path, text: str) -> str:
    """Returns the path of a shell script that stands in for ffmpeg."""
    program = folder / "fake-ffmpeg"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program)


def test_write_webm_keeps_frames_order_size_and_rate(tmp_path: Path):
    path = tmp_path / "7.webm"

    _write(_frames(8), path)

    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    decoded = []
    while (frame := capture.read()[1]) is not None:
        decoded.append(frame)
    means = [frame.mean() for frame in decoded]
    assert fps == 12.0
    assert {frame.shape for frame in decoded} == {(48, 64, 3)}
    assert means == pytest.approx([40 + 20 * index for index in range(8)], abs=4)


def test_write_webm_handles_an_odd_width(tmp_path: Path):
    _write(_frames(3, width=63), tmp_path / "7.webm", width=63)

    frame = cv2.VideoCapture(str(tmp_path / "7.webm")).read()[1]
    assert frame.shape == (48, 63, 3)


def test_write_webm_writes_vp9_without_dates_or_versions(tmp_path: Path):
    path = tmp_path / "7.webm"

    _write(_frames(3), path)

    content = path.read_bytes()
    assert content.startswith(b"\x1a\x45\xdf\xa3")  # EBML, Matroska's header
    assert b"webm" in content
    assert b"V_VP9" in content
    date_element = b"\x44\x61\x88"
    assert date_element not in content
    assert b"Lavf6" not in content


def test_write_webm_gives_equal_bytes_for_equal_frames(tmp_path: Path):
    _write(_frames(5), tmp_path / "1.webm")
    _write(_frames(5), tmp_path / "2.webm")
    _write(_frames(5)[::-1], tmp_path / "3.webm")

    first, second, other = ((tmp_path / f"{i}.webm").read_bytes() for i in (1, 2, 3))
    assert first == second
    assert first != other


def test_write_webm_reports_clip_status_and_last_words(tmp_path: Path):
    program = _script(tmp_path, "cat >/dev/null; echo out of paint >&2; exit 3")

    with pytest.raises(
        webm_writer.EncodeError,
        match=r"clip 7: ffmpeg ended with exit status 3; its last words: out of paint",
    ):
        _write(_frames(3), tmp_path / "7.webm", program)

    assert not list(tmp_path.glob("*.webm"))


def test_write_webm_quotes_only_the_last_lines(tmp_path: Path):
    program = _script(tmp_path, "cat >/dev/null; seq 1 9 >&2; exit 1")

    with pytest.raises(webm_writer.EncodeError, match=r"words: 5 \| 6 \| 7 \| 8 \| 9$"):
        _write(_frames(3), tmp_path / "7.webm", program)


def test_write_webm_reports_a_program_that_stops_reading(tmp_path: Path):
    program = _script(tmp_path, "exit 0")
    endless = itertools.repeat(np.zeros((48, 64, 3), np.uint8))

    with pytest.raises(webm_writer.EncodeError, match="before it had read every frame"):
        _write(endless, tmp_path / "7.webm", program)


def test_write_webm_survives_a_program_that_writes_much_to_stderr(tmp_path: Path):
    program = _script(
        tmp_path, "seq 1 200000 >&2; cat >/dev/null; echo the end >&2; exit 1"
    )

    with pytest.raises(webm_writer.EncodeError, match=r"the end$"):
        _write(_frames(40), tmp_path / "7.webm", program)


def test_write_webm_reports_a_program_that_cannot_start(tmp_path: Path):
    with pytest.raises(webm_writer.EncodeError, match="cannot start /no/such/ffmpeg"):
        _write(_frames(3), tmp_path / "7.webm", "/no/such/ffmpeg")


def _broken_frames() -> Iterator[np.ndarray]:
    yield from _frames(2)
    raise LookupError("no third frame")


def test_write_webm_leaves_nothing_when_the_frames_fail(tmp_path: Path):
    with pytest.raises(LookupError, match="no third frame"):
        _write(_broken_frames(), tmp_path / "7.webm")

    assert list(tmp_path.iterdir()) == []


def test_write_webm_keeps_the_old_file_when_it_fails(tmp_path: Path):
    path = tmp_path / "7.webm"
    path.write_bytes(b"old")

    with pytest.raises(LookupError):
        _write(_broken_frames(), path)

    assert path.read_bytes() == b"old"
