"""TSM's parameter groups and the optimizers that update them.

TSM's groups, as multiples of the learning rate and the weight decay (as in the authors'
`get_optim_policies`; first convolution and other weights agree for RGB frames):

    first convolution      1   1        batch norm                  1   0
    weights                1   1        classifier's weight         5   1
    biases                 2   0        classifier's bias          10   0

MindSpore's optimizers leave out the decay of gamma and beta only where parameters are
not grouped; here each group has its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from mindspore import Parameter, Tensor, nn

from train.adamw import AdamW

__all__ = ["OPTIMIZERS", "make_optimizer", "parameter_groups"]

_CLASSIFIER = "new_fc."


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters with the same learning rate and weight decay.

    Attributes:
      rate_factor: multiplies the learning rate.
      decay_factor: multiplies the weight decay.
    """

    name: str
    rate_factor: float
    decay_factor: float
    parameters: tuple[Parameter, ...]


def parameter_groups(
    parameters: Sequence[Parameter], *, is_classifier_faster: bool
) -> tuple[ParameterGroup, ...]:
    """Returns TSM's groups of a network's trainable parameters; none is empty."""
    fast, faster = (5.0, 10.0) if is_classifier_faster else (1.0, 2.0)
    factors = {
        "weight": (1.0, 1.0),
        "bias": (2.0, 0.0),
        "norm": (1.0, 0.0),
        "classifier_weight": (fast, 1.0),
        "classifier_bias": (faster, 0.0),
    }
    members: dict[str, list[Parameter]] = {name: [] for name in factors}
    for parameter in parameters:
        members[_group_of(parameter.name)].append(parameter)
    return tuple(
        ParameterGroup(name, *factors[name], tuple(members[name]))
        for name in factors
        if members[name]
    )


def make_optimizer(
    name: str,
    groups: Sequence[ParameterGroup],
    rates: npt.NDArray[np.float32],
    *,
    weight_decay: float,
    momentum: float,
) -> nn.Optimizer:
    """Returns an optimizer for the groups.

    Args:
      name: a key of OPTIMIZERS.
      rates: the learning rate of every step.
      weight_decay: of groups with the factor 1.
      momentum: used by "sgd".
    """
    params = [
        {
            "params": list(group.parameters),
            "lr": Tensor(rates * np.float32(group.rate_factor)),
            "weight_decay": weight_decay * group.decay_factor,
        }
        for group in groups
    ]
    return OPTIMIZERS[name](params, Tensor(rates), momentum)


def _sgd(params: list[dict[str, Any]], rates: Tensor, momentum: float) -> nn.Optimizer:
    return nn.SGD(params, learning_rate=rates, momentum=momentum)


def _adamw(
    params: list[dict[str, Any]], rates: Tensor, momentum: float
) -> nn.Optimizer:
    return AdamW(params, learning_rate=rates, beta1=0.9, beta2=0.999, eps=1e-8)


OPTIMIZERS: dict[str, Callable[[list[dict[str, Any]], Tensor, float], nn.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}


def _group_of(name: str) -> str:
    kind = name.rpartition(".")[2]
    if kind in ("gamma", "beta"):
        return "norm"
    if kind not in ("weight", "bias"):
        raise ValueError(f"parameter {name} must end in weight, bias, gamma or beta")
    return f"classifier_{kind}" if name.startswith(_CLASSIFIER) else kind
