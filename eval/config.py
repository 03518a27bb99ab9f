"""What both programs need to know to look at clips: the device and the view."""

from dataclasses import dataclass

import mindspore

__all__ = ["DEVICE_TARGETS", "EvalConfig", "use_device", "use_graph_mode"]

DEVICE_TARGETS = ("CPU", "GPU", "Ascend")


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """The section `evaluation` of a configuration file.

    Attributes:
      device_target: one of DEVICE_TARGETS.
      crop_px: height and width of the frames that the network sees.
      resize_px: short side of the frame, before its centre is cut out.
      eval_batch_size: clips scored at once.
      num_workers: decoding threads; null for one a processor.
      check_hashes: hash every shard that will be read before the first is read. Sizes
        are always checked.
    """

    device_target: str = "CPU"
    crop_px: int = 224
    resize_px: int = 256
    eval_batch_size: int = 16
    num_workers: int | None = None
    check_hashes: bool = False

    def __post_init__(self) -> None:
        if self.device_target not in DEVICE_TARGETS:
            raise ValueError(
                f"device_target must be one of {DEVICE_TARGETS}, "
                f"got {self.device_target!r}"
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


def use_device(device_target: str) -> None:
    """Makes MindSpore run on that kind of device; call it before anything is run."""
    mindspore.set_device(device_target)
    use_graph_mode()


def use_graph_mode() -> None:
    """Makes MindSpore compile networks as a whole.

    Not by mindspore.jit: what that compiles keeps the tensors of its first call and
    does not see a parameter that is set later (MindSpore 2.9).
    """
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
