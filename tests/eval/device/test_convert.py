"""The command and files for MindSpore Lite's converter, against its documentation.

https://www.mindspore.cn/lite/docs/en/r2.7.0/mindir/converter_tool.html has the flags,
converter_tool_ascend.html the section [ascend_context] with input_shape=input:[-1,64,
64,3] and dynamic_dims=[1],[2] as its example, and says that without several shapes the
flag --inputShape gives the one. The AIPP file is of hiascend.com's template.
"""

import os
import subprocess

import pytest

from eval.device import __main__ as device
from eval.device import convert, metadata, parsers
from eval.running import config_file

UINT8 = {"name": "frames", "dtype": "uint8", "kind": "uint8"}
FLOAT3 = {"name": "frames", "dtype": "float32", "kind": "float3"}
NETWORK = {
    "num_segments": 8,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Converts a network with a given input; returns the result and the files."""

    def make_one(taken, shape, suffix=".mindir", **options):
        described = NETWORK | {"input": taken | {"shape": shape}}
        monkeypatch.setattr(metadata, "read", lambda path: described)
        fields = {"network": tmp_path / f"tsm{suffix}", "output": tmp_path / "ascend"}
        made = convert.ConvertOptions(**fields | options)
        result = convert.convert(made)
        return result, {p.name: p.read_text() for p in made.output.iterdir()}

    return make_one


def test_one_number_of_clips_is_a_flag(make, tmp_path):
    result, texts = make(UINT8, [None, 8, 3, 224, 224])
    assert result.command.split() == [
        "converter_lite",
        "--fmk=MINDIR",
        f"--modelFile={tmp_path}/tsm.mindir",
        "--saveType=MINDIR",
        "--optimize=ascend_oriented",
        f"--configFile={tmp_path}/ascend/converter.cfg",
        f"--outputFile={tmp_path}/ascend/tsm_ascend",
        "--inputShape=frames:1,8,3,224,224",
    ]
    assert texts == {
        "convert.sh": f"#!/bin/sh\nexec {result.command}\n",
        "converter.cfg": "[ascend_context]\nprecision_mode=enforce_fp16\n",
    }
    assert set(result.files) == {f"{tmp_path}/ascend/{name}" for name in texts}


def test_several_numbers_of_clips_are_dynamic_dims(make):
    result, texts = make(UINT8, [None, 8, 3, 224, 224], num_clips=(1, 2, 16))
    assert "--inputShape" not in result.command
    assert texts["converter.cfg"] == (
        "[ascend_context]\n"
        "input_shape=frames:[-1,8,3,224,224]\n"
        "dynamic_dims=[1],[2],[16]\n"
        "precision_mode=enforce_fp16\n"
    )


def test_images_count_by_frames(make):
    _, texts = make(FLOAT3, [None, 3, 224, 224], num_clips=(1, 2))
    assert (
        "input_shape=frames:[-1,3,224,224]\ndynamic_dims=[8],[16]\n"
        in (texts["converter.cfg"])
    )


def test_aipp_normalises_bytes(make, tmp_path):
    """0.485 * 255 = 123 + 0.675, and 1 / (255 * 0.229) = 0.0171247538."""
    result, texts = make(
        FLOAT3,
        [8, 3, 224, 200],
        ".onnx",
        aipp=True,
        precision_mode="preferred_fp32",
    )
    assert "--fmk=ONNX" in result.command
    assert result.command.endswith("--inputShape=frames:8,3,224,200")
    assert texts["converter.cfg"] == (
        "[ascend_context]\n"
        "precision_mode=preferred_fp32\n"
        "input_format=NCHW\n"
        f"insert_op_config_file_path={tmp_path}/ascend/aipp.cfg\n"
    )
    assert texts["aipp.cfg"] == (
        "aipp_op {\n"
        "    aipp_mode: static\n"
        "    related_input_rank: 0\n"
        "    input_format: RGB888_U8\n"
        "    src_image_size_w: 200\n"
        "    src_image_size_h: 224\n"
        "    crop: false\n"
        "    csc_switch: false\n"
        "    rbuv_swap_switch: false\n"
        "    mean_chn_0: 123\n"
        "    mean_chn_1: 116\n"
        "    mean_chn_2: 103\n"
        "    min_chn_0: 0.675\n"
        "    min_chn_1: 0.28\n"
        "    min_chn_2: 0.53\n"
        "    var_reci_chn_0: 0.0171247538\n"
        "    var_reci_chn_1: 0.0175070028\n"
        "    var_reci_chn_2: 0.0174291939\n"
        "}\n"
    )


def test_the_script_runs_the_converter_by_these_words(make, tmp_path):
    """A stand-in for the converter, in a folder with a space in its name."""
    folder = tmp_path / "a b"
    folder.mkdir()
    make(UINT8, [1, 8, 3, 32, 32], output=folder)
    converter = tmp_path / "converter_lite"
    converter.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    converter.chmod(0o755)
    done = subprocess.run(
        ["sh", folder / "convert.sh"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"--configFile={folder}/converter.cfg" in done.stdout.splitlines()
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.parametrize(
    ("taken", "shape", "options", "message"),
    [
        (UINT8, [4, 8, 3, 32, 32], {}, "was exported for 4 clips at once"),
        (UINT8, [1, 8, 3, 32, 32], {"num_clips": (1, 2)}, "exported for 1 clips"),
        (FLOAT3, [16, 3, 32, 32], {}, "was exported for 2 clips at once"),
        (
            UINT8,
            [1, 8, 3, 32, 32],
            {"aipp": True},
            r"takes \[1, 8, 3, 32, 32\] of uint8: export it with --input float3",
        ),
        ({**FLOAT3, "kind": "float24"}, [1, 24, 32, 32], {"aipp": True}, "of float24"),
    ],
)
def test_a_network_that_cannot_be_converted_so_is_refused(
    taken, shape, options, message, make
):
    with pytest.raises(ValueError, match=message):
        make(taken, shape, **options)


COMMON = {
    "convert": "--network a.mindir --output out",
    "preprocess": "--network a.mindir --dataset d --output out",
    "run": "--network a.mindir --input clips --output out",
    "postprocess": "--input clips --results results",
}


@pytest.mark.parametrize(
    ("step", "flags", "message"),
    [
        *(
            (step, "--networkk a", "unrecognized arguments: --networkk")
            for step in COMMON
        ),
        ("convert", "--num_clips 0", "must be a whole number of at least 1, got '0'"),
        ("convert", "--precision_mode fp16", "invalid choice: 'fp16'"),
        ("convert", "--output s3://a/b", "must be a path on this machine"),
        ("preprocess", "--split dev", "argument --split: invalid choice: 'dev'"),
        ("preprocess", "--version new", "a version is named like '000003'"),
        ("preprocess", "--num_workers two", "must be a whole number of at least 1"),
        ("run", "--output s3://a/b", "must be a path on this machine"),
        ("run", "--input s3://a/b", "must be a path on this machine"),
        ("postprocess", "--results s3://a/b", "must be a path on this machine"),
    ],
)
def test_a_wrong_flag_of_a_step_is_wrong_usage(step, flags, message, capsys):
    with pytest.raises(SystemExit) as ended:
        device.main([step, *COMMON[step].split(), *flags.split()])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("step", COMMON)
def test_every_flag_of_a_step_that_is_required_is_asked_for(step, capsys):
    with pytest.raises(SystemExit):
        device.main([step])
    required = [word for word in COMMON[step].split() if word.startswith("--")]
    error = capsys.readouterr().err
    assert f"arguments are required: {', '.join(required)}" in error
    assert set(COMMON) == set(parsers.PARSERS)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--network a.om", r"--network must be one of \.mindir, \.onnx: a\.om"),
        ("--num_clips 1 1", "numbers, each once, got 1 1"),
        ("--num_clips 1 4096", r"must be in \[1, 2048\], got 4096"),
        ("--num_clips 1 2 --aipp", "--aipp is for one number of clips"),
    ],
)
def test_what_the_converter_does_not_take_is_wrong_usage(flags, message):
    words = [*COMMON["convert"].split(), *flags.split()]
    values = vars(parsers.PARSERS["convert"]().parse_args(words))
    with pytest.raises(config_file.ConfigError, match=message):
        config_file.build(convert.ConvertOptions, values)
