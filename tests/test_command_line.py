"""`clipmill` as it is called: every job, from any folder, with or without libraries."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import __main__ as clipmill

REPOSITORY = Path(__file__).resolve().parent.parent
ALL_JOBS = (*clipmill._JOBS, *clipmill._OTHER_JOBS)
JOBS = [job for job in ALL_JOBS if job not in ("device", "zoo")]
STEPS = [
    *(["device", step] for step in ("convert", "preprocess", "run", "postprocess")),
    *(["zoo", program] for program in ("train", "eval", "export", "preprocess")),
]
HEAVY = ("apache_beam", "mindspore", "cv2", "pyarrow", "numpy", "yaml")

# What the installed program consists of.
SCRIPT = "import sys\nfrom pipelines.__main__ import start\nsys.exit(start())\n"
LOADED = f"""\
import atexit, sys
atexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules]))
"""

# Prints what was loaded when the first line of the log came.
LOADED_AT_FIRST_LINE = f"""\
import logging, sys
emit = logging.Handler.handle
def first(handler, record):
    logging.Handler.handle = emit
    print([m for m in {HEAVY} if m in sys.modules])
    return emit(handler, record)
logging.Handler.handle = first
"""


def run(*words, cwd=None, path=(REPOSITORY,), script=SCRIPT, options=()):
    """Runs the program with folders on Python's path, but not the current one."""
    before = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    # From a file's text, as it would be from the file: the current folder is no path.
    program = f"import sys; sys.path.remove('')\n{script}"
    return subprocess.run(
        [sys.executable, *options, "-c", program, *words],
        cwd=cwd,
        env=before | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words", [["--help"], *([*job, "--help"] for job in [*([j] for j in JOBS), *STEPS])]
)
def test_help_loads_no_library_and_ends_with_an_example(words):
    done = run(*words, script=LOADED + SCRIPT)

    assert (done.returncode, done.stderr) == (0, "")
    *lines, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert "(default: None)" not in done.stdout
    if len(words) > 1:
        job = " ".join(words[:-1])
        assert lines[0].startswith(f"usage: clipmill {job} ")
        assert lines[-2] == "example:"
        flags = "" if job == "doctor" else " --"
        assert lines[-1].startswith(f"  clipmill {job}{flags}")


def test_steps_of_a_job_are_listed_without_a_library():
    done = run("device", "--help", script=LOADED + SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    line, loaded = done.stdout.splitlines()
    assert line.endswith("the steps are: convert, preprocess, run, postprocess")
    assert loaded == "[]"
    assert run("device", "runn").returncode == 2


@pytest.mark.parametrize(
    ("module", "job"),
    [
        (["pipelines", "train"], "train"),
        (["pipelines", "build"], "build"),
        (["train"], "train"),
        (["eval"], "eval"),
        (["eval", "export"], "export"),
    ],
)
def test_modules_do_the_same(module, job):
    done = subprocess.run(
        [sys.executable, "-m", *module, "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(job, "--help").stdout


@pytest.mark.parametrize("job", [job for job in JOBS if job != "doctor"])
def test_a_wrong_flag_is_named_with_its_nearest_before_any_library_is_loaded(job):
    done = run(job, "--helpp", script=LOADED + SCRIPT)

    assert (done.returncode, done.stdout) == (2, "[]\n")
    assert "the following arguments are required: --" in done.stderr
    assert done.stderr.endswith("; did you mean --help for --helpp?\n")


@pytest.mark.parametrize("value", ["0", "two"])
@pytest.mark.parametrize("job", ["synthesize", "build", "relabel", "verify"])
def test_one_mistake_has_one_wording(job, value):
    done = run(job, "--num_workers", value)

    assert done.stderr.endswith(
        "error: argument --num_workers: must be a whole number of at least 1, got "
        f"{value!r}\n"
    )


@pytest.mark.parametrize(
    "job", [job for job in JOBS if job not in ("synthesize", "doctor")]
)
def test_a_path_that_is_none_is_refused_before_any_work(job, tmp_path):
    has_output_only = ("export", "import_weights", "checksums", "suspects")
    has_output_only += ("rank_table",)
    flag = "--dataset" if job not in has_output_only else "--output"
    flag = "--log_dir" if job == "launch" else flag
    done = run(job, flag, "~no-such-user/x", cwd=tmp_path)

    assert done.returncode == 2
    assert f"argument {flag}: '~no-such-user/x' begins with the home" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["verify"], "verifying version 000001 of {dataset}: 3 shards, 11 clips"),
        (["report", "--output=page.html"], "writing a page on version 000001 of"),
        (["fingerprint"], "hashing the pixels of version 000001 of {dataset}: 11"),
        (["synthesize", "--num_clips=12"], "drawing 12 clips into {dataset}"),
    ],
)
def test_the_first_line_says_what_begins_before_slow_libraries_are_loaded(
    words, says, published_version, tmp_path
):
    if words[0] == "synthesize":
        dataset, flag = tmp_path / "drawn", "--output"
    else:
        dataset, flag = published_version.dataset, "--dataset"
    script = LOADED_AT_FIRST_LINE + SCRIPT
    done = run(*words, flag, dataset, cwd=tmp_path, script=script)

    assert says.format(dataset=dataset) in done.stderr.splitlines()[0]
    loaded = ast.literal_eval(done.stdout.splitlines()[0])
    assert not {"apache_beam", "mindspore"} & set(loaded)


def test_the_version_is_that_of_the_installed_program():
    done = run("--version")

    (line,) = done.stdout.splitlines()
    assert done.returncode == 0
    assert line in (f"clipmill {_setup()['version']}", f"clipmill {_uninstalled()}")


def test_the_installed_program_is_the_one_tested_here():
    assert _setup()["entry_points"] == {
        "console_scripts": ["clipmill = pipelines.__main__:start"]
    }


def test_the_configurations_are_installed():
    keywords = _setup()
    patterns = keywords["package_data"]["infra.configs"]
    assert "infra.configs" in keywords["packages"]
    folder = REPOSITORY / "infra" / "configs"
    installed = {path for pattern in patterns for path in folder.glob(pattern)}
    assert installed >= set(folder.rglob("*.yaml")) > set()


@pytest.mark.parametrize("is_on_path", [False, True])
@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        (["train", "--help"], 0, "usage: clipmill train "),
        (["eval", "--help"], 0, "usage: clipmill eval "),
        (["export", "--help"], 0, "usage: clipmill export "),
        (
            ["export", "--checkpoint=none.ckpt", "--output=a.onnx"],
            1,
            "E clipmill: export failed: there is no checkpoint none.ckpt\n",
        ),
    ],
)
def test_it_is_not_fooled_by_files_of_these_names(
    tmp_path, is_on_path, words, status, shown
):
    for name in ("train.py", "model.py", "eval/__init__.py", "eval/__main__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('fooled')\n")
    path = [tmp_path, REPOSITORY] if is_on_path else [REPOSITORY]

    done = run(*words, cwd=tmp_path, path=path)

    assert done.returncode == status, done.stderr
    assert shown in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["pipelines", "history"], ["train"], ["eval"]])
def test_a_missing_library_is_one_sentence(words):
    # Without the folder of installed libraries (-S) there is not one of them.
    flags = ["--dataset", "d"]
    if words != ["pipelines", "history"]:
        flags += ["--config_path", "demo_cpu", "--output", "o"]
    if words == ["eval"]:
        flags += ["--checkpoint", "c"]
    done = subprocess.run(
        [sys.executable, "-S", "-m", *words, *flags],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(REPOSITORY)},
    )

    assert (done.returncode, done.stdout) == (1, "")
    *first, line = done.stderr.splitlines()
    assert all("loading MindSpore" in text for text in first)
    assert line.startswith("clipmill cannot run: the module '")
    assert ".venv/bin/activate" in line


@pytest.mark.parametrize(
    ("raised", "why"),
    [
        (
            "ImportError('no libGL.so.1')",
            "the library 'cv2' cannot be loaded (no libGL.so.1): install it, or what "
            "it needs, anew",
        ),
        ("MemoryError()", "there is not enough memory (no more is known)"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_one_sentence(tmp_path, raised, why):
    (tmp_path / "cv2.py").write_text(f"raise {raised}")
    words = ["synthesize", "--output", str(tmp_path / "drawn"), "--num_clips", "3"]
    done = run(*words, path=[tmp_path, REPOSITORY])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"clipmill cannot run: {why}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("job", "flags", "why"),
    [
        ("train", ["--output=o"], "none: no data set here"),
        ("eval", ["--checkpoint=c.ckpt"], "none: no data set here"),
        ("infer", ["--checkpoint=c.ckpt", "--clip_id=1"], "none: no data set here"),
        ("eval", ["--checkpoint=n.ckpt"], "there is no checkpoint n.ckpt"),
    ],
)
def test_what_is_not_there_is_named_before_mindspore_is_loaded(
    job, flags, why, published_version, tmp_path
):
    is_there = "checkpoint" in why
    words = ["--dataset", published_version.dataset if is_there else "none"]
    words += ["--config_path", "demo_cpu"] if job != "infer" else []
    done = run(job, *words, *flags, cwd=tmp_path, script=LOADED + SCRIPT)

    assert done.returncode == 1
    assert f"E clipmill: {job} failed: {why}" in done.stderr
    assert "mindspore" not in done.stdout


@pytest.mark.parametrize("job", ["train", "eval", "import_weights"])
def test_configurations_that_come_with_it_are_named(job):
    shown = run(job, "--help").stdout
    wrong = run(job, "--config_path", "demo_gpu")

    for path in (REPOSITORY / "infra" / "configs").glob("*.yaml"):
        assert path.stem in shown
    assert wrong.returncode == 2
    assert "is called 'demo_gpu'; those that come with clipmill: demo_cpu, tsm_" in (
        wrong.stderr
    )


def _setup():
    """The keywords of setup.py."""
    tree = ast.parse((REPOSITORY / "setup.py").read_text())
    call = tree.body[-1].value
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords}


def _uninstalled():
    return f"of {REPOSITORY}, which is not installed"
