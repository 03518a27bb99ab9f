"""Translates tensor names between this package and published weights.

Everything is compared by its name in the authors' PyTorch code:

    base_model.layer1.0.conv1.net.weight        `net`: the convolution is shifted
    base_model.layer1.0.bn1.running_mean
    base_model.layer2.0.block.conv1.net.weight  `block`: a non-local block is behind it
    new_fc.weight
"""

import re
from collections.abc import Iterable

__all__ = [
    "FRESH_PARTS",
    "canonical_name",
    "flat_names",
    "is_no_weight",
    "own_names",
    "torch_name",
]

FRESH_PARTS = {"classifier": r"new_fc\.", "non_local": r".*\.nl\."}
"""Parts of a network that may begin anew, with a pattern of their canonical names."""

_NORMS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_CLASSIFIERS = re.compile(
    r"(base_model\.)?(fc|classifier|classifier\.1|end_point)\.(?=\w+$)"
)
# A layer of a MobileNetV2 in torchvision's layout: its block, its place in it and, if
# it is a convolution with batch norm and ReLU6 behind it, its place among those.
_NESTED = re.compile(r"(.*features\.\d+\.conv)\.(\d+)\.(?:(\d+)\.)?(\w+)$")
_DOWNSAMPLE = re.compile(r"\.down_sample(_layer)?\.")
# In mmaction2 a convolution and its norm are one module.
_MMACTION = "backbone."
_MMACTION_CLASSIFIER = "cls_head.fc_cls."
_MMACTION_PARTS = (
    (re.compile(r"\bdownsample\.conv\."), "downsample.0."),
    (re.compile(r"\bdownsample\.bn\."), "downsample.1."),
    (re.compile(r"\b(conv\d)\.conv\."), r"\1."),
    (re.compile(r"\bconv(\d)\.bn\."), r"bn\1."),
)
_LAYERS_OF_ONE = 3  # convolution, batch norm, ReLU6: one place there, three here
_NO_WEIGHT = re.compile(
    r".*\.num_batches_tracked"
    r"|data_preprocessor\.(mean|std)"  # mmaction2's, of the pixels
    # What MindSpore's optimizers and loss scaling add to a checkpoint.
    r"|(moments?|moment[12]|momentum_buf|accum|accum_update|accu_grads|stat)\..*"
    r"|((adam|lamb)_[mv]|(max_)?exp_avg(_sq)?|exp_inf|mean_(square|grad))\..*"
    r"|(prev|step_size|vhat|ax_?)\..*|state_step"
    r"|(learning_rate|weight_decay)\w*"
    r"|global_step|momentum|epoch_num|step_num|loss_scale|scale_sense"
    r"|(current|last_overflow)_iterator_step"
)


def is_no_weight(name: str) -> bool:
    """Whether a tensor is no network's weight but a counter or an optimizer's."""
    return _NO_WEIGHT.fullmatch(name.removeprefix("module.")) is not None


def torch_name(name: str) -> str:
    """Returns the authors' name of one of our parameters."""
    cell, _, kind = name.rpartition(".")
    return f"{cell}.{_NORMS.get(kind, kind)}"


def canonical_name(name: str) -> str:
    """Returns the authors' name of a tensor that some file calls `name`.

    The file may be a checkpoint of theirs (with `module.` of data parallel training), a
    frame network (without `base_model.`), of MindSpore's port (gamma, beta,
    `down_sample_layer`, `end_point`), of MindCV (`down_sample`) or of mmaction2
    (`backbone.layer1.0.conv1.conv.net`, `cls_head.fc_cls`).
    """
    name = torch_name(name.removeprefix("module."))
    name = _DOWNSAMPLE.sub(".downsample.", name)
    if name.startswith(_MMACTION_CLASSIFIER):
        return name.replace(_MMACTION_CLASSIFIER, "new_fc.")
    if name.startswith(_MMACTION):
        name = name.removeprefix(_MMACTION)
        for pattern, ours in _MMACTION_PARTS:
            name = pattern.sub(ours, name)
    if _CLASSIFIERS.match(name):
        return _CLASSIFIERS.sub("new_fc.", name)
    if name.startswith(("base_model.", "new_fc.")):
        return name
    return f"base_model.{name}"


def flat_names(names: Iterable[str]) -> dict[str, str]:
    """Returns each of a file's names with MobileNetV2's layers numbered as here.

    In torchvision's layout a convolution is one place with the batch norm and the ReLU6
    behind it; in that of TSM, and here, each of the three has a place of its own:

        features.2.conv.0.0   .0.1   .1.0   .1.1   .2   .3     torchvision
        features.2.conv.0     .1     .3     .4     .6   .7     here

    A file of any other layout keeps its names.
    """
    all_names = list(names)
    matches = {name: _NESTED.fullmatch(name) for name in all_names}
    num_nested: dict[str, int] = {}  # by block
    for match in matches.values():
        if match and match[3] is not None:
            least = int(match[2]) + 1
            num_nested[match[1]] = max(least, num_nested.get(match[1], 0))
    return {name: _flat(name, matches[name], num_nested) for name in all_names}


def _flat(name: str, match: re.Match[str] | None, num_nested: dict[str, int]) -> str:
    if match is None or match[1] not in num_nested:
        return name
    block, place, inner = match[1], int(match[2]), match[3]
    if inner is not None:
        flat = _LAYERS_OF_ONE * place + int(inner)
    else:  # the last convolution and its norm, behind all nested ones
        flat = (_LAYERS_OF_ONE - 1) * num_nested[block] + place
    return f"{block}.{flat}.{match[4]}"


def own_names(parameters: Iterable[str], file_names: Iterable[str]) -> dict[str, str]:
    """Returns the name by which each of our parameters must be in a file.

    `.net.` and `.block.` are left out where no name of the file has them: ImageNet's
    networks have neither shifts nor non-local blocks.

    Args:
      parameters: names of ours.
      file_names: canonical names of all tensors of the file.
    """
    present = tuple(file_names)
    has_shifts = any(".net." in name for name in present)
    has_non_local = any(".nl." in name for name in present)
    names = {}
    for parameter in parameters:
        name = torch_name(parameter)
        if not has_shifts:
            name = name.replace(".net.", ".")
        if not has_non_local:
            name = name.replace(".block.", ".")
        names[parameter] = name
    return names
