import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.benchmarks import browse

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_page_is_timed():
    done = subprocess.run(
        [sys.executable, "-m", "infra.benchmarks.browse", "--num_clips", "80"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() == {"num_clips", "start", "peak_mib", *browse.PAGES}
    assert result["num_clips"] == 80
    assert min(result.values()) > 0
