"""`clipmill doctor --train`: twenty steps on a device, against those of a processor.

A small network begins with weights that are drawn by numpy, and learns drawn clips, so
that every machine begins with the same numbers. What the losses were on a processor is
in infra/configs/self_test.json, with the tolerance.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mindspore import Tensor

from eval import config as eval_config
from eval.running import parsers
from eval.running.rank_group import Ranks
from mindrecord_io.storage import files
from model.tsm import TSM, TSMConfig
from train.config import TrainConfig
from train.learner import Learner

__all__ = ["RECORDED", "Recorded", "SelfTestError", "SelfTested", "losses", "run"]

logger = logging.getLogger(__name__)

RECORDED = parsers.CONFIGS / "self_test.json"
NUM_STEPS = 20

NETWORK = TSMConfig(
    num_classes=4, arch="resnet18", width=8, num_segments=4, shift_div=4, dropout=0.0
)
SETTINGS = TrainConfig(
    epochs=1, batch_size=8, learning_rate=0.001, milestones=(), clip_gradient=20.0
)
_CROP_PX = 32


class SelfTestError(RuntimeError):
    """A device trains otherwise than a processor does."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The losses of a processor.

    Attributes:
      tolerance: by which a loss may differ where all is computed in float32.
      half_tolerance: where products have 11 bits, as float16 and TF32 have.
    """

    losses: tuple[float, ...]
    tolerance: float
    half_tolerance: float

    @classmethod
    def read(cls, path: Path = RECORDED) -> "Recorded":
        """Reads the file that comes with the program."""
        content = json.loads(files.read_text(path, ValueError))
        return cls(
            tuple(content["losses"]), content["tolerance"], content["half_tolerance"]
        )

    def tolerance_of(self, device_target: str) -> float:
        """Returns the tolerance for a kind of device.

        A GPU may multiply in TF32 and an Ascend in float16, as they do by default.
        """
        return self.tolerance if device_target == "CPU" else self.half_tolerance


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The result, which `doctor --train` prints last.

    Attributes:
      max_difference: of a loss from the recorded one.
    """

    device_target: str
    num_steps: int
    max_difference: float
    tolerance: float
    losses: tuple[float, ...]


def run(device_target: str) -> SelfTested:
    """Trains on a device and compares the losses.

    Raises:
      config_file.ConfigError: this machine has no such device.
      SelfTestError: a loss differs by more than the tolerance.
    """
    is_ascend = device_target == "Ascend"
    eval_config.use_device(device_target, "force_fp16" if is_ascend else None)
    recorded = Recorded.read()
    logger.info("%d steps on %s, which takes a minute", NUM_STEPS, device_target)
    actual = losses()
    differences = np.abs(np.subtract(actual, recorded.losses))
    tolerance = recorded.tolerance_of(device_target)
    # Not `>`: a loss that is no number differs from everything.
    wrong = [i for i, d in enumerate(differences) if not d <= tolerance]
    if wrong:
        first = wrong[0]
        raise SelfTestError(
            f"{device_target} trains otherwise than a processor: the loss of step "
            f"{first + 1} is {actual[first]:.6f}, a processor's "
            f"{recorded.losses[first]:.6f}, and they may differ by {tolerance}; "
            f"infra/DEVICES.md has what must go together"
        )
    return SelfTested(
        device_target,
        NUM_STEPS,
        round(float(differences.max()), 6),
        tolerance,
        tuple(round(loss, 6) for loss in actual),
    )


def losses(
    network: TSMConfig = NETWORK, settings: TrainConfig = SETTINGS
) -> list[float]:
    """Returns the loss of every step, on the device that is in use."""
    learner = Learner(_drawn_network(network), settings, NUM_STEPS, Ranks())
    rng = np.random.default_rng(2)
    actual = []
    for step in range(NUM_STEPS):
        frames, label_ids = _clips(rng, settings.batch_size)
        actual.append(learner.learn((frames, label_ids), step).loss)
    return actual


def _drawn_network(network_config: TSMConfig) -> TSM:
    """Returns a network whose weights numpy has drawn: by He, and 0.01 for the last."""
    network = TSM(network_config)
    rng = np.random.default_rng(1)
    for parameter in network.trainable_params():
        shape = parameter.shape
        if len(shape) == 1:
            continue  # of batch norm and biases: ones and zeros everywhere
        deviation = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.01
        values = deviation * rng.standard_normal(shape)
        parameter.set_data(Tensor(values.astype(np.float32)))
    return network


def _clips(
    rng: np.random.Generator, num_clips: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Returns clips of noise with a bright column, whose way is the label."""
    shape = (num_clips, NETWORK.num_segments, 3, _CROP_PX, _CROP_PX)
    frames = rng.integers(0, 60, shape, np.uint8)
    label_ids = np.arange(num_clips, dtype=np.int32) % NETWORK.num_classes
    for clip, label_id in zip(frames, label_ids, strict=True):
        begin = int(rng.integers(0, 8))
        for segment, frame in enumerate(clip):
            place = segment if label_id % 2 == 0 else NETWORK.num_segments - 1 - segment
            left = begin + 6 * place
            lines = frame if label_id < 2 else frame.transpose((0, 2, 1))
            lines[:, :, left : left + 4] = 250
    return frames, label_ids
