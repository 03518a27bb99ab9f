"""A training and an evaluation as a person sees them, on a terminal of 80 columns."""

import re
import subprocess
import sys

import pytest

from tests import terminals

NUM_COLUMNS = 80
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")
CONFIG = """
model: {arch: resnet18, width: 4, num_segments: 2, shift_div: 4}
evaluation: {crop_px: 32, resize_px: 32, eval_batch_size: 3}
training: {epochs: 2, batch_size: 3, learning_rate: 0.001, flip: true}
"""


@pytest.fixture(scope="module")
def trained(published_version, tmp_path_factory):
    """The folder of a run, and the session that trained it."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "run.yaml").write_text(CONFIG)
    words = ["--config_path", folder / "run.yaml", "--output", folder / "run"]
    words += ["--dataset", published_version.dataset]
    return folder / "run", terminals.run("-m", "train", *words)


@pytest.mark.slow
def test_a_training_names_its_phases_and_ends_with_a_summary(trained):
    run, session = trained
    assert session.returncode == 0, session.shown
    shown = [line for line in session.drawn if not LOG_LINE.match(line)]
    # A path is shown whole, however long it is.
    assert max(len(line.replace(str(run), "run")) for line in shown) <= NUM_COLUMNS
    text = "\n".join(shown)
    assert re.search(r"^loading MindSpore: \d+ s", text, re.M)
    assert "0/6 clips" in text
    assert "compiling the network" in text
    assert "scoring validation" in text
    kept = "\n".join(session.lines)
    for epoch in (1, 2):
        assert re.search(rf"^epoch {epoch}/2  .*100%  6/6 clips  .*loss ", kept, re.M)
    assert re.search(r"^train took .* s$", kept, re.M)
    assert re.search(r"^  best top-1 +[\d.]+%$", kept, re.M)
    assert "loading MindSpore" not in kept
    assert "{" not in session.lines[-1]


@pytest.mark.slow
def test_an_evaluation_in_a_pipe_has_lines_of_ours_alone(trained, published_version):
    run, _ = trained
    words = ["-m", "eval", "--dataset", published_version.dataset, "--checkpoint", run]
    piped = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=terminals.environment(),
    )
    assert piped.returncode == 0, piped.stderr
    assert not terminals.CONTROL.search(piped.stdout + piped.stderr)
    own = re.compile(
        r"\d\d-\d\d \d\d:\d\d:\d\d [IWE] (clipmill|eval|mindrecord_io|model)"
    )
    assert [line for line in piped.stderr.splitlines() if not own.match(line)] == []
