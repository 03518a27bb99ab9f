"""What clipmill runs for a program of the model zoo's TSM."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.zoo import keys as zoo_keys
from eval.zoo.keys import ZooError, joined
from mindrecord_io.storage import locations

__all__ = ["PROGRAMS", "ZooRun"]

_NUM_CLASSES = 174  # of the zoo's networks
_EXPORTED = "tsm.mindir"


@dataclass(frozen=True, slots=True)
class ZooRun:
    """One of the zoo's programs with its keys, and what clipmill runs for it.

    Attributes:
      keys: the value of every key of the zoo.
      devices: processes of this host.
      rest: words for clipmill's job.
    """

    program: str
    keys: Mapping[str, Any]
    devices: int = 1
    rest: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.program not in PROGRAMS:
            raise ZooError(
                f"a program must be one of {', '.join(PROGRAMS)}, got {self.program!r}"
            )
        if wrong := zoo_keys.wrong_value(self.keys):
            raise ZooError(wrong)

    @property
    def store_name(self) -> str:
        """The name that the zoo gives to a run's folders."""
        keys = self.keys
        arch = str(keys["arch"])
        if keys["shift"]:
            arch += f"_shift{keys['shift_div']}_{keys['shift_place']}"
        if keys["temporal_pool"]:
            arch += "_tpool"
        parts = ["TSM", keys["dataset"], keys["modality"], arch, keys["consensus_type"]]
        parts += [f"segment{keys['num_segments']}", f"e{keys['epochs']}"]
        parts += [keys["pretrain"]] if keys["pretrain"] != "imagenet" else []
        parts += [keys["lr_type"]] if keys["lr_type"] != "step" else []
        parts += ["dense"] if keys["dense_sample"] else []
        parts += ["nl"] if keys["non_local"] else []
        parts += [keys["suffix"]] if keys["suffix"] is not None else []
        return "_".join(map(str, parts))

    @property
    def dataset(self) -> str:
        """Path or URI of the data set."""
        return str(locations.location(str(self.keys["data_path"])))

    @property
    def output(self) -> str:
        """Path or URI of the folder of a training."""
        return joined(self.keys["root_model"], self.store_name)

    @property
    def config_path(self) -> Path:
        """Where the translated configuration is written."""
        return Path(self.keys["root_log"]) / f"{self.store_name}.yaml"

    def sections(self) -> dict[str, dict[str, Any]]:
        """Returns the configuration, in the sections of clipmill's files."""
        keys = self.keys
        frames = {"train_frames": "dense"} if keys["dense_sample"] else {}
        num_classes = {"num_classes": keys["num_class"]} if keys["num_class"] else {}
        model = {
            "arch": keys["arch"],
            "num_segments": keys["num_segments"],
            "shift_div": keys["shift_div"],
            "shift_place": keys["shift_place"] if keys["shift"] else "none",
            "temporal_pool": bool(keys["temporal_pool"]),
            "non_local": bool(keys["non_local"]),
            "partial_bn": not keys["no_partialbn"],
            "consensus": keys["consensus_type"],
            "dropout": keys["dropout"],
        }
        evaluation = {
            "device_target": keys["device_target"],
            "crop_px": 224,
            "resize_px": 256,
            "eval_frames": "dense" if keys["dense_sample"] else "centre",
            "eval_batch_size": keys["batch_size"],
            "num_workers": keys["workers"],
        }
        training = {
            "epochs": keys["epochs"],
            "batch_size": keys["batch_size"] * self.devices,
            "optimizer": "sgd",
            "learning_rate": keys["lr"],
            "momentum": keys["momentum"],
            "weight_decay": keys["weight_decay"],
            "schedule": "step",
            "milestones": [0.4 * keys["epochs"], 0.8 * keys["epochs"]],
            "is_classifier_faster": keys["dataset"] not in str(keys["tune_from"] or ""),
            "clip_gradient": None,
            "fresh_parts": ["classifier"],
            "scales": [1, 0.875, 0.75, 0.66],
            "flip": False,
            "evaluate_every": keys["eval_freq"],
            "log_every": keys["print_freq"],
            "tune_from": self._first_weights(),
        }
        if keys["device_target"] == "Ascend":
            # An Ascend 910 has no convolution in float32, and made float16 of it.
            evaluation["precision_mode"] = "force_fp16"
            training["static_loss_scale"] = 1024.0
        return {
            "model": num_classes | model,
            "evaluation": evaluation,
            "training": training | frames,
        }

    def commands(self) -> list[list[str]]:
        """Returns the words of each `clipmill` command, in their order."""
        return PROGRAMS[self.program](self)

    def train(self) -> list[list[str]]:
        """Returns the command of train.py."""
        words = ["train", "--config_path", str(self.config_path)]
        words += ["--dataset", self.dataset, "--output", self.output]
        words += ["--profile"] if self.keys["enable_profiling"] else []
        words += self.rest
        if self.devices == 1:
            return [words]
        return [["launch", "--devices", str(self.devices), "--", *words]]

    def evaluate(self) -> list[list[str]]:
        """Returns the commands of eval.py."""
        before, checkpoint = self._checkpoint()
        config = ["--config_path", str(self.config_path)]
        words = ["eval", *config, "--dataset", self.dataset, "--zoo_line"]
        return [*before, [*words, "--checkpoint", checkpoint, *self.rest]]

    def export(self) -> list[list[str]]:
        """Returns the commands of export.py."""
        before, checkpoint = self._checkpoint()
        output = _EXPORTED
        if self.keys["enable_modelarts"] and self.keys["train_url"]:
            output = joined(self.keys["train_url"], _EXPORTED)
        words = ["export", "--checkpoint", checkpoint, "--output", output]
        return [*before, [*words, "--input", "float24", "--batch_size", "1"]]

    def preprocess(self) -> list[list[str]]:
        """Returns the command of preprocess.py, which needs the exported network."""
        words = ["device", "preprocess", "--network", _EXPORTED]
        return [[*words, "--dataset", self.dataset, "--output", "tsm_310"]]

    def _first_weights(self) -> str:
        if not self.keys["tune_from"]:
            return "random"
        return joined(self.keys["load_path"], self.keys["tune_from"])

    def _checkpoint(self) -> tuple[list[list[str]], str]:
        """Returns what to run before, and the checkpoint to use.

        Raises:
          ZooError: there is neither a file of the zoo nor a training of ours.
        """
        folder = str(self.keys["checkpoint_path"]).rstrip("/")
        if locations.is_remote(folder):
            return [], folder.removesuffix("/ckpt_0")
        own = Path(folder.removesuffix("/ckpt_0"))
        for run in (own, own / self.store_name):
            if (run / "best.ckpt").is_file():
                return [], str(run)
        file = Path(folder) / str(self.keys["test_filename"])
        if not file.is_file():
            raise ZooError(
                f"there is no checkpoint {file}, and no training of clipmill in {own}: "
                f"checkpoint_path and test_filename name one"
            )
        imported = joined(self.output, "imported.ckpt")
        num_classes = self.keys["num_class"] or _NUM_CLASSES
        words = ["import_weights", "--config_path", str(self.config_path)]
        words += ["--weights", str(file), "--output", imported]
        words += [] if self.keys["num_class"] else ["--num_classes", str(num_classes)]
        return [words], imported


PROGRAMS = {
    "train": ZooRun.train,
    "eval": ZooRun.evaluate,
    "export": ZooRun.export,
    "preprocess": ZooRun.preprocess,
}
"""The zoo's programs, by their names without .py."""
