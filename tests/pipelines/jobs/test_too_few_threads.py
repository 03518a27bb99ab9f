"""A job ends, one way or the other, where the system refuses it threads or memory."""

import resource
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.mark.parametrize("num_mib", [2000, 2500, 3000])
def test_a_build_in_a_small_address_space_ends(package, tmp_path, tools, num_mib):
    """Where threads of it could not be started it once waited for them for ever."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (num_mib * MIB, num_mib * MIB))

    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipelines", "build"),
            *("--clips", package.clips, "--annotations", package.annotations),
            *("--dataset", tmp_path, "--num_shards", "8", "--num_workers", "4"),
        ],
        env=tools.command_environment(),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode in (0, 1), done.stderr
    if done.returncode:
        assert "build failed: " in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
