"""EvalConfig: the section `evaluation` of a configuration file, and the device."""

from collections.abc import Callable
from dataclasses import dataclass

import mindspore

from eval import evaluate
from eval.running import config_file, devices
from mindrecord_io.serving import segments, views

__all__ = [
    "DEVICE_TARGETS",
    "PRECISION_MODES",
    "EvalConfig",
    "use_device",
    "use_graph_mode",
]

DEVICE_TARGETS = ("CPU", "GPU", "Ascend")

PRECISION_MODES = (
    "must_keep_origin_dtype",
    "allow_fp32_to_fp16",
    "allow_fp32_to_bf16",
    "allow_mix_precision",
    "allow_mix_precision_fp16",
    "allow_mix_precision_bf16",
    "force_fp16",
    "force_fp32",
)
"""MindSpore's, of which the first is its default. An Ascend 910 has no convolution in
float32: it wants one that makes float16 of it."""

_VIEWS: dict[str, Callable[..., views.View]] = {
    "centre": views.CentreView,
    "three": views.ThreeCropView,
}


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """How clips are viewed and scored.

    Attributes:
      device_target: one of DEVICE_TARGETS.
      precision_mode: one of PRECISION_MODES, used on Ascend alone; null: MindSpore's.
      crop_px: height and width of the frames that the network sees.
      resize_px: short side of the frame, before its centre is cut out.
      eval_crops: "centre" of the frame, or "three" squares along it.
      eval_frames: one of segments.FIXED: the centres of the segments, "twice" their
        beginnings as well, "dense" ten windows of 64 frames.
      average: one of AVERAGES: what is averaged over the views of a clip.
      eval_batch_size: views scored at once; a rank's, if there are several.
      num_workers: decoding threads; null for one a processor.
      check_hashes: hash every shard that will be read before the first is read. Sizes
        are always checked.
    """

    device_target: str = "CPU"
    precision_mode: str | None = None
    crop_px: int = 224
    resize_px: int = 256
    eval_crops: str = "centre"
    eval_frames: str = "centre"
    average: str = "logits"
    eval_batch_size: int = 16
    num_workers: int | None = None
    check_hashes: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {choices}, got {getattr(self, name)!r}"
                )
        if self.crop_px < 32:
            raise ValueError(f"crop_px must be at least 32, got {self.crop_px}")
        if self.resize_px < self.crop_px:
            raise ValueError(
                f"resize_px must be at least crop_px = {self.crop_px}, "
                f"got {self.resize_px}"
            )
        if self.eval_batch_size < 1:
            raise ValueError(
                f"eval_batch_size must be at least 1, got {self.eval_batch_size}"
            )
        if self.num_workers is not None and self.num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {self.num_workers}")

    def view(self, num_segments: int) -> views.View:
        """Returns the view of each clip."""
        return _VIEWS[self.eval_crops](
            num_segments=num_segments,
            crop_px=self.crop_px,
            resize_px=self.resize_px,
            frame_sampling=self.eval_frames,
        )


_CHOICES = {
    "device_target": DEVICE_TARGETS,
    "precision_mode": (None, *PRECISION_MODES),
    "eval_crops": tuple(_VIEWS),
    "eval_frames": tuple(segments.FIXED),
    "average": tuple(evaluate.AVERAGES),
}


def use_device(
    device_target: str,
    precision_mode: str | None = None,
    *,
    is_compiled: bool = True,
) -> None:
    """Selects MindSpore's device and graph mode; call it before anything is run.

    Args:
      is_compiled: False leaves MindSpore to compute operation by operation.

    Raises:
      config_file.ConfigError: this machine has no such device, or lacks its libraries.
    """
    devices.check(device_target)
    try:
        mindspore.set_device(device_target)
    except (RuntimeError, ValueError) as cause:
        raise config_file.ConfigError(devices.describe_lack(device_target)) from cause
    if device_target == "Ascend" and precision_mode is not None:
        mindspore.device_context.ascend.op_precision.precision_mode(precision_mode)
    if is_compiled:
        use_graph_mode()


def use_graph_mode() -> None:
    """Makes MindSpore compile networks as a whole.

    Not by mindspore.jit: what that compiles keeps the tensors of its first call and
    does not see a parameter that is set later (MindSpore 2.9).
    """
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
