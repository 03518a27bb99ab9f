"""The model zoo's files and flags, and the commands that stand for its programs."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.config import EvalConfig
from eval.device.parsers import PARSERS as DEVICE_PARSERS
from eval.running import config_file, parsers
from eval.zoo import __main__ as zoo
from eval.zoo import keys as zoo_keys
from eval.zoo.runs import ZooRun
from model.config import TSMConfig
from train.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = {"model": TSMConfig, "evaluation": EvalConfig, "training": TrainConfig}
STORE_NAME = "TSM_somethingv2_RGB_resnet50_shift8_blockres_avg_segment8_e50_None"

# The keys and values of the zoo's three files, in its order and spelling.
ASCEND = """\
enable_modelarts: False
# Url for modelarts
data_url: ""
train_url: ""
checkpoint_url: ""
run_distribute: False
enable_profiling: False
data_path: "/cache/data/"
output_path: "/cache/train/"
load_path: "/cache/data/"
device_target: "Ascend"
checkpoint_path: "./checkpoint/"
checkpoint_file_path: ""
dataset: "somethingv2"
modality: "RGB"
train_list:
val_list:
root_path:
arch: "resnet50"
num_segments: 8
consensus_type: "avg"
k: 3
dropout: 0.5
loss_type: "nll"
img_feature_dim: 256
suffix: None
pretrain: "imagenet"
tune_from: "resnet50.ckpt"
epochs: 50
batch_size: 8
lr: 0.01
lr_type: "step"
lr_steps: [20.0, 40.0]
momentum: 0.9
weight_decay: 0.0005
clip_gradient: 20.0
no_partialbn: True
print_freq: 20
eval_freq: 1
workers: 1
resume:
evaluate: False
snapshot_pref:
start_epoch: 0
gpus: None
rank: 0
flow_prefix:
root_log: "log"
root_model: "checkpoint"
shift: True
shift_div: 8
shift_place: "blockres"
temporal_pool: False
non_local: False
dense_sample: False
test_filename: "ssd-50_2639.ckpt"

---


"""
GPU = (
    ASCEND.replace('"Ascend"', '"GPU"')
    .replace('data_path: "/cache/data/"', 'data_path: "/home/mindspore/tsm/data/"')
    .replace('load_path: "/cache/data/"', 'load_path: "./src/pretrained/"')
    .replace("workers: 1", "workers: 4")
    .replace('"ssd-50_2639.ckpt"', '"tsm-50_2639.ckpt"\nnum_class: 174')
)
TWO_BIN = ASCEND.replace("batch_size: 8", "batch_size: 1")
FILES = {"ascend": ASCEND, "gpu": GPU, "2bin": TWO_BIN}


@pytest.fixture
def read(tmp_path):
    def read_one(name, *flags):
        path = tmp_path / f"tsm_sthv2_config_{name}.yaml"
        path.write_text(FILES[name])
        return zoo_keys.read(path, flags)

    return read_one


def built(fields):
    return {s: config_file.build(c, fields[s]) for s, c in SCHEMA.items()}


@pytest.mark.parametrize("name", ["ascend", "gpu"])
def test_eight_devices_train_by_the_recipe_of_our_own_file(name, read, tmp_path):
    path = parsers.CONFIGS / f"tsm_sthv2_r50_8f_{name}.yaml"
    ours = built(config_file.load(path, SCHEMA, overrides={}))
    sections = ZooRun("train", read(name, "--num_class", "174"), devices=8).sections()
    (tmp_path / "made.yaml").write_text(json.dumps(sections))
    made = built(config_file.load(tmp_path / "made.yaml", SCHEMA, overrides={}))
    same = {
        "evaluation": {"eval_batch_size": 16, "num_workers": None},
        "training": {"base_batch_size": 64, "tune_from": None},
    }
    for section, changes in same.items():
        made[section] = dataclasses.replace(made[section], **changes)
    assert made == ours


def test_every_key_of_a_file_is_read_and_none_is_invented(read):
    for name in FILES:
        keys = read(name)
        assert list(keys) == list(zoo_keys.DEFAULTS)
    assert {k: v for k, v in read("ascend").items() if k != "num_class"} == {
        k: v for k, v in zoo_keys.DEFAULTS.items() if k != "num_class"
    }
    assert (read("gpu")["num_class"], read("2bin")["batch_size"]) == (174, 1)


def test_flags_replace_keys_and_have_their_types(read):
    keys = read("gpu", "--epochs=2", "--lr", "5e-3", "--shift=False", "--suffix", "x")
    assert (keys["epochs"], keys["lr"], keys["shift"]) == (2, 0.005, False)
    model = ZooRun("train", keys).sections()["model"]
    assert model["shift_place"] == "none"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epoch=2"], "no key of the zoo's TSM: epoch"),
        (["--epochs=two"], "epochs must be int, as 50, got 'two'"),
        (["--epochs=0"], "epochs must be at least 1, got 0"),
        (["--shift=1"], "shift must be bool, as True, got 1"),
        (["--modality=Flow"], "modality must be RGB, got 'Flow'"),
        (["--consensus_type=rnn"], "must be avg or identity, got 'rnn'"),
        (["--device_target=TPU"], "must be Ascend, GPU or CPU: 'TPU'"),
        (["epochs"], "expected --key value, got 'epochs'"),
    ],
)
def test_what_cannot_be_followed_is_wrong_usage(flags, message, tmp_path, caplog):
    path = tmp_path / "zoo.yaml"
    path.write_text(GPU)
    assert zoo.main(["train", "--config_path", str(path), *flags]) == 2
    assert message in caplog.text
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_found_where_the_zoo_looks_for_it(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "src" / "config"
    folder.mkdir(parents=True)
    (tmp_path / "src" / "model_utils").mkdir()
    (folder / "tsm_sthv2_config_gpu.yaml").write_text(GPU)
    monkeypatch.chdir(tmp_path)
    words = ["train.py", "--config_path=../config/tsm_sthv2_config_gpu.yaml"]
    assert zoo.main([*words, "--dry_run", "--devices", "8", "--", "--seed", "2"]) == 0
    assert (
        capsys.readouterr().out.split()
        == (
            f"clipmill launch --devices 8 -- train --config_path log/{STORE_NAME}.yaml "
            "--dataset /home/mindspore/tsm/data "
            f"--output checkpoint/{STORE_NAME} --seed 2"
        ).split()
    )


def test_keys_without_effect_are_named(tmp_path, caplog):
    path = tmp_path / "zoo.yaml"
    path.write_text(ASCEND)
    caplog.set_level("INFO")
    words = ["--config_path", str(path), "--dry_run", "--train_url", "s3://a/b"]
    assert zoo.main(["train", *words]) == 0
    named = {r.getMessage().partition(":")[0] for r in caplog.records}
    assert named == {
        *("clip_gradient", "eval_freq", "evaluate", "gpus", "img_feature_dim", "k"),
        *("loss_type", "lr_steps", "lr_type", "output_path", "rank", "resume"),
        *("root_path", "run_distribute", "snapshot_pref", "start_epoch", "train_list"),
        *("train_url", "val_list", "checkpoint_file_path", "flow_prefix"),
    }
    assert "train_url: no effect without enable_modelarts" in caplog.text


def test_a_checkpoint_of_the_zoo_is_imported_before_it_is_used(read, tmp_path):
    folder = tmp_path / STORE_NAME / "ckpt_0"
    folder.mkdir(parents=True)
    (folder / "tsm-50_2639.ckpt").touch()
    keys = read("gpu", f"--checkpoint_path={folder}/")
    first, then = ZooRun("export", keys).commands()
    assert (first[0], then[0]) == ("import_weights", "export")
    flags = vars(parsers.import_weights_parser().parse_args(first[1:]))
    assert flags["weights"] == folder / "tsm-50_2639.ckpt"
    exported = vars(parsers.export_parser().parse_args(then[1:]))
    assert exported["checkpoint"] == flags["output"]
    assert (exported["input"], exported["batch_size"]) == ("float24", 1)


def test_a_training_of_ours_is_used_as_it_is(read, tmp_path):
    run = tmp_path / "checkpoint" / STORE_NAME
    run.mkdir(parents=True)
    (run / "best.ckpt").touch()
    for folder in (tmp_path / "checkpoint", run, run / "ckpt_0"):
        keys = read("ascend", f"--checkpoint_path={folder}/")
        (words,) = ZooRun("eval", keys).commands()
        flags, rest = parsers.eval_parser().parse_known_args(words[1:])
        assert (flags.checkpoint, flags.zoo_line, rest) == (run, True, [])


def test_without_any_checkpoint_there_is_nothing_to_use(read, tmp_path):
    keys = read("gpu", f"--checkpoint_path={tmp_path}")
    with pytest.raises(zoo_keys.ZooError, match=r"no checkpoint .*tsm-50_2639\.ckpt"):
        ZooRun("eval", keys).commands()


def test_preprocess_writes_what_the_exported_network_takes(read):
    (words,) = ZooRun("preprocess", read("2bin")).commands()
    assert words[:2] == ["device", "preprocess"]
    flags = DEVICE_PARSERS["preprocess"]().parse_args(words[2:])
    assert (str(flags.network), str(flags.dataset)) == ("tsm.mindir", "/cache/data")


def test_on_modelarts_the_urls_take_the_folders_places(read):
    flags = ["--enable_modelarts=True", "--data_url=s3://b/ssv2/"]
    flags += ["--train_url=s3://b/V0001/", "--checkpoint_url=s3://b/weights/"]
    run = ZooRun("train", zoo._places(read("ascend", *flags), is_dry=True))
    (words,) = run.commands()
    output = f"s3://b/V0001/{STORE_NAME}"
    assert words[3:] == ["--dataset", "s3://b/ssv2", "--output", output]
    weights = run.sections()["training"]["tune_from"]
    assert weights == "s3://b/weights/resnet50.ckpt"


def test_a_folder_of_the_zoos_frames_is_no_data_set(tmp_path, caplog):
    path = tmp_path / "zoo.yaml"
    path.write_text(GPU)
    words = ["--config_path", str(path), "--data_path", str(tmp_path)]
    assert zoo.main(["train", *words]) == 2
    assert f"build --clips {tmp_path}/something/v2/rawframes" in caplog.text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_the_zoos_commands_train_and_evaluate(published_version, tmp_path):
    """In a folder that has a train.py of its own, as the zoo's has."""
    for name in ("train.py", "eval.py"):
        (tmp_path / name).write_text("raise SystemExit('the zoo itself')\n")
    (tmp_path / "zoo.yaml").write_text(GPU)
    keys = f"""--config_path=zoo.yaml --data_path={published_version.dataset}
        --device_target=CPU --arch=resnet18 --num_segments=2 --shift_div=4
        --batch_size=2 --epochs=1 --tune_from= --num_class=3""".split()
    small = ["--", "--crop_px", "32", "--resize_px", "36"]
    clipmill(tmp_path, "train", *keys, *small, "--width", "4")
    (run,) = (tmp_path / "checkpoint").iterdir()
    assert (run / "best.ckpt").is_file()
    done = clipmill(tmp_path, "eval", *keys, *small)
    *_, line, last = done.stdout.splitlines()
    result = json.loads(last)
    assert result["num_labelled"] == 4
    assert line == (
        f"result: {{'top_5_accuracy': {result['top5']}, "
        f"'top_1_accuracy': {result['top1']}}}"
    )


def clipmill(folder, *words):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipelines", "zoo", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
