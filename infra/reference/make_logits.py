"""Writes logits.json: what plain PyTorch computes for each of the cases.

    python -m infra.reference.make_logits        (needs torch and numpy)

The tests hold our networks against it where torch is not installed; where it is, they
ask PyTorch itself (see cases.py for the rule that weights and frames are made by).
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from infra.reference import cases, torch_tsm

__all__ = ["LOGITS_PATH", "logits", "make_network"]

LOGITS_PATH = Path(__file__).with_name("logits.json")
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def make_network(case: dict[str, Any]) -> torch_tsm.TorchTSM:
    """Returns a case's network with the weights of the rule."""
    network = torch_tsm.TorchTSM(case, cases.NUM_CLASSES)
    state = {
        name: torch.from_numpy(cases.tensor(name, tuple(values.shape)))
        for name, values in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    network.load_state_dict(state, strict=False)
    network.eval()
    return network


def logits(case: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Returns a case's logits."""
    clips = torch.from_numpy(cases.frames(case["num_segments"]))
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (_MEAN, _STD))
    with torch.no_grad():
        values = make_network(case)((clips / 255 - mean) / std)
    result: npt.NDArray[np.float32] = values.numpy()
    return result


def main() -> int:
    """Writes the file."""
    rounded = {
        name: np.round(logits(case).astype(float), 6).tolist()
        for name, case in cases.CASES.items()
    }
    lines = [f"  {json.dumps(name)}: {values}" for name, values in rounded.items()]
    LOGITS_PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
