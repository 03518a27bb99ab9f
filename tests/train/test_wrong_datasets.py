"""Training and evaluation say in one line that their `--dataset` is none."""

import tempfile
from pathlib import Path

import pytest

from eval import __main__ as eval_command
from eval import job as eval_job
from train import __main__ as train_command
from train import job as train_job

# Both load MindSpore, which the commands do late: a test that gives up its rights can
# no longer load anything.
COMMANDS = {"train": train_command, "eval": eval_command}
assert train_job
assert eval_job

NO_FOLDER = "{}: no folder, so no data set: it, or what it is in, is a file"
NONE_YET = "{}: no data set here, or none published yet (no CURRENT file)"


@pytest.fixture
def folder():
    """A folder that other users can enter."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        (made / "run.yaml").write_text("model: {arch: resnet18, width: 4}")
        (made / "file").touch()
        (made / "empty").mkdir()
        (made / "closed").mkdir(mode=0)
        yield made


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file", NO_FOLDER),
        ("file/below", NO_FOLDER),
        ("empty", NONE_YET),
        ("nowhere", NONE_YET),
        ("closed", "{}/CURRENT: cannot be read: Permission denied"),
    ],
)
def test_what_is_no_data_set_is_told_in_one_line(
    folder, caplog, capsys, name, place, message
):
    words = ["--config_path", folder / "run.yaml", "--dataset", folder / place]
    words += ["--output", folder / "output"] if name == "train" else []
    words += ["--checkpoint", folder / "best.ckpt"] if name == "eval" else []

    status = COMMANDS[name].main(list(map(str, words)))

    assert (status, capsys.readouterr().out) == (1, "")
    errors = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert errors == [f"{name} failed: {message.format(folder / place)}"]
    assert not (folder / "output").exists()
