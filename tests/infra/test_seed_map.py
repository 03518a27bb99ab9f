"""The page that maps MindSpore's TSM to this: complete, and about what exists."""

import dataclasses
import re
from pathlib import Path

import pytest

from eval import config
from model.config import TSMConfig
from train.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "infra" / "SEED_MAP.md").read_text()

FILES = [
    "README_CN.md",
    "train.py",
    "eval.py",
    "export.py",
    "preprocess.py",
    "postprocess.py",
    "run_infer_310.sh",
    "run_train_ascend.sh",
    "run_train_gpu.sh",
    "run_eval.sh",
    "run_export.sh",
    "tsm_sthv2_config_ascend.yaml",
    "tsm_sthv2_config_gpu.yaml",
    "tsm_sthv2_config_2bin.yaml",
    "net.py",
    "resnet.py",
    "cross_entropy_smooth.py",
    "config.py",
    "device_adapter.py",
    "local_adapter.py",
    "moxing_adapter.py",
    "gen_label_sthv2.py",
    "vid2img_sthv2.py",
    "temporal_shift.py",
    "non_local.py",
    "consensus.py",
    "dataset.py",
    "dataset_config.py",
    "distributed_sampler.py",
    "hccl_tools.py",
    "lr_generator.py",
    "transforms.py",
]

FLAGS = [
    "enable_modelarts",
    "data_url",
    "train_url",
    "checkpoint_url",
    "run_distribute",
    "enable_profiling",
    "data_path",
    "output_path",
    "load_path",
    "device_target",
    "checkpoint_path",
    "checkpoint_file_path",
    "dataset",
    "modality",
    "train_list",
    "val_list",
    "root_path",
    "arch",
    "num_segments",
    "consensus_type",
    "k",
    "dropout",
    "loss_type",
    "img_feature_dim",
    "suffix",
    "pretrain",
    "tune_from",
    "epochs",
    "batch_size",
    "lr",
    "lr_type",
    "lr_steps",
    "momentum",
    "weight_decay",
    "clip_gradient",
    "no_partialbn",
    "print_freq",
    "eval_freq",
    "workers",
    "resume",
    "evaluate",
    "snapshot_pref",
    "start_epoch",
    "gpus",
    "rank",
    "flow_prefix",
    "root_log",
    "root_model",
    "shift",
    "shift_div",
    "shift_place",
    "temporal_pool",
    "non_local",
    "dense_sample",
    "test_filename",
    "num_class",
]


def rows(title):
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [line.strip("| ").split(" | ", maxsplit=1) for line in lines]


def quoted(cells):
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize(("title", "expected"), [("Files", FILES), ("Flags", FLAGS)])
def test_each_of_theirs_is_there_once(title, expected):
    named = [Path(text).name for text in quoted(left for left, _ in rows(title))]
    assert sorted(name for name in named if name != "*") == sorted(expected)


def test_files_of_ours_exist():
    paths = [
        text
        for _, right in rows("Files") + rows("Flags")
        for text in quoted([right])
        if re.fullmatch(r"[\w/]+\.(py|md|yaml)", text) and "/" in text
    ]
    assert len(paths) > 20
    assert [path for path in paths if not (REPOSITORY / path).is_file()] == []


def test_every_file_has_a_test_that_shows_what_it_became():
    for left, right in rows("Files"):
        tests = [text for text in quoted([right]) if text.startswith("tests/")]
        assert tests, left
        assert all(Path(test).name.startswith("test_") for test in tests), left


def test_nothing_is_left_out():
    cells = [right for title in ("Files", "Flags") for _, right in rows(title)]
    assert not [cell for cell in cells if cell.startswith("-")]


def test_what_is_left_for_a_device_says_how_far_it_was_tried():
    cells = [right for _, right in rows("Files") if "DEVICE" in right]
    assert len(cells) == 4
    for cell in cells:
        assert re.search(r"needs DEVICE: tried as far as \w+", cell), cell


@pytest.mark.parametrize(
    ("section", "cls"),
    [
        ("model", TSMConfig),
        ("evaluation", config.EvalConfig),
        ("training", TrainConfig),
    ],
)
def test_keys_of_ours_exist(section, cls):
    known = {field.name for field in dataclasses.fields(cls)}
    named = set(re.findall(rf"`{section}\.(\w+)", PAGE))
    assert named
    assert named <= known
