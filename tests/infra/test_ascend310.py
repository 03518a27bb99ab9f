"""The C++ program for an Ascend 310, compiled by stand-ins for the documented headers.

Its network is a stand-in that gives back its input: what is tried is the program's way
with files. It has not been run on a device.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEADERS = Path(__file__).resolve().parent / "lite_headers"

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("built") / "clipmill310"
    source = REPOSITORY / "infra" / "ascend310" / "main.cc"
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]
    command = ["g++", *strict, "-I", str(HEADERS), str(source), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def run(program, *words):
    command = [str(program), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_clips(folder, contents):
    (folder / "frames").mkdir(parents=True)
    for number, content in enumerate(contents):
        (folder / "frames" / f"frames{number}.bin").write_bytes(content)


def test_each_clip_has_its_result_and_time(program, tmp_path):
    contents = [bytes([number] * 8) for number in range(11)]
    write_clips(tmp_path / "clips", contents)
    done = run(program, "a.mindir", tmp_path / "clips", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, '{"num_clips": 11}\n')
    results = tmp_path / "out" / "result_Files"
    written = [(results / f"frames{n}_0.bin").read_bytes() for n in range(11)]
    assert written == contents
    times = (tmp_path / "out" / "time_Result" / "test_perform_static.txt").read_text()
    lines = [line.split() for line in times.splitlines()]
    assert [name for name, _ in lines] == [f"frames{n}.bin" for n in range(11)]
    assert all(float(ms) >= 0 for _, ms in lines)


def test_a_clip_of_another_size_is_refused_by_name(program, tmp_path):
    write_clips(tmp_path / "clips", [b"12345678", b"123"])
    done = run(program, "a.mindir", tmp_path / "clips", tmp_path / "out")
    assert done.returncode == 1
    assert "frames1.bin has 3 bytes, the network takes 8" in done.stderr


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("nan.mindir", "loading nan.mindir failed: cannot be built"),
        ("stop.mindir", "frames0.bin failed: no device"),
    ],
)
def test_a_network_that_fails_is_named(network, message, program, tmp_path):
    write_clips(tmp_path / "clips", [b"12345678"])
    done = run(program, network, tmp_path / "clips", tmp_path / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_a_folder_without_clips_and_wrong_usage_are_refused(program, tmp_path):
    done = run(program, "a.mindir", tmp_path, tmp_path / "out")
    assert (done.returncode, "no clips" in done.stderr) == (1, True)
    assert run(program, "a.mindir").returncode == 2
