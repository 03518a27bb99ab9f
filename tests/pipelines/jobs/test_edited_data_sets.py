"""Some of the edits of tests/edited_data_sets; CLIPMILL_NUM_EDITS=1000 makes more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_edit_of_a_data_set_leads_a_command_astray(tmp_path):
    num_edits = os.environ.get("CLIPMILL_NUM_EDITS", "30")
    command = [sys.executable, "-m", "tests.edited_data_sets"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path), "--num_edits", num_edits],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts == {"edits": int(num_edits), "runs": 8 * int(num_edits)}
