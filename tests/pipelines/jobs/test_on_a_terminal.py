"""Build and verify as a person sees them, on a terminal of 80 columns."""

import json
import re
import subprocess
import sys

import pytest

from tests import terminals

NUM_COLUMNS = 80
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")


@pytest.fixture(scope="module")
def built(package, tmp_path_factory):
    """A data set that lacks two clips, and the session that built it."""
    folder = tmp_path_factory.mktemp("terminal")
    words = ["build", "--clips", package.clips, "--annotations", package.annotations]
    words += ["--dataset", folder / "dataset", "--num_workers", 1]
    return folder / "dataset", terminals.run("-m", "pipelines", *words)


@pytest.mark.slow
def test_a_build_names_its_phases_and_ends_with_a_summary(built):
    _, session = built
    assert session.returncode == 0, session.shown
    phases = [
        line for line in session.drawn if line.strip() and not LOG_LINE.match(line)
    ]
    assert max(map(len, phases)) <= NUM_COLUMNS
    assert any(line.startswith("loading libraries: ") for line in phases)
    bars = [line for line in phases if line.startswith("shards  ")]
    assert "0/8 clips" in bars[0]
    assert "100%  8/8 clips" in bars[-1]
    assert not terminals.CONTROL.search(
        terminals.COLOUR.sub("", session.shown).replace("\r", "")
    )
    summary = session.lines[session.lines.index(bars[-1].rstrip()) + 1 :]
    log = session.lines[: session.lines.index(bars[-1].rstrip())]
    assert [line for line in log if not LOG_LINE.match(line)] == []
    text = "\n".join(summary)
    assert re.search(r"^build took [\d.]+ s$", text, re.M)
    assert re.search(r"^  size +[\d.]+ MB$", text, re.M)
    assert re.search(
        r"^  shards +reused +0\n +relabelled +0\n +decoded +\d$", text, re.M
    )
    assert re.search(r"^  label conflicts +0$", text, re.M)
    assert "{" not in text


@pytest.mark.slow
def test_a_verification_has_a_bar_and_json_is_for_programs(built):
    dataset, _ = built
    words = ("-m", "pipelines", "verify", "--dataset", dataset, "--num_workers", "1")
    session = terminals.run(*words, NO_COLOR="1")
    assert session.returncode == 0, session.shown
    assert max(map(len, session.drawn)) <= NUM_COLUMNS
    assert any(line.startswith("checking shards  ") for line in session.drawn)
    (begin,) = (line for line in session.lines if line.startswith("verify took "))
    summary = session.lines[session.lines.index(begin) + 1 :]
    assert summary[:2] == ["  version  000001", "  shards   3"]
    assert "\x1b" not in session.shown
    in_json = terminals.run(*words, "--quick", "--json")
    result = json.loads(in_json.lines[-1])
    assert (result["num_clips"], result["damaged"]) == (8, [])
    piped = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=terminals.environment(),
    )
    assert not terminals.CONTROL.search(piped.stdout + piped.stderr)
    assert json.loads(piped.stdout)["num_clips"] == 8
    own = re.compile(
        r"\d\d-\d\d \d\d:\d\d:\d\d [IWE] (pipelines|mindrecord_io|clipmill)"
    )
    assert [line for line in piped.stderr.splitlines() if not own.match(line)] == []


@pytest.mark.slow
def test_damage_is_red_and_has_a_status(built, tmp_path):
    dataset, _ = built
    shard = next(dataset.rglob("*.mindrecord"))
    content = shard.read_bytes()
    try:
        shard.write_bytes(content + b"x")
        session = terminals.run(
            "-m", "pipelines", "verify", "--dataset", dataset, "--quick"
        )
    finally:
        shard.write_bytes(content)
    assert session.returncode == 1
    (error,) = re.findall(r"\x1b\[31m(.*)\x1b\[0m", session.shown)
    assert re.match(r"\d\d:\d\d:\d\d error: damaged: shards/", error)
    assert any(
        re.match(r"verify took .* s, exit status 1$", line) for line in session.lines
    )


def test_what_cannot_be_built_is_one_red_line(tmp_path):
    words = ["build", "--clips", tmp_path, "--annotations", tmp_path]
    session = terminals.run("-m", "pipelines", *words, "--dataset", tmp_path / "d")
    assert session.returncode == 1
    (line,) = re.findall(r"\x1b\[31m(.*)\x1b\[0m", session.shown)
    assert "error: build failed: " in line
    assert session.lines[-1].endswith(line)
