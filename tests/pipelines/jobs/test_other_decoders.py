"""Two decoders in turn on one data set.

The other is the same ffmpeg without fast code and, where there is one on PATH, a real
one of another version.
"""

import json
import shutil
import subprocess

import pytest

from mindrecord_io.versions import opening
from pipelines import ffmpeg
from pipelines.jobs import history

SOURCE = "testsrc2=size=107x62:rate=12:duration=0.5"


@pytest.fixture
def other(tmp_path):
    program = tmp_path / "other-ffmpeg"
    program.write_text(f'#!/bin/sh\nexec {ffmpeg.ffmpeg_path()} -cpuflags 0 "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def real(tools):
    """An ffmpeg of another version than the pinned one."""
    path = shutil.which("ffmpeg")
    if path is None:
        pytest.skip("no second ffmpeg on PATH")
    versions = [
        subprocess.run([p, "-version"], capture_output=True, check=True).stdout[:40]
        for p in (path, ffmpeg.ffmpeg_path())
    ]
    if versions[0] == versions[1]:
        pytest.skip(f"{path} is the pinned one")
    return path


@pytest.fixture
def build(tmp_path, tools):
    """Builds a data set of one clip of its own for each split."""
    package = tools.Package(tmp_path)
    package.clips.mkdir()
    package.annotate({"train": {"1": 0}, "validation": {"2": 0}})

    def run(*flags, encoding=(), expected=0):
        for clip_id in ("1", "2"):
            if encoding:
                path = tmp_path / f"{clip_id}.{encoding[0]}"
                tools.run_ffmpeg("-f", "lavfi", "-i", SOURCE, *encoding[1:], path)
                shutil.move(path, package.clip(clip_id))
        done = tools.run_command(
            *("build", "--clips", package.clips),
            *("--annotations", package.annotations),
            *("--dataset", tmp_path / "dataset", *flags),
        )
        assert done.returncode == expected, done.stderr
        return json.loads(done.stdout)

    return run


def verify(tools, dataset, version):
    done = tools.run_command("verify", "--dataset", dataset, "--version", version)
    return json.loads(done.stdout)["damaged"]


MPEG4 = ("avi", "-c:v", "mpeg4")
VP9 = ("webm", "-c:v", "libvpx-vp9")


def test_a_shard_made_again_by_another_decoder_gets_another_key(
    build, other, tools, tmp_path
):
    dataset = tmp_path / "dataset"
    build(encoding=MPEG4)
    first = opening.open_version(dataset).manifest
    (train,) = (shard for shard in first.shards if shard.split == "train")
    shutil.rmtree((dataset / train.path).parent)

    answer = build("--ffmpeg", other)

    assert answer["version"] == "000002"
    assert answer["shards"] == {"reused": 1, "relabelled": 0, "decoded": 1}
    second = opening.open_version(dataset).manifest
    (again,) = (shard for shard in second.shards if shard.split == "train")
    assert again.planned_key == train.key != again.key
    assert again.mindrecord != train.mindrecord
    assert verify(tools, dataset, "000002") == []
    # The first version lacks a shard; it does not have another's.
    (damage,) = verify(tools, dataset, "000001")
    assert damage["path"] == f"shards/train/{train.key}"
    assert "No such file" in damage["reason"]
    assert not (dataset / train.path).exists()
    assert len(first.decoders) == 1
    assert len(second.decoders) == 2
    changes = history.history(dataset)[1].changes
    names = " ".join(decoder.name for decoder in second.decoders)
    assert f"decoders {first.decoders[0].name} -> {names}" in changes

    build("--repair")  # by the first, so the first version is whole again
    for version in ("000001", "000002", "000003"):
        assert verify(tools, dataset, version) == []
    third = opening.open_version(dataset).manifest
    assert {s.key for s in third.shards} == {s.key for s in first.shards}


@pytest.mark.slow
def test_two_real_decoders_give_equal_bytes_or_other_keys(build, real, tools, tmp_path):
    dataset = tmp_path / "dataset"
    build(encoding=MPEG4)
    first = opening.open_version(dataset).manifest
    assert verify(tools, dataset, "000001") == []
    shutil.rmtree(dataset / "shards")

    build("--ffmpeg", real)

    second = opening.open_version(dataset).manifest
    assert verify(tools, dataset, second.version) == []
    for before, after in zip(first.shards, second.shards, strict=True):
        is_equal = before.mindrecord == after.mindrecord
        assert (before.key == after.key) is is_equal
        assert (dataset / before.path).exists() is is_equal
    build("--repair")
    for version in {"000001", second.version}:
        assert verify(tools, dataset, version) == []


def test_what_another_decoder_made_is_used_again_by_whoever_comes(
    build, other, tmp_path
):
    build(encoding=MPEG4)
    shutil.rmtree(tmp_path / "dataset" / "shards")
    build("--ffmpeg", other)

    answers = [build(), build("--ffmpeg", other)]

    for answer in answers:
        assert answer["version"] == "000002"  # nothing changed
        assert answer["shards"] == {"reused": 2, "relabelled": 0, "decoded": 0}


def test_a_shard_that_has_the_same_bytes_gets_its_key_back(
    build, other, tools, tmp_path
):
    dataset = tmp_path / "dataset"
    build(encoding=VP9)  # which is decoded in the process, not by the program
    shutil.rmtree(dataset / "shards")

    answer = build("--ffmpeg", other)

    assert answer["shards"]["decoded"] == 2
    assert verify(tools, dataset, "000001") == []
    manifest = opening.open_version(dataset).manifest
    assert {shard.planned_key for shard in manifest.shards} == {""}
