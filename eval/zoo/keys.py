"""What each key of the model zoo's TSM configurations means here.

The zoo is mindspore-ai/models, research/cv/tsm; its three files have the same keys, but
for num_class. Many of them are read there and used for nothing, or not read at all: the
run is translated as the zoo's code does it, and each such key is named.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindrecord_io.storage import files

__all__ = ["DEFAULTS", "ZooError", "joined", "read", "unused", "wrong_value"]

_CONFIG_FOLDER = Path("src/model_utils")  # what a config_path is relative to there

DEFAULTS: dict[str, Any] = {
    "enable_modelarts": False,
    "data_url": "",
    "train_url": "",
    "checkpoint_url": "",
    "run_distribute": False,
    "enable_profiling": False,
    "data_path": "/cache/data/",
    "output_path": "/cache/train/",
    "load_path": "/cache/data/",
    "device_target": "Ascend",
    "checkpoint_path": "./checkpoint/",
    "checkpoint_file_path": "",
    "dataset": "somethingv2",
    "modality": "RGB",
    "train_list": None,
    "val_list": None,
    "root_path": None,
    "arch": "resnet50",
    "num_segments": 8,
    "consensus_type": "avg",
    "k": 3,
    "dropout": 0.5,
    "loss_type": "nll",
    "img_feature_dim": 256,
    "suffix": "None",
    "pretrain": "imagenet",
    "tune_from": "resnet50.ckpt",
    "epochs": 50,
    "batch_size": 8,
    "lr": 0.01,
    "lr_type": "step",
    "lr_steps": [20.0, 40.0],
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "clip_gradient": 20.0,
    "no_partialbn": True,
    "print_freq": 20,
    "eval_freq": 1,
    "workers": 1,
    "resume": None,
    "evaluate": False,
    "snapshot_pref": None,
    "start_epoch": 0,
    "gpus": "None",
    "rank": 0,
    "flow_prefix": None,
    "root_log": "log",
    "root_model": "checkpoint",
    "shift": True,
    "shift_div": 8,
    "shift_place": "blockres",
    "temporal_pool": False,
    "non_local": False,
    "dense_sample": False,
    "test_filename": "ssd-50_2639.ckpt",
    "num_class": None,
}
"""Every key, with its value in tsm_sthv2_config_ascend.yaml; None where it has none."""


class ZooError(ValueError):
    """A configuration or a flag is none of the zoo's, or cannot be followed here."""


_LISTS = "no effect there or here: a data set has its own lists"
_DEVICES = "no effect there or here: --devices N starts N processes"

_WITHOUT_EFFECT = {
    "output_path": "no effect there or here: the run is in root_model",
    "checkpoint_file_path": "no effect there or here",
    "train_list": _LISTS,
    "val_list": _LISTS,
    "root_path": _LISTS,
    "flow_prefix": "no effect there or here: there is RGB alone",
    "k": "no effect there or here",
    "img_feature_dim": "no effect there or here",
    "loss_type": "no effect there or here: the loss is cross entropy",
    "lr_type": "no effect there or here: the rate falls after 0.4 and 0.8 of the "
    "epochs; -- --schedule cosine is the other",
    "lr_steps": "no effect there or here: the rate falls after 0.4 and 0.8 of the "
    "epochs; -- --milestones 20,40 says where",
    "clip_gradient": "no effect there or here; -- --clip_gradient 20 clips",
    "eval_freq": "no effect there, where the last epoch alone is evaluated; here every "
    "so many epochs are",
    "resume": "no effect there or here; -- --resume goes on with a training",
    "start_epoch": "no effect there or here; -- --resume goes on with a training",
    "evaluate": "no effect there or here: clipmill zoo eval evaluates",
    "snapshot_pref": "no effect there or here",
    "run_distribute": _DEVICES,
    "gpus": _DEVICES,
    "rank": _DEVICES,
}

_OF_MODELARTS = ("data_url", "train_url", "checkpoint_url")


def joined(folder: Any, name: str) -> str:
    """Returns the path or URI of a name in a folder."""
    return f"{str(folder).rstrip('/')}/{name}"


def unused(keys: Mapping[str, Any]) -> dict[str, str]:
    """Returns what to say of each key that has no effect, there or here."""
    texts = {key: text for key, text in _WITHOUT_EFFECT.items() if key in keys}
    if not keys.get("enable_modelarts"):
        without = "no effect without enable_modelarts"
        texts |= {key: without for key in _OF_MODELARTS if keys.get(key)}
    return texts


def wrong_value(keys: Mapping[str, Any]) -> str | None:
    """Returns which value cannot be followed and why; None for nothing."""
    if keys["modality"] != "RGB":
        return f"modality must be RGB, got {keys['modality']!r}"
    if keys["consensus_type"] not in ("avg", "identity"):
        return f"consensus_type must be avg or identity, got {keys['consensus_type']!r}"
    if keys["device_target"] not in ("Ascend", "GPU", "CPU"):
        return f"device_target must be Ascend, GPU or CPU: {keys['device_target']!r}"
    for key in ("epochs", "batch_size", "num_segments", "workers", "print_freq"):
        if keys[key] < 1:
            return f"{key} must be at least 1, got {keys[key]}"
    return None


def read(path: Path, flags: Sequence[str]) -> dict[str, Any]:
    """Returns the value of every key: of the zoo's file, and of flags on top.

    Raises:
      ZooError: the file cannot be read, or a key is none of the zoo's.
    """
    from eval.running import config_file, yaml_files  # PyYAML: --help does without

    text = files.read_text(path if path.exists() else _CONFIG_FOLDER / path, ZooError)
    # Documents with help and choices, or an empty one, may follow the first.
    first, _, _ = f"\n{text}".partition("\n---")
    try:
        keys = yaml_files.read_text(first)
        words = config_file.parse_overrides(flags)
        given = {key: yaml_files.read_text(value) for key, value in words.items()}
    except (yaml_files.YamlFileError, config_file.ConfigError) as cause:
        raise ZooError(f"cannot read {path} and the flags: {cause}") from cause
    if not isinstance(keys, dict):
        raise ZooError(f"{path} has no keys such as the zoo's")
    unknown = sorted(map(str, (keys | given).keys() - DEFAULTS.keys()))
    if unknown:
        raise ZooError(f"no key of the zoo's TSM: {', '.join(unknown):.200}")
    return {
        key: _typed(key, (keys | given).get(key, DEFAULTS[key])) for key in DEFAULTS
    }


def _typed(key: str, value: Any) -> Any:
    """Returns the value of a key; YAML reads 5e-4 as text, which is a number here."""
    default = DEFAULTS[key]
    if value is None or not isinstance(default, bool | int | float):
        return value
    if isinstance(default, float) and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    if type(value) is not type(default):
        kind = type(default).__name__
        raise ZooError(f"{key} must be {kind}, as {default}, got {value!r:.80}")
    return value
