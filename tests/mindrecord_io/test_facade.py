"""What others import: by one name each, typed, and loaded when it is used."""

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import mindrecord_io

REPOSITORY = Path(__file__).resolve().parents[2]

USERS_SCRIPT = """
from mindrecord_io import BatchPlan, TrainView, open_split

reader = open_split("ssv2", "train", TrainView(), BatchPlan(batch_size=64))
for frames, label in reader:
    reveal_type(reader), reveal_type(frames), reveal_type(label)
"""

READ_WITHOUT_MINDSPORE = """
import sys
from mindrecord_io import BatchPlan, CentreView, open_split
view = CentreView(num_segments=2, crop_px=16, resize_px=16)
reader = open_split(sys.argv[1], "train", view, BatchPlan(3))
num_clips = sum(len(label) for frames, label in reader)
loaded = sorted({"mindspore", "apache_beam"} & set(sys.modules))
print(num_clips, loaded)
next(open_split(sys.argv[1], "train", view, BatchPlan(3)).create_dict_iterator())
print("mindspore" in sys.modules)
"""


def run(words, folder):
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_every_name_is_there_in_each_list_and_no_other():
    tree = ast.parse(Path(mindrecord_io.__file__).read_text())
    for_types = {
        (alias.name, f"{node.module}")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    homes = {
        (name, f"mindrecord_io.{home}") for name, home in mindrecord_io._HOMES.items()
    }
    assert for_types == homes
    assert sorted(mindrecord_io._HOMES) == sorted(mindrecord_io.__all__)
    assert set(mindrecord_io.__all__) <= set(dir(mindrecord_io))
    for name in mindrecord_io.__all__:
        assert getattr(mindrecord_io, name) is not None


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'open_spilt'"):
        mindrecord_io.open_spilt  # noqa: B018


def test_importing_it_loads_no_library(tmp_path):
    libraries = "{'mindspore', 'apache_beam', 'cv2', 'numpy', 'pyarrow'}"
    program = f"import sys, mindrecord_io; print({libraries} & set(sys.modules))"
    assert run(["-c", program], tmp_path) == "set()\n"


def test_a_split_is_read_to_numpy_without_mindspore(tmp_path, published_version):
    words = ["-c", READ_WITHOUT_MINDSPORE, str(published_version.dataset)]
    assert run(words, tmp_path).splitlines()[-2:] == ["7 []", "True"]


@pytest.fixture
def users_python(tmp_path):
    """A Python in which the package is installed, as setup.py says, not on a path."""
    installed, environment = tmp_path / "installed", tmp_path / "venv"
    words = ["setup.py", "-q", "build_py", "--build-lib", str(installed)]
    subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=True)
    venv.create(environment)
    python = environment / "bin" / "python"
    (folder,) = environment.glob("lib/python*/site-packages")
    libraries = Path(np.__file__).parents[1]
    (folder / "installed.pth").write_text(f"{installed}\n{libraries}\n")
    return python


@pytest.mark.slow
def test_a_users_script_is_checked_with_the_real_types(tmp_path, users_python):
    script = tmp_path / "script.py"
    script.write_text(USERS_SCRIPT)
    words = ["-m", "mypy", "--strict", "--python-executable", str(users_python)]
    cache = ["--cache-dir", str(tmp_path / "cache")]
    output = subprocess.run(
        [sys.executable, *words, *cache, script.name],
        cwd=tmp_path,
        env={
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")
        },
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    revealed = [
        line.split('"')[1] for line in output.splitlines() if "Revealed" in line
    ]
    assert revealed == [
        "mindrecord_io.serving.reader.SplitReader",
        "numpy.ndarray[Any, numpy.dtype[numpy.unsignedinteger[numpy._typing._8Bit]]]",
        "numpy.ndarray[Any, numpy.dtype[numpy.signedinteger[numpy._typing._32Bit]]]",
    ], output
    assert "Success" in output, output
