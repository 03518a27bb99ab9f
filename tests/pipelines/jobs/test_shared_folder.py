"""Two members of a group work on one data set in a folder that the group shares."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mindrecord_io.versions import opening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="becoming two other users needs root and setpriv",
    ),
]

GROUP = 100
FIRST, SECOND = 65534, 54321


@pytest.fixture
def shared(package):
    """A folder that the group shares, with the package in it."""
    folder = Path(tempfile.mkdtemp(prefix="clipmill-shared-"))
    shutil.copytree(package.folder, folder / "package")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, FIRST, GROUP)
        path.chmod(0o2775 if path.is_dir() else 0o664)
    yield folder
    shutil.rmtree(folder)


def run_as(user, tools, folder, *words):
    """Runs a command as a member of the group, umask 002.

    Its one privilege is to read and to enter every folder, as the interpreter may lie
    in the home of another; it writes only what a member may write.
    """
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={GROUP}"]
    read_all = "-all,+dac_read_search"
    flags = [f"--{which}={read_all}" for which in ("inh-caps", "ambient-caps")]
    program = [sys.executable, "-m", "pipelines", *map(str, words)]
    done = subprocess.run(
        [*become, *flags, *program],
        env=tools.command_environment() | {"HOME": str(folder)},
        umask=0o002,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_second_member_builds_relabels_and_prunes(shared, package, tools):
    copy = type(package)(shared / "package")
    dataset = shared / "dataset"
    where = ("--annotations", copy.annotations, "--dataset", dataset)
    some = {**tools.SPLITS, "train": {"101": 0, "102": 1}}
    copy.annotate(some)
    workers = ("--num_workers", 1)
    build = ("build", "--clips", copy.clips, *where, "--num_shards", 3, *workers)
    run_as(FIRST, tools, shared, *build)

    copy.annotate({**some, "train": {"101": 1, "102": 1}})
    relabelled = run_as(SECOND, tools, shared, "relabel", *where, *workers)
    copy.annotate(tools.SPLITS)
    built = run_as(SECOND, tools, shared, *build)
    pruned = run_as(SECOND, tools, shared, "prune", "--dataset", dataset, "--keep", 1)

    assert relabelled["shards"]["relabelled"] == 1
    assert (built["version"], built["num_clips"]) == ("000003", 8)
    assert pruned["removed_versions"] == ["000001", "000002"]
    assert opening.list_versions(dataset) == ["000003"]
