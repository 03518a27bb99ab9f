"""What a person reads when a disk is full or a shard is gone: one sentence."""

import os
import re
import subprocess

import pytest

from mindrecord_io.versions import opening

pytestmark = pytest.mark.slow

OWN_LINE = re.compile(
    r"\d\d-\d\d \d\d:\d\d:\d\d [IW] (clipmill|mindrecord_io|pipelines)[\w.]*: .*"
)


def build(tools, package, dataset):
    return tools.run_command(
        *("build", "--clips", package.clips, "--annotations", package.annotations),
        *("--dataset", dataset, "--num_shards", 3, "--num_workers", 1),
    )


def last_line(done):
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert ' File "' not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_shard_that_is_gone_is_one_sentence_with_its_remedy(package, tools, tmp_path):
    assert build(tools, package, tmp_path / "dataset").returncode == 0
    version = opening.open_version(tmp_path / "dataset")
    path = version.shard_path(version.manifest.shards[0])
    path.unlink()

    last = last_line(build(tools, package, tmp_path / "dataset"))

    assert f"{path.parent}: published shard is damaged: " in last
    assert last.endswith("`clipmill build --repair` makes it again")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_one_sentence_with_its_remedy(package, tools, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        done = build(tools, package, disk / "dataset")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

    last = last_line(done)
    remedy = "finished shards are kept: make room there, and run the same command again"
    assert re.search(
        rf"build failed: \w+ shard \d: {disk}/dataset/\S+: ([^\[\]]+: )?"
        rf"No space left on device \(\d+ bytes free there\); {remedy}$",
        last,
    )
    assert "Err" not in last
    assert f"are free in {disk}: make room, or reduce" in done.stderr


def test_a_build_by_several_workers_logs_no_line_of_beams(package, tools, tmp_path):
    """Beam warns of the mode in which several of its threads take work from memory."""
    done = tools.run_command(
        *("build", "--clips", package.clips, "--annotations", package.annotations),
        *("--dataset", tmp_path / "dataset", "--num_shards", 3, "--num_workers", 3),
    )

    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any("pipelines.building.build_transforms: decoded" in line for line in lines)
    assert [line for line in lines if not OWN_LINE.fullmatch(line)] == []
