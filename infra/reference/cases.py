"""What the reference numbers are of: networks, weights and frames made by a rule.

Both sides follow it: `make_logits.py`, which asks PyTorch, and the tests, which ask our
networks. So nothing but logits has to be kept. A tensor depends on its name in the
authors' code and its shape alone.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CASES", "NUM_CLASSES", "frames", "tensor"]

NUM_CLASSES = 5
NUM_CLIPS = 2
SIDE_PX = 64

_COMMON = {"shift_div": 8, "num_segments": 4, "width": 16, "consensus": "avg"}

# Keys are those of the configuration, values those that it has or leaves as above.
_CHANGES: tuple[dict[str, Any], ...] = (
    *(
        {"arch": arch, "shift_place": place}
        for arch in ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2")
        for place in ("blockres", "block", "none")
    ),
    {"arch": "resnet50", "shift_place": "blockres", "width": 64, "num_segments": 8},
    {"arch": "resnet50", "shift_place": "blockres", "shift_div": 3},
    {"arch": "resnet50", "shift_place": "blockres", "consensus": "identity"},
    {"arch": "resnet50", "shift_place": "blockres", "shift_mode": "online"},
    {"arch": "mobilenetv2", "shift_place": "blockres", "shift_mode": "online"},
    {"arch": "resnet50", "shift_place": "blockres", "temporal_pool": True},
    {"arch": "resnet50", "shift_place": "blockres", "non_local": True},
    {"arch": "resnet101", "shift_place": "blockres", "non_local": True},
)


def _named(changes: Mapping[str, Any]) -> str:
    parts = [changes["arch"], changes["shift_place"]]
    for key, value in list(changes.items())[2:]:
        parts.append(key if value is True else f"{key}={value}")
    return " ".join(parts)


CASES: dict[str, dict[str, Any]] = {
    _named(changes): _COMMON | changes for changes in _CHANGES
}
"""Fields of a configuration by the case's name."""


def frames(num_segments: int) -> npt.NDArray[np.uint8]:
    """Returns clips (N, T, 3, H, W): waves that move, with some noise."""
    rng = np.random.default_rng(0)
    shape = (NUM_CLIPS, num_segments, 3, SIDE_PX, SIDE_PX)
    clip, segment, colour, row, column = np.indices(shape)
    phase = (clip + 1) * row / 9 + (colour + 1) * column / 14 + 2 * segment * (1 - clip)
    values = 127.5 + 90 * np.sin(phase) + 60 * (rng.random(shape) - 0.5)
    pixels: npt.NDArray[np.uint8] = values.clip(0, 255).astype(np.uint8)
    return pixels


def tensor(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Returns a tensor's numbers: uniform, of a size that neither grows nor vanishes.

    Args:
      name: in the authors' code, `base_model.layer1.0.conv1.net.weight`.
      shape: there.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    uniform = np.random.default_rng(int.from_bytes(digest, "big")).random(shape)
    if len(shape) > 1:
        fan_in = math.prod(shape[1:])
        gain = 1.0 if len(shape) == 2 else 2.0
        values = (2 * uniform - 1) * math.sqrt(3 * gain / fan_in)
    elif name.endswith("running_var"):
        values = 0.5 + uniform
    elif name.endswith("weight"):
        values = (0.4 + 0.5 * uniform) * _gain_of_norm(name)
    else:
        values = 0.4 * (uniform - 0.5)
    return values.astype(np.float32)


def _gain_of_norm(name: str) -> float:
    """Returns what keeps logits about as large as one, in shallow and deep networks."""
    if ".nl." in name:
        return 0.2
    return 1.6 if ".features." in name else 1.0
