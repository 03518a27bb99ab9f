import dataclasses
import platform
import shutil

import pytest

from pipelines import ffmpeg
from pipelines.decoding import identity
from tests.decoded import decode


@pytest.fixture
def fresh(monkeypatch):
    """Identifies anew, and leaves the program as it was chosen."""
    monkeypatch.setattr(ffmpeg, "_chosen", "")
    return identity.of_this_process.__wrapped__


def without_simd(folder):
    """The same ffmpeg by other instructions, as on another kind of machine."""
    program = folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\nexec {ffmpeg.ffmpeg_path()} -cpuflags 0 "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_the_identity_is_the_same_every_time_and_names_the_libraries(fresh):
    first = fresh()

    assert first == fresh()
    assert first.machine == platform.machine()
    assert [words.split()[0] for words in first.libraries] == [
        *("PyAV", "OpenCV", "ffmpeg")
    ]
    assert ffmpeg.version() in first.libraries[-1]


def test_other_instructions_are_another_identity(fresh, tmp_path):
    usual = fresh()
    ffmpeg.choose(without_simd(tmp_path))

    other = fresh()

    assert other.libraries == usual.libraries
    assert other.fingerprint != usual.fingerprint
    assert other.name != usual.name


def test_no_ffmpeg_is_another_identity(fresh):
    usual = fresh()
    ffmpeg.choose("/nowhere/ffmpeg")

    other = fresh()

    assert other.libraries[-1] == "no ffmpeg"
    assert other.fingerprint != usual.fingerprint


def test_every_field_counts_for_the_name(fresh):
    usual = fresh()
    changes = {"machine": "aarch64", "libraries": ("av",), "fingerprint": "0"}
    others = [dataclasses.replace(usual, **{k: v}) for k, v in changes.items()]

    assert len({usual.name, *(other.name for other in others)}) == 4


def test_the_built_in_clips_are_small_and_decode_both_ways(tmp_path):
    assert {path.suffix for path in identity.PROBES.iterdir()} == {
        *(".webm", ".mp4", ".avi")
    }
    for path in identity.PROBES.iterdir():
        assert path.stat().st_size < 10_000
        copy = shutil.copy(path, tmp_path)
        frames = decode(tmp_path / path.name)
        assert len(frames.frame_sizes) > 2, copy
        assert not frames.damage
